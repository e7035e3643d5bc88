//! What users can set: the configuration of DeepSpeed, flat, by the names and with the defaults
//! of its code, which its documentation does not always follow.

use plugin_sdk::choices;
use plugin_sdk::number::{Count, whole, whole_or_null};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

choices! {
    /// Where something waits.
    Device { None = "none", Cpu = "cpu", Nvme = "nvme" }
}
choices! {
    /// Rule that turns gradients into steps.
    Optimizer { AdamW = "AdamW", Adam = "Adam", Lamb = "Lamb", None = "none" }
}
choices! {
    /// How the learning rate changes.
    Scheduler {
        None = "none",
        WarmupLR = "WarmupLR",
        WarmupDecayLR = "WarmupDecayLR",
        WarmupCosineLR = "WarmupCosineLR",
    }
}
choices! {
    /// How the learning rate rises.
    WarmupType { Log = "log", Linear = "linear" }
}
choices! {
    /// Numbers of a model.
    Precision { Fp32 = "fp32", Bf16 = "bf16", Fp16 = "fp16" }
}
choices! {
    /// What NCCL prints.
    NcclDebug { Version = "VERSION", Warn = "WARN", Info = "INFO", Trace = "TRACE" }
}

/// A stage of ZeRO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Stage(
    #[serde(deserialize_with = "whole")]
    #[schemars(range(min = 0, max = 3))]
    pub u32,
);

