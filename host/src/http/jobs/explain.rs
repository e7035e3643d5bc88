//! `GET /api/v1/jobs/{id}/explain`: why a job does not run, or why it ended so.

use std::time::Duration;

use api_types::{ExplanationView, LinkState, LinkView, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use training::explain::{self, Explanation, Link, Sources, explain_job};
use training::job::Job;

use crate::http::extract::JobPath;
use crate::http::problem::Failure;
use crate::http::{App, view};

/// Longest time for all of it. A cluster that hangs costs this much, and the rest is told.
const PATIENCE: Duration = Duration::from_secs(6);

/// Explain why a job does not run, or why it ended as it did
///
/// One sentence, and the chain of evidence it rests on, from the queue to the pods of the member
/// cluster. What could not be looked at is `unknown` and never guessed. With
/// `Accept: text/plain` the same as text for people. Works for deleted jobs, too.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/explain", tag = "jobs", operation_id = "explain_job",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The sentence and its evidence", content(
            (ExplanationView = "application/json"),
            (String = "text/plain"),
        )),
        (status = 404, description = "There never was such a job", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn explain_why(
    State(app): State<App>,
    JobPath(id): JobPath,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let job = super::find_record(&app, &id).await?;
    let sources = Sources {
        store: app.store(),
        control: app.control.as_ref(),
        plugins: app.plugins(),
        members: app.members.as_ref(),
        allowed: app.inspection.allowed_clusters.get(job.namespace.as_str()).map(Vec::as_slice),
        clock: app.ports.clock.as_ref(),
    };
    let explanation = explain_job(&sources, job.clone(), PATIENCE).await;
    let shown = shown(&job, explanation);
    if wants_text(&headers) {
        let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        return Ok((kind, shown.to_string()).into_response());
    }
    Ok(Json(shown).into_response())
}

/// Whether text is asked for, and JSON is not. Browsers and `curl` take anything, and get JSON.
fn wants_text(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let kinds: Vec<&str> = accept
        .flat_map(|value| value.split(','))
        .map(|kind| kind.split(';').next().unwrap_or_default().trim())
        .collect();
    kinds.contains(&"text/plain") && !kinds.contains(&"application/json")
}

fn shown(job: &Job, explanation: Explanation) -> ExplanationView {
    ExplanationView {
        job_id: job.id.to_string(),
        phase: view::phase(job.phase),
        explanation: explanation.sentence,
        links: explanation.links.into_iter().map(link).collect(),
        at: view::time(explanation.at),
    }
}

fn link(link: Link) -> LinkView {
    LinkView {
        step: link.step.as_str().to_owned(),
        state: match link.state {
            explain::LinkState::Ok => LinkState::Ok,
            explain::LinkState::Waiting => LinkState::Waiting,
            explain::LinkState::Wrong => LinkState::Wrong,
            explain::LinkState::Unknown => LinkState::Unknown,
        },
        text: link.text,
        at: link.at.map(view::time),
        source: link.source,
    }
}
