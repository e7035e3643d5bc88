//! From a validated job to its manifests.

use plugin_sdk::manifest::pod::{Port, Variable};
use plugin_sdk::trainer::{Program, Trainer};
use plugin_sdk::{Failure, Plan};

use crate::hyperparameters::TreeLearner;
use crate::{Hyperparameters, LightgbmJob, rules};

/// Longest list of machines. Linux takes 128 KiB for one variable, the host half of that.
pub(crate) const LONGEST_LIST: usize = 60 * 1024;

pub(crate) fn convert(job: &LightgbmJob<'_>) -> Result<Plan, Failure> {
    let trainer = Trainer::of(job);
    let h = resolved(job);
    let mut env = trainer.environment(&h)?;
    let port = port(&h);
    let ports = [Port::tcp(port, "lightgbm")];
    if trainer.is_distributed() {
        // Parameters of the library like the others: it finds its own place in the list by its
        // address, so the training program has to look the names up first.
        env.push(Variable::value("HP_NUM_MACHINES", trainer.instances().to_string()));
        env.push(Variable::value("HP_MACHINES", machines(job)));
    }
    if h.num_threads > 0 {
        env.push(Variable::value("OMP_NUM_THREADS", h.num_threads.to_string()));
    } else {
        env.push(trainer.threads(1));
    }
    let ports: &[Port<'_>] = if trainer.is_distributed() { &ports } else { &[] };
    let mut plan = trainer.plan(&Program { env, ports, ..Program::default() })?;
    plan.warnings.extend(rules::warnings(job));
    Ok(plan)
}

/// The hyperparameters with their conditional defaults in place.
fn resolved(job: &LightgbmJob<'_>) -> Hyperparameters {
    let mut h = job.hyperparameters.clone();
    if h.tree_learner == TreeLearner::Auto {
        let several = job.resources.instance_count > 1;
        h.tree_learner = if several { TreeLearner::Data } else { TreeLearner::Serial };
    }
    h
}

/// Every pod and its port, as the library writes them.
pub(crate) fn machines(job: &LightgbmJob<'_>) -> String {
    Trainer::of(job).addresses(port(&job.hyperparameters)).join(",")
}

fn port(h: &Hyperparameters) -> u16 {
    u16::try_from(h.local_listen_port).unwrap_or(u16::MAX)
}