/// A DeepSpeed program, started by torchrun in every pod.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "DeepSpeed", extend("x-channel-sources" = ["pvc", "http"]))]
pub struct Hyperparameters {
    /// Rows of one step, over all processes together. Empty: it follows from the other two.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Batch size",
        range(min = 1, max = 2_147_483_647),
        extend("x-group" = "Batch", "x-unit" = "rows")
    )]
    pub train_batch_size: Option<u32>,
    /// Rows of each process in one pass. Empty: it follows from the other two, or is 1.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Micro-batch",
        range(min = 1, max = 2_147_483_647),
        extend("x-group" = "Batch", "x-unit" = "rows")
    )]
    pub train_micro_batch_size_per_gpu: Option<u32>,
    /// Passes whose gradients are added up before the model changes. Empty: it follows from
    /// the other two, or is 1.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Accumulated steps",
        range(min = 1, max = 2_147_483_647),
        extend("x-group" = "Batch", "x-unit" = "passes")
    )]
    pub gradient_accumulation_steps: Option<u32>,
    /// Longer gradients are cut to this length. 0: never. Empty: 1, or 0 before version 0.19.3,
    /// as the library itself does.
    #[schemars(title = "Gradient norm", range(min = 0), extend("x-group" = "Batch"))]
    pub gradient_clipping: Option<f64>,
    /// Whether gradients are divided before they are added up.
    #[schemars(title = "Prescale", extend("x-group" = "Batch"))]
    pub prescale_gradients: bool,
    /// What is divided among processes: 0 nothing, 1 the optimizer's state, 2 gradients
    /// too, 3 parameters too.
    #[schemars(
        title = "Stage",
        extend("x-group" = "ZeRO", "x-alias-defaults" = { "deepspeed-zero3": 3 })
    )]
    pub zero_stage: Stage,
    /// Whether parameters are collected at once instead of by several broadcasts.
    #[schemars(title = "All-gather", extend("x-group" = "ZeRO"))]
    pub allgather_partitions: bool,
    /// Most elements that are collected at a time.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "All-gather bucket",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "ZeRO", "x-unit" = "elements")
    )]
    pub allgather_bucket_size: u32,
    /// Whether gradients are averaged where they belong instead of everywhere.
    #[schemars(title = "Reduce-scatter", extend("x-group" = "ZeRO"))]
    pub reduce_scatter: bool,
    /// Most elements that are averaged at a time.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Reduce bucket",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "ZeRO", "x-unit" = "elements")
    )]
    pub reduce_bucket_size: u32,
    /// Whether gradients are averaged while others are computed. Empty: in stage 3.
    #[schemars(title = "Overlap", extend("x-group" = "ZeRO"))]
    pub overlap_comm: Option<bool>,
    /// Whether gradients are copied to one piece of memory.
    #[schemars(title = "Contiguous gradients", extend("x-group" = "ZeRO"))]
    pub contiguous_gradients: bool,
    /// Whether copies of gradients to memory are shared among processes.
    #[schemars(title = "Round robin", extend("x-group" = "ZeRO"))]
    pub round_robin_gradients: bool,
    /// Elements of an optimizer's step at a time.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Sub-group",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "ZeRO", "x-unit" = "elements", "x-visible-when" = { "zero_stage": [3] })
    )]
    pub sub_group_size: u32,
    /// Most elements that are fetched ahead.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Prefetch bucket",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "ZeRO", "x-unit" = "elements", "x-visible-when" = { "zero_stage": [3] })
    )]
    pub stage3_prefetch_bucket_size: u32,
    /// Smaller parameters are not divided.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Persistence threshold",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "ZeRO", "x-unit" = "elements", "x-visible-when" = { "zero_stage": [3] })
    )]
    pub stage3_param_persistence_threshold: u32,
    /// Most parameters that a GPU keeps whole.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Live parameters",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "ZeRO", "x-unit" = "elements", "x-visible-when" = { "zero_stage": [3] })
    )]
    pub stage3_max_live_parameters: u32,
    /// Parameters that are used again sooner are not given back.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Reuse distance",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "ZeRO", "x-unit" = "elements", "x-visible-when" = { "zero_stage": [3] })
    )]
    pub stage3_max_reuse_distance: u32,
    /// Whether weights are put together when the model is saved.
    #[schemars(
        title = "Gather on save",
        extend("x-group" = "ZeRO", "x-visible-when" = { "zero_stage": [3] })
    )]
    pub stage3_gather_16bit_weights_on_model_save: bool,
    /// Processes that share a second copy of the parameters, usually those of a pod. 1:
    /// there is none.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Secondary partition",
        range(min = 1, max = 100_000),
        extend("x-group" = "ZeRO", "x-visible-when" = { "zero_stage": [3] })
    )]
    pub zero_hpz_partition_size: u32,
    /// Where the optimizer's state waits.
    #[schemars(
        title = "Optimizer to",
        extend("x-group" = "Offloading", "x-visible-when" = { "zero_stage": [1, 2, 3] })
    )]
    pub offload_optimizer_device: Device,
    /// Where parameters wait.
    #[schemars(
        title = "Parameters to",
        extend("x-group" = "Offloading", "x-visible-when" = { "zero_stage": [3] })
    )]
    pub offload_param_device: Device,
    /// Whether what waits in memory is pinned there, which is faster and takes more. Empty: yes,
    /// or no before version 0.19.5, as the library itself does.
    #[schemars(title = "Pinned memory", extend("x-group" = "Offloading"))]
    pub offload_pin_memory: Option<bool>,
    /// Folder on a fast disk, which the image or a claim provides.
    #[schemars(title = "NVMe folder", extend("x-group" = "Offloading", "pattern" = "^/"))]
    pub nvme_path: Option<String>,
    /// Rule that turns gradients into steps.
    #[schemars(title = "Optimizer", extend("x-group" = "Optimizer"))]
    pub optimizer: Optimizer,
    /// Size of a step.
    #[schemars(title = "Learning rate", extend("x-group" = "Optimizer", "exclusiveMinimum" = 0))]
    pub lr: f64,
    /// How slowly the mean of the gradients moves.
    #[schemars(
        title = "First beta",
        range(min = 0),
        extend("x-group" = "Optimizer", "exclusiveMaximum" = 1)
    )]
    pub beta1: f64,
    /// How slowly the mean of their squares moves.
    #[schemars(
        title = "Second beta",
        range(min = 0),
        extend("x-group" = "Optimizer", "exclusiveMaximum" = 1)
    )]
    pub beta2: f64,
    /// Keeps a division from failing.
    #[schemars(title = "Epsilon", extend("x-group" = "Optimizer", "exclusiveMinimum" = 0))]
    pub eps: f64,
    /// How fast weights shrink by themselves.
    #[schemars(title = "Weight decay", range(min = 0), extend("x-group" = "Optimizer"))]
    pub weight_decay: f64,
    /// How the learning rate changes over the training.
    #[schemars(title = "Schedule", extend("x-group" = "Schedule"))]
    pub scheduler: Scheduler,
    /// Learning rate before the warm-up.
    #[schemars(
        title = "First learning rate",
        range(min = 0),
        extend(
            "x-group" = "Schedule",
            "x-visible-when" = { "scheduler": ["WarmupLR", "WarmupDecayLR", "WarmupCosineLR"] }
        )
    )]
    pub warmup_min_lr: f64,
    /// Steps in which the learning rate rises.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Warm-up",
        range(min = 2, max = 2_147_483_647),
        extend(
            "x-group" = "Schedule",
            "x-unit" = "steps",
            "x-visible-when" = { "scheduler": ["WarmupLR", "WarmupDecayLR", "WarmupCosineLR"] }
        )
    )]
    pub warmup_num_steps: u32,
    /// How the learning rate rises.
    #[schemars(
        title = "Way of the warm-up",
        extend(
            "x-group" = "Schedule",
            "x-visible-when" = { "scheduler": ["WarmupLR", "WarmupDecayLR", "WarmupCosineLR"] }
        )
    )]
    pub warmup_type: WarmupType,
    /// Steps of the whole training. Schedules that fall again need it.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "All steps",
        range(min = 1, max = 2_147_483_647),
        extend(
            "x-group" = "Schedule",
            "x-unit" = "steps",
            "x-visible-when" = { "scheduler": ["WarmupDecayLR", "WarmupCosineLR"] }
        )
    )]
    pub total_num_steps: Option<u32>,
    /// Numbers in which the model is computed.
    #[schemars(title = "Precision", extend("x-group" = "Precision"))]
    pub precision: Precision,
    /// Factor that keeps small gradients from vanishing. 0: it is found while training.
    #[schemars(
        title = "Loss scale",
        range(min = 0),
        extend("x-group" = "Precision", "x-visible-when" = { "precision": ["fp16"] })
    )]
    pub loss_scale: f64,
    /// Power of two that the search starts with.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "First scale",
        range(min = 0, max = 64),
        extend("x-group" = "Precision", "x-visible-when" = { "precision": ["fp16"] })
    )]
    pub initial_scale_power: u32,
    /// Steps without overflow before the scale rises.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Scale window",
        range(min = 1, max = 2_147_483_647),
        extend(
            "x-group" = "Precision",
            "x-unit" = "steps",
            "x-visible-when" = { "precision": ["fp16"] }
        )
    )]
    pub loss_scale_window: u32,
    /// Overflows before the scale falls.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Hysteresis",
        range(min = 1, max = 2_147_483_647),
        extend("x-group" = "Precision", "x-visible-when" = { "precision": ["fp16"] })
    )]
    pub hysteresis: u32,
    /// The scale falls no lower.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Least scale",
        range(min = 1, max = 2_147_483_647),
        extend("x-group" = "Precision", "x-visible-when" = { "precision": ["fp16"] })
    )]
    pub min_loss_scale: u32,
    /// Steps between two lines of the log. Empty: none.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Report period",
        range(min = 1, max = 2_147_483_647),
        extend("x-group" = "Launcher", "x-unit" = "steps")
    )]
    pub steps_per_print: Option<u32>,
    /// Whether the log says where the time goes.
    #[schemars(title = "Timing", extend("x-group" = "Launcher"))]
    pub wall_clock_breakdown: bool,
    /// Version of DeepSpeed in the image, such as `0.16.4`: some defaults are those of the version.
    /// Empty: 0.19.5 or later.
    #[schemars(
        title = "Version",
        extend(
            "x-group" = "Launcher",
            "maxLength" = 32,
            "pattern" = "^[0-9]{1,4}\\.[0-9]{1,4}(\\.[0-9]{1,4})?([.+-][A-Za-z0-9.+-]*)?$"
        )
    )]
    pub deepspeed_version: Option<String>,
    /// `auto` is one for each GPU, and one without GPUs.
    #[schemars(
        title = "Processes per pod",
        extend("x-group" = "Launcher", "x-form-field" = "workersPerNode")
    )]
    pub nproc_per_node: Count,
    /// Port of the first pod, where the others meet.
    #[serde(deserialize_with = "whole")]
    #[schemars(title = "Port", range(min = 1024, max = 65_535), extend("x-group" = "Launcher"))]
    pub master_port: u32,
    /// What NCCL prints. Empty: nothing.
    #[schemars(title = "NCCL log", extend("x-group" = "Launcher"))]
    pub nccl_debug: Option<NcclDebug>,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self {
            train_batch_size: None,
            train_micro_batch_size_per_gpu: None,
            gradient_accumulation_steps: None,
            gradient_clipping: None,
            prescale_gradients: false,
            zero_stage: Stage(0),
            allgather_partitions: true,
            allgather_bucket_size: 500_000_000,
            reduce_scatter: true,
            reduce_bucket_size: 500_000_000,
            overlap_comm: None,
            contiguous_gradients: true,
            round_robin_gradients: false,
            sub_group_size: 1_000_000_000,
            stage3_prefetch_bucket_size: 50_000_000,
            stage3_param_persistence_threshold: 100_000,
            stage3_max_live_parameters: 1_000_000_000,
            stage3_max_reuse_distance: 1_000_000_000,
            stage3_gather_16bit_weights_on_model_save: false,
            zero_hpz_partition_size: 1,
            offload_optimizer_device: Device::None,
            offload_param_device: Device::None,
            offload_pin_memory: None,
            nvme_path: None,
            optimizer: Optimizer::AdamW,
            lr: 0.001,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-08,
            weight_decay: 0.0,
            scheduler: Scheduler::None,
            warmup_min_lr: 0.0,
            warmup_num_steps: 1000,
            warmup_type: WarmupType::Log,
            total_num_steps: None,
            precision: Precision::Fp32,
            loss_scale: 0.0,
            initial_scale_power: 16,
            loss_scale_window: 1000,
            hysteresis: 2,
            min_loss_scale: 1,
            steps_per_print: None,
            wall_clock_breakdown: false,
            deepspeed_version: None,
            nproc_per_node: Count::Auto,
            master_port: 29_500,
            nccl_debug: None,
        }
    }
}

