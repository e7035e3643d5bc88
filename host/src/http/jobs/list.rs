//! `GET /api/v1/jobs`: a bare list of everything, as it always was; with `limit` in pages.

use api_types::{JobPage, JobView, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use training::job::Job;
use training::phase::Phase;
use training::ports::{Audience, ListQuery};
use training::{JobId, Timestamp};

use crate::http::extract::{Query, invalid_parameter};
use crate::http::problem::Failure;
use crate::http::{App, view};

/// A page of this size is about 3 MiB of JSON.
const MAX_LIMIT: u32 = 1000;

#[derive(Deserialize)]
pub(crate) struct Parameters {
    namespace: Option<String>,
    phase: Option<String>,
    status: Option<String>,
    algorithm: Option<String>,
    limit: Option<u32>,
    #[serde(rename = "continue")]
    after: Option<String>,
    #[serde(default)]
    envelope: bool,
}

/// List jobs, newest first
///
/// Without `limit` the answer holds all of them. With it, a header `Link` with `rel="next"` leads
/// to the next page.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs",
    params(
        ("namespace" = Option<String>, Query, description = "Only this namespace"),
        ("phase" = Option<String>, Query, description = "Only these phases, separated by commas"),
        ("status" = Option<String>, Query, description = "Only this word of older clients"),
        ("algorithm" = Option<String>, Query, description = "Only this algorithm, or an alias"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 1000"),
        ("continue" = Option<String>, Query, description = "Opaque; where the last page ended"),
        ("envelope" = Option<bool>, Query,
         description = "Answer with a `JobPage` instead of a bare list"),
    ),
    responses(
        (status = 200, description = "The jobs; a `JobPage` with `envelope=true`",
         body = Vec<JobView>),
        (status = 400, description = "A parameter cannot be used", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_jobs(
    State(app): State<App>,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Failure> {
    let limit = parameters.limit;
    if limit.is_some_and(|limit| !(1..=MAX_LIMIT).contains(&limit)) {
        return Err(invalid_parameter(format!("`limit` must be 1 to {MAX_LIMIT}.")));
    }
    let mut phases = phases(parameters.phase.as_deref())?;
    if let Some(word) = parameters.status.as_deref() {
        phases = with_status(&phases, word)?;
    }
    let after = parameters.after.as_deref().map(|cursor| {
        parse_cursor(cursor).ok_or_else(|| {
            invalid_parameter("`continue` is not a value that an earlier answer gave.")
        })
    });
    // Jobs are stored under the canonical name; an unknown one finds nothing.
    let algorithm = parameters.algorithm.as_ref().map(|name| {
        let plugin = app.plugins().resolve(name, Audience::ANYBODY);
        plugin.map_or_else(|| name.clone(), |plugin| plugin.algorithm().to_owned())
    });
    let query = ListQuery {
        namespace: parameters.namespace.clone().filter(|namespace| !namespace.is_empty()),
        name: None,
        phases,
        algorithm,
        after: after.transpose()?,
        // One more tells whether there is a next page.
        limit: limit.map(|limit| limit + 1),
    };
    let mut jobs = app.store().list(&query).await.map_err(Failure::store)?;
    let next = limit.and_then(|limit| cut(&mut jobs, limit as usize));
    if let Some(word) = parameters.status.as_deref() {
        // A job whose cluster is away keeps the word of its last known phase.
        jobs.retain(|job| view::status(job).as_str() == word);
    }
    let link = next.as_deref().map(|cursor| {
        [(header::LINK, format!("<{}>; rel=\"next\"", next_path(&parameters, cursor)))]
    });
    let items: Vec<JobView> = jobs.into_iter().map(|job| view::job(job, Vec::new())).collect();
    let mut answer = if parameters.envelope {
        Json(JobPage { items, next }).into_response()
    } else {
        Json(items).into_response()
    };
    for (name, value) in link.into_iter().flatten() {
        // The path is escaped, therefore always a header's value.
        answer.headers_mut().extend(value.parse().ok().map(|value| (name, value)));
    }
    Ok(answer)
}

fn phases(words: Option<&str>) -> Result<Vec<Phase>, Failure> {
    let words = words.unwrap_or_default().split(',').filter(|word| !word.is_empty());
    words
        .map(|word| {
            Phase::parse(word).ok_or_else(|| {
                let known: Vec<&str> = Phase::ALL.iter().map(|phase| phase.as_str()).collect();
                invalid_parameter(format!("`phase` must be one of {}.", known.join(", ")))
            })
        })
        .collect()
}

/// The phases that may show as this word, within those asked for.
fn with_status(asked: &[Phase], word: &str) -> Result<Vec<Phase>, Failure> {
    if api_types::JobStatus::parse(word).is_none() {
        return Err(invalid_parameter(
            "`status` must be one of Pending, Running, Succeeded, Failed.",
        ));
    }
    let shows = |phase: &Phase| {
        phase.compat_status(None) == word || phase.compat_status(Some(Phase::Running)) == word
    };
    let asked = if asked.is_empty() { Phase::ALL } else { asked };
    let both: Vec<Phase> = asked.iter().copied().filter(shows).collect();
    if both.is_empty() {
        return Err(invalid_parameter("No job can have this `phase` and this `status` at once."));
    }
    Ok(both)
}

/// Shortens the list to the page and tells where the next one begins, if there is one.
fn cut(jobs: &mut Vec<Job>, limit: usize) -> Option<String> {
    if jobs.len() <= limit {
        return None;
    }
    jobs.truncate(limit);
    jobs.last().map(|job| format!("{}.{}", job.created_at.as_microsecond(), job.id))
}

fn parse_cursor(cursor: &str) -> Option<(Timestamp, JobId)> {
    let (micros, id) = cursor.split_once('.')?;
    let at = Timestamp::from_microsecond(micros.parse().ok()?).ok()?;
    Some((at, JobId::parse(id).ok()?))
}

fn next_path(parameters: &Parameters, cursor: &str) -> String {
    let limit = parameters.limit.map(|limit| limit.to_string());
    let all = [
        ("namespace", parameters.namespace.as_deref()),
        ("phase", parameters.phase.as_deref()),
        ("status", parameters.status.as_deref()),
        ("algorithm", parameters.algorithm.as_deref()),
        ("limit", limit.as_deref()),
        ("envelope", parameters.envelope.then_some("true")),
        ("continue", Some(cursor)),
    ];
    let set = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let query: Vec<String> = set.map(|(name, value)| format!("{name}={}", escape(value))).collect();
    format!("/api/v1/jobs?{}", query.join("&"))
}

/// Percent-encodes everything that is not plain.
fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            format!("{escaped}{}", char::from(byte))
        } else {
            format!("{escaped}%{byte:02X}")
        }
    })
}
