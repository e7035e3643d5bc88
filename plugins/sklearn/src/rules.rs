//! What a schema cannot say: rules that the library itself would enforce later, with less to go
//! by, and notes for jobs that are accepted.

use plugin_sdk::{Finding, Findings};

use crate::SklearnJob;
use crate::hyperparameters::{
    ClassWeight, Criterion, Estimator, Hyperparameters, Penalty, Scoring, Solver, Task,
};

pub(crate) fn findings(job: &SklearnJob<'_>) -> Vec<Finding> {
    let mut findings = Findings::of(&job.algorithm);
    let h = &job.hyperparameters;
    if job.resources.instance_count > 1 {
        findings.at(
            "/resources/instanceCount",
            "out-of-range",
            "scikit-learn trains on one machine: ask for one instance with more cores.",
        );
    }
    task(h, &mut findings);
    linear(h, &mut findings);
    if h.cv == 1 {
        findings.add("cv", "out-of-range", "A cross-validation has at least 2 folds; 0 is none.");
    }
    findings.into_vec()
}

fn task(h: &Hyperparameters, findings: &mut Findings) {
    use Criterion::{AbsoluteError, FriedmanMse, Poisson, SquaredError};

    let task = h.task.as_str();
    let classes = h.task == Task::Classification;
    let estimator_fits = match h.estimator {
        Estimator::LogisticRegression => classes,
        Estimator::Ridge => !classes,
        _ => true,
    };
    if !estimator_fits {
        let estimator = h.estimator.as_str();
        findings.conflict("estimator", format!("`{estimator}` cannot learn a `{task}`."));
    }
    if let Some(criterion) = h.criterion
        && matches!(criterion, SquaredError | AbsoluteError | FriedmanMse | Poisson) == classes
    {
        let criterion = criterion.as_str();
        findings.conflict("criterion", format!("`{criterion}` is no criterion of a `{task}`."));
    }
    if let Some(scoring) = h.scoring {
        let of_numbers = matches!(
            scoring,
            Scoring::R2 | Scoring::NegRootMeanSquaredError | Scoring::NegMeanAbsoluteError
        );
        if of_numbers == classes {
            let scoring = scoring.as_str();
            findings.conflict("scoring", format!("`{scoring}` does not measure a `{task}`."));
        }
    }
    let forest = matches!(h.estimator, Estimator::RandomForest | Estimator::ExtraTrees);
    match h.class_weight {
        Some(_) if !classes => {
            findings.conflict("class_weight", "Numbers have no classes to weigh: leave it empty.");
        }
        Some(_) if h.estimator == Estimator::KNeighbors => {
            findings.conflict("class_weight", "`k_neighbors` does not weigh classes.");
        }
        Some(ClassWeight::BalancedSubsample) if !forest => {
            findings
                .conflict("class_weight", "Only forests draw samples to weigh: use `balanced`.");
        }
        _ => {}
    }
}

fn linear(h: &Hyperparameters, findings: &mut Findings) {
    let solver_fits = match h.penalty {
        Penalty::L2 => true,
        Penalty::L1 => matches!(h.solver, Solver::Liblinear | Solver::Saga),
        Penalty::Elasticnet => h.solver == Solver::Saga,
        Penalty::None => h.solver != Solver::Liblinear,
    };
    if !solver_fits {
        let (solver, penalty) = (h.solver.as_str(), h.penalty.as_str());
        findings.conflict(
            "solver",
            format!(
                "The solver `{solver}` does not know the penalty `{penalty}`; `saga` knows all."
            ),
        );
    }
    if h.l1_ratio > 0.0 && h.penalty != Penalty::Elasticnet {
        findings.conflict("l1_ratio", "Only the penalty `elasticnet` mixes L1 and L2.");
    }
}

/// What the user should know although the job is accepted.
pub(crate) fn warnings(job: &SklearnJob<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    if job.resources.gpu_count > 0 {
        warnings.push("The job reserves GPUs, and scikit-learn computes on the CPU.".to_owned());
    }
    let cores = job.resources.cpu_cores;
    if job.hyperparameters.n_jobs.and_then(|jobs| u32::try_from(jobs).ok()) > Some(cores) {
        warnings.push(format!(
            "There are more parallel jobs than the {cores} cores of the instance, which slows the \
             training down."
        ));
    }
    warnings
}
