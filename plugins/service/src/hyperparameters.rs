//! What users can set: the fields of a Deployment, its Service and its Ingress that matter for
//! a program that serves, by the names that Kubernetes gives them.

use std::collections::BTreeMap;

use plugin_sdk::choices;
use plugin_sdk::number::{whole, whole_or_null};
use plugin_sdk::trainer::SecretKey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

choices! {
    /// What is spoken on a port.
    Protocol { Tcp = "TCP", Udp = "UDP" }
}

/// A port of the program, and the one under which others reach it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct PortMapping {
    /// Name of the port, unique in the job. Empty: made of its number.
    #[schemars(
        title = "Name",
        extend("maxLength" = 15, "pattern" = "^([a-z]([a-z0-9]|-[a-z0-9])*)?$")
    )]
    pub name: String,
    /// Port on which the program listens.
    #[serde(deserialize_with = "whole")]
    #[schemars(title = "Port of the program", range(min = 1, max = 65_535))]
    pub container_port: u32,
    /// Port under which others reach it. Empty: the same.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(title = "Port", range(min = 1, max = 65_535))]
    pub port: Option<u32>,
    /// What is spoken.
    #[schemars(title = "Protocol")]
    pub protocol: Protocol,
}

impl Default for PortMapping {
    fn default() -> Self {
        Self { name: String::new(), container_port: 8080, port: None, protocol: Protocol::Tcp }
    }
}

/// A program that runs until it is stopped.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Service", extend("x-channel-sources" = ["pvc", "http"]))]
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
    /// Ports on which the program listens, and under which other pods of the cluster reach
    /// it. Empty: nobody does.
    #[schemars(
        title = "Ports",
        extend("x-group" = "Network", "x-form-field" = "ports", "maxItems" = 32)
    )]
    pub ports: Vec<PortMapping>,
    /// Name on the web that leads to the first port. The operator has to give its domain
    /// away to jobs. Empty: none.
    #[schemars(
        title = "Host",
        extend(
            "x-group" = "Web",
            "maxLength" = 253,
            "pattern" = "^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\\.)+[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
        )
    )]
    pub host: Option<String>,
    /// Path of the host below which requests are meant for the program.
    #[schemars(
        title = "Path",
        extend("x-group" = "Web", "maxLength" = 255, "pattern" = "^/[A-Za-z0-9._~/-]*$")
    )]
    pub path: String,
    /// Which controller serves the host. Empty: the default of the cluster.
    #[schemars(
        title = "Class",
        extend("x-group" = "Web", "pattern" = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    )]
    pub ingress_class_name: Option<String>,
    /// Secret in the namespace of the job with the certificate of the host. Empty: none of
    /// its own.
    #[schemars(
        title = "Certificate",
        extend("x-group" = "Web", "pattern" = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    )]
    pub tls_secret_name: Option<String>,
    /// Path on the first port that answers when the program can serve. Empty: it can as
    /// soon as it runs.
    #[schemars(
        title = "Readiness",
        extend("x-group" = "Readiness", "maxLength" = 255, "pattern" = "^/[A-Za-z0-9._~/-]*$")
    )]
    pub readiness_path: Option<String>,
    /// Time between two questions.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Readiness period",
        range(min = 1, max = 3600),
        extend("x-group" = "Readiness", "x-unit" = "seconds")
    )]
    pub readiness_period_seconds: u32,
    /// Time that a pod has to be ready before it counts.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Time to be ready",
        range(min = 0, max = 3600),
        extend("x-group" = "Readiness", "x-unit" = "seconds")
    )]
    pub min_ready_seconds: u32,
    /// Time after which a start without progress is reported. The cluster goes on trying.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Start deadline",
        range(min = 1, max = 86_400),
        extend("x-group" = "Readiness", "x-unit" = "seconds")
    )]
    pub progress_deadline_seconds: u32,
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
            ports: Vec::new(),
            host: None,
            path: "/".to_owned(),
            ingress_class_name: None,
            tls_secret_name: None,
            readiness_path: None,
            readiness_period_seconds: 10,
            min_ready_seconds: 0,
            progress_deadline_seconds: 600,
        }
    }
}
