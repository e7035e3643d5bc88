//! The host against the control plane that `TRAINYARD_TEST_KUBECONFIG` names, a real one above all:
//! how fast it writes jobs, against a bare client that creates the same objects, and how fast the
//! status of a member arrives in a row. Uses what Karmada documents and nothing else, in a namespace
//! of its own, and deletes what it made.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use http::Request;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use training::IdSource as _;
use training::clock::{Clock as _, RandomIds, SystemClock};

use crate::fleet::{as_sent, form, in_parallel};
use crate::process::Host;
use crate::report::{Report, median, percentile, rounds};

/// Names the control plane.
const KUBECONFIG: &str = "TRAINYARD_TEST_KUBECONFIG";
/// Jobs of one side of a round of writing.
const WRITTEN: usize = 30;
/// Rounds of writing.
const ROUNDS: usize = 3;
/// Jobs whose status changes.
const CHANGES: usize = 50;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(3);

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let Some(kubeconfig) = std::env::var_os(KUBECONFIG).filter(|path| !path.is_empty()) else {
        eprintln!("control-plane: skipped, because {KUBECONFIG} names none");
        return Ok(());
    };
    eprintln!("control-plane: that of {}", kubeconfig.display());
    let field = Field::new(PathBuf::from(kubeconfig)).await?;
    let measured = field.measure(report).await;
    // Also after a failure, which is the more interesting of the two.
    let cleaned = field.clean_up().await;
    measured.and(cleaned)
}

/// The control plane, and a database for the hosts on it.
struct Field {
    kubeconfig: PathBuf,
    client: kube::Client,
    namespace: String,
    database: SqlitePool,
    dir: tempfile::TempDir,
}

