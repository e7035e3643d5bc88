//! From a validated job to its manifests.

use plugin_sdk::manifest::pod::{Port, Variable};
use plugin_sdk::number::Count;
use plugin_sdk::trainer::{Program, Trainer, WorkloadKind, index_variable};
use plugin_sdk::{Failure, Plan};

use crate::hyperparameters::{Hyperparameters, Optimizer};
use crate::{JaxJob, rules};

pub(crate) fn convert(job: &JaxJob<'_>) -> Result<Plan, Failure> {
    let h = resolved(job);
    let trainer = Trainer::of(job);
    let mut env = trainer.environment(&h)?;
    let port = u16::try_from(h.coordinator_port).unwrap_or(u16::MAX);
    // The runtime of a TrainJob sets all three, and for a single pod as well.
    if trainer.is_distributed() && trainer.kind() != WorkloadKind::TrainJob {
        let coordinator = format!("{}:{port}", trainer.host(0));
        env.push(Variable::value("JAX_COORDINATOR_ADDRESS", coordinator));
        // The library reads the address by itself; these two its users pass on.
        env.push(Variable::value("JAX_NUM_PROCESSES", trainer.instances().to_string()));
        env.push(index_variable("JAX_PROCESS_ID", trainer.instances()));
    }
    if job.resources.gpu_count > 0 {
        let share = h.memory_fraction.to_string();
        env.push(Variable::value("XLA_PYTHON_CLIENT_MEM_FRACTION", share));
    }
    if h.debug_nans {
        env.push(Variable::value("JAX_DEBUG_NANS", "true"));
    }
    env.push(trainer.threads(1));
    let ports = [Port::tcp(port, "coordinator")];
    let ports: &[Port<'_>] = if trainer.is_distributed() { &ports } else { &[] };
    let program = Program { env, ports, ..Program::default() };
    let mut plan = if trainer.kind() == WorkloadKind::TrainJob {
        trainer.train_job(&program, None)?
    } else {
        trainer.plan(&program)?
    };
    plan.warnings.extend(rules::warnings(job));
    Ok(plan)
}

/// GPUs of all pods, or one device for each pod without any.
pub(crate) fn devices(job: &JaxJob<'_>) -> u64 {
    u64::from(job.resources.instance_count.max(1)) * u64::from(job.resources.gpu_count.max(1))
}

/// Devices along the axes that are no data axis.
pub(crate) fn other_axes(h: &Hyperparameters) -> u64 {
    u64::from(h.mesh_fsdp) * u64::from(h.mesh_tensor)
}

/// The hyperparameters with their conditional defaults in place.
fn resolved(job: &JaxJob<'_>) -> Hyperparameters {
    let mut h = job.hyperparameters.clone();
    match h.optimizer {
        Optimizer::Adamw | Optimizer::Adam => {
            h.b1.get_or_insert(0.9);
            h.b2.get_or_insert(0.999);
        }
        Optimizer::Lion => {
            h.b1.get_or_insert(0.9);
            h.b2.get_or_insert(0.99);
        }
        Optimizer::Sgd | Optimizer::Adafactor => {}
    }
    match h.optimizer {
        Optimizer::Adamw => {
            h.weight_decay.get_or_insert(1e-4);
        }
        Optimizer::Lion => {
            h.weight_decay.get_or_insert(1e-3);
        }
        _ => {}
    }
    // The rules have made sure that it comes out even.
    let rest = devices(job) / other_axes(&h).max(1);
    h.mesh_data = Count::Fixed(h.mesh_data.or(u32::try_from(rest).unwrap_or(u32::MAX)));
    h
}
