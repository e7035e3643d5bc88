//! `TF_CONFIG`: who takes part, and which of them a pod is.

use std::fmt::Write as _;

use plugin_sdk::manifest::pod::Variable;
use plugin_sdk::trainer::{TfRoles, Trainer};

use crate::TensorflowJob;
use crate::hyperparameters::Strategy;

/// Longest description of a cluster. Linux takes 128 KiB for one variable, the host half of that.
pub(crate) const LONGEST: usize = 60 * 1024;

/// Writes `TF_CONFIG` and starts the command it is given. The pod with number 0 coordinates, then
/// come the workers, then the parameter servers. It does without `$(…)`, which Kubernetes would
/// read before the shell does.
pub(crate) const PARAMETER_SERVER_LAUNCHER: &str = r#"index=$INSTANCE_INDEX
if [ "$index" -eq 0 ]; then
  type=chief
elif [ "$index" -le "$TF_WORKERS" ]; then
  type=worker
  index=`expr "$index" - 1`
else
  type=ps
  index=`expr "$index" - 1 - "$TF_WORKERS"`
fi
export TF_CONFIG="{\"cluster\":$TF_CLUSTER,\"task\":{\"type\":\"$type\",\"index\":$index}}"
exec /bin/sh -c "$1"
"#;

/// The strategy, with `auto` decided.
pub(crate) fn strategy(job: &TensorflowJob<'_>) -> Strategy {
    match job.hyperparameters.strategy {
        Strategy::Auto if job.resources.instance_count > 1 => Strategy::MultiWorkerMirrored,
        Strategy::Auto if job.resources.gpu_count > 1 => Strategy::Mirrored,
        Strategy::Auto => Strategy::None,
        chosen => chosen,
    }
}

/// Pods that train, besides the one that coordinates and those that keep the model.
pub(crate) fn ps_workers(job: &TensorflowJob<'_>) -> u32 {
    job.resources.instance_count.saturating_sub(1 + job.hyperparameters.num_ps)
}

/// The pods of a `TFJob`.
pub(crate) fn roles(job: &TensorflowJob<'_>) -> TfRoles {
    if strategy(job) == Strategy::ParameterServer {
        TfRoles { chief: true, workers: ps_workers(job), servers: job.hyperparameters.num_ps }
    } else {
        TfRoles { chief: false, workers: job.resources.instance_count.max(1), servers: 0 }
    }
}

/// Port on which the pods listen.
pub(crate) fn port(job: &TensorflowJob<'_>) -> u16 {
    u16::try_from(job.hyperparameters.port).unwrap_or(u16::MAX)
}

/// The description of the cluster.
pub(crate) fn describe(job: &TensorflowJob<'_>) -> String {
    let addresses = Trainer::of(job).addresses(port(job));
    let mut cluster = String::from("{");
    let mut push = |role: &str, members: &[String]| {
        if !members.is_empty() {
            let separator = if cluster.len() > 1 { "," } else { "" };
            // Addresses are made of the job's name and digits, and need no escapes.
            let list = members.join("\",\"");
            let _ = write!(cluster, "{separator}\"{role}\":[\"{list}\"]");
        }
    };
    if strategy(job) == Strategy::ParameterServer {
        let (chief, others) = addresses.split_at(1.min(addresses.len()));
        let workers = usize::try_from(ps_workers(job)).unwrap_or_default();
        let (workers, servers) = others.split_at(workers.min(others.len()));
        push("chief", chief);
        push("worker", workers);
        push("ps", servers);
    } else {
        push("worker", &addresses);
    }
    cluster.push('}');
    cluster
}

/// What the pods need to know about the cluster.
pub(crate) fn variables<'a>(job: &TensorflowJob<'_>) -> Vec<Variable<'a>> {
    let cluster = describe(job);
    match strategy(job) {
        Strategy::ParameterServer => vec![
            Variable::value("TF_WORKERS", ps_workers(job).to_string()),
            Variable::value("TF_CLUSTER", cluster),
        ],
        // Kubernetes puts the number of the pod in.
        Strategy::MultiWorkerMirrored => vec![Variable::value(
            "TF_CONFIG",
            format!(
                "{{\"cluster\":{cluster},\"task\":{{\"type\":\"worker\",\"index\":$(INSTANCE_INDEX)}}}}"
            ),
        )],
        _ => Vec::new(),
    }
}
