//! What users can set: the runtime environment and the cluster of a RayJob, and the settings of
//! Ray Train, which the program finds in its environment, by the names and with the defaults
//! that they have there.

use std::collections::BTreeMap;

use plugin_sdk::choices;
use plugin_sdk::number::{Count, integer, whole, whole_or_null};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

choices! {
    /// How workers are placed.
    Placement {
        Pack = "PACK",
        Spread = "SPREAD",
        StrictPack = "STRICT_PACK",
        StrictSpread = "STRICT_SPREAD",
    }
}
choices! {
    /// Which score is better.
    ScoreOrder { Max = "max", Min = "min" }
}
choices! {
    /// What is printed.
    LogLevel { Debug = "DEBUG", Info = "INFO", Warning = "WARNING", Error = "ERROR" }
}

/// An amount of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Amount(#[schemars(range(min = 0, max = 1_000_000))] pub f64);

/// Any program on a Ray cluster of its own.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Ray", extend("x-channel-sources" = ["pvc", "http"]))]
pub struct Hyperparameters {
    /// Python packages that are installed before the program starts, as pip takes them.
    #[schemars(title = "Packages", extend("x-group" = "Runtime environment", "maxItems" = 256))]
    pub pip: Vec<String>,
    /// Address of a ZIP file that becomes the folder of the program, such as
    /// `s3://bucket/code.zip`. Empty: the image's own folder.
    #[schemars(
        title = "Working directory",
        extend("x-group" = "Runtime environment", "pattern" = "^(https|s3|gs)://[^ ]+\\.zip$")
    )]
    pub working_dir: Option<String>,
    /// Variables that driver and workers find besides those of the platform. Secrets do not
    /// belong here.
    #[schemars(
        title = "Environment",
        extend("x-group" = "Runtime environment", "maxProperties" = 256)
    )]
    pub env_vars: BTreeMap<String, String>,
    /// Cores that the driver reserves. 0: it runs on the head and reserves none.
    #[schemars(
        title = "Cores of the driver",
        range(min = 0, max = 1024),
        extend("x-group" = "Driver", "x-unit" = "cores")
    )]
    pub entrypoint_num_cpus: f64,
    /// GPUs that the driver reserves. Above 0 it runs on a worker.
    #[schemars(
        title = "GPUs of the driver",
        range(min = 0, max = 1024),
        extend("x-group" = "Driver")
    )]
    pub entrypoint_num_gpus: f64,
    /// Cores that the head offers to tasks. 0: it only leads. Empty: all that it has.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Cores of the head for work",
        range(min = 0, max = 1024),
        extend("x-group" = "Cluster", "x-unit" = "cores")
    )]
    pub head_num_cpus: Option<u32>,
    /// Memory of each pod that holds objects. Empty: 30 % of its memory.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Object store",
        range(min = 1, max = 65_536),
        extend("x-group" = "Cluster", "x-unit" = "GiB")
    )]
    pub object_store_memory_gib: Option<u32>,
    /// How many times a failed job is tried again, with a new cluster each.
    #[serde(deserialize_with = "whole")]
    #[schemars(title = "Retries", range(min = 0, max = 100), extend("x-group" = "Failures"))]
    pub backoff_limit: u32,
    /// Time until the program has to run. Empty: no limit.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Start deadline",
        range(min = 1, max = 2_592_000),
        extend("x-group" = "Failures", "x-unit" = "seconds")
    )]
    pub pre_running_deadline_seconds: Option<u32>,
    /// Workers of Ray Train. `auto` is one for each GPU, and one for each instance without
    /// GPUs.
    #[schemars(title = "Workers", extend("x-group" = "Ray Train"))]
    pub num_workers: Count,
    /// Whether each worker takes a GPU. Empty: if the job has any.
    #[schemars(title = "Use GPUs", extend("x-group" = "Ray Train"))]
    pub use_gpu: Option<bool>,
    /// What each worker reserves, such as `CPU` and `GPU`. Empty: one core, or one GPU.
    #[schemars(
        title = "Resources of a worker",
        extend("x-group" = "Ray Train", "maxProperties" = 16)
    )]
    pub resources_per_worker: BTreeMap<String, Amount>,
    /// Whether workers come together in few pods or spread over many.
    #[schemars(title = "Placement", extend("x-group" = "Ray Train"))]
    pub placement_strategy: Placement,
    /// How many times workers are started again after a failure. -1: always.
    #[serde(deserialize_with = "integer")]
    #[schemars(
        title = "Worker failures",
        range(min = -1, max = 1_000_000),
        extend("x-group" = "Ray Train")
    )]
    pub max_failures: i32,
    /// Other checkpoints are removed. Empty: all are kept.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Kept checkpoints",
        range(min = 1, max = 100_000),
        extend("x-group" = "Ray Train")
    )]
    pub num_to_keep: Option<u32>,
    /// Metric by which checkpoints are kept. Empty: the newest are.
    #[schemars(title = "Score of a checkpoint", extend("x-group" = "Ray Train"))]
    pub checkpoint_score_attribute: Option<String>,
    /// Whether more or less is better.
    #[schemars(title = "Order of the score", extend("x-group" = "Ray Train"))]
    pub checkpoint_score_order: ScoreOrder,
    /// Where Ray Train keeps runs and checkpoints: a path of all pods or an address. Empty:
    /// the folder of the results.
    #[schemars(title = "Storage", extend("x-group" = "Ray Train"))]
    pub storage_path: Option<String>,
    /// What Ray Train prints.
    #[schemars(title = "Log level", extend("x-group" = "Ray Train"))]
    pub log_level: LogLevel,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self {
            pip: Vec::new(),
            working_dir: None,
            env_vars: BTreeMap::new(),
            entrypoint_num_cpus: 0.0,
            entrypoint_num_gpus: 0.0,
            head_num_cpus: None,
            object_store_memory_gib: None,
            backoff_limit: 0,
            pre_running_deadline_seconds: None,
            num_workers: Count::Auto,
            use_gpu: None,
            resources_per_worker: BTreeMap::new(),
            placement_strategy: Placement::Pack,
            max_failures: 0,
            num_to_keep: None,
            checkpoint_score_attribute: None,
            checkpoint_score_order: ScoreOrder::Max,
            storage_path: None,
            log_level: LogLevel::Info,
        }
    }
}
