//! What users can set: arguments of Keras by the names and with the defaults that they have
//! there, and how pods share the work.

use plugin_sdk::choices;
use plugin_sdk::number::{whole, whole_or_null};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

choices! {
    /// Yes, no, or as the library thinks best.
    AutoFlag { Auto = "auto", On = "true", Off = "false" }
}
choices! {
    /// Numbers of a model.
    Precision {
        Float32 = "float32",
        MixedFloat16 = "mixed_float16",
        MixedBfloat16 = "mixed_bfloat16",
    }
}
choices! {
    /// What is printed.
    Verbose { Auto = "auto", Silent = "0", Bar = "1", Line = "2" }
}
choices! {
    /// Rule that turns gradients into steps.
    Optimizer {
        Rmsprop = "rmsprop",
        Adam = "adam",
        Adamw = "adamw",
        Sgd = "sgd",
        Adagrad = "adagrad",
    }
}
choices! {
    /// How the work is shared.
    Strategy {
        Auto = "auto",
        None = "none",
        Mirrored = "mirrored",
        MultiWorkerMirrored = "multi_worker_mirrored",
        ParameterServer = "parameter_server",
    }
}
choices! {
    /// How workers exchange gradients.
    Communication { Auto = "AUTO", Ring = "RING", Nccl = "NCCL" }
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

/// A Keras program, in one pod or many.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "TensorFlow", extend("x-channel-sources" = ["pvc", "http"]))]
pub struct Hyperparameters {
    /// Passes over the training data.
    #[serde(deserialize_with = "whole")]
    #[schemars(title = "Epochs", range(min = 1, max = 1_000_000), extend("x-group" = "Training"))]
    pub epochs: u32,
    /// Rows of one step, over all workers together.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Batch size",
        range(min = 1, max = 16_777_216),
        extend("x-group" = "Training", "x-unit" = "rows")
    )]
    pub batch_size: u32,
    /// Share of the training rows that is held back if there is no validation channel.
    #[schemars(
        title = "Validation split",
        range(min = 0),
        extend("x-group" = "Training", "exclusiveMaximum" = 1)
    )]
    pub validation_split: f64,
    /// Epochs between two validations.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Validation period",
        range(min = 1, max = 1_000_000),
        extend("x-group" = "Training", "x-unit" = "epochs")
    )]
    pub validation_freq: u32,
    /// Where an epoch ends. Empty: at the end of the data. Workers whose shares differ need
    /// it.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Steps per epoch",
        range(min = 1, max = 2_147_483_647),
        extend("x-group" = "Training", "x-unit" = "steps")
    )]
    pub steps_per_epoch: Option<u32>,
    /// Whether rows come in another order in each epoch.
    #[schemars(title = "Shuffle", extend("x-group" = "Training"))]
    pub shuffle: bool,
    /// Steps of one compiled call.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Steps per call",
        range(min = 1, max = 1_000_000),
        extend("x-group" = "Training", "x-unit" = "steps")
    )]
    pub steps_per_execution: u32,
    /// Whether XLA compiles the model.
    #[schemars(title = "Compile", extend("x-group" = "Training"))]
    pub jit_compile: AutoFlag,
    /// Numbers in which most of the model is computed.
    #[schemars(title = "Precision", extend("x-group" = "Training"))]
    pub mixed_precision: Precision,
    /// What the training prints: nothing, a bar, or a line for each epoch.
    #[schemars(title = "Verbosity", extend("x-group" = "Training"))]
    pub verbose: Verbose,
    /// Makes the training repeatable. Empty: it differs each time.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(title = "Seed", range(min = 0, max = 2_147_483_647), extend("x-group" = "Training"))]
    pub seed: Option<u32>,
    /// Rule that turns gradients into steps.
    #[schemars(title = "Optimizer", extend("x-group" = "Optimizer"))]
    pub optimizer: Optimizer,
    /// Size of a step. Empty: 0.01 for `sgd`, 0.001 for the others.
    #[schemars(title = "Learning rate", extend("x-group" = "Optimizer", "exclusiveMinimum" = 0))]
    pub learning_rate: Option<f64>,
    /// How slowly the mean of the gradients moves.
    #[schemars(
        title = "First beta",
        range(min = 0),
        extend(
            "x-group" = "Optimizer",
            "exclusiveMaximum" = 1,
            "x-visible-when" = { "optimizer": ["adam", "adamw"] }
        )
    )]
    pub beta_1: f64,
    /// How slowly the mean of their squares moves.
    #[schemars(
        title = "Second beta",
        range(min = 0),
        extend(
            "x-group" = "Optimizer",
            "exclusiveMaximum" = 1,
            "x-visible-when" = { "optimizer": ["adam", "adamw"] }
        )
    )]
    pub beta_2: f64,
    /// Keeps a division from failing.
    #[schemars(
        title = "Epsilon",
        extend(
            "x-group" = "Optimizer",
            "exclusiveMinimum" = 0,
            "x-visible-when" = { "optimizer": ["adam", "adamw", "rmsprop", "adagrad"] }
        )
    )]
    pub epsilon: f64,
    /// Whether the largest mean so far counts.
    #[schemars(
        title = "AMSGrad",
        extend("x-group" = "Optimizer", "x-visible-when" = { "optimizer": ["adam", "adamw"] })
    )]
    pub amsgrad: bool,
    /// Share of the last step that is repeated.
    #[schemars(
        title = "Momentum",
        range(min = 0),
        extend(
            "x-group" = "Optimizer",
            "exclusiveMaximum" = 1,
            "x-visible-when" = { "optimizer": ["sgd", "rmsprop"] }
        )
    )]
    pub momentum: f64,
    /// Whether the momentum looks ahead.
    #[schemars(
        title = "Nesterov",
        extend("x-group" = "Optimizer", "x-visible-when" = { "optimizer": ["sgd"] })
    )]
    pub nesterov: bool,
    /// How fast weights shrink by themselves. Empty: 0.004 for `adamw`, none for the
    /// others.
    #[schemars(title = "Weight decay", range(min = 0), extend("x-group" = "Optimizer"))]
    pub weight_decay: Option<f64>,
    /// Each longer gradient is cut to this length.
    #[schemars(
        title = "Norm of each gradient",
        extend("x-group" = "Optimizer", "exclusiveMinimum" = 0)
    )]
    pub clipnorm: Option<f64>,
    /// Larger values of a gradient are cut to this one.
    #[schemars(title = "Largest value", extend("x-group" = "Optimizer", "exclusiveMinimum" = 0))]
    pub clipvalue: Option<f64>,
    /// All gradients together are cut to this length.
    #[schemars(
        title = "Norm of all gradients",
        extend("x-group" = "Optimizer", "exclusiveMinimum" = 0)
    )]
    pub global_clipnorm: Option<f64>,
    /// Whether the training ends when what is watched gets no better.
    #[schemars(title = "Early stopping", extend("x-group" = "Early stopping"))]
    pub early_stopping: bool,
    /// What is watched: a metric, as the log names it.
    #[schemars(
        title = "Watched",
        extend(
            "x-group" = "Early stopping",
            "pattern" = "^[a-z][a-z0-9_]{0,62}$",
            "x-visible-when" = { "early_stopping": [true] }
        )
    )]
    pub monitor: String,
    /// Epochs without improvement before the training ends.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Patience",
        range(min = 0, max = 1_000_000),
        extend(
            "x-group" = "Early stopping",
            "x-unit" = "epochs",
            "x-visible-when" = { "early_stopping": [true] }
        )
    )]
    pub patience: u32,
    /// Smaller improvements count as none.
    #[schemars(
        title = "Least improvement",
        range(min = 0),
        extend("x-group" = "Early stopping", "x-visible-when" = { "early_stopping": [true] })
    )]
    pub min_delta: f64,
    /// Whether the weights of the best epoch are kept instead of the last.
    #[schemars(
        title = "Best weights",
        extend("x-group" = "Early stopping", "x-visible-when" = { "early_stopping": [true] })
    )]
    pub restore_best_weights: bool,
    /// Whether only the best checkpoint is kept.
    #[schemars(title = "Best only", extend("x-group" = "Checkpoints"))]
    pub save_best_only: bool,
    /// Steps between two checkpoints. 0: one each epoch.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Checkpoint period",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "Checkpoints", "x-unit" = "steps")
    )]
    pub save_freq: u32,
    /// Whether the training goes on where an interrupted one stopped.
    #[schemars(title = "Resume", extend("x-group" = "Checkpoints"))]
    pub backup: bool,
    /// Whether the backup is removed at the end.
    #[schemars(
        title = "Clean up",
        extend("x-group" = "Checkpoints", "x-visible-when" = { "backup": [true] })
    )]
    pub delete_checkpoint: bool,
    /// How devices and pods share the work. `auto` mirrors the model over all of them; with
    /// parameter servers, which need a program of your own, some pods only keep it.
    #[schemars(title = "Strategy", extend("x-group" = "Distribution"))]
    pub strategy: Strategy,
    /// How many of the instances keep the model. One more coordinates; the others train.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Parameter servers",
        range(min = 1, max = 512),
        extend(
            "x-group" = "Distribution",
            "x-unit" = "pods",
            "x-visible-when" = { "strategy": ["parameter_server"] }
        )
    )]
    pub num_ps: u32,
    /// How workers exchange gradients.
    #[schemars(
        title = "Communication",
        extend(
            "x-group" = "Distribution",
            "x-visible-when" = { "strategy": ["auto", "multi_worker_mirrored"] }
        )
    )]
    pub communication: Communication,
    /// Port on which the pods listen for one another.
    #[serde(deserialize_with = "whole")]
    #[schemars(title = "Port", range(min = 1024, max = 65_535), extend("x-group" = "Distribution"))]
    pub port: u32,
    /// What the standard program learns: a class, a number, or what the label looks like.
    #[schemars(title = "Task", extend("x-group" = "Model"))]
    pub task: Task,
    /// Width of each hidden layer of the network that the standard program builds.
    #[schemars(title = "Hidden layers", extend("x-group" = "Model", "maxItems" = 64))]
    pub hidden_units: Vec<Size>,
    /// Share of the values that is dropped between two layers.
    #[schemars(
        title = "Dropout",
        range(min = 0),
        extend("x-group" = "Model", "exclusiveMaximum" = 1)
    )]
    pub dropout: f64,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self {
            epochs: 1,
            batch_size: 32,
            validation_split: 0.0,
            validation_freq: 1,
            steps_per_epoch: None,
            shuffle: true,
            steps_per_execution: 1,
            jit_compile: AutoFlag::Auto,
            mixed_precision: Precision::Float32,
            verbose: Verbose::Auto,
            seed: None,
            optimizer: Optimizer::Rmsprop,
            learning_rate: None,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-07,
            amsgrad: false,
            momentum: 0.0,
            nesterov: false,
            weight_decay: None,
            clipnorm: None,
            clipvalue: None,
            global_clipnorm: None,
            early_stopping: false,
            monitor: "val_loss".to_owned(),
            patience: 0,
            min_delta: 0.0,
            restore_best_weights: false,
            save_best_only: false,
            save_freq: 0,
            backup: true,
            delete_checkpoint: true,
            strategy: Strategy::Auto,
            num_ps: 1,
            communication: Communication::Auto,
            port: 2222,
            task: Task::Auto,
            hidden_units: vec![Size(64), Size(64)],
            dropout: 0.0,
        }
    }
}
