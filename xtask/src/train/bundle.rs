//! From the manifests of a job to its pods: command, variables and volumes of each, as Kubernetes
//! would make them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

/// Values behind the references to Secrets, by key. The plugins' settings name the keys.
const SECRETS: [(&str, &str); 2] =
    [("access-key", "an access key"), ("secret-key", "a secret key")];

/// What `fieldRef` names where a Job counts its pods.
const INDEX_PATH: &str = "metadata.annotations['batch.kubernetes.io/job-completion-index']";

/// One container that trains.
#[derive(Debug, PartialEq)]
pub(super) struct Pod {
    /// What other pods call it; nothing where there is one.
    pub(super) host: Option<String>,
    pub(super) command: Vec<String>,
    /// In the order of the manifest, resolved.
    pub(super) env: Vec<(String, String)>,
    /// Paths and what is mounted there. Pods that name the same claim share it.
    pub(super) mounts: Vec<Mount>,
    /// Ports that the container declares.
    pub(super) ports: Vec<u16>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mount {
    pub(super) path: String,
    /// The claim; an empty folder otherwise.
    pub(super) claim: Option<String>,
}

impl Pod {
    /// Sets a variable, whatever it was.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        for (_, old) in self.env.iter_mut().filter(|(known, _)| known == name) {
            value.clone_into(old);
        }
    }
}

/// The pods of a bundle, in the order of their numbers.
pub(super) fn pods(documents: &[Value]) -> Result<Vec<Pod>> {
    for document in documents {
        match text(document, "/kind")? {
            "Job" => return of_job(document),
            "RayJob" => return Ok(vec![of_ray_job(document)?]),
            _ => {}
        }
    }
    bail!("the bundle has no workload that this command knows")
}

fn of_job(document: &Value) -> Result<Vec<Pod>> {
    let count = document.pointer("/spec/completions").and_then(Value::as_u64).unwrap_or(1);
    let pod = document.pointer("/spec/template/spec").context("the Job has no pod")?;
    let name = text(document, "/metadata/name")?;
    let subdomain = pod.get("subdomain").and_then(Value::as_str);
    (0..count)
        .map(|index| {
            let container = pod.pointer("/containers/0").context("the pod has no container")?;
            let mut command = words(container, "command");
            command.extend(words(container, "args"));
            let host = subdomain.map(|domain| format!("{name}-{index}.{domain}"));
            let env = environment(container, index)?;
            // Kubernetes puts variables into the command, too.
            let command = command.iter().map(|word| resolve(word, &env)).collect();
            Ok(Pod { host, command, env, mounts: mounts(pod, container), ports: ports(container) })
        })
        .collect()
}

/// The driver of a Ray job as a plain program: with one worker the training needs no cluster. Its
/// variables are those of the head's container, and over them those of the runtime environment.
fn of_ray_job(document: &Value) -> Result<Pod> {
    #[derive(Deserialize)]
    struct RuntimeEnv {
        env_vars: BTreeMap<String, String>,
    }

    let pod = document
        .pointer("/spec/rayClusterSpec/headGroupSpec/template/spec")
        .context("the RayJob has no head")?;
    let container = pod.pointer("/containers/0").context("the head has no container")?;
    let mut env = environment(container, 0)?;
    let runtime: RuntimeEnv = serde_saphyr::from_str(text(document, "/spec/runtimeEnvYAML")?)
        .context("the runtime environment cannot be read")?;
    env.extend(runtime.env_vars);
    let line = text(document, "/spec/entrypoint")?;
    let command = ["/bin/sh", "-c", line].map(str::to_owned).to_vec();
    Ok(Pod { host: None, command, env, mounts: mounts(pod, container), ports: Vec::new() })
}

fn environment(container: &Value, index: u64) -> Result<Vec<(String, String)>> {
    let mut env: Vec<(String, String)> = Vec::new();
    for variable in container.get("env").and_then(Value::as_array).into_iter().flatten() {
        let name = text(variable, "/name")?;
        let value = match variable.get("value").and_then(Value::as_str) {
            Some(value) => resolve(value, &env),
            None => referred(variable, index).with_context(|| format!("the variable {name}"))?,
        };
        env.push((name.to_owned(), value));
    }
    Ok(env)
}

fn referred(variable: &Value, index: u64) -> Result<String> {
    if let Some(path) = variable.pointer("/valueFrom/fieldRef/fieldPath").and_then(Value::as_str) {
        if path != INDEX_PATH {
            bail!("this command does not know the field {path}");
        }
        return Ok(index.to_string());
    }
    let key = text(variable, "/valueFrom/secretKeyRef/key")?;
    let secret = SECRETS.into_iter().find(|(known, _)| *known == key);
    secret
        .map(|(_, value)| value.to_owned())
        .with_context(|| format!("no Secret has the key {key}"))
}

