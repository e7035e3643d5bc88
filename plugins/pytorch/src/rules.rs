//! What a schema cannot say: rules that the library itself would enforce later, with less to go
//! by, and notes for jobs that are accepted.

use plugin_sdk::trainer::{Torchrun, Trainer};
use plugin_sdk::{ChannelType, Finding, Findings};

use crate::convert::{backend, processes};
use crate::hyperparameters::{Backend, Optimizer, Precision, Rendezvous, Strategy};
use crate::{Hyperparameters, PytorchJob};

pub(crate) fn findings(job: &PytorchJob<'_>) -> Vec<Finding> {
    let mut findings = Findings::of(&job.algorithm);
    Trainer::of(job).check_name(&mut findings);
    optimizer(&job.hyperparameters, &mut findings);
    strategy(&job.hyperparameters, &mut findings);
    devices(job, &mut findings);
    let validated = job.channels.iter().any(|c| c.channel_type == ChannelType::Validation);
    if job.hyperparameters.early_stopping_patience.is_some() && !validated {
        findings.conflict(
            "early_stopping_patience",
            "Early stopping watches validation data: add a channel of type `validation`, or leave \
             it empty.",
        );
    }
    findings.into_vec()
}

fn optimizer(h: &Hyperparameters, findings: &mut Findings) {
    let is_sgd = h.optimizer == Optimizer::Sgd;
    let optimizer = h.optimizer.as_str();
    for (field, is_set) in [("momentum", h.momentum > 0.0), ("nesterov", h.nesterov)] {
        if is_set && !is_sgd {
            findings.conflict(field, format!("It belongs to `sgd`, not to `{optimizer}`."));
        }
    }
    if is_sgd && h.nesterov && h.momentum <= 0.0 {
        findings.conflict("nesterov", "Looking ahead needs a momentum above 0.");
    }
}

fn strategy(h: &Hyperparameters, findings: &mut Findings) {
    let of_ddp = [
        ("bucket_cap_mb", h.bucket_cap_mb.is_some()),
        ("find_unused_parameters", h.find_unused_parameters),
        ("gradient_as_bucket_view", h.gradient_as_bucket_view),
        ("static_graph", h.static_graph),
        ("broadcast_buffers", !h.broadcast_buffers),
    ];
    let of_fsdp = [
        ("reshard_after_forward", h.reshard_after_forward.is_some()),
        ("cpu_offload", h.cpu_offload),
    ];
    let (others, wanted) = match h.strategy {
        Strategy::Ddp => (&of_fsdp[..], "fsdp"),
        Strategy::Fsdp => (&of_ddp[..], "ddp"),
    };
    for (field, _) in others.iter().filter(|(_, is_set)| *is_set) {
        let strategy = h.strategy.as_str();
        findings.conflict(
            field,
            format!("It belongs to the strategy `{wanted}`, and the strategy is `{strategy}`."),
        );
    }
}

fn devices(job: &PytorchJob<'_>, findings: &mut Findings) {
    let h = &job.hyperparameters;
    let gpus = job.resources.gpu_count;
    let nccl = backend(job) == Backend::Nccl;
    if nccl && gpus == 0 {
        findings.conflict(
            "backend",
            "NCCL connects GPUs, and the job has none: raise `gpuCount`, or use `gloo`.",
        );
    }
    if nccl && gpus > 0 && processes(job) > gpus {
        findings.conflict(
            "nproc_per_node",
            format!("Each process needs a GPU of its own, and a pod has {gpus}."),
        );
    }
    if h.precision == Precision::Fp16 && gpus == 0 {
        findings.conflict(
            "precision",
            "Half precision needs a GPU: raise `gpuCount`, or use `bf16` or `fp32`.",
        );
    }
}

/// What the user should know although the job is accepted.
pub(crate) fn warnings(job: &PytorchJob<'_>) -> Vec<String> {
    let h = &job.hyperparameters;
    let (gpus, processes) = (job.resources.gpu_count, processes(job));
    let mut warnings = Vec::new();
    let mut warn = |applies: bool, message: String| {
        if applies {
            warnings.push(message);
        }
    };
    warn(
        processes < gpus,
        format!("A pod has {gpus} GPUs and {processes} processes: the other GPUs stay idle."),
    );
    warn(
        h.max_restarts > 0
            && job.resources.instance_count > 1
            && h.rdzv_backend == Rendezvous::Static,
        "With the rendezvous `static` a pod that starts its processes again does not meet the \
         others anew: use `c10d`."
            .to_owned(),
    );
    let line = Trainer::of(job).entrypoint().unwrap_or_default();
    warn(
        processes > 1 && !Torchrun::is_started_by(line),
        format!(
            "Each pod should run {processes} processes, but its command does not start `torchrun`."
        ),
    );
    let total = u64::from(processes) * u64::from(job.resources.instance_count);
    warn(
        h.strategy == Strategy::Fsdp && total == 1,
        "There is one process: it holds the whole model, whatever the strategy.".to_owned(),
    );
    warnings
}
