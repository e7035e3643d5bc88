//! The job as the host hands it over, parsed. It mirrors the JSON documented in the contract;
//! members that this version does not know are ignored.

use serde::Deserialize;

use crate::custom::CustomHyperparameters;
use crate::text::Text;

/// One training job, with the plugin's own types for hyperparameters and settings.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job<'a, Hyperparameters, Settings> {
    /// Unique for ever; a valid label value.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// Name of the workload.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Namespace of every object.
    #[serde(borrow)]
    pub namespace: Text<'a>,
    /// Canonical name of the algorithm.
    #[serde(borrow)]
    pub algorithm: Text<'a>,
    /// The alias by which the form names the algorithm, if it is one.
    #[serde(borrow, default)]
    pub algorithm_alias: Option<Text<'a>>,
    /// 1 for the first try.
    #[serde(default = "first_attempt")]
    pub attempt: u32,
    /// 1 lowest to 1000 highest.
    #[serde(default)]
    pub priority: u32,
    /// What each instance gets.
    pub resources: Resources,
    /// Absent: no limit.
    #[serde(default)]
    pub max_runtime_seconds: Option<u64>,
    /// Input data, in the order of the form.
    #[serde(borrow, default)]
    pub channels: Vec<Channel<'a>>,
    /// Where results should go, as the user sent it.
    #[serde(borrow, default)]
    pub output_uri: Option<Text<'a>>,
    /// Checked against the plugin's schema, defaults filled in.
    pub hyperparameters: Hyperparameters,
    /// Free additions of the user, in the user's order.
    #[serde(borrow, default)]
    pub custom_hyperparameters: CustomHyperparameters<'a>,
    /// Override of the operator's entrypoint.
    #[serde(borrow, default)]
    pub entrypoint: Option<Text<'a>>,
    /// Override of the image of the head.
    #[serde(borrow, default)]
    pub head_image: Option<Text<'a>>,
    /// Override of the image of the workers.
    #[serde(borrow, default)]
    pub worker_image: Option<Text<'a>>,
    /// Override of both images.
    #[serde(borrow, default)]
    pub image_uri: Option<Text<'a>>,
    /// An existing volume claim to mount instead of a new one.
    #[serde(borrow, default)]
    pub pvc_name: Option<Text<'a>>,
    /// The operator's settings, defaults filled in.
    pub settings: Settings,
}

/// What each instance gets.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// Whole cores per instance, at least 1.
    pub cpu_cores: u32,
    /// Per instance; 0: no memory request.
    #[serde(rename = "memoryGiB")]
    pub memory_gib: u32,
    /// Per worker instance.
    pub gpu_count: u32,
    /// Workers, at least 1.
    pub instance_count: u32,
    /// Size of a claim to create, in Gi; 0: none.
    #[serde(rename = "volumeSizeGB")]
    pub volume_size_gb: u32,
}

/// One source of input data.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Channel<'a> {
    /// Unique within the job.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// What the data is for.
    #[serde(rename = "type")]
    pub channel_type: ChannelType,
    /// Who stores the data.
    #[serde(default)]
    pub provider: Provider,
    /// Empty: the provider's own.
    #[serde(borrow, default)]
    pub endpoint: Text<'a>,
    /// Without scheme and slashes.
    #[serde(borrow, default)]
    pub bucket: Text<'a>,
    /// Without leading slash.
    #[serde(borrow, default)]
    pub prefix: Text<'a>,
    /// Claim of the volume that holds the data instead of an object store.
    #[serde(borrow, default)]
    pub claim: Option<Text<'a>>,
    /// Path below the root of that volume, without slashes at its ends.
    #[serde(borrow, default)]
    pub path: Text<'a>,
    /// Address of the data on the web instead of an object store.
    #[serde(borrow, default)]
    pub url: Option<Text<'a>>,
    /// `csv`.
    #[serde(borrow, default)]
    pub content_type: Option<Text<'a>>,
    /// Columns to learn from; empty: all but the label.
    #[serde(borrow, default)]
    pub feature_names: Vec<Text<'a>>,
    /// Column to learn.
    #[serde(borrow, default)]
    pub label_name: Option<Text<'a>>,
}

/// What a channel's data is for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ChannelType {
    /// Data to learn from.
    Train,
    /// Data that steers the training.
    Validation,
    /// Data held back for the end.
    Test,
}

/// Who stores a channel's data.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Amazon S3.
    Aws,
    /// MinIO.
    #[default]
    Minio,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
    /// Anything else that speaks S3; also what this version has no name for.
    #[serde(other)]
    Custom,
}

fn first_attempt() -> u32 {
    1
}
