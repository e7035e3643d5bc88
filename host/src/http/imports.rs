//! `POST /api/v1/import/…`: job documents of other platforms as forms.

use api_types::{FieldProblem, ImportView, Problem, UnmappedView};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use training::import::{self, Imported, Unmapped};
use training::submit;

use super::App;
use super::extract::{JsonBody, Query};
use super::jobs::submit::read_form;
use super::problem::Failure;

#[derive(Deserialize)]
pub(super) struct Parameters {
    algorithm: Option<String>,
}

/// Rewrite a request of SageMaker's `CreateTrainingJob` as a job form
///
/// Stores nothing: look at `unmapped` and `errors`, change the form if need be, and submit it. What
/// SageMaker does and a form cannot say is listed with its reason.
#[utoipa::path(post, path = "/api/v1/import/sagemaker", tag = "jobs", request_body = Object,
    params(("algorithm" = Option<String>, Query,
            description = "The algorithm, or an alias of it. Without it the repository of the \
                           training image must contain the name of exactly one.")),
    responses(
        (status = 200, description = "The form, also if it has mistakes", body = ImportView),
        (status = 400, description = "The document is wrong; pointers are into it",
         body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "The plugin or the host failed", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "Too much is going on", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn import_from_sagemaker(
    State(app): State<App>,
    Query(parameters): Query<Parameters>,
    body: JsonBody,
) -> Result<Json<ImportView>, Failure> {
    let algorithm = parameters.algorithm.as_deref().filter(|name| !name.is_empty());
    let Imported { form, unmapped, unknown_algorithm } =
        import::sagemaker(&body.value, algorithm, &app.plugins().list()).map_err(Failure::form)?;
    let (mut errors, warnings) = check(&app, form.clone()).await?;
    if let Some(unknown) = unknown_algorithm {
        // It says more than that the field is missing.
        let missing = ["/algorithm", "/algorithm/algorithmName"];
        errors.retain(|error| !missing.contains(&error.pointer.as_str()));
        errors.extend(Failure::form(vec![unknown]).into_mistakes()?);
    }
    let listed = |Unmapped { pointer, reason }| UnmappedView { pointer, reason };
    let unmapped = unmapped.into_iter().map(listed).collect();
    Ok(Json(ImportView { form, unmapped, errors, warnings }))
}

/// What a preview of the form would say: its mistakes, or its warnings.
async fn check(app: &App, form: Value) -> Result<(Vec<FieldProblem>, Vec<String>), Failure> {
    let form = match read_form(app, form) {
        Ok(form) => form,
        Err(failure) => return failure.into_mistakes().map(|errors| (errors, Vec::new())),
    };
    match submit::render(&app.ports.for_request(), form.spec).await {
        Ok(rendered) => Ok((Vec::new(), rendered.warnings)),
        Err(error) => {
            let failure = Failure::submit(error.pointing_into_form(&form.places));
            failure.into_mistakes().map(|errors| (errors, Vec::new()))
        }
    }
}