impl Field {
    async fn new(kubeconfig: PathBuf) -> anyhow::Result<Self> {
        // An error means that a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let read = kube::config::Kubeconfig::read_from(&kubeconfig)?;
        let config = kube::Config::from_custom_kubeconfig(read, &Default::default()).await?;
        let dir = tempfile::tempdir()?;
        let file = SqliteConnectOptions::new().filename(dir.path().join("jobs.db"));
        let field = Self {
            kubeconfig,
            client: kube::Client::try_from(config)?,
            namespace: format!("trainyard-bench-{:08x}", RandomIds.next()),
            // The first host makes the file.
            database: SqlitePool::connect_lazy_with(file.read_only(true)),
            dir,
        };
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": field.namespace },
        });
        send(&field.client, "POST", "/api/v1/namespaces", Some(&namespace)).await?;
        Ok(field)
    }

    async fn host(&self, loops: bool) -> anyhow::Result<Host> {
        let url = format!("sqlite://{}", self.dir.path().join("jobs.db").display());
        let loops = if loops { "true" } else { "false" };
        let settings = [("TRAINYARD__RECONCILE__ENABLED", loops)];
        Host::start(self.dir.path(), &self.kubeconfig, &url, &settings).await
    }

    /// Jobs that are not written yet.
    async fn queued(&self) -> anyhow::Result<usize> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM jobs WHERE phase = 'Queued'")
            .fetch_one(&self.database)
            .await?;
        Ok(usize::try_from(count)?)
    }

    async fn measure(&self, report: &mut Report) -> anyhow::Result<()> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let rounds = rounds(ROUNDS);
        let mut host = None;
        for round in 0..rounds {
            let numbers = round * WRITTEN..(round + 1) * WRITTEN;
            drop(host.take());
            let (next, rate) = self.host_writes(numbers.clone()).await?;
            host = Some(next);
            ours.push(rate);
            theirs.push(self.client_writes(numbers).await?);
        }
        let (ours, theirs) = (median(&mut ours), median(&mut theirs));
        report.add(
            "named control plane: jobs written per second, per those of a bare client",
            ours / theirs,
            "x",
            ">= 0.8",
            format!("{ours:.0}/s against {theirs:.0}/s, {WRITTEN} jobs at a time"),
        );
        let mut late = Vec::new();
        for number in 0..CHANGES.min(rounds * WRITTEN) {
            late.push(self.change(&name(number)).await?);
        }
        report.add(
            "named control plane: status in the binding to row, p99",
            percentile(&mut late, 99),
            "ms",
            "<= 250",
            format!("p50 {:.0} ms", median(&mut late)),
        );
        Ok(())
    }

    /// Has jobs accepted by a host without loops, and written by one with them; that one, and the
    /// jobs per second from the first to the last.
    async fn host_writes(&self, numbers: Range<usize>) -> anyhow::Result<(Host, f64)> {
        let host = self.host(false).await?;
        let (url, client) = (format!("{}/api/v1/jobs", host.url), reqwest::Client::new());
        let namespace = self.namespace.clone();
        in_parallel(numbers, move |number| {
            let mut form = form(&name(number));
            form["namespace"] = json!(namespace);
            let request = client.post(&url).json(&form);
            async move {
                let answer = request.send().await?;
                let status = answer.status();
                ensure!(status == 201, "{status}: {}", answer.text().await?);
                Ok(())
            }
        })
        .await?;
        drop(host);
        let host = self.host(true).await?;
        let mut first: Option<(Instant, usize)> = None;
        let waiting = Instant::now();
        loop {
            let queued = self.queued().await?;
            match first {
                _ if queued == 0 => break,
                None if queued < WRITTEN => first = Some((Instant::now(), queued)),
                _ => {}
            }
            ensure!(waiting.elapsed() < PATIENCE, "{queued} jobs are not written");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let (started, left) = first.context("all jobs were written at once")?;
        Ok((host, left as f64 / started.elapsed().as_secs_f64()))
    }

    /// Creates what the host wrote, under other names; jobs per second.
    async fn client_writes(&self, numbers: Range<usize>) -> anyhow::Result<f64> {
        let model = name(numbers.start);
        let mut objects = Vec::new();
        for (collection, own) in
            [(self.policies(), format!("{model}-propagation")), (self.jobs(), model.clone())]
        {
            let path = format!("{collection}/{own}");
            let object = get(&self.client, &path).await?.with_context(|| format!("no {path}"))?;
            objects.push((collection, as_sent(object).to_string()));
        }
        let (objects, client) = (Arc::new(objects), self.client.clone());
        let count = numbers.len();
        let started = Instant::now();
        in_parallel(numbers, move |number| {
            let (objects, client, model) = (Arc::clone(&objects), client.clone(), model.clone());
            async move {
                for (collection, text) in &*objects {
                    let text = text.replace(&model, &name(number).replace("bench", "bare"));
                    let object = serde_json::from_str(&text)?;
                    send(&client, "POST", collection, Some(&object)).await?;
                }
                Ok(())
            }
        })
        .await?;
        Ok(count as f64 / started.elapsed().as_secs_f64())
    }

    /// Milliseconds from Karmada's binding to the row, after a program is said to run on its member.
    async fn change(&self, job: &str) -> anyhow::Result<f64> {
        let placement: String = sqlx::query_scalar("SELECT placement FROM jobs WHERE name = $1")
            .bind(job)
            .fetch_one(&self.database)
            .await?;
        let placement: Value = serde_json::from_str(&placement)?;
        let member = placement["clusters"][0].as_str().context("a cluster")?;
        let proxy = format!("/apis/cluster.karmada.io/v1alpha1/clusters/{member}/proxy");
        let path = format!("{proxy}{}/{job}", self.jobs());
        let started = Instant::now();
        while get(&self.client, &path).await?.is_none() {
            ensure!(started.elapsed() < PATIENCE, "{job} is not on {member}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let now = SystemClock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let status = json!({ "status": { "startTime": now, "active": 1, "ready": 1 } });
        send(&self.client, "PATCH", &format!("{path}/status"), Some(&status)).await?;
        let namespace = &self.namespace;
        let binding = format!(
            "/apis/work.karmada.io/v1alpha2/namespaces/{namespace}/resourcebindings/{job}-job"
        );
        let bound_at = loop {
            let binding = get(&self.client, &binding).await?.unwrap_or_default();
            let reported = binding.pointer("/status/aggregatedStatus").and_then(Value::as_array);
            if reported.is_some_and(|all| all.iter().any(|one| one["status"]["active"] == 1)) {
                break SystemClock.now();
            }
            ensure!(started.elapsed() < PATIENCE, "the binding of {job} never says that it runs");
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        loop {
            let written: Option<i64> = sqlx::query_scalar(
                "SELECT updated_at FROM jobs WHERE name = $1 AND phase = 'Running'",
            )
            .bind(job)
            .fetch_optional(&self.database)
            .await?;
            if let Some(written) = written {
                // The row may have been faster than this look at the binding.
                return Ok(((written - bound_at.as_microsecond()) as f64 / 1e3).max(0.0));
            }
            ensure!(started.elapsed() < PATIENCE, "the row of {job} never says that it runs");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Deletes the jobs before the policies that take them off the members, and then the namespace.
    async fn clean_up(&self) -> anyhow::Result<()> {
        for collection in [self.jobs(), self.policies()] {
            let started = Instant::now();
            loop {
                let left = get(&self.client, &collection).await?.unwrap_or_default();
                let left = left["items"].as_array().cloned().unwrap_or_default();
                if left.is_empty() {
                    break;
                }
                ensure!(started.elapsed() < PATIENCE, "{} objects stay", left.len());
                for object in left {
                    let own = object["metadata"]["name"].as_str().context("a name")?;
                    let path = format!("{collection}/{own}?propagationPolicy=Background");
                    send(&self.client, "DELETE", &path, None).await?;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        let path = format!("/api/v1/namespaces/{}", self.namespace);
        send(&self.client, "DELETE", &path, None).await?;
        Ok(())
    }

    fn jobs(&self) -> String {
        format!("/apis/batch/v1/namespaces/{}/jobs", self.namespace)
    }

    fn policies(&self) -> String {
        let namespace = &self.namespace;
        format!("/apis/policy.karmada.io/v1alpha1/namespaces/{namespace}/propagationpolicies")
    }
}

fn name(number: usize) -> String {
    format!("bench-{number:06}")
}

async fn get(client: &kube::Client, path: &str) -> anyhow::Result<Option<Value>> {
    send(client, "GET", path, None).await
}

/// One request; `None` if there is no such thing.
async fn send(
    client: &kube::Client,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Option<Value>> {
    let media = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let request = Request::builder().method(method).uri(path).header("content-type", media);
    let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    match client.request_text(request.body(bytes)?).await {
        Ok(text) => Ok(Some(serde_json::from_str(&text).unwrap_or(Value::String(text)))),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{method} {path}")),
    }
}
