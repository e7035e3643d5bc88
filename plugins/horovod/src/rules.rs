//! What a schema cannot say, and notes for jobs that are accepted.

use plugin_sdk::manifest::mpijob::MpiJob;
use plugin_sdk::trainer::Trainer;
use plugin_sdk::{Finding, Findings};

use crate::HorovodJob;
use crate::convert::{is_mpi, slots};
use crate::hyperparameters::Op;

pub(crate) fn findings(job: &HorovodJob<'_>) -> Vec<Finding> {
    let mut findings = Findings::of(&job.algorithm);
    let h = &job.hyperparameters;
    let trainer = Trainer::of(job);
    trainer.require_image("A Horovod job", &mut findings);
    if trainer.entrypoint().is_none() {
        findings.at(
            "/entrypoint",
            "required",
            "The launcher has to know what to start: name the command.",
        );
    }
    let longest = MpiJob::MAX_NAME_LENGTH;
    if is_mpi(&trainer) && job.name.chars().count() > longest as usize {
        findings.at(
            "/jobName",
            "too-long",
            format!("The name of an MPIJob has at most {longest} characters."),
        );
    }
    let gpus = job.resources.gpu_count;
    if gpus > 0 && slots(job) > gpus {
        findings.conflict(
            "slots_per_worker",
            format!("Each process needs a GPU of its own, and a pod has {gpus}."),
        );
    }
    #[expect(clippy::float_cmp, reason = "the question is whether anybody changed the default")]
    let is_predivided = h.gradient_predivide_factor != 1.0;
    if is_predivided && h.op != Op::Average {
        findings.conflict("gradient_predivide_factor", "Only the operation `Average` divides.");
    }
    if h.stall_check_shutdown_time_seconds > 0
        && h.stall_check_shutdown_time_seconds <= h.stall_check_warning_time_seconds
    {
        findings.conflict(
            "stall_check_shutdown_time_seconds",
            "The training would end before its warning: make it longer, or 0.",
        );
    }
    if h.stall_check_shutdown_time_seconds > 0 && h.stall_check_warning_time_seconds == 0 {
        findings.conflict(
            "stall_check_warning_time_seconds",
            "Stalls are not looked for at all when it is 0, and so never end the training.",
        );
    }
    findings.into_vec()
}

/// What the user should know although the job is accepted.
pub(crate) fn warnings(job: &HorovodJob<'_>) -> Vec<String> {
    let (gpus, slots) = (job.resources.gpu_count, slots(job));
    let mut warnings = Vec::new();
    if slots < gpus {
        warnings.push(format!(
            "A pod has {gpus} GPUs and {slots} processes: the other GPUs stay idle."
        ));
    }
    warnings
}
