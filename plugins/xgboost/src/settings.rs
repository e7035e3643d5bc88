//! What operators may change without touching the plugin.

use std::collections::BTreeMap;

use plugin_sdk::manifest::pod::Toleration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the XGBoost converter.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "XGBoost settings")]
pub struct Settings {
    /// Image of head and workers unless the job names its own. Holds Ray and the training script.
    #[schemars(length(min = 1))]
    pub image: String,
    /// Command of the driver unless the job names its own.
    #[schemars(length(min = 1))]
    pub entrypoint: String,
    /// Version of Ray in the image.
    #[schemars(length(min = 1))]
    pub ray_version: String,
    /// Region of the object storage.
    pub s3_region: String,
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
    /// Resource name of a GPU.
    #[schemars(length(min = 1))]
    pub gpu_resource_name: String,
    /// Labels that every node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Labels that the nodes of GPU workers must have as well.
    pub gpu_node_selector: BTreeMap<String, String>,
    /// Taints that every pod ignores.
    pub tolerations: Vec<Toleration>,
    /// Taints that GPU workers ignore as well.
    pub gpu_tolerations: Vec<Toleration>,
    /// Size of the shared memory of each pod, such as `2Gi`. Empty: the runtime's default.
    pub shared_memory_size: Option<String>,
    /// Secrets in the job's namespace for private images.
    pub image_pull_secrets: Vec<String>,
    /// Service account of the pods. Empty: the namespace's default.
    pub service_account_name: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            image: "trainyard/training-xgboost:0.1.0".to_owned(),
            entrypoint: "python /home/ray/xgboost_train.py".to_owned(),
            ray_version: "2.46.0".to_owned(),
            s3_region: "us-east-1".to_owned(),
            s3_secret: "trainyard-s3".to_owned(),
            s3_access_key: "access-key".to_owned(),
            s3_secret_key: "secret-key".to_owned(),
            storage_class_name: None,
            gpu_resource_name: "nvidia.com/gpu".to_owned(),
            node_selector: BTreeMap::new(),
            gpu_node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            gpu_tolerations: Vec::new(),
            shared_memory_size: None,
            image_pull_secrets: Vec::new(),
            service_account_name: None,
        }
    }
}
