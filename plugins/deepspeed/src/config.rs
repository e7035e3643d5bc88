//! The configuration of DeepSpeed, as the library reads it: nested, without what does not apply.

use plugin_sdk::Failure;
use serde::Serialize;

use crate::DeepspeedJob;
use crate::convert::world_size;
use crate::hyperparameters::{Device, Hyperparameters, Optimizer, Precision, Scheduler};

/// The sizes of a batch: any two make the third.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Batch {
    train_batch_size: u64,
    train_micro_batch_size_per_gpu: u64,
    gradient_accumulation_steps: u64,
}

impl Batch {
    /// The sizes, or what is wrong with them: the field, and a sentence.
    pub(crate) fn of(h: &Hyperparameters, world: u64) -> Result<Self, (&'static str, String)> {
        const ALL: &str = "train_batch_size";
        let micro = h.train_micro_batch_size_per_gpu.map(u64::from);
        let steps = h.gradient_accumulation_steps.map(u64::from);
        let divided = |all: u64, by: u64, of: &str| {
            if all.is_multiple_of(by) {
                Ok(all / by)
            } else {
                Err((ALL, format!("{all} rows cannot be divided evenly by {by}, {of}.")))
            }
        };
        let (micro, steps) = match (h.train_batch_size.map(u64::from), micro, steps) {
            (None, micro, steps) => (micro.unwrap_or(1), steps.unwrap_or(1)),
            (Some(all), None, None) => (divided(all, world, "the number of processes")?, 1),
            (Some(all), Some(micro), None) => {
                (micro, divided(all, micro * world, "the micro-batches of all processes")?)
            }
            (Some(all), None, Some(steps)) => {
                (divided(all, steps * world, "the passes of all processes")?, steps)
            }
            (Some(all), Some(micro), Some(steps)) if all == micro * steps * world => (micro, steps),
            (Some(all), Some(micro), Some(steps)) => {
                let made = micro * steps * world;
                return Err((
                    ALL,
                    format!(
                        "{micro} rows, {steps} passes and {world} processes make a batch of {made} \
                         rows, not {all}: leave one of the three sizes empty."
                    ),
                ));
            }
        };
        Ok(Self {
            train_batch_size: micro.saturating_mul(steps).saturating_mul(world),
            train_micro_batch_size_per_gpu: micro,
            gradient_accumulation_steps: steps,
        })
    }
}

#[derive(Serialize)]
struct Config<'a> {
    #[serde(flatten)]
    batch: Batch,
    #[serde(skip_serializing_if = "Option::is_none")]
    gradient_clipping: Option<f64>,
    prescale_gradients: bool,
    zero_optimization: Zero<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    optimizer: Option<Typed<'a, Adam>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduler: Option<Typed<'a, Warmup<'a>>>,
    bf16: Enabled,
    fp16: Fp16,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps_per_print: Option<u32>,
    wall_clock_breakdown: bool,
}

#[derive(Serialize)]
struct Zero<'a> {
    stage: u32,
    allgather_partitions: bool,
    allgather_bucket_size: u32,
    reduce_scatter: bool,
    reduce_bucket_size: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap_comm: Option<bool>,
    contiguous_gradients: bool,
    round_robin_gradients: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    third: Option<Third>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offload_optimizer: Option<Offload<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offload_param: Option<Offload<'a>>,
}

/// What only stage 3 knows.
#[derive(Serialize)]
struct Third {
    sub_group_size: u32,
    stage3_prefetch_bucket_size: u32,
    stage3_param_persistence_threshold: u32,
    stage3_max_live_parameters: u32,
    stage3_max_reuse_distance: u32,
    stage3_gather_16bit_weights_on_model_save: bool,
    zero_hpz_partition_size: u32,
}

#[derive(Serialize)]
struct Offload<'a> {
    device: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin_memory: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nvme_path: Option<&'a str>,
}

#[derive(Serialize)]
struct Typed<'a, P> {
    #[serde(rename = "type")]
    kind: &'a str,
    params: P,
}

#[derive(Serialize)]
struct Adam {
    lr: f64,
    betas: [f64; 2],
    eps: f64,
    weight_decay: f64,
}

#[derive(Serialize)]
struct Warmup<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    total_num_steps: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warmup_min_lr: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warmup_max_lr: Option<f64>,
    warmup_num_steps: u32,
    warmup_type: &'a str,
}

