//! What users can set: the knobs of Horovod by the names and with the defaults of its launcher,
//! and what its optimizers take.

use plugin_sdk::choices;
use plugin_sdk::number::{Count, whole};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

choices! {
    /// How gradients become one.
    Op { Average = "Average", Sum = "Sum", Adasum = "Adasum" }
}
choices! {
    /// Numbers in which gradients are exchanged.
    Compression { None = "none", Fp16 = "fp16" }
}
choices! {
    /// What the library prints.
    LogLevel {
        Trace = "TRACE",
        Debug = "DEBUG",
        Info = "INFO",
        Warning = "WARNING",
        Error = "ERROR",
        Fatal = "FATAL",
    }
}
choices! {
    /// What NCCL prints.
    NcclDebug { Version = "VERSION", Warn = "WARN", Info = "INFO", Trace = "TRACE" }
}

/// A Horovod program, one process for each GPU.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Horovod", extend("x-channel-sources" = ["pvc", "http"]))]
pub struct Hyperparameters {
    /// Passes over the training data.
    #[serde(deserialize_with = "whole")]
    #[schemars(title = "Epochs", range(min = 1, max = 1_000_000), extend("x-group" = "Training"))]
    pub epochs: u32,
    /// Rows of each process in one step.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Batch size",
        range(min = 1, max = 1_048_576),
        extend("x-group" = "Training", "x-unit" = "rows")
    )]
    pub batch_size: u32,
    /// Size of a step of one process; programs usually multiply it by the number of
    /// processes.
    #[schemars(title = "Learning rate", extend("x-group" = "Training", "exclusiveMinimum" = 0))]
    pub learning_rate: f64,
    /// Start of the random numbers.
    #[serde(deserialize_with = "whole")]
    #[schemars(title = "Seed", range(min = 0, max = 2_147_483_647), extend("x-group" = "Training"))]
    pub seed: u32,
    /// How gradients of several processes become one.
    #[schemars(title = "Operation", extend("x-group" = "Exchange"))]
    pub op: Op,
    /// Numbers in which gradients are exchanged.
    #[schemars(title = "Compression", extend("x-group" = "Exchange"))]
    pub compression: Compression,
    /// Passes whose gradients are added up before they are exchanged.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Passes per step",
        range(min = 1, max = 2_147_483_647),
        extend("x-group" = "Exchange", "x-unit" = "passes")
    )]
    pub backward_passes_per_step: u32,
    /// Divides the averaging into a part before and a part after the sum.
    #[schemars(title = "Predivision", extend("x-group" = "Exchange", "exclusiveMinimum" = 0))]
    pub gradient_predivide_factor: f64,
    /// Gradients are exchanged in portions of at most this size. 0: one at a time.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Fusion threshold",
        range(min = 0, max = 65_536),
        extend("x-group" = "Exchange", "x-unit" = "MiB")
    )]
    pub fusion_threshold_mb: u32,
    /// Time between two exchanges.
    #[schemars(
        title = "Cycle",
        range(max = 60_000),
        extend("x-group" = "Exchange", "x-unit" = "milliseconds", "exclusiveMinimum" = 0)
    )]
    pub cycle_time_ms: f64,
    /// How many answers about the readiness of gradients are remembered. 0: none.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Cache",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "Exchange")
    )]
    pub cache_capacity: u32,
    /// Whether gradients are added up within a pod first.
    #[schemars(title = "Hierarchical sum", extend("x-group" = "Hierarchy"))]
    pub hierarchical_allreduce: bool,
    /// Whether values are gathered within a pod first.
    #[schemars(title = "Hierarchical gathering", extend("x-group" = "Hierarchy"))]
    pub hierarchical_allgather: bool,
    /// Whether threshold, cycle and hierarchy are searched for while training.
    #[schemars(title = "Autotune", extend("x-group" = "Autotuning"))]
    pub autotune: bool,
    /// Samples that are thrown away.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Warm-up samples",
        range(min = 1, max = 2_147_483_647),
        extend("x-group" = "Autotuning", "x-visible-when" = { "autotune": [true] })
    )]
    pub autotune_warmup_samples: u32,
    /// Steps of one sample.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Steps per sample",
        range(min = 1, max = 2_147_483_647),
        extend(
            "x-group" = "Autotuning",
            "x-unit" = "steps",
            "x-visible-when" = { "autotune": [true] }
        )
    )]
    pub autotune_steps_per_sample: u32,
    /// Samples after which the search ends.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Most samples",
        range(min = 1, max = 2_147_483_647),
        extend("x-group" = "Autotuning", "x-visible-when" = { "autotune": [true] })
    )]
    pub autotune_bayes_opt_max_samples: u32,
    /// How little a single sample says.
    #[schemars(
        title = "Noise",
        range(min = 0, max = 1),
        extend("x-group" = "Autotuning", "x-visible-when" = { "autotune": [true] })
    )]
    pub autotune_gaussian_process_noise: f64,
    /// Time after which a process that others wait for is named. 0: never.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Stall warning",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "Stalls and logs", "x-unit" = "seconds")
    )]
    pub stall_check_warning_time_seconds: u32,
    /// Time after which the training ends then. 0: never.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Stall shutdown",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "Stalls and logs", "x-unit" = "seconds")
    )]
    pub stall_check_shutdown_time_seconds: u32,
    /// How long processes of a single pod wait for one another.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Gloo time-out",
        range(min = 1, max = 86_400),
        extend("x-group" = "Stalls and logs", "x-unit" = "seconds")
    )]
    pub gloo_timeout_seconds: u32,
    /// Whether a timeline of all exchanges is written beside the results.
    #[schemars(title = "Timeline", extend("x-group" = "Stalls and logs"))]
    pub timeline: bool,
    /// What the library prints.
    #[schemars(title = "Log level", extend("x-group" = "Stalls and logs"))]
    pub log_level: LogLevel,
    /// `auto` is one for each GPU, and one without GPUs.
    #[schemars(
        title = "Processes per pod",
        extend("x-group" = "Launcher", "x-form-field" = "workersPerNode")
    )]
    pub slots_per_worker: Count,
    /// Folder where the user of the image looks for its keys. For several pods.
    #[schemars(title = "Keys", extend("x-group" = "Launcher", "pattern" = "^/[A-Za-z0-9._/-]+$"))]
    pub ssh_auth_mount_path: String,
    /// File of the image that lets its user run `sshd` without being root. For several
    /// pods.
    #[schemars(
        title = "Configuration of sshd",
        extend("x-group" = "Launcher", "pattern" = "^/[A-Za-z0-9._/-]+$")
    )]
    pub sshd_config: String,
    /// What NCCL prints. Empty: nothing.
    #[schemars(title = "NCCL log", extend("x-group" = "Launcher"))]
    pub nccl_debug: Option<NcclDebug>,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 32,
            learning_rate: 0.001,
            seed: 42,
            op: Op::Average,
            compression: Compression::None,
            backward_passes_per_step: 1,
            gradient_predivide_factor: 1.0,
            fusion_threshold_mb: 128,
            cycle_time_ms: 1.0,
            cache_capacity: 1024,
            hierarchical_allreduce: false,
            hierarchical_allgather: false,
            autotune: false,
            autotune_warmup_samples: 3,
            autotune_steps_per_sample: 10,
            autotune_bayes_opt_max_samples: 20,
            autotune_gaussian_process_noise: 0.8,
            stall_check_warning_time_seconds: 60,
            stall_check_shutdown_time_seconds: 0,
            gloo_timeout_seconds: 30,
            timeline: false,
            log_level: LogLevel::Warning,
            slots_per_worker: Count::Auto,
            ssh_auth_mount_path: "/home/mpiuser/.ssh".to_owned(),
            sshd_config: "/home/mpiuser/.sshd_config".to_owned(),
            nccl_debug: None,
        }
    }
}
