//! From a validated job to its manifests.

use plugin_sdk::manifest::pod::{Port, Variable};
use plugin_sdk::trainer::{Program, Torchrun, Trainer, WorkloadKind};
use plugin_sdk::{Failure, Plan};

use crate::hyperparameters::{Backend, Optimizer};
use crate::{Hyperparameters, PytorchJob, rules};

pub(crate) fn convert(job: &PytorchJob<'_>) -> Result<Plan, Failure> {
    let h = resolved(job);
    let trainer = Trainer::of(job);
    let mut env = trainer.environment(&h)?;
    let port = u16::try_from(h.master_port).unwrap_or(u16::MAX);
    let torchrun = Torchrun {
        processes: processes(job),
        port,
        backend: h.rdzv_backend.as_str(),
        max_restarts: h.max_restarts,
        monitor_interval: h.monitor_interval,
        start_method: h.start_method.as_str(),
    };
    env.extend(torchrun.variables(&trainer));
    if let Some(level) = h.nccl_debug {
        env.push(Variable::value("NCCL_DEBUG", level.as_str()));
    }
    let mut plan = match trainer.kind() {
        WorkloadKind::PyTorchJob => {
            let program = Program { env, ..Program::default() };
            trainer.pytorch_job(program, processes(job), port)?
        }
        WorkloadKind::TrainJob => {
            let program = Program { env, ..Program::default() };
            trainer.train_job(&program, Some(processes(job)))?
        }
        _ => {
            let ports = [Port::tcp(port, "rendezvous")];
            let ports: &[Port<'_>] = if trainer.is_distributed() { &ports } else { &[] };
            trainer.plan(&Program { env, ports, ..Program::default() })?
        }
    };
    plan.warnings.extend(rules::warnings(job));
    Ok(plan)
}

/// Processes of each pod.
pub(crate) fn processes(job: &PytorchJob<'_>) -> u32 {
    job.hyperparameters.nproc_per_node.or(job.resources.gpu_count.max(1))
}

/// How processes talk.
pub(crate) fn backend(job: &PytorchJob<'_>) -> Backend {
    match job.hyperparameters.backend {
        Backend::Auto if job.resources.gpu_count > 0 => Backend::Nccl,
        Backend::Auto => Backend::Gloo,
        chosen => chosen,
    }
}

/// The hyperparameters with their conditional defaults in place.
fn resolved(job: &PytorchJob<'_>) -> Hyperparameters {
    let mut h = job.hyperparameters.clone();
    h.backend = backend(job);
    let decay = if h.optimizer == Optimizer::Adamw { 0.01 } else { 0.0 };
    h.weight_decay.get_or_insert(decay);
    h
}
