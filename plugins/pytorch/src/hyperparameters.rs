//! What users can set: the training loop of the standard program, the strategies and optimizers
//! of PyTorch, and the flags of its launcher, by the names and with the defaults that they have
//! there.

use plugin_sdk::choices;
use plugin_sdk::number::{Count, whole, whole_or_null};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

choices! {
    /// Numbers of a model.
    Precision { Fp32 = "fp32", Bf16 = "bf16", Fp16 = "fp16" }
}
choices! {
    /// Rule that turns gradients into steps.
    Optimizer { Adamw = "adamw", Adam = "adam", Sgd = "sgd" }
}
choices! {
    /// How the learning rate changes.
    Scheduler { Linear = "linear", Cosine = "cosine", Constant = "constant" }
}
choices! {
    /// What is learnt.
    Task { Auto = "auto", Classification = "classification", Regression = "regression" }
}
choices! {
    /// How processes share the work.
    Strategy { Ddp = "ddp", Fsdp = "fsdp" }
}
choices! {
    /// How processes talk.
    Backend { Auto = "auto", Nccl = "nccl", Gloo = "gloo" }
}
choices! {
    /// How pods get their numbers.
    Rendezvous { Static = "static", C10d = "c10d" }
}
choices! {
    /// How processes are started.
    StartMethod { Spawn = "spawn", Fork = "fork", Forkserver = "forkserver" }
}
choices! {
    /// What NCCL prints.
    NcclDebug { Version = "VERSION", Warn = "WARN", Info = "INFO", Trace = "TRACE" }
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

/// A PyTorch program, started by torchrun in every pod.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "PyTorch", extend("x-channel-sources" = ["pvc", "http"]))]
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
    /// Steps whose gradients are added up before the model changes.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Accumulated steps",
        range(min = 1, max = 2_147_483_647),
        extend("x-group" = "Training", "x-unit" = "steps")
    )]
    pub gradient_accumulation_steps: u32,
    /// Longer gradients are cut to this length. 0: never.
    #[schemars(title = "Gradient norm", range(min = 0), extend("x-group" = "Training"))]
    pub max_grad_norm: f64,
    /// Numbers in which most of the model is computed.
    #[schemars(title = "Precision", extend("x-group" = "Training"))]
    pub precision: Precision,
    /// Whether the model is compiled before it is trained.
    #[schemars(title = "Compile", extend("x-group" = "Training"))]
    pub torch_compile: bool,
    /// Processes that load data for each process that trains. 0: it loads by itself.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Loading processes",
        range(min = 0, max = 1024),
        extend("x-group" = "Training", "x-unit" = "processes")
    )]
    pub dataloader_num_workers: u32,
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
    /// Rule that turns gradients into steps.
    #[schemars(title = "Optimizer", extend("x-group" = "Optimizer"))]
    pub optimizer: Optimizer,
    /// Size of a step.
    #[schemars(title = "Learning rate", range(min = 0), extend("x-group" = "Optimizer"))]
    pub learning_rate: f64,
    /// How slowly the mean of the gradients moves.
    #[schemars(
        title = "First beta",
        range(min = 0),
        extend(
            "x-group" = "Optimizer",
            "exclusiveMaximum" = 1,
            "x-visible-when" = { "optimizer": ["adamw", "adam"] }
        )
    )]
    pub beta1: f64,
    /// How slowly the mean of their squares moves.
    #[schemars(
        title = "Second beta",
        range(min = 0),
        extend(
            "x-group" = "Optimizer",
            "exclusiveMaximum" = 1,
            "x-visible-when" = { "optimizer": ["adamw", "adam"] }
        )
    )]
    pub beta2: f64,
    /// Keeps a division from failing.
    #[schemars(
        title = "Epsilon",
        range(min = 0),
        extend("x-group" = "Optimizer", "x-visible-when" = { "optimizer": ["adamw", "adam"] })
    )]
    pub eps: f64,
    /// How fast weights shrink by themselves. Empty: the default of the optimizer, 0.01 for
    /// `adamw` and 0 for the others.
    #[schemars(title = "Weight decay", range(min = 0), extend("x-group" = "Optimizer"))]
    pub weight_decay: Option<f64>,
    /// Share of the last step that is repeated.
    #[schemars(
        title = "Momentum",
        range(min = 0),
        extend(
            "x-group" = "Optimizer",
            "exclusiveMaximum" = 1,
            "x-visible-when" = { "optimizer": ["sgd"] }
        )
    )]
    pub momentum: f64,
    /// Whether the momentum looks ahead.
    #[schemars(
        title = "Nesterov",
        extend("x-group" = "Optimizer", "x-visible-when" = { "optimizer": ["sgd"] })
    )]
    pub nesterov: bool,
    /// How the learning rate changes over the training.
    #[schemars(title = "Schedule", extend("x-group" = "Optimizer"))]
    pub lr_scheduler_type: Scheduler,
    /// Steps in which the learning rate rises from 0.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Warm-up",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "Optimizer", "x-unit" = "steps")
    )]
    pub warmup_steps: u32,
    /// What the standard training program learns: a class, a number, or what the label
    /// looks like.
    #[schemars(title = "Task", extend("x-group" = "Model"))]
    pub task: Task,
    /// Width of each hidden layer of the network that the standard training program builds.
    #[schemars(title = "Hidden layers", extend("x-group" = "Model", "maxItems" = 64))]
    pub hidden_sizes: Vec<Size>,
    /// Share of the values that is dropped between two layers.
    #[schemars(
        title = "Dropout",
        range(min = 0),
        extend("x-group" = "Model", "exclusiveMaximum" = 1)
    )]
    pub dropout: f64,
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
    pub save_total_limit: Option<u32>,
    /// Whether the training goes on from the newest checkpoint that it finds.
    #[schemars(title = "Resume", extend("x-group" = "Checkpoints"))]
    pub resume: bool,
    /// How processes share the work: each with a whole model (DDP), or each with a part of
    /// it (FSDP).
    #[schemars(title = "Strategy", extend("x-group" = "Strategy"))]
    pub strategy: Strategy,
    /// How processes talk: `auto` is `nccl` with GPUs and `gloo` without.
    #[schemars(title = "Backend", extend("x-group" = "Strategy"))]
    pub backend: Backend,
    /// How long a process waits for the others.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Time-out",
        range(min = 1, max = 604_800),
        extend("x-group" = "Strategy", "x-unit" = "seconds")
    )]
    pub ddp_timeout: u32,
    /// Gradients are exchanged in portions of this size. Empty: 25 MiB.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Bucket size",
        range(min = 1, max = 65_536),
        extend(
            "x-group" = "Strategy",
            "x-unit" = "MiB",
            "x-visible-when" = { "strategy": ["ddp"] }
        )
    )]
    pub bucket_cap_mb: Option<u32>,
    /// Whether parameters may be left out of a step.
    #[schemars(
        title = "Find unused parameters",
        extend("x-group" = "Strategy", "x-visible-when" = { "strategy": ["ddp"] })
    )]
    pub find_unused_parameters: bool,
    /// Saves the memory of a second copy of the gradients.
    #[schemars(
        title = "Gradients as views",
        extend("x-group" = "Strategy", "x-visible-when" = { "strategy": ["ddp"] })
    )]
    pub gradient_as_bucket_view: bool,
    /// Whether every step takes the same way through the model.
    #[schemars(
        title = "Static graph",
        extend("x-group" = "Strategy", "x-visible-when" = { "strategy": ["ddp"] })
    )]
    pub static_graph: bool,
    /// Whether buffers, such as running means, are kept equal in all processes.
    #[schemars(
        title = "Broadcast buffers",
        extend("x-group" = "Strategy", "x-visible-when" = { "strategy": ["ddp"] })
    )]
    pub broadcast_buffers: bool,
    /// Whether parts are given back after the forward pass. Empty: all but those of the
    /// root.
    #[schemars(
        title = "Reshard after forward",
        extend("x-group" = "Strategy", "x-visible-when" = { "strategy": ["fsdp"] })
    )]
    pub reshard_after_forward: Option<bool>,
    /// Whether parts wait in the memory of the pod instead of the GPU.
    #[schemars(
        title = "Offload to memory",
        extend("x-group" = "Strategy", "x-visible-when" = { "strategy": ["fsdp"] })
    )]
    pub cpu_offload: bool,
    /// `auto` is one for each GPU, and one without GPUs.
    #[schemars(
        title = "Processes per pod",
        extend("x-group" = "Launcher", "x-form-field" = "workersPerNode")
    )]
    pub nproc_per_node: Count,
    /// How pods get their numbers: `static` takes those of the Job, `c10d` gives them away
    /// as pods come, and again after a restart.
    #[schemars(title = "Rendezvous", extend("x-group" = "Launcher"))]
    pub rdzv_backend: Rendezvous,
    /// Port of the first pod, where the others meet.
    #[serde(deserialize_with = "whole")]
    #[schemars(title = "Port", range(min = 1024, max = 65_535), extend("x-group" = "Launcher"))]
    pub master_port: u32,
    /// How often the processes of a pod are started again after a failure.
    #[serde(deserialize_with = "whole")]
    #[schemars(title = "Restarts", range(min = 0, max = 1000), extend("x-group" = "Launcher"))]
    pub max_restarts: u32,
    /// Time between two looks at the processes.
    #[schemars(
        title = "Monitor interval",
        range(max = 3600),
        extend("x-group" = "Launcher", "x-unit" = "seconds", "exclusiveMinimum" = 0)
    )]
    pub monitor_interval: f64,
    /// How processes are started.
    #[schemars(title = "Start method", extend("x-group" = "Launcher"))]
    pub start_method: StartMethod,
    /// What NCCL prints. Empty: nothing.
    #[schemars(title = "NCCL log", extend("x-group" = "Launcher"))]
    pub nccl_debug: Option<NcclDebug>,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 32,
            gradient_accumulation_steps: 1,
            max_grad_norm: 1.0,
            precision: Precision::Fp32,
            torch_compile: false,
            dataloader_num_workers: 0,
            early_stopping_patience: None,
            seed: 42,
            optimizer: Optimizer::Adamw,
            learning_rate: 0.001,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-08,
            weight_decay: None,
            momentum: 0.0,
            nesterov: false,
            lr_scheduler_type: Scheduler::Linear,
            warmup_steps: 0,
            task: Task::Auto,
            hidden_sizes: vec![Size(64), Size(64)],
            dropout: 0.0,
            checkpoint_every: 1,
            save_total_limit: None,
            resume: true,
            strategy: Strategy::Ddp,
            backend: Backend::Auto,
            ddp_timeout: 1800,
            bucket_cap_mb: None,
            find_unused_parameters: false,
            gradient_as_bucket_view: false,
            static_graph: false,
            broadcast_buffers: true,
            reshard_after_forward: None,
            cpu_offload: false,
            nproc_per_node: Count::Auto,
            rdzv_backend: Rendezvous::Static,
            master_port: 29_500,
            max_restarts: 0,
            monitor_interval: 0.1,
            start_method: StartMethod::Spawn,
            nccl_debug: None,
        }
    }
}
