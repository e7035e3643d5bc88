//! What is done to a job between its submission and its end, and after it.

use api_types::{AbandonForm, AttemptList, JobView, RetryForm};
use reqwest::Method;
use serde_json::{Map, Value};

use super::{job_path, random_key, show_job, show_new, submit_to, typed, written};
use crate::args::Output;
use crate::client::{Client, Failure};
use crate::printer;

/// `suspend` or `resume`.
pub(super) async fn wish(
    client: &Client,
    output: Output,
    id: &str,
    verb: &str,
) -> Result<(), Failure> {
    let path = format!("{}/{verb}", job_path(id));
    let answer = client.post(&path, "{}".to_owned(), None).await?;
    show_job(output, &answer)
}

pub(super) async fn retry(
    client: &Client,
    output: Output,
    id: &str,
    name: Option<&str>,
) -> Result<(), Failure> {
    let form = RetryForm { job_name: name.map(str::to_owned) };
    let path = format!("{}/retry", job_path(id));
    make(client, output, &path, &written(&form)?).await
}

pub(super) async fn copy(
    client: &Client,
    output: Output,
    id: &str,
    name: &str,
    set: Option<&str>,
) -> Result<(), Failure> {
    let mut changes: Map<String, Value> = match set {
        Some(text) => serde_json::from_str(text)
            .map_err(|error| Failure::Input(format!("--set is not a JSON object: {error}")))?,
        None => Map::new(),
    };
    changes.insert("jobName".to_owned(), Value::from(name));
    let path = format!("{}/clone", job_path(id));
    make(client, output, &path, &Value::Object(changes).to_string()).await
}

/// Makes a job; repeating it while the outcome is unclear never makes a second one.
async fn make(client: &Client, output: Output, path: &str, body: &str) -> Result<(), Failure> {
    let answer = submit_to(client, path, body, &random_key()).await?;
    let job: JobView = typed(&answer)?;
    show_new(output, &answer, &job);
    Ok(())
}

pub(super) async fn attempts(client: &Client, output: Output, id: &str) -> Result<(), Failure> {
    let answer = client.get(&format!("{}/attempts", job_path(id))).await?;
    if output == Output::Json {
        printer::json(&answer);
        return Ok(());
    }
    let list: AttemptList = typed(&answer)?;
    let row = |job: JobView| {
        vec![job.attempt.to_string(), job.id, job.phase.to_string(), job.created_at, job.message]
    };
    let rows = list.attempts.into_iter().map(row).collect();
    printer::table(&["ATTEMPT", "ID", "PHASE", "CREATED", "MESSAGE"], rows);
    Ok(())
}

pub(super) async fn abandon(
    client: &Client,
    output: Output,
    id: &str,
    clusters: &[String],
    actor: Option<&str>,
) -> Result<(), Failure> {
    let body = written(&AbandonForm { clusters: clusters.to_vec() })?;
    let path = format!("{}/abandon", job_path(id));
    let answer = client.decide(Method::POST, &path, Some(body), actor).await?;
    show_job(output, &answer)
}
