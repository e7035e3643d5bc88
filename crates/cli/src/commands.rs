//! What each verb does.

mod clusters;
mod import;
mod lifecycle;
mod logs;
mod plugins;

use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use api_types::{
    EventView, ExplanationView, JobView, Phase, StatusView, Verdict, VerificationItem,
    VerificationView,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::args::{Args, Command, Form, Output, Volumes};
use crate::client::{Client, Failure, segment};
use crate::printer;

/// Pause between two looks at a job.
const PAUSE: Duration = Duration::from_secs(1);

/// How often a submission is tried while its outcome is unclear.
const TRIES: u32 = 3;

const JOBS: &str = "/api/v1/jobs";

pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let output = args.output();
    match &args.command {
        Command::Submit { form, idempotency_key, wait } => {
            submit(&client, output, form, idempotency_key.as_deref(), *wait).await
        }
        Command::Render { form } => {
            let answer = client.post("/api/v1/render", read(&form.file)?, None).await?;
            printer::json(&answer);
            Ok(())
        }
        Command::Import(command) => import::run(&client, output, command).await,
        Command::List { namespace, limit } => {
            list(&client, output, namespace.as_deref(), *limit).await
        }
        Command::Get { id } => {
            let answer = client.get(&job_path(id)).await?;
            show_job(output, &answer)
        }
        Command::Status { id, watch: false } => {
            let answer = client.get(&format!("{}/status", job_path(id))).await?;
            show_status(output, &answer)
        }
        Command::Status { id, watch: true } => follow(&client, output, id).await.map(drop),
        Command::Explain { id } => explain(&client, output, id).await,
        Command::Events { id } => events(&client, output, id).await,
        Command::Logs(wanted) => logs::run(&client, output, wanted).await,
        Command::Manifests { id } => {
            let answer = client.get(&format!("{}/manifests", job_path(id))).await?;
            printer::json(&answer);
            Ok(())
        }
        Command::Cancel { id } => {
            let path = format!("{}/cancel", job_path(id));
            let answer = client.post(&path, "{}".to_owned(), None).await?;
            show_job(output, &answer)
        }
        Command::Suspend { id } => lifecycle::wish(&client, output, id, "suspend").await,
        Command::Resume { id } => lifecycle::wish(&client, output, id, "resume").await,
        Command::Retry { id, name } => lifecycle::retry(&client, output, id, name.as_deref()).await,
        Command::Attempts { id } => lifecycle::attempts(&client, output, id).await,
        Command::Clone { id, name, set } => {
            lifecycle::copy(&client, output, id, name, set.as_deref()).await
        }
        Command::Abandon { id, clusters, actor } => {
            lifecycle::abandon(&client, output, id, clusters, actor.as_deref()).await
        }
        Command::Delete { id, volumes } => {
            let volumes = match volumes {
                Volumes::Keep => "keep",
                Volumes::Delete => "delete",
            };
            let answer = client.delete(&format!("{}?volumes={volumes}", job_path(id))).await?;
            show_message(output, &answer);
            Ok(())
        }
        Command::Verify { id } => verify(&client, output, id).await,
        Command::Clusters => clusters::list(&client, output).await,
        Command::Algorithms => algorithms(&client, output).await,
        Command::Schema { algorithm } => {
            let path = format!("/api/v1/algorithms/{}/schema", segment(algorithm));
            printer::json(&client.get(&path).await?);
            Ok(())
        }
        Command::Plugins(plugins) => plugins::run(&client, output, plugins).await,
    }
}

fn job_path(id: &str) -> String {
    format!("{JOBS}/{}", segment(id))
}

/// Reads a form; it is sent as it stands, so that the host sees exactly what the user wrote.
fn read(file: &Path) -> Result<String, Failure> {
    let unreadable =
        |error: std::io::Error| Failure::Input(format!("cannot read {}: {error}", file.display()));
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(unreadable)?;
        return Ok(text);
    }
    std::fs::read_to_string(file).map_err(unreadable)
}

/// Reads an answer as a wire type. A newer host may have changed what an older client knows.
fn typed<T: DeserializeOwned>(answer: &Value) -> Result<T, Failure> {
    T::deserialize(answer)
        .map_err(|error| Failure::Transport(format!("the answer cannot be read: {error}")))
}

