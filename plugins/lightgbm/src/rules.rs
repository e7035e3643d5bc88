//! What a schema cannot say: rules that the library itself would enforce later, with less to go
//! by, and notes for jobs that are accepted.

use plugin_sdk::{ChannelType, Finding, Findings};

use crate::convert::{LONGEST_LIST, machines};
use crate::hyperparameters::{Boosting, Device, Objective, SampleStrategy, TreeLearner};
use crate::{Hyperparameters, LightgbmJob};

pub(crate) fn findings(job: &LightgbmJob<'_>) -> Vec<Finding> {
    let mut findings = Findings::of(&job.algorithm);
    let h = &job.hyperparameters;
    objective(h, &mut findings);
    trees(h, &mut findings);
    stopping(job, &mut findings);
    pods(job, &mut findings);
    findings.into_vec()
}

fn objective(h: &Hyperparameters, findings: &mut Findings) {
    let objective = h.objective.as_str();
    if h.objective.is_multi_class() && h.num_class < 2 {
        findings.conflict(
            "num_class",
            format!("The objective `{objective}` needs the number of classes, at least 2."),
        );
    }
    if !h.objective.is_multi_class() && h.num_class != 1 {
        findings.conflict(
            "num_class",
            format!("The objective `{objective}` knows no classes: leave the number at 1."),
        );
    }
    #[expect(clippy::float_cmp, reason = "the question is whether anybody changed the default")]
    let is_weighed = h.scale_pos_weight != 1.0;
    if h.is_unbalance && is_weighed {
        findings.conflict(
            "scale_pos_weight",
            "The classes are weighed by `is_unbalance` already: use one of the two.",
        );
    }
    for (field, is_set) in [("is_unbalance", h.is_unbalance), ("scale_pos_weight", is_weighed)] {
        if is_set && !h.objective.weighs_classes() {
            findings.conflict(
                field,
                format!("Only `binary` and `multiclassova` weigh classes, not `{objective}`."),
            );
        }
    }
    if h.objective == Objective::Quantile && h.alpha >= 1.0 {
        findings.conflict("alpha", "A quantile lies between 0 and 1.");
    }
}

fn trees(h: &Hyperparameters, findings: &mut Findings) {
    let bags = h.bagging_freq > 0 && h.bagging_fraction < 1.0;
    let goss = h.data_sample_strategy == SampleStrategy::Goss;
    if h.boosting == Boosting::Rf && !goss && !bags && h.feature_fraction >= 1.0 {
        findings.conflict(
            "boosting",
            "The trees of a random forest must differ: set `bagging_freq` and a `bagging_fraction` \
             below 1, or a `feature_fraction` below 1.",
        );
    }
    if goss && h.top_rate + h.other_rate > 1.0 {
        findings.conflict(
            "other_rate",
            "`top_rate` and `other_rate` are shares of the same rows: together at most 1.",
        );
    }
    if goss && bags {
        findings.conflict("bagging_freq", "GOSS draws rows in its own way: leave bagging off.");
    }
    if h.path_smooth > 0.0 && h.min_data_in_leaf < 2 {
        findings.conflict("path_smooth", "Path smoothing needs `min_data_in_leaf` of at least 2.");
    }
    if h.device_type == Device::Gpu && h.max_bin > 255 {
        findings.conflict("max_bin", "On the device `gpu` a column has at most 255 bins.");
    }
}

fn stopping(job: &LightgbmJob<'_>, findings: &mut Findings) {
    let h = &job.hyperparameters;
    if h.early_stopping_round == 0 {
        return;
    }
    if !job.channels.iter().any(|channel| channel.channel_type == ChannelType::Validation) {
        findings.conflict(
            "early_stopping_round",
            "Early stopping watches validation data: add a channel of type `validation`, or set \
             it to 0.",
        );
    }
    if h.boosting == Boosting::Dart {
        findings.conflict(
            "early_stopping_round",
            "With dropout, later rounds change earlier trees: `dart` cannot stop early.",
        );
    }
}

fn pods(job: &LightgbmJob<'_>, findings: &mut Findings) {
    let h = &job.hyperparameters;
    let several = job.resources.instance_count > 1;
    if several && h.tree_learner == TreeLearner::Serial {
        findings.conflict(
            "tree_learner",
            "With `serial` every pod would train a model of its own: use `data`, `feature` or \
             `voting`, or one instance.",
        );
    }
    if h.device_type != Device::Cpu && job.resources.gpu_count == 0 {
        findings.conflict(
            "device_type",
            "The device needs at least one GPU per instance: raise `gpuCount`, or use `cpu`.",
        );
    }
    if several && h.device_type == Device::Cuda {
        findings.conflict(
            "device_type",
            "The device `cuda` trains in one pod only: use `gpu` or `cpu`, or one instance.",
        );
    }
    if several && machines(job).len() > LONGEST_LIST {
        findings.at(
            "/resources/instanceCount",
            "out-of-range",
            format!(
                "The list of all machines would have more than {LONGEST_LIST} bytes: ask for fewer \
                 instances, or give the job a shorter name."
            ),
        );
    }
}

/// What the user should know although the job is accepted.
pub(crate) fn warnings(job: &LightgbmJob<'_>) -> Vec<String> {
    let h = &job.hyperparameters;
    let mut warnings = Vec::new();
    let mut warn = |applies: bool, message: &str| {
        if applies {
            warnings.push(message.to_owned());
        }
    };
    warn(
        job.resources.gpu_count > 0 && h.device_type == Device::Cpu,
        "The job reserves GPUs but computes on the CPU: change the device, or ask for no GPU.",
    );
    warn(
        h.num_threads > job.resources.cpu_cores,
        "The number of threads exceeds the cores of an instance, which slows the training down.",
    );
    let depth = u32::try_from(h.max_depth).unwrap_or(0);
    warn(
        depth > 0 && depth < 31 && h.num_leaves > 1_u32 << depth,
        "A tree of this depth cannot have so many leaves: `max_depth` bounds it first.",
    );
    warn(
        matches!(h.objective, Objective::Lambdarank | Objective::RankXendcg),
        "Ranking needs the group of each row, which the standard training program does not read: \
         use an entrypoint of your own.",
    );
    warnings
}
