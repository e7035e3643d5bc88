//! What users can set: the fields of a Kubernetes Job that matter for a training, by the names
//! that Kubernetes gives them.

use std::collections::BTreeMap;

use plugin_sdk::number::{whole, whole_or_null};
use plugin_sdk::trainer::SecretKey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

plugin_sdk::choices! {
    /// Whether pods have numbers.
    CompletionMode { Auto = "auto", NonIndexed = "NonIndexed", Indexed = "Indexed" }
}
plugin_sdk::choices! {
    /// Which pods have to succeed.
    SuccessPolicy { All = "all", First = "first" }
}

/// An exit code that says "do not try again".
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(transparent)]
#[schemars(inline)]
pub struct ExitCode(
    #[serde(deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 255))]
    pub u32,
);

/// A container that runs to its end.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Kubernetes Job", extend("x-channel-sources" = ["pvc", "http"]))]
pub struct Hyperparameters {
    /// Program and arguments, started without a shell. Empty: the entrypoint of the form,
    /// or the image's own.
    #[schemars(
        title = "Command",
        extend("x-group" = "Program", "x-form-field" = "command", "maxItems" = 64)
    )]
    pub command: Vec<String>,
    /// Arguments of the command or, without one, of the image's own.
    #[schemars(title = "Arguments", extend("x-group" = "Program", "maxItems" = 256))]
    pub args: Vec<String>,
    /// Folder in which the program starts. Empty: the image's own.
    #[schemars(title = "Working directory", extend("x-group" = "Program"))]
    pub working_dir: Option<String>,
    /// Variables that the program finds besides those of the platform. Secrets do not
    /// belong here.
    #[schemars(title = "Environment", extend("x-group" = "Program", "maxProperties" = 256))]
    pub env: BTreeMap<String, String>,
    /// Variables whose values come from a Secret in the namespace of the job.
    #[schemars(title = "Secret environment", extend("x-group" = "Program", "maxProperties" = 64))]
    pub secret_env: BTreeMap<String, SecretKey>,
    /// Time that the program has to end after it was asked to, before it is stopped by
    /// force.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Grace period",
        range(min = 0, max = 3600),
        extend("x-group" = "Program", "x-unit" = "seconds")
    )]
    pub termination_grace_period_seconds: u32,
    /// How many pods have to succeed in all. At most as many run at a time as the job has
    /// instances. Empty: one for each instance.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Completions",
        range(min = 1, max = 100_000),
        extend("x-group" = "Completion", "x-unit" = "pods")
    )]
    pub completions: Option<u32>,
    /// Whether each pod has a number of its own. `auto` numbers them if there is more than
    /// one.
    #[schemars(title = "Completion mode", extend("x-group" = "Completion"))]
    pub completion_mode: CompletionMode,
    /// Whether all pods have to succeed, or only the one with number 0, after which the
    /// others are removed.
    #[schemars(title = "Success", extend("x-group" = "Completion"))]
    pub success_policy: SuccessPolicy,
    /// How many failed pods are replaced before the job fails.
    #[serde(deserialize_with = "whole")]
    #[schemars(title = "Retries", range(min = 0, max = 1000), extend("x-group" = "Failures"))]
    pub backoff_limit: u32,
    /// How many times a pod of the same number is replaced before that number has failed.
    /// Takes the place of the retries of the whole job.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Retries per number",
        range(min = 0, max = 1000),
        extend("x-group" = "Failures")
    )]
    pub backoff_limit_per_index: Option<u32>,
    /// How many numbers may fail before the job does. Empty: any.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Failed numbers",
        range(min = 0, max = 100_000),
        extend("x-group" = "Failures")
    )]
    pub max_failed_indexes: Option<u32>,
    /// Exit codes after which nothing is tried again: the job fails at once.
    #[schemars(
        title = "Final exit codes",
        extend("x-group" = "Failures", "maxItems" = 255, "uniqueItems" = true)
    )]
    pub fail_job_exit_codes: Vec<ExitCode>,
    /// Pods that the cluster itself removed, to make room or to empty a node, are replaced
    /// without counting as failed.
    #[schemars(title = "Ignore disruptions", extend("x-group" = "Failures"))]
    pub ignore_disruptions: bool,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            args: Vec::new(),
            working_dir: None,
            env: BTreeMap::new(),
            secret_env: BTreeMap::new(),
            termination_grace_period_seconds: 30,
            completions: None,
            completion_mode: CompletionMode::Auto,
            success_policy: SuccessPolicy::All,
            backoff_limit: 6,
            backoff_limit_per_index: None,
            max_failed_indexes: None,
            fail_job_exit_codes: Vec::new(),
            ignore_disruptions: true,
        }
    }
}
