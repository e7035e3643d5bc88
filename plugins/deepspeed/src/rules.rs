//! What a schema cannot say: rules that the library itself would enforce later, with less to go
//! by, and notes for jobs that are accepted.

use plugin_sdk::trainer::{Torchrun, Trainer, WorkloadKind};
use plugin_sdk::{Finding, Findings};

use crate::DeepspeedJob;
use crate::config::Batch;
use crate::convert::{processes, world_size};
use crate::hyperparameters::{Device, Hyperparameters, Optimizer, Precision, Scheduler};

pub(crate) fn findings(job: &DeepspeedJob<'_>) -> Vec<Finding> {
    let mut findings = Findings::of(&job.algorithm);
    let h = &job.hyperparameters;
    let trainer = Trainer::of(job);
    trainer.require_image("A DeepSpeed job", &mut findings);
    trainer.check_name(&mut findings);
    if trainer.kind() == WorkloadKind::MpiJob {
        launcher(trainer.entrypoint(), &mut findings);
    }
    if let Err((field, why)) = Batch::of(h, world_size(job)) {
        findings.conflict(field, why);
    }
    zero(h, &mut findings);
    schedule(h, &mut findings);
    let gpus = job.resources.gpu_count;
    if gpus > 0 && processes(job) > gpus {
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
    if !world_size(job).is_multiple_of(u64::from(h.zero_hpz_partition_size)) {
        findings.conflict(
            "zero_hpz_partition_size",
            format!("It must divide the number of processes, which is {}.", world_size(job)),
        );
    }
    findings.into_vec()
}

/// `mpirun` starts the processes, so the command is that of one process.
fn launcher(entrypoint: Option<&str>, findings: &mut Findings) {
    match entrypoint {
        None => findings.at(
            "/entrypoint",
            "required",
            "`mpirun` has to know what to start: name the command.",
        ),
        Some(line) if Torchrun::is_started_by(line) || line.starts_with("deepspeed ") => findings
            .at(
                "/entrypoint",
                "conflict",
                "Jobs become an MPIJob here, and `mpirun` starts each process: name the program \
                 without a launcher of its own, such as `python train.py`.",
            ),
        Some(_) => {}
    }
}

fn zero(h: &Hyperparameters, findings: &mut Findings) {
    let stage = h.zero_stage.0;
    if h.offload_optimizer_device != Device::None && stage == 0 {
        findings.conflict(
            "offload_optimizer_device",
            "Only a divided optimizer can wait elsewhere: use stage 1, 2 or 3.",
        );
    }
    if h.offload_param_device != Device::None && stage != 3 {
        findings.conflict(
            "offload_param_device",
            "Only divided parameters can wait elsewhere: use stage 3.",
        );
    }
    let on_disk = [
        ("offload_optimizer_device", h.offload_optimizer_device),
        ("offload_param_device", h.offload_param_device),
    ];
    for (field, _) in on_disk.iter().filter(|(_, device)| *device == Device::Nvme) {
        if stage != 3 {
            findings.conflict(field, "Only stage 3 writes to disks: use it, or `cpu`.");
        } else if h.nvme_path.is_none() {
            findings.add("nvme_path", "required", "Name the folder of the fast disk.");
        }
    }
    if h.zero_hpz_partition_size > 1 && stage != 3 {
        findings.conflict("zero_hpz_partition_size", "Only stage 3 has parameters to copy.");
    }
}

fn schedule(h: &Hyperparameters, findings: &mut Findings) {
    let falls = matches!(h.scheduler, Scheduler::WarmupDecayLR | Scheduler::WarmupCosineLR);
    match h.total_num_steps {
        None if falls => findings.add(
            "total_num_steps",
            "required",
            "The schedule falls until the end of the training: say how many steps that is.",
        ),
        Some(all) if falls && all <= h.warmup_num_steps => findings.conflict(
            "total_num_steps",
            format!("The warm-up alone takes {} steps.", h.warmup_num_steps),
        ),
        _ => {}
    }
    if h.scheduler != Scheduler::None && h.optimizer == Optimizer::None {
        findings.conflict(
            "scheduler",
            "DeepSpeed schedules its own optimizers only: choose one, or schedule in the program.",
        );
    }
}

/// What the user should know although the job is accepted.
pub(crate) fn warnings(job: &DeepspeedJob<'_>) -> Vec<String> {
    let (gpus, processes) = (job.resources.gpu_count, processes(job));
    let mut warnings = Vec::new();
    if gpus == 0 {
        warnings.push(
            "The job asks for no GPU, and most of DeepSpeed is made for GPUs: raise `gpuCount`."
                .to_owned(),
        );
    }
    if job.hyperparameters.zero_stage.0 == 0 && world_size(job) > 1 {
        warnings.push(
            "Nothing is divided among the processes: each holds the whole model. For ZeRO-3 set \
             `zero_stage` to 3."
                .to_owned(),
        );
    }
    if processes < gpus {
        warnings.push(format!(
            "A pod has {gpus} GPUs and {processes} processes: the other GPUs stay idle."
        ));
    }
    let trainer = Trainer::of(job);
    if let Some(line) = trainer.entrypoint()
        && trainer.kind() != WorkloadKind::MpiJob
        && processes > 1
        && !Torchrun::is_started_by(line)
    {
        warnings.push(format!(
            "Each pod should run {processes} processes, but its command does not start `torchrun`."
        ));
    }
    warnings
}
