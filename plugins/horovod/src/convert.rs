//! From a validated job to its manifests.

use plugin_sdk::manifest::mpijob::{MpiJob, Workers};
use plugin_sdk::manifest::pod::Variable;
use plugin_sdk::trainer::{Program, Trainer};
use plugin_sdk::{Failure, Plan};

use crate::{HorovodJob, Hyperparameters, rules};

const SHELL: [&str; 2] = ["/bin/sh", "-c"];

pub(crate) fn convert(job: &HorovodJob<'_>) -> Result<Plan, Failure> {
    let trainer = Trainer::of(job);
    let mut env = trainer.environment_of_equals(&job.hyperparameters)?;
    env.extend(knobs(&job.hyperparameters));
    env.push(trainer.threads(slots(job)));
    let mut plan = if trainer.is_distributed() {
        several(job, &trainer, env)?
    } else {
        one(job, &trainer, env)?
    };
    plan.warnings.extend(rules::warnings(job));
    Ok(plan)
}

/// Processes of each pod.
pub(crate) fn slots(job: &HorovodJob<'_>) -> u32 {
    job.hyperparameters.slots_per_worker.or(job.resources.gpu_count.max(1))
}

type HorovodTrainer<'j> = Trainer<'j, Hyperparameters, crate::Own>;

/// The processes of one pod need neither an operator nor `ssh`.
fn one<'j>(
    job: &HorovodJob<'_>,
    trainer: &HorovodTrainer<'j>,
    env: Vec<Variable<'j>>,
) -> Result<Plan, Failure> {
    let (count, host) = (slots(job).to_string(), format!("localhost:{}", slots(job)));
    let mut command = vec!["horovodrun", "-np", &count, "-H", &host];
    command.extend(SHELL);
    command.push(trainer.entrypoint().unwrap_or_default());
    trainer.plan(&Program { command, env, ..Program::default() })
}

/// The launcher starts the processes in the workers, which wait for it.
fn several<'j>(
    job: &HorovodJob<'_>,
    trainer: &HorovodTrainer<'j>,
    env: Vec<Variable<'j>>,
) -> Result<Plan, Failure> {
    let h = &job.hyperparameters;
    let names: Vec<String> = env.iter().map(|variable| variable.name().to_owned()).collect();
    let processes = slots(job).saturating_mul(trainer.instances()).to_string();
    let launcher = Program {
        command: vec!["mpirun"],
        args: launch(&processes, &names, trainer.entrypoint().unwrap_or_default()),
        env,
        ..Program::default()
    };
    let worker = Program {
        command: vec!["/usr/sbin/sshd"],
        args: vec!["-De", "-f", &h.sshd_config],
        ..Program::default()
    };
    let mut plan = trainer.claims(false)?;
    let space = trainer.space(&launcher, None);
    let (launch, serve) = (trainer.command(&launcher), trainer.command(&worker));
    let workers = Workers {
        count: trainer.instances(),
        slots: slots(job),
        ssh_path: &h.ssh_auth_mount_path,
        template: trainer.pod(&worker, &serve, &space, job.resources.gpu_count),
    };
    let launcher = trainer.pod(&launcher, &launch, &space, 0);
    let metadata = trainer.metadata(trainer.name());
    let runtime = trainer.max_runtime_seconds();
    plan.push("workload", &MpiJob::new(metadata, runtime, launcher, workers))?;
    Ok(plan)
}

/// Arguments of `mpirun`. A process that `sshd` starts knows nothing of the variables of its pod,
/// so each one is passed on by name.
fn launch<'a>(processes: &'a str, names: &'a [String], line: &'a str) -> Vec<&'a str> {
    let mut args = vec!["-np", processes, "-bind-to", "none", "-map-by", "slot"];
    let own = ["PATH", "LD_LIBRARY_PATH"];
    for name in own.into_iter().chain(names.iter().map(String::as_str)) {
        args.extend(["-x", name]);
    }
    args.extend(SHELL);
    args.push(line);
    args
}

/// The knobs, as the library reads them.
fn knobs<'a>(h: &Hyperparameters) -> Vec<Variable<'a>> {
    let flag = |on: bool| if on { "1".to_owned() } else { "0".to_owned() };
    let mut knobs = vec![
        ("HOROVOD_FUSION_THRESHOLD", (u64::from(h.fusion_threshold_mb) << 20).to_string()),
        ("HOROVOD_CYCLE_TIME", h.cycle_time_ms.to_string()),
        ("HOROVOD_CACHE_CAPACITY", h.cache_capacity.to_string()),
        ("HOROVOD_HIERARCHICAL_ALLREDUCE", flag(h.hierarchical_allreduce)),
        ("HOROVOD_HIERARCHICAL_ALLGATHER", flag(h.hierarchical_allgather)),
        ("HOROVOD_STALL_CHECK_DISABLE", flag(h.stall_check_warning_time_seconds == 0)),
        ("HOROVOD_STALL_CHECK_TIME_SECONDS", h.stall_check_warning_time_seconds.to_string()),
        ("HOROVOD_STALL_SHUTDOWN_TIME_SECONDS", h.stall_check_shutdown_time_seconds.to_string()),
        ("HOROVOD_GLOO_TIMEOUT_SECONDS", h.gloo_timeout_seconds.to_string()),
        ("HOROVOD_LOG_LEVEL", h.log_level.as_str().to_owned()),
    ];
    if h.autotune {
        knobs.extend([
            ("HOROVOD_AUTOTUNE", flag(true)),
            ("HOROVOD_AUTOTUNE_WARMUP_SAMPLES", h.autotune_warmup_samples.to_string()),
            ("HOROVOD_AUTOTUNE_STEPS_PER_SAMPLE", h.autotune_steps_per_sample.to_string()),
            (
                "HOROVOD_AUTOTUNE_BAYES_OPT_MAX_SAMPLES",
                h.autotune_bayes_opt_max_samples.to_string(),
            ),
            (
                "HOROVOD_AUTOTUNE_GAUSSIAN_PROCESS_NOISE",
                h.autotune_gaussian_process_noise.to_string(),
            ),
        ]);
    }
    if h.timeline {
        // Kubernetes puts the path in, which stands before.
        knobs.push(("HOROVOD_TIMELINE", "$(RESULTS_PATH)/timeline.json".to_owned()));
    }
    if let Some(level) = h.nccl_debug {
        knobs.push(("NCCL_DEBUG", level.as_str().to_owned()));
    }
    knobs.into_iter().map(|(name, value)| Variable::value(name, value)).collect()
}
