//! From a validated job to its manifests.

use plugin_sdk::manifest::pod::{Port, Variable};
use plugin_sdk::trainer::{Files, Launch, Program, Torchrun, Trainer, WorkloadKind};
use plugin_sdk::{Failure, Plan};

use crate::{DeepspeedJob, config, rules};

const FOLDER: &str = "/etc/deepspeed";
const FILE: &str = "ds_config.json";

pub(crate) fn convert(job: &DeepspeedJob<'_>) -> Result<Plan, Failure> {
    let h = &job.hyperparameters.resolved();
    let trainer = Trainer::of(job);
    let is_mpi = trainer.kind() == WorkloadKind::MpiJob;
    let port = u16::try_from(h.master_port).unwrap_or(u16::MAX);
    let mut env = if is_mpi {
        // The library asks MPI for everything that is missing here.
        let mut env = trainer.environment_of_equals(h)?;
        env.push(trainer.threads(processes(job)));
        env
    } else {
        let torchrun = Torchrun {
            processes: processes(job),
            port,
            backend: "static",
            max_restarts: 0,
            monitor_interval: 0.1,
            start_method: "spawn",
        };
        let mut env = trainer.environment(h)?;
        env.extend(torchrun.variables(&trainer));
        env
    };
    env.push(Variable::value("DEEPSPEED_CONFIG", format!("{FOLDER}/{FILE}")));
    if let Some(level) = h.nccl_debug {
        env.push(Variable::value("NCCL_DEBUG", level.as_str()));
    }
    let text = config::write(job)?;
    let data = [(FILE, text.as_str())];
    let files = Some(Files { suffix: "-config", path: FOLDER, data: &data });
    let mut plan = if is_mpi {
        let home = job.settings.mpi_home.trim_end_matches('/');
        let launch = Launch {
            processes: processes(job),
            ssh_path: &format!("{home}/.ssh"),
            sshd_config: &format!("{home}/.sshd_config"),
        };
        trainer.mpi_job(Program { env, files, ..Program::default() }, &launch)?
    } else {
        let ports = [Port::tcp(port, "rendezvous")];
        let ports: &[Port<'_>] = if trainer.is_distributed() { &ports } else { &[] };
        trainer.plan(&Program { env, ports, files, ..Program::default() })?
    };
    plan.warnings.extend(rules::warnings(job));
    Ok(plan)
}

/// Processes of each pod.
pub(crate) fn processes(job: &DeepspeedJob<'_>) -> u32 {
    job.hyperparameters.nproc_per_node.or(job.resources.gpu_count.max(1))
}

/// Processes of all pods.
pub(crate) fn world_size(job: &DeepspeedJob<'_>) -> u64 {
    u64::from(processes(job)) * u64::from(job.resources.instance_count.max(1))
}
