//! What a schema cannot say, and notes for jobs that are accepted.

use plugin_sdk::trainer::{Trainer, UserVariables, given};
use plugin_sdk::{Finding, Findings, secrets, segment};

use crate::RayJob;
use crate::convert::{environment, uses_gpus, workers};

pub(crate) fn findings(job: &RayJob<'_>) -> Vec<Finding> {
    let mut findings = Findings::of(&job.algorithm);
    let trainer = Trainer::of(job);
    trainer.require_image("A Ray job", &mut findings);
    if trainer.entrypoint().is_none() {
        findings.at(
            "/entrypoint",
            "required",
            "Ray has to know what to run: name the command of the driver.",
        );
    }
    variables(job, &mut findings);
    amounts(job, &mut findings);
    findings.into_vec()
}

fn variables(job: &RayJob<'_>, findings: &mut Findings) {
    let h = &job.hyperparameters;
    let user = UserVariables { plain: ("env_vars", &h.env_vars), secret: None };
    user.check(&environment(job).unwrap_or_default(), findings);
    for name in h.env_vars.keys().filter(|name| name.starts_with("RAY_")) {
        findings.add(
            &format!("env_vars/{}", segment(name)),
            "reserved-name",
            "Variables that begin with `RAY_` steer Ray itself.",
        );
    }
    if h.pip.iter().any(|package| secrets::in_command(package)) {
        findings.add(
            "pip",
            "secret-literal",
            "An address of a package holds a password, which would stand in the manifests.",
        );
    }
}

fn amounts(job: &RayJob<'_>, findings: &mut Findings) {
    let h = &job.hyperparameters;
    let (cores, gpus) = (job.resources.cpu_cores, job.resources.gpu_count);
    for (field, amount, most, what) in [
        ("entrypoint_num_cpus", h.entrypoint_num_cpus, cores, "cores"),
        ("entrypoint_num_gpus", h.entrypoint_num_gpus, gpus, "GPUs"),
    ] {
        if amount > f64::from(most) {
            findings.conflict(field, format!("No pod has so many {what}: each has {most}."));
        }
    }
    for (name, amount) in &h.resources_per_worker {
        let most = match name.as_str() {
            "CPU" => cores,
            "GPU" => gpus,
            _ => continue,
        };
        if amount.0 > f64::from(most) {
            findings.conflict(
                &format!("resources_per_worker/{name}"),
                format!("A worker has to fit into a pod, which has {most} of `{name}`."),
            );
        }
    }
    if h.head_num_cpus.is_some_and(|offered| offered > cores) {
        findings.conflict("head_num_cpus", format!("The head has {cores} cores."));
    }
    let memory = job.resources.memory_gib;
    if memory > 0 && h.object_store_memory_gib.is_some_and(|store| store >= memory) {
        findings.conflict(
            "object_store_memory_gib",
            format!("A pod has {memory} GiB, of which programs need some themselves."),
        );
    }
    if uses_gpus(job) && gpus == 0 {
        findings.conflict("use_gpu", "The job has no GPU: raise `gpuCount`.");
    }
    let all = u64::from(gpus) * u64::from(job.resources.instance_count.max(1));
    if uses_gpus(job) && gpus > 0 && u64::from(workers(job)) > all {
        findings
            .conflict("num_workers", format!("Each worker takes a GPU, and the job has {all}."));
    }
}

/// What the user should know although the job is accepted.
pub(crate) fn warnings(job: &RayJob<'_>) -> Vec<String> {
    let h = &job.hyperparameters;
    let mut warnings = Vec::new();
    let shared = given(job.pvc_name.as_deref()).is_some()
        || job.resources.volume_size_gb > 0
        || given(h.storage_path.as_deref()).is_some_and(|path| path.contains("://"));
    if job.resources.instance_count > 1 && !shared {
        warnings.push(
            "Ray Train keeps checkpoints where all pods see them, and the job has no volume: ask \
             for one, or name a storage path that is an address."
                .to_owned(),
        );
    }
    warnings
}
