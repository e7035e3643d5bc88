//! From a validated job to its manifests.

use std::borrow::Cow;
use std::collections::BTreeMap;

use plugin_sdk::manifest::meta::Pairs;
use plugin_sdk::manifest::pod::Variable;
use plugin_sdk::manifest::rayjob::{
    self, HEAD_PORTS, HeadGroup, RayClusterSpec, RayJobSpec, WorkerGroup,
};
use plugin_sdk::number::Count;
use plugin_sdk::trainer::{Program, Trainer, given};
use plugin_sdk::{Failure, Plan, runtime_env};
use serde::{Serialize, Serializer};

use crate::hyperparameters::Amount;
use crate::{Hyperparameters, RayJob, rules};

const WORKER_GROUP: &str = "workers";

/// What Ray itself prepares for driver and workers.
#[derive(Serialize)]
struct RuntimeEnv<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pip: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: Option<&'a str>,
    #[serde(serialize_with = "as_map")]
    env_vars: Vec<(&'a str, Cow<'a, str>)>,
}

fn as_map<S: Serializer>(
    variables: &[(&str, Cow<'_, str>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(variables.iter().map(|(name, text)| (name, text)))
}

pub(crate) fn convert(job: &RayJob<'_>) -> Result<Plan, Failure> {
    let h = &job.hyperparameters;
    let trainer = Trainer::of(job);
    let mut plan = trainer.claims(true)?;
    plan.warnings.extend(rules::warnings(job));
    // Ray hands the variables to driver and workers, so that they stand in the job once and not in
    // each pod. What comes from a Secret only Kubernetes can hand over.
    let platform = environment(job)?;
    let runtime_env = runtime_env(h, &platform)?;
    let (_, env) = platform.into_iter().partition::<Vec<_>, _>(|v| v.plain().is_some());
    let program = Program { env, ..Program::default() };
    let space = trainer.space(&program, None);
    let mut head = trainer.pod(&program, &[], &space, 0);
    let mut worker = trainer.pod(&program, &[], &space, job.resources.gpu_count);
    let ([first], [others]) = (&mut head.spec.containers, &mut worker.spec.containers);
    (first.name, first.ports, others.name) = ("ray-head", HEAD_PORTS, "ray-worker");
    first.image = given(job.head_image.as_deref()).unwrap_or(first.image);
    let store = h.object_store_memory_gib.map(|gib| (u64::from(gib) << 30).to_string());
    let cores = h.head_num_cpus.map(|cores| cores.to_string());
    let store = store.as_deref().map(|bytes| ("object-store-memory", bytes));
    let cores = cores.as_deref().map(|cores| ("num-cpus", cores));
    let head_params: Vec<(&str, &str)> = store.into_iter().chain(cores).collect();
    let worker_params: Vec<(&str, &str)> = store.into_iter().collect();
    let replicas = i32::try_from(trainer.instances()).unwrap_or(i32::MAX);
    let spec = RayJobSpec {
        entrypoint: trainer.entrypoint().unwrap_or_default(),
        runtime_env_yaml: &runtime_env,
        entrypoint_num_cpus: (h.entrypoint_num_cpus > 0.0).then_some(h.entrypoint_num_cpus),
        entrypoint_num_gpus: (h.entrypoint_num_gpus > 0.0).then_some(h.entrypoint_num_gpus),
        backoff_limit: (h.backoff_limit > 0).then_some(h.backoff_limit),
        // Or the pods, and their GPUs, would stay.
        shutdown_after_job_finishes: true,
        active_deadline_seconds: trainer
            .max_runtime_seconds()
            .filter(|&seconds| seconds > 0)
            .map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX)),
        pre_running_deadline_seconds: h.pre_running_deadline_seconds,
        ray_cluster_spec: RayClusterSpec {
            head_group_spec: HeadGroup { ray_start_params: Pairs(&head_params), template: head },
            worker_group_specs: [WorkerGroup {
                group_name: WORKER_GROUP,
                replicas,
                min_replicas: replicas,
                max_replicas: replicas,
                ray_start_params: Pairs(&worker_params),
                template: worker,
            }],
            ..RayClusterSpec::default()
        },
    };
    plan.push("workload", &rayjob::RayJob::new(trainer.metadata(trainer.name()), spec))?;
    Ok(plan)
}

/// The variables of the platform.
pub(crate) fn environment<'j>(job: &'j RayJob<'_>) -> Result<Vec<Variable<'j>>, Failure> {
    Trainer::of(job).environment_of_equals(&resolved(job))
}

fn runtime_env(h: &Hyperparameters, platform: &[Variable<'_>]) -> Result<String, Failure> {
    let own = platform.iter().filter_map(Variable::plain);
    let users = h.env_vars.iter().map(|(name, text)| (name.as_str(), text.into()));
    runtime_env::document_to_yaml(&RuntimeEnv {
        pip: &h.pip,
        working_dir: given(h.working_dir.as_deref()),
        env_vars: own.chain(users).collect(),
    })
}

/// Settings of Ray Train with their conditional defaults in place, for the program.
#[derive(Serialize)]
struct Train<'a> {
    num_workers: u32,
    use_gpu: bool,
    resources_per_worker: Option<&'a BTreeMap<String, Amount>>,
    placement_strategy: &'a str,
    max_failures: i32,
    num_to_keep: Option<u32>,
    checkpoint_score_attribute: Option<&'a str>,
    checkpoint_score_order: &'a str,
    storage_path: Option<&'a str>,
    log_level: &'a str,
}

fn resolved<'j>(job: &'j RayJob<'_>) -> Train<'j> {
    let h = &job.hyperparameters;
    Train {
        num_workers: workers(job),
        use_gpu: uses_gpus(job),
        resources_per_worker: (!h.resources_per_worker.is_empty())
            .then_some(&h.resources_per_worker),
        placement_strategy: h.placement_strategy.as_str(),
        max_failures: h.max_failures,
        num_to_keep: h.num_to_keep,
        checkpoint_score_attribute: h.checkpoint_score_attribute.as_deref(),
        checkpoint_score_order: h.checkpoint_score_order.as_str(),
        storage_path: given(h.storage_path.as_deref()),
        log_level: h.log_level.as_str(),
    }
}

/// Whether each worker takes a GPU.
pub(crate) fn uses_gpus(job: &RayJob<'_>) -> bool {
    job.hyperparameters.use_gpu.unwrap_or(job.resources.gpu_count > 0)
}

/// Workers of Ray Train.
pub(crate) fn workers(job: &RayJob<'_>) -> u32 {
    let instances = job.resources.instance_count.max(1);
    let each = if uses_gpus(job) { job.resources.gpu_count.max(1) } else { 1 };
    match job.hyperparameters.num_workers {
        Count::Auto => instances.saturating_mul(each),
        Count::Fixed(workers) => workers,
    }
}
