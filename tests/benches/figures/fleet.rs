//! Many jobs at once: what they cost while nothing happens, how fast a change arrives in its row, and
//! how fast jobs are written, against a bare client that writes the same objects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use karmada_sandbox::Sandbox;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use training::clock::{Clock as _, SystemClock};

use crate::process::{Ground, Host};
use crate::report::{Report, median, percentile};

/// Jobs that run at once.
const SIZES: [usize; 2] = [1_000, 10_000];
/// Changes that are timed at each size.
const CHANGES: usize = 300;
/// How long jobs are left alone.
const REST: Duration = Duration::from_secs(60);
/// Writers at once, as many as the host has.
const WRITERS: usize = 16;
/// Jobs of one side of a round of writing.
const WRITTEN: usize = 200;
/// Rounds of writing.
const ROUNDS: usize = 5;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(10);

const NAMESPACE: &str = "default";
const BINDINGS: &str = "work.karmada.io/v1alpha2";

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    eprintln!("fleet:");
    many(report).await?;
    writing(report).await
}

/// The host, the control plane, and the host's database.
struct Field {
    ground: Ground,
    host: Host,
    database: SqlitePool,
}

impl Field {
    async fn new() -> anyhow::Result<Self> {
        let ground = Ground::new().await?;
        let path = ground.dir.path().join("fleet.db");
        let host = ground.host(&format!("sqlite://{}", path.display())).await?;
        let read_only = SqliteConnectOptions::new().filename(&path).read_only(true);
        let database = SqlitePool::connect_with(read_only).await?;
        // On the control plane, from where it reaches the members.
        let key = "sandbox.trainyard.dev/duration-seconds";
        ground.sandbox.faults().annotate(None, "Job", "*", key, "1000000");
        Ok(Self { ground, host, database })
    }

    fn sandbox(&self) -> &Sandbox {
        &self.ground.sandbox
    }

