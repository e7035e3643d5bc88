//! What a schema cannot say: rules that the library itself would enforce later, with less to go
//! by, and notes for jobs that are accepted.

use plugin_sdk::trainer::{Defaults as _, Trainer, WorkloadKind};
use plugin_sdk::{ChannelType, Finding, Findings};

use crate::cluster::{LONGEST, describe, ps_workers, strategy};
use crate::hyperparameters::{Communication, Hyperparameters, Optimizer, Precision, Strategy};
use crate::{Own, TensorflowJob};

pub(crate) fn findings(job: &TensorflowJob<'_>) -> Vec<Finding> {
    let mut findings = Findings::of(&job.algorithm);
    Trainer::of(job).check_name(&mut findings);
    optimizer(&job.hyperparameters, &mut findings);
    stopping(job, &mut findings);
    pods(job, &mut findings);
    findings.into_vec()
}

fn optimizer(h: &Hyperparameters, findings: &mut Findings) {
    let name = h.optimizer.as_str();
    let is_adam = matches!(h.optimizer, Optimizer::Adam | Optimizer::Adamw);
    let is_sgd = h.optimizer == Optimizer::Sgd;
    for (field, is_set, fits) in [
        ("amsgrad", h.amsgrad, is_adam),
        ("momentum", h.momentum > 0.0, is_sgd || h.optimizer == Optimizer::Rmsprop),
        ("nesterov", h.nesterov, is_sgd),
    ] {
        if is_set && !fits {
            findings.conflict(field, format!("The optimizer `{name}` does not know it."));
        }
    }
    let clips = [h.clipnorm, h.clipvalue, h.global_clipnorm];
    if clips.iter().flatten().count() > 1 {
        findings.conflict(
            "global_clipnorm",
            "Gradients are cut in one way only: use `clipnorm`, `clipvalue` or `global_clipnorm`.",
        );
    }
}

fn stopping(job: &TensorflowJob<'_>, findings: &mut Findings) {
    let h = &job.hyperparameters;
    let validated = h.validation_split > 0.0
        || job.channels.iter().any(|c| c.channel_type == ChannelType::Validation);
    if h.early_stopping && h.monitor.starts_with("val_") && !validated {
        findings.conflict(
            "early_stopping",
            format!(
                "`{}` needs validation data: add a channel of type `validation`, or set \
                 `validation_split`.",
                h.monitor
            ),
        );
    }
}

fn pods(job: &TensorflowJob<'_>, findings: &mut Findings) {
    let h = &job.hyperparameters;
    let instances = job.resources.instance_count;
    match strategy(job) {
        Strategy::ParameterServer if ps_workers(job) == 0 => findings.at(
            "/resources/instanceCount",
            "out-of-range",
            format!(
                "One instance coordinates, {} keep the model, and at least one has to train: ask \
                 for {} or more.",
                h.num_ps,
                h.num_ps + 2
            ),
        ),
        Strategy::None | Strategy::Mirrored if instances > 1 => findings.conflict(
            "strategy",
            "Every pod would train a model of its own: use `auto`, `multi_worker_mirrored` or \
             `parameter_server`, or one instance.",
        ),
        _ => {}
    }
    let trainer = Trainer::of(job);
    let is_told = trainer.kind() != WorkloadKind::TfJob;
    if strategy(job) == Strategy::ParameterServer && is_told && trainer.entrypoint().is_none() {
        findings.at(
            "/entrypoint",
            "required",
            "With parameter servers each pod is told its part before the program starts: name the \
             command.",
        );
    }
    let is_own =
        trainer.image() != Some(Own::IMAGE) || trainer.entrypoint() != Some(Own::ENTRYPOINT);
    if strategy(job) == Strategy::ParameterServer && !is_own {
        findings.conflict(
            "strategy",
            "The program of the default image does not train with parameter servers, which Keras 3 \
             has given up: name an image or a command of your own in `algorithm.imageUri` or \
             `entrypoint`, or use another strategy.",
        );
    }
    let gpus = job.resources.gpu_count;
    if h.communication == Communication::Nccl && gpus == 0 {
        findings.conflict(
            "communication",
            "NCCL connects GPUs, and the job has none: raise `gpuCount`, or use `RING`.",
        );
    }
    if h.mixed_precision == Precision::MixedFloat16 && gpus == 0 {
        findings.conflict(
            "mixed_precision",
            "Half precision needs a GPU: raise `gpuCount`, or use `mixed_bfloat16`.",
        );
    }
    if instances > 1 && describe(job).len() > LONGEST {
        findings.at(
            "/resources/instanceCount",
            "out-of-range",
            format!(
                "The description of the cluster would have more than {LONGEST} bytes: ask for \
                 fewer instances, or give the job a shorter name."
            ),
        );
    }
}

/// What the user should know although the job is accepted.
pub(crate) fn warnings(job: &TensorflowJob<'_>) -> Vec<String> {
    let h = &job.hyperparameters;
    let mut warnings = Vec::new();
    let is_alike = Trainer::of(job).kind() != WorkloadKind::TfJob;
    if strategy(job) == Strategy::ParameterServer && job.resources.gpu_count > 0 && is_alike {
        warnings.push(
            "All pods are equal: the coordinator and the parameter servers reserve GPUs as well."
                .to_owned(),
        );
    }
    let workers = job.resources.instance_count;
    if strategy(job) == Strategy::MultiWorkerMirrored && h.batch_size < workers {
        warnings.push(format!(
            "A batch of {} rows is divided among {workers} workers: some get none.",
            h.batch_size
        ));
    }
    warnings
}
