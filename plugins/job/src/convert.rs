//! From a validated job to its manifests.

use plugin_sdk::manifest::job::Retries;
use plugin_sdk::manifest::pod::Variable;
use plugin_sdk::trainer::{NoParameters, Program, Trainer, UserVariables};
use plugin_sdk::{Failure, Plan};

use crate::hyperparameters::{CompletionMode, SuccessPolicy};
use crate::{Hyperparameters, KubeJob};

/// Pods that have to succeed, and whether they have numbers.
pub(crate) fn completions(job: &KubeJob<'_>) -> (u32, bool) {
    let h = &job.hyperparameters;
    let completions = h.completions.unwrap_or(job.resources.instance_count.max(1));
    let indexed = match h.completion_mode {
        CompletionMode::Auto => completions > 1,
        CompletionMode::Indexed => true,
        CompletionMode::NonIndexed => false,
    };
    (completions, indexed)
}

/// The variables of the platform.
pub(crate) fn environment<'j>(job: &'j KubeJob<'_>) -> Result<Vec<Variable<'j>>, Failure> {
    // What the user sets here is for the Job; the program gets the free parameters of the form.
    Trainer::of(job).environment(&NoParameters {})
}

/// The variables of the user.
pub(crate) fn user_variables(h: &Hyperparameters) -> UserVariables<'_> {
    UserVariables { plain: ("env", &h.env), secret: Some(("secretEnv", &h.secret_env)) }
}

pub(crate) fn convert(job: &KubeJob<'_>) -> Result<Plan, Failure> {
    let h = &job.hyperparameters;
    let trainer = Trainer::of(job);
    let mut env = environment(job)?;
    env.extend(user_variables(h).variables());
    let program = Program {
        command: h.command.iter().map(String::as_str).collect(),
        args: h.args.iter().map(String::as_str).collect(),
        working_dir: h.working_dir.as_deref().filter(|folder| !folder.is_empty()),
        grace_seconds: Some(h.termination_grace_period_seconds),
        env,
        ..Program::default()
    };
    let (completions, indexed) = completions(job);
    let mut plan = trainer.plan_with(&program, |job| {
        let job = job.completing(completions, trainer.instances(), indexed);
        let job = job.retrying(retries(h));
        if h.success_policy == SuccessPolicy::First { job.succeeding_with_first() } else { job }
    })?;
    if completions < trainer.instances() {
        plan.warnings.push(format!(
            "Only {completions} pods have to succeed, so no more of the {} instances are used.",
            trainer.instances()
        ));
    }
    Ok(plan)
}

fn retries(h: &Hyperparameters) -> Retries {
    Retries {
        backoff_limit: h.backoff_limit_per_index.is_none().then_some(h.backoff_limit),
        per_index: h.backoff_limit_per_index,
        max_failed_indexes: h.max_failed_indexes,
        final_exit_codes: h.fail_job_exit_codes.iter().map(|code| code.0).collect(),
        ignore_disruptions: h.ignore_disruptions,
    }
}
