//! What operators may change without touching the plugin.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the converter. Every one has a default.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Template Title settings")]
pub struct Settings {
    /// Image of the pods unless the job names its own. Holds the training program.
    #[schemars(title = "Image", length(min = 1))]
    pub image: String,
    /// Command of the pods unless the job names its own.
    #[schemars(title = "Entrypoint", length(min = 1))]
    pub entrypoint: String,
    /// Resource name of a GPU.
    #[schemars(title = "GPU resource", length(min = 1))]
    pub gpu_resource_name: String,
    /// Region of the object storage.
    #[schemars(title = "Region")]
    pub s3_region: String,
    /// Secret in the job's namespace that holds the credentials of the object storage. Empty: the
    /// pods get none, and must have an identity of their own.
    #[schemars(title = "Secret")]
    pub s3_secret: String,
    /// Key of the access key within that Secret.
    #[schemars(title = "Access key", length(min = 1))]
    pub s3_access_key: String,
    /// Key of the secret key within that Secret.
    #[schemars(title = "Secret key", length(min = 1))]
    pub s3_secret_key: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            image: "example.org/template-name:1.0.0".to_owned(),
            entrypoint: "python /app/train.py".to_owned(),
            gpu_resource_name: "nvidia.com/gpu".to_owned(),
            s3_region: "us-east-1".to_owned(),
            s3_secret: "trainyard-s3".to_owned(),
            s3_access_key: "access-key".to_owned(),
            s3_secret_key: "secret-key".to_owned(),
        }
    }
}
