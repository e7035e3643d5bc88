//! From a validated job to its manifests.

use plugin_sdk::manifest::pod::{Port, Variable};
use plugin_sdk::trainer::{Program, Trainer, WorkloadKind};
use plugin_sdk::{Failure, Plan};

use crate::hyperparameters::{Hyperparameters, Optimizer, Strategy};
use crate::{TensorflowJob, cluster, rules};

pub(crate) fn convert(job: &TensorflowJob<'_>) -> Result<Plan, Failure> {
    let h = resolved(job);
    let trainer = Trainer::of(job);
    let is_tf_job = trainer.kind() == WorkloadKind::TfJob;
    let has_servers = h.strategy == Strategy::ParameterServer;
    let mut env = if is_tf_job && has_servers {
        trainer.environment_led_by(format!("{}-chief-0", job.name), &h)?
    } else {
        trainer.environment(&h)?
    };
    if !is_tf_job {
        env.extend(cluster::variables(job));
    }
    env.push(trainer.threads(1));
    // Everything else of the library's own chatter is of no use to who trains.
    env.push(Variable::value("TF_CPP_MIN_LOG_LEVEL", "1"));
    let port = cluster::port(job);
    let mut plan = if is_tf_job {
        let program = Program { env, ..Program::default() };
        trainer.tf_job(program, cluster::roles(job), port)?
    } else {
        let ports = [Port::tcp(port, "tensorflow")];
        let ports: &[Port<'_>] = if trainer.is_distributed() { &ports } else { &[] };
        let mut program = Program { env, ports, ..Program::default() };
        if has_servers {
            // Workers and servers serve until they are stopped; the coordinator knows when it is
            // over.
            program.first_decides = true;
            let line = trainer.entrypoint().unwrap_or_default();
            program.command =
                vec!["/bin/sh", "-c", cluster::PARAMETER_SERVER_LAUNCHER, "launcher", line];
        }
        trainer.plan(&program)?
    };
    plan.warnings.extend(rules::warnings(job));
    Ok(plan)
}

/// The hyperparameters with their conditional defaults in place.
fn resolved(job: &TensorflowJob<'_>) -> Hyperparameters {
    let mut h = job.hyperparameters.clone();
    h.strategy = cluster::strategy(job);
    h.learning_rate.get_or_insert(if h.optimizer == Optimizer::Sgd { 0.01 } else { 0.001 });
    if h.optimizer == Optimizer::Adamw {
        h.weight_decay.get_or_insert(0.004);
    }
    h
}