/// What was made by a submission.
fn show_new(output: Output, answer: &Value, job: &JobView) {
    if output == Output::Json {
        printer::json(answer);
    } else {
        printer::line(&job.id);
        printer::talk(&format!("hint: `trainyard status {} --watch` follows it", job.id));
    }
}

async fn submit(
    client: &Client,
    output: Output,
    form: &Form,
    key: Option<&str>,
    wait: bool,
) -> Result<(), Failure> {
    let key = key.map_or_else(random_key, str::to_owned);
    let answer = submit_to(client, JOBS, &read(&form.file)?, &key).await?;
    let job: JobView = typed(&answer)?;
    for warning in &job.warnings {
        printer::talk(&format!("warning: {warning}"));
    }
    if !wait {
        show_new(output, &answer, &job);
        return Ok(());
    }
    let status = follow(client, output, &job.id).await?;
    if status.phase == Phase::Succeeded {
        return Ok(());
    }
    Err(Failure::Job(format!("job {} is {}: {}", job.id, status.phase, status.message)))
}

/// Tries again while nobody knows whether the job was accepted; the key makes that safe.
async fn submit_to(client: &Client, path: &str, form: &str, key: &str) -> Result<Value, Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        let failure = match client.post(path, form.to_owned(), Some(key)).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let unclear = match &failure {
            Failure::Transport(_) => true,
            Failure::Problem(problem) => matches!(problem.status, 503 | 504),
            Failure::Input(_) | Failure::Job(_) => false,
        };
        if !unclear || tries == TRIES {
            return Err(failure);
        }
        printer::talk("no clear answer yet, trying again");
        tokio::time::sleep(PAUSE).await;
    }
}

fn written(body: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(body).map_err(|error| Failure::Input(error.to_string()))
}

/// 64 random bits; the standard library draws them for each new hasher state.
fn random_key() -> String {
    let bits = std::hash::RandomState::new().build_hasher().finish();
    format!("trainyard-{bits:016x}")
}