    async fn count(&self, phase: &str) -> anyhow::Result<usize> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM jobs WHERE phase = $1")
            .bind(phase)
            .fetch_one(&self.database)
            .await?;
        Ok(usize::try_from(count)?)
    }

    async fn until_running(&self, jobs: usize) -> anyhow::Result<()> {
        let started = Instant::now();
        while self.count("Running").await? < jobs {
            ensure!(started.elapsed() < PATIENCE, "not all of {jobs} jobs run");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Submits jobs with these numbers.
    async fn submit(&self, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
        let url = Arc::<str>::from(format!("{}/api/v1/jobs", self.host.url));
        let client = reqwest::Client::new();
        in_parallel(numbers, move |number| {
            let (client, url) = (client.clone(), Arc::clone(&url));
            async move {
                loop {
                    let answer = client.post(&*url).json(&form(&name(number))).send().await?;
                    let status = answer.status();
                    if status == 201 {
                        return Ok(());
                    }
                    // A host that takes no more for now has taken nothing of this.
                    ensure!(status == 503, "{status}: {}", answer.text().await?);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        })
        .await
    }

    async fn stop(self) {
        self.database.close().await;
        drop(self.host);
        self.ground.sandbox.stop().await;
    }
}

fn name(number: usize) -> String {
    format!("fleet-{number:06}")
}

/// The smallest form there is: one container.
pub(crate) fn form(name: &str) -> Value {
    json!({
        "jobName": name,
        "algorithm": {
            "source": "container",
            "algorithmName": "job",
            "imageUri": "docker.io/library/python:3.13-slim",
        },
        "resources": {"instanceResources": {"cpuCores": 1, "memoryGiB": 1}},
        "entrypoint": "python train.py",
    })
}

/// Does something for each number, [`WRITERS`] at a time.
pub(crate) async fn in_parallel<F, T>(
    numbers: std::ops::Range<usize>,
    work: F,
) -> anyhow::Result<()>
where
    F: Fn(usize) -> T + Send + Sync + 'static,
    T: Future<Output = anyhow::Result<()>> + Send,
{
    let (next, work) = (Arc::new(AtomicUsize::new(numbers.start)), Arc::new(work));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let (next, work) = (Arc::clone(&next), Arc::clone(&work));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= numbers.end {
                    return anyhow::Ok(());
                }
                work(number).await?;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

async fn many(report: &mut Report) -> anyhow::Result<()> {
    let field = Field::new().await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let empty = field.host.resident()?;
    let mut there = 0;
    for (jobs, rest, arrival, memory) in [
        (
            SIZES[0],
            ["API calls per job and minute at rest, 1 000 jobs", "host at rest, 1 000 jobs"],
            "status change to row, 1 000 jobs, p99",
            "memory per running job, 1 000 jobs",
        ),
        (
            SIZES[1],
            ["API calls per job and minute at rest, 10 000 jobs", "host at rest, 10 000 jobs"],
            "status change to row, 10 000 jobs, p99",
            "memory per running job, 10 000 jobs",
        ),
    ] {
        let started = Instant::now();
        field.submit(there..jobs).await?;
        field.until_running(jobs - ended(there)).await?;
        let took = started.elapsed().as_secs_f64();
        eprintln!("  {jobs} jobs run after {took:.0} s");
        there = jobs;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let resident = field.host.resident()?;
        report.add(
            memory,
            (resident - empty) * 1024.0 / jobs as f64,
            "KiB",
            if jobs == SIZES[1] { "<= 14" } else { "-" },
            format!("{resident:.0} MiB resident, {empty:.0} MiB without jobs"),
        );
        at_rest(report, &field, jobs, rest).await?;
        changes(report, &field, jobs, arrival).await?;
    }
    reconnect(report, &field).await?;
    field.stop().await;
    Ok(())
}

/// Jobs that were ended when so many had been submitted.
fn ended(submitted: usize) -> usize {
    if submitted == 0 { 0 } else { CHANGES }
}

async fn at_rest(
    report: &mut Report,
    field: &Field,
    jobs: usize,
    [calls, cpu]: [&'static str; 2],
) -> anyhow::Result<()> {
    field.sandbox().clear_audit();
    let (before, started) = (field.host.processor_time()?, Instant::now());
    tokio::time::sleep(REST).await;
    let busy = field.host.processor_time()? - before;
    let share = busy.as_secs_f64() / started.elapsed().as_secs_f64();
    let counts = field.sandbox().request_counts();
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    let sum: u64 = counts.values().sum();
    let goal = if jobs == SIZES[1] { "<= 0.01" } else { "-" };
    let words: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    report.add(calls, sum as f64 / jobs as f64 / minutes, "", goal, words.join(", "));
    report.add(cpu, share * 100.0, "%", "-", "of one core, without the runners".to_owned());
    Ok(())
}

/// Ends jobs in their members, one after the other, and compares when Karmada's binding says so and
/// when the row does.
async fn changes(
    report: &mut Report,
    field: &Field,
    jobs: usize,
    figure: &'static str,
) -> anyhow::Result<()> {
    let (mut late, mut control) = (Vec::new(), Vec::new());
    // From the end of the numbers, so that the next size finds its own.
    for number in (jobs - CHANGES)..jobs {
        let (own, karmada) = change(field, &name(number)).await?;
        late.push(own);
        control.push(karmada);
        // Not in step with anything that rests between rounds.
        tokio::time::sleep(Duration::from_millis(number as u64 * 7 % 50)).await;
    }
    report.add(
        figure,
        percentile(&mut late, 99),
        "ms",
        "<= 250",
        format!(
            "p50 {:.0} ms, after {:.0} ms of the control plane's own",
            median(&mut late),
            median(&mut control)
        ),
    );
    Ok(())
}

/// Milliseconds from the binding to the row, and from the member to the binding.
async fn change(field: &Field, name: &str) -> anyhow::Result<(f64, f64)> {
    let placement: String = sqlx::query_scalar("SELECT placement FROM jobs WHERE name = $1")
        .bind(name)
        .fetch_one(&field.database)
        .await?;
    let placement: Value = serde_json::from_str(&placement)?;
    let cluster = placement["clusters"][0].as_str().context("a cluster")?;
    let status = json!({
        "active": 0, "succeeded": 1, "completionTime": "2026-01-01T00:00:00Z",
        "conditions": [
            {"type": "SuccessCriteriaMet", "status": "True"},
            {"type": "Complete", "status": "True"},
        ],
    });
    let at = Instant::now();
    let found =
        field.sandbox().patch_status(Some(cluster), "batch/v1", "Job", NAMESPACE, name, status);
    ensure!(found, "{name} is not on {cluster}");
    let binding = format!("{name}-job");
    let says_so = |binding: Value| {
        let items = binding.pointer("/status/aggregatedStatus").and_then(Value::as_array).cloned();
        items.into_iter().flatten().any(|item| item["status"]["succeeded"] == 1)
    };
    loop {
        let found = field.sandbox().get(None, BINDINGS, "ResourceBinding", NAMESPACE, &binding);
        if found.is_some_and(says_so) {
            break;
        }
        ensure!(at.elapsed() < PATIENCE, "the binding of {name} never says that it succeeded");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (bound, bound_at) = (at.elapsed(), SystemClock.now());
    loop {
        let written: Option<i64> = sqlx::query_scalar(
            "SELECT updated_at FROM jobs WHERE name = $1 AND phase = 'Succeeded'",
        )
        .bind(name)
        .fetch_optional(&field.database)
        .await?;
        if let Some(written) = written {
            // The row may have been faster than this look at the binding.
            let late = (written - bound_at.as_microsecond()) as f64 / 1e3;
            return Ok((late.max(0.0), bound.as_secs_f64() * 1e3));
        }
        ensure!(at.elapsed() < PATIENCE, "the row of {name} never says that it succeeded");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// From the end of all watches to the row of a job that ended meanwhile.
async fn reconnect(report: &mut Report, field: &Field) -> anyhow::Result<()> {
    let faults = field.sandbox().faults();
    let mut number = SIZES[0];
    for (figure, forget) in [
        ("watches dropped with 10 000 jobs, to row", false),
        ("watches expired with 10 000 jobs, to row", true),
    ] {
        let (mut late, mut calls) = (Vec::new(), 0);
        for _ in 0..9 {
            field.sandbox().clear_audit();
            if forget {
                faults.expire_watches();
            } else {
                faults.drop_watches();
            }
            late.push(change(field, &name(number)).await?.0);
            number += 1;
            calls += field.sandbox().request_counts().values().sum::<u64>();
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        let context =
            format!("slowest {:.0} ms, {calls} calls in 9 rounds", percentile(&mut late, 100));
        report.add(figure, median(&mut late), "ms", "-", context);
    }
    Ok(())
}

/// Jobs that the host writes per second, against a bare client that writes the same objects.
async fn writing(report: &mut Report) -> anyhow::Result<()> {
    let field = Field::new().await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut objects = 0;
    for round in 0..ROUNDS {
        let numbers = round * WRITTEN..(round + 1) * WRITTEN;
        // All are accepted before the first is written.
        field.sandbox().faults().hang("*");
        field.submit(numbers.clone()).await?;
        field.sandbox().clear_audit();
        field.sandbox().faults().clear();
        let key = "sandbox.trainyard.dev/duration-seconds";
        field.sandbox().faults().annotate(None, "Job", "*", key, "1000000");
        let started = Instant::now();
        while field.count("Queued").await? > 0 {
            ensure!(started.elapsed() < PATIENCE, "some jobs are not applied");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ours.push(WRITTEN as f64 / started.elapsed().as_secs_f64());
        field.until_running(numbers.end).await?;

        let written = written(&field, &name(numbers.start))?;
        objects = written.len();
        let (url, client) = (field.sandbox().url(), reqwest::Client::new());
        let written: Arc<[(String, Value)]> = written.into();
        let first = name(numbers.start);
        let started = Instant::now();
        in_parallel(numbers, move |number| {
            let (url, client, written) = (url.clone(), client.clone(), Arc::clone(&written));
            let renamed = name(number).replace("fleet", "bare");
            let first = first.clone();
            async move {
                for (path, object) in &*written {
                    let body = object.to_string().replace(&first, &renamed);
                    let request = client.post(format!("{url}{path}"));
                    let request = request.header("content-type", "application/json").body(body);
                    let answer = request.send().await?;
                    let status = answer.status();
                    let text = answer.text().await?;
                    ensure!(status.is_success(), "POST {path}: {status} {text}");
                }
                Ok(())
            }
        })
        .await?;
        theirs.push(WRITTEN as f64 / started.elapsed().as_secs_f64());
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    report.add(
        "jobs written per second, per those of a bare client",
        ours / theirs,
        "x",
        ">= 0.8",
        format!("{ours:.0}/s against {theirs:.0}/s, {objects} objects each"),
    );
    field.stop().await;
    Ok(())
}

/// What the host wrote of one job: the collection and the object, as it was sent.
fn written(field: &Field, job: &str) -> anyhow::Result<Vec<(String, Value)>> {
    let wrote: BTreeMap<usize, String> = field
        .sandbox()
        .audit()
        .into_iter()
        .filter(|entry| entry.name.starts_with(job) && entry.status < 300)
        .map(|entry| entry.path)
        .enumerate()
        .collect();
    let kinds = [
        ("policy.karmada.io/v1alpha1", "PropagationPolicy", "propagationpolicies"),
        ("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
        ("batch/v1", "Job", "jobs"),
    ];
    let mut objects = Vec::new();
    for path in wrote.values() {
        let Some((version, kind, plural)) =
            kinds.iter().find(|(_, _, plural)| path.contains(&format!("/{plural}")))
        else {
            continue;
        };
        let (collection, last) = path.rsplit_once('/').context("a path")?;
        let named = last != *plural;
        let collection = if named { collection.to_owned() } else { path.clone() };
        for object in field.sandbox().list(None, version, kind) {
            let own = object["metadata"]["name"].as_str().unwrap_or_default();
            if own.starts_with(job) && (!named || own == last) {
                objects.push((collection.clone(), as_sent(object)));
            }
        }
    }
    objects.dedup();
    ensure!(!objects.is_empty(), "the host wrote nothing for {job}");
    Ok(objects)
}

/// Without what the API server added.
pub(crate) fn as_sent(mut object: Value) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            for added in
                ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"]
            {
                metadata.remove(added);
            }
        }
    }
    object
}
