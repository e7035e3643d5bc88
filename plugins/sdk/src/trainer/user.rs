//! Commands and variables that users write themselves, for plugins that run any program.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::custom::is_env_name;
use crate::manifest::pod::Variable;
use crate::{Findings, secrets, segment};

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct SecretKey {
    /// Name of the Secret, in the namespace of the job.
    #[schemars(title = "Secret", regex(pattern = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"))]
    pub secret: String,
    /// Key within it.
    #[schemars(title = "Key", regex(pattern = "^[-._a-zA-Z0-9]{1,253}$"))]
    pub key: String,
}

/// Variables of a user, and the names of the hyperparameters that hold them.
#[derive(Clone, Copy, Debug)]
pub struct UserVariables<'a> {
    /// Variables with values that anybody may read.
    pub plain: (&'static str, &'a BTreeMap<String, String>),
    /// Variables with values from Secrets; none: the plugin offers no such thing.
    pub secret: Option<(&'static str, &'a BTreeMap<String, SecretKey>)>,
}

impl<'a> UserVariables<'a> {
    /// The variables, for the environment of a container.
    pub fn variables(&self) -> Vec<Variable<'a>> {
        let plain = self.plain.1.iter();
        let mut env: Vec<Variable<'a>> =
            plain.map(|(name, text)| Variable::literal(&**name, &**text)).collect();
        let secret = self.secret.map(|(_, variables)| variables).into_iter().flatten();
        env.extend(secret.map(|(name, from)| Variable::secret(&**name, &from.secret, &from.key)));
        env
    }

    /// Checks names and values. `platform` are the variables that are there already.
    pub fn check(&self, platform: &[Variable<'_>], findings: &mut Findings) {
        let (group, plain) = self.plain;
        for (name, text) in plain {
            let field = format!("{group}/{}", segment(name));
            if check_name(name, &field, platform, findings) && secrets::is_secret(name, text) {
                let remedy = match self.secret {
                    Some((secrets, _)) => {
                        format!(
                            "Put it into a Secret of the namespace, and the name into `{secrets}`."
                        )
                    }
                    None => "Let the program read it from a Secret.".to_owned(),
                };
                findings.add(
                    &field,
                    "secret-literal",
                    format!("The value would stand in the job's record and manifests. {remedy}"),
                );
            }
        }
        let Some((group, secret)) = self.secret else { return };
        for name in secret.keys() {
            let field = format!("{group}/{}", segment(name));
            if check_name(name, &field, platform, findings) && plain.contains_key(name) {
                let message = format!("The same variable stands in `{}` as well.", self.plain.0);
                findings.add(&field, "duplicate", message);
            }
        }
    }
}

fn check_name(name: &str, field: &str, platform: &[Variable<'_>], findings: &mut Findings) -> bool {
    if !is_env_name(name) {
        findings.add(
            field,
            "invalid",
            "A variable's name has letters, digits and `_`, and does not start with a digit.",
        );
    } else if platform.iter().any(|variable| variable.name() == name) {
        let message = format!("The platform itself writes the variable `{name}`.");
        findings.add(field, "reserved-name", message);
    } else {
        return true;
    }
    false
}

/// A command of words, as `command` and `args` of a container have it, against the one line of the
/// form and for secrets.
#[derive(Clone, Copy, Debug)]
pub struct UserCommand<'a> {
    /// The program and its arguments.
    pub command: &'a [String],
    /// Arguments alone.
    pub args: &'a [String],
    /// The entrypoint of the form.
    pub form_line: Option<&'a str>,
    /// The entrypoint that would be used, of the form or of the operator.
    pub line: Option<&'a str>,
}

impl UserCommand<'_> {
    /// Checks the hyperparameters `command` and `args`.
    pub fn check(&self, findings: &mut Findings) {
        let form_line = self.form_line.is_some_and(|line| !line.is_empty());
        if form_line && !self.command.is_empty() {
            findings.conflict(
                "command",
                "The form has an `entrypoint` as well: use one of the two, the entrypoint for a \
                 line that a shell reads.",
            );
        }
        if !self.args.is_empty() && self.command.is_empty() && self.line.is_some() {
            findings.conflict(
                "args",
                "The entrypoint is one line with its arguments: write them there, or use `command`.",
            );
        }
        for (field, words) in [("command", self.command), ("args", self.args)] {
            if secrets::in_command(&words.join("\n")) {
                findings.add(
                    field,
                    "secret-literal",
                    "It holds a secret, which would stand in the job's record and manifests. Let \
                     the program read it from a variable that comes from a Secret.",
                );
            }
        }
    }
}