/// Puts earlier variables in, as Kubernetes does: `$(NAME)` is replaced if it is known, and `$$`
/// is a dollar sign.
fn resolve(text: &str, env: &[(String, String)]) -> String {
    let mut resolved = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        resolved.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let named = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        if let Some(after) = after.strip_prefix('$') {
            resolved.push('$');
            rest = after;
        } else if let Some((name, after)) = named {
            match env.iter().rev().find(|(known, _)| known == name) {
                Some((_, value)) => resolved.push_str(value),
                None => resolved.push_str(&rest[at..rest.len() - after.len()]),
            }
            rest = after;
        } else {
            resolved.push('$');
            rest = after;
        }
    }
    resolved + rest
}

fn mounts(pod: &Value, container: &Value) -> Vec<Mount> {
    let list = |of: &Value, name: &str| of.get(name).and_then(Value::as_array).cloned();
    let volumes = list(pod, "volumes").unwrap_or_default();
    let claim = |mount: &Value| {
        let volume = volumes.iter().find(|volume| volume.get("name") == mount.get("name"))?;
        volume.pointer("/persistentVolumeClaim/claimName")?.as_str().map(str::to_owned)
    };
    let mounted = list(container, "volumeMounts").unwrap_or_default();
    let path = |mount: &Value| Some(mount.get("mountPath")?.as_str()?.to_owned());
    mounted
        .iter()
        .filter_map(|mount| Some(Mount { path: path(mount)?, claim: claim(mount) }))
        // The shared memory of this machine serves as well.
        .filter(|mount| mount.path != "/dev/shm")
        .collect()
}

fn ports(container: &Value) -> Vec<u16> {
    let ports = container.get("ports").and_then(Value::as_array).into_iter().flatten();
    ports.filter_map(|port| port.get("containerPort")?.as_u64()?.try_into().ok()).collect()
}

fn words(container: &Value, name: &str) -> Vec<String> {
    let words = container.get(name).and_then(Value::as_array).into_iter().flatten();
    words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .with_context(|| format!("there is no text at {pointer} of a manifest"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_are_resolved_as_kubernetes_does_it() {
        let env = [("A".to_owned(), "1".to_owned())];
        for (text, resolved) in [
            ("$(A)", "1"),
            ("<$(A)>$(A)", "<1>1"),
            ("$(B)", "$(B)"),
            ("$$(A)", "$(A)"),
            ("$A $", "$A $"),
            ("$(A", "$(A"),
        ] {
            assert_eq!(resolve(text, &env), resolved, "{text}");
        }
    }

    #[test]
    fn pods_of_a_job_know_their_numbers() {
        let job = json!({
            "kind": "Job",
            "metadata": { "name": "j" },
            "spec": { "completions": 2, "template": { "spec": {
                "subdomain": "j-pods",
                "volumes": [{ "name": "r", "persistentVolumeClaim": { "claimName": "c" } }],
                "containers": [{
                    "command": ["sh", "-c", "run $(N)"],
                    "env": [
                        { "name": "N", "valueFrom": { "fieldRef": { "fieldPath": INDEX_PATH } } },
                        { "name": "M", "value": "at $(N)" },
                        { "name": "K", "valueFrom": { "secretKeyRef": { "key": "access-key" } } },
                    ],
                    "volumeMounts": [{ "name": "r", "mountPath": "/results" }],
                    "ports": [{ "containerPort": 7 }],
                }],
            } } },
        });
        let pods = pods(&[json!({ "kind": "Service" }), job]).unwrap();
        assert_eq!(pods.len(), 2);
        let second = pods.last().unwrap();
        assert_eq!(second.host.as_deref(), Some("j-1.j-pods"));
        assert_eq!(second.command, ["sh", "-c", "run 1"]);
        let values: Vec<&str> = second.env.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["1", "at 1", "an access key"]);
        let claim = Some("c".to_owned());
        assert_eq!(second.mounts, [Mount { path: "/results".to_owned(), claim }]);
        assert_eq!(second.ports, [7]);
    }

    #[test]
    fn what_cannot_be_followed_is_an_error() {
        let container = json!({ "env": [{ "name": "A", "valueFrom": {
            "secretKeyRef": { "key": "unknown" } } }] });
        assert!(environment(&container, 0).is_err());
        assert!(pods(&[json!({ "kind": "Deployment" })]).is_err());
    }
}