impl Hyperparameters {
    /// Whether the image has at least this version of the library.
    fn is_at_least(&self, wanted: [u32; 3]) -> bool {
        let Some(version) = self.deepspeed_version.as_deref().filter(|text| !text.is_empty())
        else {
            return true;
        };
        // What follows the numbers, such as `+cu124`, does not change a default.
        let mut numbers =
            version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().ok());
        let mut next = || numbers.next().flatten().unwrap_or(0);
        [next(), next(), next()] >= wanted
    }

    /// With the defaults of the version in place.
    pub(crate) fn resolved(&self) -> Self {
        let mut h = self.clone();
        let clipping = if self.is_at_least([0, 19, 3]) { 1.0 } else { 0.0 };
        h.gradient_clipping.get_or_insert(clipping);
        h.offload_pin_memory.get_or_insert(self.is_at_least([0, 19, 5]));
        h
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_version() {
        for (version, clipping, pinned) in [
            (None, 1.0, true),
            (Some(""), 1.0, true),
            (Some("0.9.5"), 0.0, false),
            (Some("0.19"), 0.0, false),
            (Some("0.19.2"), 0.0, false),
            (Some("0.19.3"), 1.0, false),
            (Some("0.19.4+cu124"), 1.0, false),
            (Some("0.19.5"), 1.0, true),
            (Some("0.20"), 1.0, true),
            (Some("1.0.0"), 1.0, true),
        ] {
            let deepspeed_version = version.map(str::to_owned);
            let h = Hyperparameters { deepspeed_version, ..Hyperparameters::default() };
            let h = h.resolved();
            let found = (h.gradient_clipping, h.offload_pin_memory);
            assert_eq!(found, (Some(clipping), Some(pinned)), "{version:?}");
        }
    }

    #[test]
    fn what_was_sent_is_kept_whatever_the_version() {
        let sent = Hyperparameters {
            gradient_clipping: Some(0.0),
            offload_pin_memory: Some(false),
            ..Hyperparameters::default()
        };
        let h = sent.resolved();
        assert_eq!((h.gradient_clipping, h.offload_pin_memory), (Some(0.0), Some(false)));
    }
}
