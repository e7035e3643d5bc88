//! The control plane under test, over its HTTP API as `kubectl` uses it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use http::Request;
use serde_json::Value;

use crate::harness::{program, until};

/// Names the control plane to test.
const KUBECONFIG: &str = "TRAINYARD_TEST_KUBECONFIG";

/// How slow the workloads of the sandbox are: none gets anywhere by itself during a test, as none
/// does on a bare API server.
const SANDBOX_SPEED: &str = "0.005";

/// A control plane, and its members through its proxy.
pub(super) struct Target {
    pub(super) kubeconfig: PathBuf,
    client: kube::Client,
    _sandbox: Option<Sandbox>,
}

/// What the API server says to a request that it does not carry out.
pub(super) struct Refused {
    pub(super) code: u16,
    pub(super) message: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}

/// The sandbox's own program.
struct Sandbox(Child);

impl Drop for Sandbox {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Target {
    /// Reaches the control plane that was named, or starts a sandbox.
    pub(super) async fn reach(dir: &Path) -> Self {
        // An error means that a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let named = std::env::var_os(KUBECONFIG).filter(|path| !path.is_empty());
        let (kubeconfig, sandbox) = match named {
            Some(path) => (PathBuf::from(path), None),
            None => {
                let path = dir.join("sandbox.kubeconfig");
                let sandbox = start_sandbox(&path).await;
                (path, Some(sandbox))
            }
        };
        let read = kube::config::Kubeconfig::read_from(&kubeconfig).expect("a kubeconfig");
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(read, &options).await;
        let client = kube::Client::try_from(config.expect("a usable kubeconfig"));
        Self { kubeconfig, client: client.expect("a client"), _sandbox: sandbox }
    }

    /// One request, to the control plane or through it to a member.
    pub(super) async fn send(
        &self,
        method: &str,
        member: Option<&str>,
        path: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Value, Refused> {
        let place = match member {
            Some(name) => format!("/apis/cluster.karmada.io/v1alpha1/clusters/{name}/proxy"),
            None => String::new(),
        };
        let mut request = Request::builder().method(method).uri(format!("{place}{path}"));
        let mut bytes = Vec::new();
        if let Some((media, document)) = body {
            request = request.header("content-type", media);
            bytes = document.to_string().into_bytes();
        }
        let request = request.body(bytes).expect("a request");
        match self.client.request_text(request).await {
            Ok(text) => Ok(serde_json::from_str(&text).unwrap_or(Value::String(text))),
            Err(kube::Error::Api(status)) => {
                Err(Refused { code: status.code, message: status.message.clone() })
            }
            Err(error) => panic!("{method} {place}{path}: {error}"),
        }
    }

    /// An object, or `None` if there is none or nothing of its kind.
    pub(super) async fn get(&self, member: Option<&str>, path: &str) -> Option<Value> {
        match self.send("GET", member, path, None).await {
            Ok(found) => Some(found),
            Err(refused) if refused.code == 404 => None,
            Err(refused) => panic!("GET {path} at {member:?}: {refused}"),
        }
    }

    /// The objects of a list; none of a kind that is not known there.
    pub(super) async fn list(&self, member: Option<&str>, path: &str) -> Vec<Value> {
        let list = self.get(member, path).await.unwrap_or_default();
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// Creates an object; one that is there already will do.
    pub(super) async fn create(&self, member: Option<&str>, path: &str, object: &Value) {
        match self.send("POST", member, path, Some(("application/json", object))).await {
            Ok(_) => {}
            Err(refused) if refused.code == 409 => {}
            Err(refused) => panic!("POST {path} at {member:?}: {refused}"),
        }
    }

    /// A merge patch; `false` if there is no such object.
    pub(super) async fn patch(&self, member: Option<&str>, path: &str, patch: &Value) -> bool {
        let body = Some(("application/merge-patch+json", patch));
        match self.send("PATCH", member, path, body).await {
            Ok(_) => true,
            Err(refused) if refused.code == 404 => false,
            Err(refused) => panic!("PATCH {path} at {member:?}: {refused}"),
        }
    }

    /// Deletes an object or a collection that may be gone.
    pub(super) async fn delete(&self, member: Option<&str>, path: &str) {
        match self.send("DELETE", member, path, None).await {
            Ok(_) => {}
            Err(refused) if matches!(refused.code, 404 | 409) => {}
            Err(refused) => panic!("DELETE {path} at {member:?}: {refused}"),
        }
    }

    /// Every registered member that is ready.
    pub(super) async fn ready_members(&self) -> Vec<String> {
        let clusters = self.list(None, "/apis/cluster.karmada.io/v1alpha1/clusters").await;
        let ready = clusters.iter().filter(|cluster| is_ready(cluster));
        ready.filter_map(|cluster| Some(cluster["metadata"]["name"].as_str()?.to_owned())).collect()
    }
}

/// Whether a `Cluster` is ready.
pub(super) fn is_ready(cluster: &Value) -> bool {
    let conditions = cluster["status"]["conditions"].as_array();
    conditions.is_some_and(|conditions| {
        conditions.iter().any(|each| each["type"] == "Ready" && each["status"] == "True")
    })
}

async fn start_sandbox(kubeconfig: &Path) -> Sandbox {
    let child = Command::new(program("karmada-sandbox"))
        .args(["--listen", "127.0.0.1:0", "--speed", SANDBOX_SPEED, "--kubeconfig-out"])
        .arg(kubeconfig)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    let mut sandbox = Sandbox(child.expect("the sandbox's program runs"));
    until("the sandbox is there", async || {
        let ended = sandbox.0.try_wait().expect("it can be waited for");
        assert_eq!(ended, None, "the sandbox ended");
        std::fs::read(kubeconfig).is_ok_and(|text| text.ends_with(b"}\n"))
    })
    .await;
    sandbox
}
