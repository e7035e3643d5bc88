//! `POST /api/v1/jobs/{id}/verify`: repeats the conversion of a job and compares. Changes nothing.

use api_types::{Problem, Verdict, VerificationItem, VerificationView};
use axum::Json;
use axum::extract::State;
use serde_json::Value;
use training::form::{self, Surroundings};
use training::job::JobSpec;
use training::ports::{FieldError, PluginInfo};
use training::verify::{self, Item, verify};

use crate::http::App;
use crate::http::extract::JobPath;
use crate::http::problem::Failure;

/// Repeat the conversion of a job with the plugin that made it, and compare
///
/// The answer is 200 whatever the comparison shows. Works for deleted jobs, too.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/verify", tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "What is the same and what is not", body = VerificationView),
        (status = 404, description = "There never was such a job, or its plugin is not kept",
         body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "No trusted key signed the plugin that made it",
         body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "The plugin or the host failed", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer, or too much is going on",
         body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn verify_job(
    State(app): State<App>,
    JobPath(id): JobPath,
) -> Result<Json<VerificationView>, Failure> {
    let job = super::find_record(&app, &id).await?;
    let verification = verify(&app.ports.for_request(), &job, &read_form)
        .await
        .map_err(|error| Failure::verification(error, &job.provenance))?;
    Ok(Json(VerificationView {
        job_id: id.to_string(),
        verdict: verdict(verification.verdict()),
        plugin_name: verification.plugin.name.clone(),
        plugin_version: verification.plugin.version.clone(),
        plugin_sha256: verification.plugin.digest.to_string(),
        items: verification.items.into_iter().map(item).collect(),
    }))
}

/// Reads a stored form. Which clusters there are now does not matter to a conversion of then.
fn read_form(request: Value, plugin: &PluginInfo) -> Result<JobSpec, Vec<FieldError>> {
    let around = Surroundings { serving: Some(plugin.into()), clusters: &[] };
    form::parse(request, &around).map(|form| form.spec).map_err(|mistaken| mistaken.errors)
}

fn verdict(verdict: verify::Verdict) -> Verdict {
    match verdict {
        verify::Verdict::Same => Verdict::Same,
        verify::Verdict::Different => Verdict::Different,
        verify::Verdict::Unknown => Verdict::Unknown,
    }
}

fn item(item: Item) -> VerificationItem {
    VerificationItem {
        name: item.name.to_owned(),
        verdict: verdict(item.verdict),
        message: item.message,
        recorded: item.recorded.map(|digest| digest.to_string()),
        found: item.found.map(|digest| digest.to_string()),
    }
}
