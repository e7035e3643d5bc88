//! What users can set: optimizers and schedules of Optax and the distributed runtime of JAX, by
//! the names and with the defaults that they have there. Optax has no default for the learning
//! rate; the one here is for want of another.

use plugin_sdk::choices;
use plugin_sdk::number::{Count, whole, whole_or_null};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

choices! {
    /// Numbers of a model.
    Precision { Float32 = "float32", Bfloat16 = "bfloat16", Float64 = "float64" }
}
choices! {
    /// Rule that turns gradients into steps.
    Optimizer {
        Adamw = "adamw",
        Adam = "adam",
        Sgd = "sgd",
        Lion = "lion",
        Adafactor = "adafactor",
    }
}
choices! {
    /// How the learning rate changes.
    Schedule { Constant = "constant", Cosine = "cosine", WarmupCosine = "warmup_cosine" }
}
choices! {
    /// What is learnt.
    Task { Auto = "auto", Classification = "classification", Regression = "regression" }
}

/// Width of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Size(
    #[serde(deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 65_536))]
    pub u32,
);

/// A JAX program, one process in every pod.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "JAX", extend("x-channel-sources" = ["pvc", "http"]))]
pub struct Hyperparameters {
    /// Passes over the training data.
    #[serde(deserialize_with = "whole")]
    #[schemars(title = "Epochs", range(min = 1, max = 1_000_000), extend("x-group" = "Training"))]
    pub epochs: u32,
    /// Rows of one step, over all devices together.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Batch size",
        range(min = 1, max = 16_777_216),
        extend("x-group" = "Training", "x-unit" = "rows")
    )]
    pub batch_size: u32,
    /// Numbers in which most of the model is computed.
    #[schemars(title = "Precision", extend("x-group" = "Training"))]
    pub precision: Precision,
    /// Longer gradients are cut to this length. Empty: never.
    #[schemars(title = "Gradient norm", extend("x-group" = "Training", "exclusiveMinimum" = 0))]
    pub max_grad_norm: Option<f64>,
    /// Epochs without improvement on the validation data before the training stops. Empty:
    /// it never stops early.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Early stopping",
        range(min = 1, max = 1_000_000),
        extend("x-group" = "Training", "x-unit" = "epochs")
    )]
    pub early_stopping_patience: Option<u32>,
    /// Start of the random numbers.
    #[serde(deserialize_with = "whole")]
    #[schemars(title = "Seed", range(min = 0, max = 2_147_483_647), extend("x-group" = "Training"))]
    pub seed: u32,
    /// Rule that turns gradients into steps, of Optax.
    #[schemars(title = "Optimizer", extend("x-group" = "Optimizer"))]
    pub optimizer: Optimizer,
    /// Size of a step, or its peak with a schedule.
    #[schemars(title = "Learning rate", extend("x-group" = "Optimizer", "exclusiveMinimum" = 0))]
    pub learning_rate: f64,
    /// How slowly the mean of the gradients moves. Empty: 0.9.
    #[schemars(
        title = "First beta",
        range(min = 0),
        extend(
            "x-group" = "Optimizer",
            "exclusiveMaximum" = 1,
            "x-visible-when" = { "optimizer": ["adamw", "adam", "lion"] }
        )
    )]
    pub b1: Option<f64>,
    /// How slowly the mean of their squares moves. Empty: 0.999, 0.99 for `lion`.
    #[schemars(
        title = "Second beta",
        range(min = 0),
        extend(
            "x-group" = "Optimizer",
            "exclusiveMaximum" = 1,
            "x-visible-when" = { "optimizer": ["adamw", "adam", "lion"] }
        )
    )]
    pub b2: Option<f64>,
    /// Keeps a division from failing, outside of the root.
    #[schemars(
        title = "Epsilon",
        range(min = 0),
        extend("x-group" = "Optimizer", "x-visible-when" = { "optimizer": ["adamw", "adam"] })
    )]
    pub eps: f64,
    /// The same inside of the root.
    #[schemars(
        title = "Epsilon of the root",
        range(min = 0),
        extend("x-group" = "Optimizer", "x-visible-when" = { "optimizer": ["adamw", "adam"] })
    )]
    pub eps_root: f64,
    /// How fast weights shrink by themselves. Empty: 0.0001 for `adamw`, 0.001 for `lion`,
    /// none for the others.
    #[schemars(
        title = "Weight decay",
        range(min = 0),
        extend(
            "x-group" = "Optimizer",
            "x-visible-when" = { "optimizer": ["adamw", "lion", "adafactor"] }
        )
    )]
    pub weight_decay: Option<f64>,
    /// Share of the last step that is repeated. Empty: none.
    #[schemars(
        title = "Momentum",
        range(min = 0),
        extend(
            "x-group" = "Optimizer",
            "exclusiveMaximum" = 1,
            "x-visible-when" = { "optimizer": ["sgd", "adafactor"] }
        )
    )]
    pub momentum: Option<f64>,
    /// Whether the momentum looks ahead.
    #[schemars(
        title = "Nesterov",
        extend(
            "x-group" = "Optimizer",
            "x-visible-when" = { "optimizer": ["adamw", "adam", "sgd"] }
        )
    )]
    pub nesterov: bool,
    /// How the learning rate changes over the training.
    #[schemars(title = "Schedule", extend("x-group" = "Schedule"))]
    pub schedule: Schedule,
    /// Steps in which the learning rate rises.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Warm-up",
        range(min = 0, max = 2_147_483_647),
        extend(
            "x-group" = "Schedule",
            "x-unit" = "steps",
            "x-visible-when" = { "schedule": ["warmup_cosine"] }
        )
    )]
    pub warmup_steps: u32,
    /// Learning rate before the warm-up.
    #[schemars(
        title = "First value",
        range(min = 0),
        extend("x-group" = "Schedule", "x-visible-when" = { "schedule": ["warmup_cosine"] })
    )]
    pub init_value: f64,
    /// Learning rate at the end.
    #[schemars(
        title = "Last value",
        range(min = 0),
        extend(
            "x-group" = "Schedule",
            "x-visible-when" = { "schedule": ["cosine", "warmup_cosine"] }
        )
    )]
    pub end_value: f64,
    /// Power of the cosine.
    #[schemars(
        title = "Exponent",
        extend(
            "x-group" = "Schedule",
            "exclusiveMinimum" = 0,
            "x-visible-when" = { "schedule": ["cosine", "warmup_cosine"] }
        )
    )]
    pub exponent: f64,
    /// Devices along which the batch is divided. `auto` is all that the other axes leave.
    #[schemars(title = "Data axis", extend("x-group" = "Devices"))]
    pub mesh_data: Count,
    /// Devices along which parameters are divided besides the batch.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "FSDP axis",
        range(min = 1, max = 100_000),
        extend("x-group" = "Devices", "x-unit" = "devices")
    )]
    pub mesh_fsdp: u32,
    /// Devices along which single layers are divided.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Tensor axis",
        range(min = 1, max = 100_000),
        extend("x-group" = "Devices", "x-unit" = "devices")
    )]
    pub mesh_tensor: u32,
    /// Port of the first pod, where the others meet.
    #[serde(deserialize_with = "whole")]
    #[schemars(title = "Port", range(min = 1024, max = 65_535), extend("x-group" = "Devices"))]
    pub coordinator_port: u32,
    /// How long pods wait for one another at the start.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Start",
        range(min = 1, max = 86_400),
        extend("x-group" = "Devices", "x-unit" = "seconds")
    )]
    pub initialization_timeout: u32,
    /// Silence after which a pod counts as lost.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Heartbeat",
        range(min = 1, max = 86_400),
        extend("x-group" = "Devices", "x-unit" = "seconds")
    )]
    pub heartbeat_timeout_seconds: u32,
    /// How long pods wait for one another at the end.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "End",
        range(min = 1, max = 86_400),
        extend("x-group" = "Devices", "x-unit" = "seconds")
    )]
    pub shutdown_timeout_seconds: u32,
    /// Share of the memory of a GPU that is taken at the start.
    #[schemars(
        title = "Memory",
        range(max = 1),
        extend("x-group" = "Devices", "exclusiveMinimum" = 0)
    )]
    pub memory_fraction: f64,
    /// Whether the training stops at the first value that is not a number.
    #[schemars(title = "Stop at NaN", extend("x-group" = "Devices"))]
    pub debug_nans: bool,
    /// Epochs between two checkpoints. 0: none is written.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Checkpoint period",
        range(min = 0, max = 1_000_000),
        extend("x-group" = "Checkpoints", "x-unit" = "epochs")
    )]
    pub checkpoint_every: u32,
    /// Older checkpoints are removed. Empty: all are kept.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Kept checkpoints",
        range(min = 1, max = 10_000),
        extend("x-group" = "Checkpoints")
    )]
    pub max_to_keep: Option<u32>,
    /// Whether the training goes on from the newest checkpoint that it finds.
    #[schemars(title = "Resume", extend("x-group" = "Checkpoints"))]
    pub resume: bool,
    /// What the standard program learns: a class, a number, or what the label looks like.
    #[schemars(title = "Task", extend("x-group" = "Model"))]
    pub task: Task,
    /// Width of each hidden layer of the network that the standard program builds.
    #[schemars(title = "Hidden layers", extend("x-group" = "Model", "maxItems" = 64))]
    pub hidden_sizes: Vec<Size>,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 32,
            precision: Precision::Float32,
            max_grad_norm: None,
            early_stopping_patience: None,
            seed: 0,
            optimizer: Optimizer::Adamw,
            learning_rate: 0.001,
            b1: None,
            b2: None,
            eps: 1e-08,
            eps_root: 0.0,
            weight_decay: None,
            momentum: None,
            nesterov: false,
            schedule: Schedule::Constant,
            warmup_steps: 0,
            init_value: 0.0,
            end_value: 0.0,
            exponent: 1.0,
            mesh_data: Count::Auto,
            mesh_fsdp: 1,
            mesh_tensor: 1,
            coordinator_port: 55_527,
            initialization_timeout: 300,
            heartbeat_timeout_seconds: 100,
            shutdown_timeout_seconds: 300,
            memory_fraction: 0.75,
            debug_nans: false,
            checkpoint_every: 1,
            max_to_keep: None,
            resume: true,
            task: Task::Auto,
            hidden_sizes: vec![Size(64), Size(64)],
        }
    }
}
