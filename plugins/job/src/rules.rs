//! What a schema cannot say.

use plugin_sdk::trainer::{Trainer, UserCommand};
use plugin_sdk::{Finding, Findings};

use crate::KubeJob;
use crate::convert::{completions, environment, user_variables};
use crate::hyperparameters::SuccessPolicy;

pub(crate) fn findings(job: &KubeJob<'_>) -> Vec<Finding> {
    let mut findings = Findings::of(&job.algorithm);
    program(job, &mut findings);
    ends(job, &mut findings);
    findings.into_vec()
}

fn program(job: &KubeJob<'_>, findings: &mut Findings) {
    let h = &job.hyperparameters;
    let trainer = Trainer::of(job);
    trainer.require_image("A plain job", findings);
    let command = UserCommand {
        command: &h.command,
        args: &h.args,
        form_line: job.entrypoint.as_deref(),
        line: trainer.entrypoint(),
    };
    command.check(findings);
    user_variables(h).check(&environment(job).unwrap_or_default(), findings);
}

fn ends(job: &KubeJob<'_>, findings: &mut Findings) {
    let h = &job.hyperparameters;
    let (completions, indexed) = completions(job);
    if h.success_policy == SuccessPolicy::First && !indexed {
        findings.conflict(
            "successPolicy",
            "Only numbered pods have a first one: use the completion mode `Indexed`.",
        );
    }
    if h.backoff_limit_per_index.is_some() && !indexed {
        findings.conflict(
            "backoffLimitPerIndex",
            "Only numbered pods are counted one by one: use the completion mode `Indexed`.",
        );
    }
    if let Some(most) = h.max_failed_indexes {
        if h.backoff_limit_per_index.is_none() {
            findings.conflict(
                "maxFailedIndexes",
                "Numbers can only fail one by one when `backoffLimitPerIndex` is set.",
            );
        } else if most > completions {
            findings.conflict(
                "maxFailedIndexes",
                format!("There are only {completions} pods that could fail."),
            );
        }
    }
}