/// Prints each new state of a job until it is over.
async fn follow(client: &Client, output: Output, id: &str) -> Result<StatusView, Failure> {
    let path = format!("{}/status", job_path(id));
    let mut last = Value::Null;
    loop {
        let answer = client.get(&path).await?;
        let status: StatusView = typed(&answer)?;
        if answer != last {
            if output == Output::Json {
                printer::line(&answer.to_string());
            } else {
                printer::line(&format!(
                    "{:<10} {} {}",
                    status.phase, status.reason, status.message
                ));
            }
        }
        if status.phase.is_terminal() {
            return Ok(status);
        }
        last = answer;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn list(
    client: &Client,
    output: Output,
    namespace: Option<&str>,
    limit: u32,
) -> Result<(), Failure> {
    let mut path = format!("{JOBS}?limit={limit}");
    if let Some(namespace) = namespace {
        path = format!("{path}&namespace={}", segment(namespace));
    }
    let answer = client.get(&path).await?;
    if output == Output::Json {
        printer::json(&answer);
        return Ok(());
    }
    let jobs: Vec<JobView> = typed(&answer)?;
    let rows = jobs
        .into_iter()
        .map(|job| {
            let clusters = job.clusters.join(",");
            vec![
                job.id,
                job.namespace,
                job.algorithm_alias.unwrap_or(job.algorithm),
                job.phase.to_string(),
                clusters,
                job.created_at,
            ]
        })
        .collect();
    printer::table(&["ID", "NAMESPACE", "ALGORITHM", "PHASE", "CLUSTERS", "CREATED"], rows);
    Ok(())
}

fn show_job(output: Output, answer: &Value) -> Result<(), Failure> {
    if output == Output::Json {
        printer::json(answer);
        return Ok(());
    }
    let job: JobView = typed(answer)?;
    let algorithm = match job.algorithm_alias {
        Some(alias) => format!("{} (as {alias})", job.algorithm),
        None => job.algorithm,
    };
    let mut rows = vec![
        ("id", job.id),
        ("namespace", job.namespace),
        ("algorithm", algorithm),
        ("priority", job.priority.to_string()),
        ("phase", job.phase.to_string()),
        ("lifecycle", job.lifecycle.to_string()),
        ("attempt", job.attempt.to_string()),
        ("reason", job.reason),
        ("message", job.message),
        ("explained", job.explanation),
        ("clusters", job.clusters.join(",")),
        ("plugin", format!("{} {}", job.plugin.name, job.plugin.version)),
        ("created", job.created_at),
    ];
    for (name, time) in [
        ("submitted", job.submitted_at),
        ("started", job.started_at),
        ("finished", job.finished_at),
    ] {
        rows.extend(time.map(|time| (name, time)));
    }
    if job.restarts > 0 {
        rows.push(("restarts", job.restarts.to_string()));
    }
    if let Some(why) = job.placement_reason {
        rows.push(("placement", why));
    }
    for (name, value) in rows {
        printer::line(&format!("{name:<10} {value}"));
    }
    Ok(())
}

fn show_status(output: Output, answer: &Value) -> Result<(), Failure> {
    if output == Output::Json {
        printer::json(answer);
        return Ok(());
    }
    let status: StatusView = typed(answer)?;
    printer::line(&format!("{:<10} {} {}", status.phase, status.reason, status.message));
    Ok(())
}

async fn verify(client: &Client, output: Output, id: &str) -> Result<(), Failure> {
    let path = format!("{}/verify", job_path(id));
    let answer = client.post(&path, "{}".to_owned(), None).await?;
    let verification: VerificationView = typed(&answer)?;
    if output == Output::Json {
        printer::json(&answer);
    } else {
        let row = |item: &VerificationItem| {
            vec![item.name.clone(), item.verdict.to_string(), item.message.clone()]
        };
        let rows = verification.items.iter().map(row).collect();
        printer::table(&["WHAT", "VERDICT", "MEANING"], rows);
    }
    if verification.verdict == Verdict::Different {
        return Err(Failure::Job(format!(
            "job {id} is not what plugin `{}` {} makes of its form now",
            verification.plugin_name, verification.plugin_version
        )));
    }
    Ok(())
}

fn show_message(output: Output, answer: &Value) {
    match answer.get("message").and_then(Value::as_str) {
        Some(message) if output == Output::Table => printer::line(message),
        _ => printer::json(answer),
    }
}

/// The sentence first, then the evidence. The host takes its time when a cluster hangs.
async fn explain(client: &Client, output: Output, id: &str) -> Result<(), Failure> {
    let answer = client.get(&format!("{}/explain", job_path(id))).await?;
    if output == Output::Json {
        printer::json(&answer);
        return Ok(());
    }
    let explanation: ExplanationView = typed(&answer)?;
    printer::line(explanation.to_string().trim_end());
    Ok(())
}

async fn events(client: &Client, output: Output, id: &str) -> Result<(), Failure> {
    let answer = client.get(&format!("{}/events", job_path(id))).await?;
    if output == Output::Json {
        printer::json(&answer);
        return Ok(());
    }
    let events: Vec<EventView> = typed(answer.get("events").unwrap_or(&answer))?;
    let rows = events
        .into_iter()
        .map(|event| {
            vec![
                event.seq.to_string(),
                event.at,
                event.kind,
                event.to.to_string(),
                event.reason,
                event.message,
            ]
        })
        .collect();
    printer::table(&["#", "AT", "EVENT", "PHASE", "REASON", "MESSAGE"], rows);
    Ok(())
}

async fn algorithms(client: &Client, output: Output) -> Result<(), Failure> {
    let answer = client.get("/api/v1/algorithms").await?;
    if output == Output::Json {
        printer::json(&answer);
        return Ok(());
    }
    let list: Vec<api_types::AlgorithmView> = typed(answer.get("algorithms").unwrap_or(&answer))?;
    let rows = list
        .into_iter()
        .map(|algorithm| {
            vec![
                algorithm.name,
                algorithm.aliases.join(","),
                format!("{} {}", algorithm.plugin.name, algorithm.plugin.version),
                algorithm.summary,
            ]
        })
        .collect();
    printer::table(&["NAME", "ALIASES", "PLUGIN", "SUMMARY"], rows);
    Ok(())
}
