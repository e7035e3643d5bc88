//! From a validated job to its manifests.

use plugin_sdk::manifest::pod::Variable;
use plugin_sdk::trainer::{Launch, Program, Trainer, WorkloadKind};
use plugin_sdk::{Failure, Plan};

use crate::{HorovodJob, Hyperparameters, rules};

const SHELL: [&str; 2] = ["/bin/sh", "-c"];

pub(crate) fn convert(job: &HorovodJob<'_>) -> Result<Plan, Failure> {
    let trainer = Trainer::of(job);
    let mut env = trainer.environment_of_equals(&job.hyperparameters)?;
    env.extend(knobs(&job.hyperparameters));
    env.push(trainer.threads(slots(job)));
    let mut plan = if is_mpi(&trainer) {
        let h = &job.hyperparameters;
        let launch = Launch {
            processes: slots(job),
            ssh_path: &h.ssh_auth_mount_path,
            sshd_config: &h.sshd_config,
        };
        trainer.mpi_job(Program { env, ..Program::default() }, &launch)?
    } else {
        one(job, &trainer, env)?
    };
    plan.warnings.extend(rules::warnings(job));
    Ok(plan)
}

/// Whether somebody has to start processes in other pods, or the operator wants it so.
pub(crate) fn is_mpi(trainer: &HorovodTrainer<'_>) -> bool {
    trainer.is_distributed() || trainer.kind() == WorkloadKind::MpiJob
}

/// Processes of each pod.
pub(crate) fn slots(job: &HorovodJob<'_>) -> u32 {
    job.hyperparameters.slots_per_worker.or(job.resources.gpu_count.max(1))
}

pub(crate) type HorovodTrainer<'j> = Trainer<'j, Hyperparameters, crate::Own>;

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
