//! The Ray cluster of a job: one head and one group of workers.

use std::collections::BTreeMap;

use plugin_sdk::data::DataVolumes;
use plugin_sdk::manifest::meta::{Metadata, Pairs, TemplateMetadata};
use plugin_sdk::manifest::pod::{
    Container, EmptyDir, LocalReference, PodSpec, PodTemplate, Port, Quantities, Variable, Volume,
    VolumeMount, VolumeSource,
};
use plugin_sdk::manifest::rayjob::{
    HEAD_PORTS, HeadGroup, RayClusterSpec, RayJob, RayJobSpec, WorkerGroup,
};
use plugin_sdk::{Channel, Failure, Plan};

use super::{STORAGE_PATH, STORAGE_VOLUME, Storage, XgboostJob, given};

/// A sidecar would keep the pods of a finished job alive.
const NO_SIDECAR: Pairs<'_> = Pairs(&[("sidecar.istio.io/inject", "false")]);
const WORKER_GROUP: &str = "small-group";
const SHARED_MEMORY_VOLUME: &str = "shared-memory";

pub(super) fn push(
    plan: &mut Plan,
    job: &XgboostJob<'_>,
    metadata: Metadata<'_>,
    runtime_env: &str,
    storage: &Storage<'_>,
) -> Result<(), Failure> {
    let settings = &job.settings;
    let (mut volumes, mut mounts) = volumes(job, storage);
    let data = DataVolumes::of(&job.channels);
    data.add_to(&mut volumes, &mut mounts);
    let credentials = [
        Variable::secret("S3_ACCESS_KEY", &settings.s3_secret, &settings.s3_access_key),
        Variable::secret("S3_SECRET_KEY", &settings.s3_secret, &settings.s3_secret_key),
    ];
    // Without data there is nothing to log in to, and a Secret that is missing would keep the
    // pods from starting.
    let reads_a_store = job.channels.iter().any(Channel::is_stored);
    let uses_a_store = reads_a_store || super::env::output_uri(job).is_some();
    let needs_credentials = uses_a_store && !settings.s3_secret.is_empty();
    let pods = Pods {
        job,
        env: if needs_credentials { &credentials } else { &[] },
        volumes: &volumes,
        mounts: &mounts,
    };
    let image = given(job.image_uri.as_deref()).unwrap_or(&settings.image);
    let replicas = i32::try_from(job.resources.instance_count.max(1)).unwrap_or(i32::MAX);
    let spec = RayJobSpec {
        entrypoint: given(job.entrypoint.as_deref()).unwrap_or(&settings.entrypoint),
        runtime_env_yaml: runtime_env,
        shutdown_after_job_finishes: true,
        active_deadline_seconds: job
            .max_runtime_seconds
            .filter(|&seconds| seconds > 0)
            .map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX)),
        ray_cluster_spec: RayClusterSpec {
            ray_version: &settings.ray_version,
            head_group_spec: HeadGroup {
                ray_start_params: Pairs::default(),
                template: pods.template(
                    "ray-head",
                    given(job.head_image.as_deref()).unwrap_or(image),
                    HEAD_PORTS,
                    0,
                ),
            },
            worker_group_specs: [WorkerGroup {
                group_name: WORKER_GROUP,
                replicas,
                min_replicas: 1,
                // Room that only an autoscaler could use, and none is switched on.
                max_replicas: replicas.saturating_mul(5).max(5),
                ray_start_params: Pairs::default(),
                template: pods.template(
                    "ray-worker",
                    given(job.worker_image.as_deref()).unwrap_or(image),
                    &[],
                    job.resources.gpu_count,
                ),
            }],
        },
        ..RayJobSpec::default()
    };
    plan.push("workload", &RayJob::new(metadata, spec))
}

/// The results' volume and, if an operator wants it, shared memory.
fn volumes<'j>(
    job: &'j XgboostJob<'_>,
    storage: &'j Storage<'_>,
) -> (Vec<Volume<'j>>, Vec<VolumeMount<'j>>) {
    let source = match storage {
        Storage::ExistingClaim(claim) => VolumeSource::PersistentVolumeClaim(claim),
        Storage::NewClaim(claim) => VolumeSource::PersistentVolumeClaim(claim),
        Storage::Ephemeral => VolumeSource::EmptyDir(EmptyDir::default()),
    };
    let mount = |mount_path, name| VolumeMount { mount_path, name, read_only: false };
    let mut volumes = vec![Volume { name: STORAGE_VOLUME, source }];
    let mut mounts = vec![mount(STORAGE_PATH, STORAGE_VOLUME)];
    let size_limit = given(job.settings.shared_memory_size.as_deref());
    if size_limit.is_some() {
        let source = VolumeSource::EmptyDir(EmptyDir { medium: Some("Memory"), size_limit });
        volumes.push(Volume { name: SHARED_MEMORY_VOLUME, source });
        mounts.push(mount("/dev/shm", SHARED_MEMORY_VOLUME));
    }
    (volumes, mounts)
}

/// What the pods of a job have in common.
struct Pods<'a> {
    job: &'a XgboostJob<'a>,
    env: &'a [Variable<'a>],
    volumes: &'a [Volume<'a>],
    mounts: &'a [VolumeMount<'a>],
}

impl<'a> Pods<'a> {
    fn template(
        &self,
        name: &'static str,
        image: &'a str,
        ports: &'a [Port<'a>],
        gpus: u32,
    ) -> PodTemplate<'a> {
        let Self { job, env, volumes, mounts } = *self;
        let settings = &job.settings;
        let quantities = Quantities {
            cpu_cores: job.resources.cpu_cores,
            memory_gib: job.resources.memory_gib,
            devices: (&settings.gpu_resource_name, gpus),
        };
        let for_gpus = gpus > 0;
        let mut node_selector: BTreeMap<&str, &str> = BTreeMap::new();
        let mut tolerations: Vec<_> = settings.tolerations.iter().collect();
        node_selector.extend(settings.node_selector.iter().map(|(k, v)| (&**k, &**v)));
        if for_gpus {
            node_selector.extend(settings.gpu_node_selector.iter().map(|(k, v)| (&**k, &**v)));
            tolerations.extend(&settings.gpu_tolerations);
        }
        PodTemplate {
            metadata: TemplateMetadata { labels: Pairs::default(), annotations: NO_SIDECAR },
            spec: PodSpec {
                containers: [Container {
                    name,
                    image,
                    ports,
                    env,
                    resources: quantities.into(),
                    volume_mounts: mounts,
                    ..Container::default()
                }],
                volumes,
                node_selector,
                tolerations,
                image_pull_secrets: settings
                    .image_pull_secrets
                    .iter()
                    .map(|name| LocalReference { name })
                    .collect(),
                service_account_name: given(settings.service_account_name.as_deref()),
                ..PodSpec::default()
            },
        }
    }
}