#[derive(Serialize)]
struct Enabled {
    enabled: bool,
}

#[derive(Serialize)]
struct Fp16 {
    enabled: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    scale: Option<Scale>,
}

#[derive(Serialize)]
struct Scale {
    loss_scale: f64,
    initial_scale_power: u32,
    loss_scale_window: u32,
    hysteresis: u32,
    min_loss_scale: u32,
}

/// The file.
pub(crate) fn write(job: &DeepspeedJob<'_>) -> Result<String, Failure> {
    let h = &job.hyperparameters.resolved();
    let batch = Batch::of(h, world_size(job)).map_err(|(_, why)| Failure::Unsupported(why))?;
    let config = Config {
        batch,
        gradient_clipping: h.gradient_clipping,
        prescale_gradients: h.prescale_gradients,
        zero_optimization: zero(h),
        optimizer: (h.optimizer != Optimizer::None).then(|| Typed {
            kind: h.optimizer.as_str(),
            params: Adam {
                lr: h.lr,
                betas: [h.beta1, h.beta2],
                eps: h.eps,
                weight_decay: h.weight_decay,
            },
        }),
        scheduler: scheduler(h),
        bf16: Enabled { enabled: h.precision == Precision::Bf16 },
        fp16: Fp16 {
            enabled: h.precision == Precision::Fp16,
            scale: (h.precision == Precision::Fp16).then_some(Scale {
                loss_scale: h.loss_scale,
                initial_scale_power: h.initial_scale_power,
                loss_scale_window: h.loss_scale_window,
                hysteresis: h.hysteresis,
                min_loss_scale: h.min_loss_scale,
            }),
        },
        steps_per_print: h.steps_per_print,
        wall_clock_breakdown: h.wall_clock_breakdown,
    };
    serde_json::to_string_pretty(&config)
        .map_err(|error| Failure::Internal(format!("cannot write the configuration: {error}")))
}

fn zero(h: &Hyperparameters) -> Zero<'_> {
    let offload = |device: Device| {
        (device != Device::None).then(|| Offload {
            device: device.as_str(),
            pin_memory: h.offload_pin_memory,
            nvme_path: h.nvme_path.as_deref().filter(|_| device == Device::Nvme),
        })
    };
    Zero {
        stage: h.zero_stage.0,
        allgather_partitions: h.allgather_partitions,
        allgather_bucket_size: h.allgather_bucket_size,
        reduce_scatter: h.reduce_scatter,
        reduce_bucket_size: h.reduce_bucket_size,
        overlap_comm: h.overlap_comm,
        contiguous_gradients: h.contiguous_gradients,
        round_robin_gradients: h.round_robin_gradients,
        third: (h.zero_stage.0 == 3).then_some(Third {
            sub_group_size: h.sub_group_size,
            stage3_prefetch_bucket_size: h.stage3_prefetch_bucket_size,
            stage3_param_persistence_threshold: h.stage3_param_persistence_threshold,
            stage3_max_live_parameters: h.stage3_max_live_parameters,
            stage3_max_reuse_distance: h.stage3_max_reuse_distance,
            stage3_gather_16bit_weights_on_model_save: h.stage3_gather_16bit_weights_on_model_save,
            zero_hpz_partition_size: h.zero_hpz_partition_size,
        }),
        offload_optimizer: offload(h.offload_optimizer_device),
        offload_param: offload(h.offload_param_device),
    }
}

fn scheduler(h: &Hyperparameters) -> Option<Typed<'_, Warmup<'_>>> {
    // The cosine works with shares of the optimizer's own learning rate.
    let of_rates = h.scheduler != Scheduler::WarmupCosineLR;
    let falls = h.scheduler != Scheduler::WarmupLR;
    (h.scheduler != Scheduler::None).then(|| Typed {
        kind: h.scheduler.as_str(),
        params: Warmup {
            total_num_steps: h.total_num_steps.filter(|_| falls),
            warmup_min_lr: of_rates.then_some(h.warmup_min_lr),
            warmup_max_lr: of_rates.then_some(h.lr),
            warmup_num_steps: h.warmup_num_steps,
            warmup_type: h.warmup_type.as_str(),
        },
    })
}
