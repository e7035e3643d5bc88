//! A job is accepted over in-memory ports, something is changed, and verification must find it.

use serde_json::{Map, json};

use super::*;
use crate::admit::Policy;
use crate::clock::{ManualClock, SequentialIds};
use crate::id::{JobName, Namespace};
use crate::job::{Exact, Resources, Spread};
use crate::submit::{self, Submitted};
use crate::testing::{MemoryPlugins, MemoryStore, samples};

fn spec(request: &Value) -> JobSpec {
    JobSpec {
        name: JobName::parse("one").unwrap(),
        namespace: Namespace::parse("default").unwrap(),
        priority: 500,
        algorithm: "trees".to_owned(),
        resources: Resources {
            cpu_cores: 4,
            memory_gib: 16,
            gpu_count: 0,
            instance_count: 1,
            volume_size_gb: 0,
        },
        exact: Exact::default(),
        max_runtime_seconds: None,
        max_pending_seconds: None,
        attempt: crate::job::Attempt::FIRST,
        channels: Vec::new(),
        output_uri: None,
        hyperparameters: request["values"].clone(),
        custom_hyperparameters: Map::new(),
        target_clusters: Vec::new(),
        spread: Spread::One,
        entrypoint: None,
        head_image: None,
        worker_image: None,
        image_uri: None,
        pvc_name: None,
        request: request.clone(),
    }
}

fn read(request: Value, plugin: &PluginInfo) -> Result<JobSpec, Vec<FieldError>> {
    assert_eq!(plugin.algorithms, ["trees"]);
    if request["values"].is_null() {
        return Err(vec![FieldError::new("/values", "required", "It is missing.")]);
    }
    Ok(spec(&request))
}

struct World {
    plugins: Arc<MemoryPlugins>,
    ports: SubmitPorts,
    job: Job,
}

async fn world() -> World {
    let plugins = Arc::new(MemoryPlugins::default());
    plugins.add("trees", "1.0.0", true);
    let ports = SubmitPorts {
        store: Arc::new(MemoryStore::new("origin")),
        plugins: plugins.clone(),
        clock: Arc::new(ManualClock::new(samples::at(0))),
        ids: Arc::new(SequentialIds::default()),
        policy: Arc::new(Policy::default()),
        origin: "origin".to_owned(),
        host_version: "0.2.0".to_owned(),
    };
    let request = json!({"values": {"eta": 0.3}});
    let submitted = submit::submit(&ports, spec(&request), None).await.unwrap();
    let Submitted::New(job, _) = submitted else { panic!("{submitted:?}") };
    World { plugins, ports, job: *job }
}

/// The verdicts in order: schema, input, plan, bundle, stored.
async fn verdicts(world: &World) -> [Verdict; 5] {
    let verification = verify(&world.ports, &world.job, &read).await.unwrap();
    let names: Vec<&str> = verification.items.iter().map(|item| item.name).collect();
    assert_eq!(names, ["schema", "input", "plan", "bundle", "stored"]);
    let verdicts: Vec<Verdict> = verification.items.iter().map(|item| item.verdict).collect();
    verdicts.try_into().unwrap()
}

use Verdict::{Different, Same, Unknown};

#[tokio::test]
async fn untouched_job_is_the_same_in_everything_even_under_new_settings_and_versions() {
    let world = world().await;
    world.plugins.set_image("-patched");
    world.plugins.add("trees", "2.0.0", true);
    assert_eq!(verdicts(&world).await, [Same; 5]);
    let verification = verify(&world.ports, &world.job, &read).await.unwrap();
    assert_eq!(verification.verdict(), Same);
    assert_eq!(verification.plugin.version, "1.0.0");
}

#[tokio::test]
async fn changed_form_changes_input_plan_and_bundle() {
    let mut world = world().await;
    world.job.request = json!({"values": {"eta": 0.4}});
    assert_eq!(verdicts(&world).await, [Same, Different, Different, Different, Same]);
}

#[tokio::test]
async fn form_that_is_no_longer_accepted_leaves_its_items_unknown() {
    let mut world = world().await;
    world.job.request = json!({});
    assert_eq!(verdicts(&world).await, [Same, Unknown, Unknown, Unknown, Same]);
}

#[tokio::test]
async fn changed_hash_of_the_bundle_is_found_twice() {
    let mut world = world().await;
    world.job.provenance.bundle_digest = Sha256Digest::of("other");
    assert_eq!(verdicts(&world).await, [Same, Same, Same, Different, Different]);
}

#[tokio::test]
async fn new_rules_of_the_host_are_told_from_a_new_answer_of_the_plugin() {
    let mut world = world().await;
    world.ports.origin = "moved".to_owned();
    assert_eq!(verdicts(&world).await, [Same, Same, Same, Different, Same]);
    let verification = verify(&world.ports, &world.job, &read).await.unwrap();
    let message = &verification.items[3].message;
    assert!(message.contains("admission rules have changed"), "{message}");

    let strict = Policy { allowed_images: vec!["elsewhere/".to_owned()], ..Policy::default() };
    world.ports.policy = Arc::new(strict);
    let verification = verify(&world.ports, &world.job, &read).await.unwrap();
    let message = &verification.items[3].message;
    assert!(message.contains("rules refuse"), "{message}");
}

#[tokio::test]
async fn job_of_an_older_host_is_proven_as_far_as_its_record_goes() {
    let mut world = world().await;
    let provenance = &mut world.job.provenance;
    (provenance.settings, provenance.input_digest, provenance.plan_digest) = (None, None, None);
    assert_eq!(verdicts(&world).await, [Same, Unknown, Unknown, Same, Same]);
    // Under other settings the bundle differs, and nobody can say why.
    world.plugins.set_image("-patched");
    assert_eq!(verdicts(&world).await, [Same, Unknown, Unknown, Unknown, Same]);
}

#[tokio::test]
async fn plugin_that_cannot_be_had_is_an_error_of_its_own() {
    let world = world().await;
    world.plugins.forget(&world.job.provenance.plugin_digest);
    let error = verify(&world.ports, &world.job, &read).await.unwrap_err();
    assert!(matches!(error, VerifyError::NotKept), "{error:?}");
}
