//! From a validated job to its manifests.

use plugin_sdk::manifest::job::BatchJob;
use plugin_sdk::manifest::meta::{Metadata, Pairs, TemplateMetadata};
use plugin_sdk::manifest::pod::{
    Container, PodSpec, PodTemplate, Quantities, Variable, Volume, VolumeMount, VolumeSource,
};
use plugin_sdk::manifest::pvc::PersistentVolumeClaim;
use plugin_sdk::{Channel, ChannelType, Failure, Job, Plan, Provider};
use serde::Serialize;

use crate::{Hyperparameters, Settings};

/// The container that trains: users read its log.
pub(crate) const CONTAINER: &str = "trainer";
const RESULTS_VOLUME: &str = "results";
const RESULTS_PATH: &str = "/results";
/// A sidecar would keep the pods of a finished job alive.
const NO_SIDECAR: Pairs<'_> = Pairs(&[("sidecar.istio.io/inject", "false")]);

type PluginJob<'a> = Job<'a, Hyperparameters, Settings>;

/// The job's manifests: the workload and, if the job asks for one, a claim for the results.
pub(crate) fn convert(job: &PluginJob<'_>) -> Result<Plan, Failure> {
    let mut plan = Plan::new();
    if job.head_image.is_some() {
        plan.warnings
            .push("All instances are equal: `headImage` is not used.".to_owned());
    }
    let given = job.pvc_name.as_deref();
    let new = (given.is_none() && job.resources.volume_size_gb > 0)
        .then(|| format!("{}-results", job.name));
    if let Some(name) = &new {
        let size = format!("{}Gi", job.resources.volume_size_gb);
        let claim = PersistentVolumeClaim::shared(metadata(job, name), &size, None);
        plan.push("storage", &claim)?;
    }
    push_workload(&mut plan, job, given.or(new.as_deref()))?;
    Ok(plan)
}

fn push_workload(plan: &mut Plan, job: &PluginJob<'_>, claim: Option<&str>) -> Result<(), Failure> {
    let settings = &job.settings;
    let env = environment(job)?;
    let volume = claim.map(|claim| Volume {
        name: RESULTS_VOLUME,
        source: VolumeSource::PersistentVolumeClaim(claim),
    });
    let mount = claim.map(|_| VolumeMount {
        mount_path: RESULTS_PATH,
        name: RESULTS_VOLUME,
        read_only: false,
    });
    let entrypoint = job.entrypoint.as_deref().unwrap_or(&settings.entrypoint);
    let container = Container {
        name: CONTAINER,
        image: job
            .image_uri
            .as_deref()
            .or(job.worker_image.as_deref())
            .unwrap_or(&settings.image),
        command: &["/bin/sh", "-c", entrypoint],
        env: &env,
        // What was asked for is what the pod gets and what it can use.
        resources: Quantities {
            cpu_cores: job.resources.cpu_cores,
            memory_gib: job.resources.memory_gib,
            devices: (&settings.gpu_resource_name, job.resources.gpu_count),
        }
        .into(),
        volume_mounts: mount.as_slice(),
        ..Container::default()
    };
    let template = PodTemplate {
        metadata: TemplateMetadata {
            labels: Pairs::default(),
            annotations: NO_SIDECAR,
        },
        spec: PodSpec {
            containers: [container],
            restart_policy: Some("Never"),
            volumes: volume.as_slice(),
            ..PodSpec::default()
        },
    };
    let instances = job.resources.instance_count;
    let metadata = metadata(job, &job.name);
    plan.push(
        "workload",
        &BatchJob::new(metadata, instances, job.max_runtime_seconds, template),
    )
}

/// The host adds the labels that it finds its objects by.
fn metadata<'a>(job: &'a PluginJob<'_>, name: &'a str) -> Metadata<'a> {
    Metadata {
        name,
        namespace: &job.namespace,
        labels: Pairs::default(),
        annotations: Pairs::default(),
    }
}

/// What the training program finds in its environment.
fn environment<'a>(job: &'a PluginJob<'_>) -> Result<Vec<Variable<'a>>, Failure> {
    let settings = &job.settings;
    let mut env = vec![
        Variable::value("JOB_ID", &*job.id),
        Variable::value("JOB_NAME", &*job.name),
        Variable::value("WORLD_SIZE", job.resources.instance_count.to_string()),
    ];
    for (name, value) in job.hyperparameters.variables() {
        env.push(Variable::value(name, value));
    }
    if !job.custom_hyperparameters.is_empty() {
        env.push(Variable::value(
            "CUSTOM_HYPERPARAMETERS",
            job.custom_hyperparameters.to_json(),
        ));
    }
    let inputs: Vec<Input<'_>> = job.channels.iter().map(Input::from).collect();
    let inputs = serde_json::to_string(&inputs)
        .map_err(|error| Failure::Internal(format!("cannot write the channels: {error}")))?;
    env.push(Variable::value("CHANNELS", inputs));
    if let Some(uri) = job.output_uri.as_deref() {
        env.push(Variable::value("OUTPUT_URI", uri));
    }
    // Without data there is nothing to log in to, and a Secret that is missing would keep the
    // pods from starting.
    let needs_storage = !job.channels.is_empty() || job.output_uri.is_some();
    if needs_storage && !settings.s3_secret.is_empty() {
        let secret = &settings.s3_secret;
        env.push(Variable::value("AWS_REGION", &*settings.s3_region));
        env.push(Variable::secret(
            "AWS_ACCESS_KEY_ID",
            secret,
            &settings.s3_access_key,
        ));
        env.push(Variable::secret(
            "AWS_SECRET_ACCESS_KEY",
            secret,
            &settings.s3_secret_key,
        ));
    }
    Ok(env)
}

/// Input data as training scripts read it; what was not said is left out.
#[derive(Serialize)]
struct Input<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    channel_type: &'static str,
    uri: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    endpoint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    features: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
}

impl<'a> From<&'a Channel<'_>> for Input<'a> {
    fn from(channel: &'a Channel<'_>) -> Self {
        let scheme = match channel.provider {
            Provider::Gcs => "gs",
            Provider::Azure => "az",
            Provider::Aws | Provider::Minio | Provider::Custom => "s3",
        };
        Self {
            name: &channel.name,
            channel_type: match channel.channel_type {
                ChannelType::Train => "train",
                ChannelType::Validation => "validation",
                ChannelType::Test => "test",
            },
            uri: format!("{scheme}://{}/{}", channel.bucket, channel.prefix),
            endpoint: &channel.endpoint,
            format: channel.content_type.as_deref(),
            features: channel.feature_names.iter().map(|name| &**name).collect(),
            label: channel.label_name.as_deref(),
        }
    }
}
