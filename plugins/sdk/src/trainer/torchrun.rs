//! What `torchrun` finds in its environment: it takes every flag from a variable that begins with
//! `PET_`, so users start it with their program and nothing else.

use super::{Trainer, WorkloadKind, index_variable};
use crate::manifest::pod::Variable;

/// Flags of `torchrun`.
#[derive(Clone, Copy, Debug)]
pub struct Torchrun<'a> {
    /// Processes of each pod.
    pub processes: u32,
    /// Port of the pod with number 0, where the others meet.
    pub port: u16,
    /// `static`: numbers are those of the pods. `c10d`: they are given away as pods come.
    pub backend: &'a str,
    /// How often the processes of a pod are started again.
    pub max_restarts: u32,
    /// Seconds between two looks at the processes.
    pub monitor_interval: f64,
    /// How processes are started.
    pub start_method: &'a str,
}

impl Torchrun<'_> {
    /// The variables, and those of programs that do without the launcher. What the operator of the
    /// chosen kind sets itself is left to it.
    pub fn variables<'j, H, D>(&self, trainer: &Trainer<'j, H, D>) -> Vec<Variable<'j>> {
        let (pods, leader, kind) = (trainer.instances(), trainer.host(0), trainer.kind());
        let own = kind != WorkloadKind::PyTorchJob;
        let mut env = Vec::new();
        if kind == WorkloadKind::Job {
            env.push(Variable::value("PET_NNODES", pods.to_string()));
            env.push(Variable::value("PET_NPROC_PER_NODE", self.processes.to_string()));
        }
        env.extend([
            Variable::value("PET_RDZV_BACKEND", self.backend.to_owned()),
            Variable::value("PET_MAX_RESTARTS", self.max_restarts.to_string()),
            Variable::value("PET_MONITOR_INTERVAL", self.monitor_interval.to_string()),
            Variable::value("PET_START_METHOD", self.start_method.to_owned()),
        ]);
        if self.backend != "static" {
            let endpoint = format!("{leader}:{}", self.port);
            env.push(Variable::value("PET_RDZV_ENDPOINT", endpoint));
            env.push(Variable::value("PET_RDZV_ID", trainer.id()));
        } else if kind == WorkloadKind::Job {
            env.push(index_variable("PET_NODE_RANK", pods));
            env.push(Variable::value("PET_MASTER_ADDR", leader.clone()));
            env.push(Variable::value("PET_MASTER_PORT", self.port.to_string()));
        }
        if own {
            env.push(Variable::value("MASTER_ADDR", leader));
            env.push(Variable::value("MASTER_PORT", self.port.to_string()));
        }
        if self.processes == 1 {
            // The pod is the process. The launcher writes these anew for the processes it starts.
            env.extend(own.then(|| index_variable("RANK", pods)));
            env.push(Variable::value("LOCAL_RANK", "0"));
            env.extend(own.then(|| Variable::value("WORLD_SIZE", pods.to_string())));
        }
        env.push(trainer.threads(self.processes));
        env
    }

    /// Whether a command line starts a launcher that reads the variables.
    pub fn is_started_by(line: &str) -> bool {
        ["torchrun", "torch.distributed", "accelerate"].iter().any(|word| line.contains(word))
    }
}
