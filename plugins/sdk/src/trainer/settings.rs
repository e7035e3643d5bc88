//! What operators may change about every training program.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::WorkloadKind;
use crate::manifest::pod::Toleration;

/// What differs between plugins in their [`Settings`].
pub trait Defaults {
    /// Title of the settings, such as `LightGBM settings`.
    const TITLE: &'static str;
    /// Default image. Empty: there is none, and every job names its own.
    const IMAGE: &'static str;
    /// Default command. Empty: the image's own.
    const ENTRYPOINT: &'static str;
    /// Kinds of objects that the plugin can make of a job, its own choice first.
    const KINDS: &'static [WorkloadKind] = &[WorkloadKind::Job];
    /// Default runtime of a `TrainJob`, where that is one of them.
    const RUNTIME: &'static str = "";
    /// Default home of the user of images for an `MPIJob`, where that is one of them and the form
    /// does not say it.
    const MPI_HOME: &'static str = "";
}

/// Takes out what means nothing for a plugin with these defaults.
fn only_what_counts<D: Defaults>(schema: &mut schemars::Schema) {
    let words: Vec<&str> = D::KINDS.iter().map(|kind| kind.as_str()).collect();
    let Some(properties) = schema.get_mut("properties").and_then(|all| all.as_object_mut()) else {
        return;
    };
    if let Some(kind) = properties.get_mut("workloadKind").and_then(|kind| kind.as_object_mut()) {
        kind.insert("enum".to_owned(), words.into());
    }
    for (name, counts) in [
        ("workloadKind", D::KINDS.len() > 1),
        ("trainingRuntime", !D::RUNTIME.is_empty()),
        ("mpiHome", !D::MPI_HOME.is_empty()),
    ] {
        if !counts {
            properties.remove(name);
        }
    }
}

/// Settings of a plugin whose training programs run in equal pods.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields, bound = "D: Defaults")]
#[schemars(
    title = D::TITLE,
    bound = "D: Defaults",
    rename = "Settings",
    transform = only_what_counts::<D>
)]
pub struct Settings<D> {
    /// Image of the pods unless the job names its own. Holds the training program. Empty: every
    /// job has to name one.
    pub image: String,
    /// Command of the pods unless the job names its own. Empty: the image's own.
    pub entrypoint: String,
    /// Resource name of a GPU.
    #[schemars(length(min = 1))]
    pub gpu_resource_name: String,
    /// Region of the object storage.
    pub s3_region: String,
    /// Address of the object storage for results, and for channels that name none. Empty: the
    /// provider's own.
    pub s3_endpoint: String,
    /// Secret in the job's namespace that holds the credentials of the object storage. Empty: the
    /// pods get none, and must have an identity of their own.
    pub s3_secret: String,
    /// Key of the access key within that Secret.
    #[schemars(length(min = 1))]
    pub s3_access_key: String,
    /// Key of the secret key within that Secret.
    #[schemars(length(min = 1))]
    pub s3_secret_key: String,
    /// Storage class of the claims that are created. Must allow writing from several nodes.
    /// Empty: the cluster's default.
    pub storage_class_name: Option<String>,
    /// Size of the shared memory of each pod, such as `2Gi`. Empty: as much as the pod has memory.
    pub shared_memory_size: Option<String>,
    /// Labels that every node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Labels that nodes must have as well when a job asks for GPUs.
    pub gpu_node_selector: BTreeMap<String, String>,
    /// Taints that every pod ignores.
    pub tolerations: Vec<Toleration>,
    /// Taints that pods ignore as well when a job asks for GPUs.
    pub gpu_tolerations: Vec<Toleration>,
    /// Secrets in the job's namespace for private images.
    pub image_pull_secrets: Vec<String>,
    /// Service account of the pods. Empty: the namespace's default.
    pub service_account_name: Option<String>,
    /// Kind of object that trains. The first needs no operator in the member clusters where the
    /// training can do without; every other kind needs its own.
    pub workload_kind: WorkloadKind,
    /// Name of the `ClusterTrainingRuntime` in the member clusters. For `TrainJob` only.
    #[schemars(length(min = 1))]
    pub training_runtime: String,
    /// Home of the user of the images, with its keys in `.ssh` and a configuration that lets it
    /// run `sshd` in `.sshd_config`. For `MPIJob` only.
    #[schemars(extend("pattern" = "^/[A-Za-z0-9._/-]+$"))]
    pub mpi_home: String,
    #[serde(skip)]
    #[schemars(skip)]
    defaults: PhantomData<fn() -> D>,
}

impl<D: Defaults> Default for Settings<D> {
    fn default() -> Self {
        Self {
            image: D::IMAGE.to_owned(),
            entrypoint: D::ENTRYPOINT.to_owned(),
            gpu_resource_name: "nvidia.com/gpu".to_owned(),
            s3_region: "us-east-1".to_owned(),
            s3_endpoint: String::new(),
            s3_secret: "trainyard-s3".to_owned(),
            s3_access_key: "access-key".to_owned(),
            s3_secret_key: "secret-key".to_owned(),
            storage_class_name: None,
            shared_memory_size: None,
            node_selector: BTreeMap::new(),
            gpu_node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            gpu_tolerations: Vec::new(),
            image_pull_secrets: Vec::new(),
            service_account_name: None,
            workload_kind: D::KINDS.first().copied().unwrap_or(WorkloadKind::Job),
            training_runtime: D::RUNTIME.to_owned(),
            mpi_home: D::MPI_HOME.to_owned(),
            defaults: PhantomData,
        }
    }
}
