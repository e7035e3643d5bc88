//! What a schema cannot say.

use plugin_sdk::custom::is_env_name;
use plugin_sdk::trainer::Trainer;
use plugin_sdk::{Finding, Findings, secrets, segment};

use crate::KubeJob;
use crate::convert::{completions, environment};
use crate::hyperparameters::SuccessPolicy;

pub(crate) fn findings(job: &KubeJob<'_>) -> Vec<Finding> {
    let mut findings = Findings::of(&job.algorithm);
    program(job, &mut findings);
    variables(job, &mut findings);
    ends(job, &mut findings);
    findings.into_vec()
}

fn program(job: &KubeJob<'_>, findings: &mut Findings) {
    let h = &job.hyperparameters;
    let trainer = Trainer::of(job);
    trainer.require_image("A plain job", findings);
    let own_line = job.entrypoint.as_deref().is_some_and(|line| !line.is_empty());
    if own_line && !h.command.is_empty() {
        findings.conflict(
            "command",
            "The form has an `entrypoint` as well: use one of the two, the entrypoint for a line \
             that a shell reads.",
        );
    }
    if !h.args.is_empty() && h.command.is_empty() && trainer.entrypoint().is_some() {
        findings.conflict(
            "args",
            "The entrypoint is one line with its arguments: write them there, or use `command`.",
        );
    }
    for (field, words) in [("command", &h.command), ("args", &h.args)] {
        if secrets::in_command(&words.join("\n")) {
            findings.add(
                field,
                "secret-literal",
                "It holds a secret, which would stand in the job's record and manifests. Read it \
                 from a variable of `secretEnv`.",
            );
        }
    }
}

fn variables(job: &KubeJob<'_>, findings: &mut Findings) {
    let h = &job.hyperparameters;
    let platform = environment(job).unwrap_or_default();
    for (group, names) in [
        ("env", h.env.keys().collect::<Vec<_>>()),
        ("secretEnv", h.secret_env.keys().collect::<Vec<_>>()),
    ] {
        for name in names {
            let field = format!("{group}/{}", segment(name));
            if !is_env_name(name) {
                findings.add(
                    &field,
                    "invalid",
                    "A variable's name has letters, digits and `_`, and does not start with a \
                     digit.",
                );
            } else if platform.iter().any(|variable| variable.name() == *name) {
                findings.add(
                    &field,
                    "reserved-name",
                    format!("The platform itself writes the variable `{name}`."),
                );
            } else if group == "secretEnv" && h.env.contains_key(name) {
                findings.add(&field, "duplicate", "The same variable stands in `env` as well.");
            }
        }
    }
    for (name, text) in &h.env {
        if secrets::is_secret(name, text) {
            findings.add(
                &format!("env/{}", segment(name)),
                "secret-literal",
                "The value would stand in the job's record and manifests. Put it into a Secret in \
                 the job's namespace, and the variable into `secretEnv`.",
            );
        }
    }
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
