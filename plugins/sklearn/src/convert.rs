//! From a validated job to its manifests.

use plugin_sdk::manifest::pod::Variable;
use plugin_sdk::trainer::{Program, Trainer};
use plugin_sdk::{Failure, Plan};

use crate::hyperparameters::{
    Criterion, Estimator, Hyperparameters, MaxFeatures, Scaling, Scoring, Task,
};
use crate::{SklearnJob, rules};

pub(crate) fn convert(job: &SklearnJob<'_>) -> Result<Plan, Failure> {
    let trainer = Trainer::of(job);
    let mut env = trainer.environment(&resolved(job))?;
    env.push(trainer.threads(1));
    // The library counts the cores of the node unless it is told.
    env.push(Variable::value("LOKY_MAX_CPU_COUNT", job.resources.cpu_cores.to_string()));
    let mut plan = trainer.plan(&Program { env, ..Program::default() })?;
    plan.warnings.extend(rules::warnings(job));
    Ok(plan)
}

/// The hyperparameters with their conditional defaults in place. What stays empty is none of the
/// estimator's, or without a bound there too.
fn resolved(job: &SklearnJob<'_>) -> Hyperparameters {
    let mut h = job.hyperparameters.clone();
    let classes = h.task == Task::Classification;
    let forest = matches!(h.estimator, Estimator::RandomForest | Estimator::ExtraTrees);
    let boosting = h.estimator == Estimator::HistGradientBoosting;
    let cores = i32::try_from(job.resources.cpu_cores).unwrap_or(-1);
    h.n_jobs.get_or_insert(cores);
    h.scoring.get_or_insert(if classes { Scoring::Accuracy } else { Scoring::R2 });
    if forest {
        h.criterion.get_or_insert(if classes { Criterion::Gini } else { Criterion::SquaredError });
        h.max_features.get_or_insert(if classes { MaxFeatures::Sqrt } else { MaxFeatures::All });
        h.bootstrap.get_or_insert(h.estimator == Estimator::RandomForest);
        h.min_samples_leaf.get_or_insert(1);
    }
    if boosting {
        h.min_samples_leaf.get_or_insert(20);
        h.max_leaf_nodes.get_or_insert(31);
    }
    if boosting || h.estimator == Estimator::LogisticRegression {
        h.max_iter.get_or_insert(100);
    }
    h.tol.get_or_insert(match h.estimator {
        Estimator::HistGradientBoosting => 1e-7,
        Estimator::Svm => 1e-3,
        _ => 1e-4,
    });
    if h.scaling == Scaling::Auto {
        h.scaling = if forest || boosting { Scaling::None } else { Scaling::Standard };
    }
    h
}
