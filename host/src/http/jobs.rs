//! Jobs, one endpoint per file.

pub(super) mod abandon;
pub(super) mod cancel;
pub(super) mod clone;
pub(super) mod delete;
pub(super) mod events;
pub(super) mod explain;
pub(super) mod get;
pub(super) mod list;
pub(super) mod logs;
pub(super) mod manifests;
pub(super) mod retry;
pub(super) mod status;
pub(super) mod submit;
pub(super) mod suspend;
pub(super) mod verify;

use training::JobId;
use training::job::Job;
use training::phase::Lifecycle;

use super::App;
use super::problem::Failure;

/// A job that exists. One that is proven gone is unknown to the API, as it always was; its history
/// and manifests stay readable.
async fn find_job(app: &App, id: &JobId) -> Result<Job, Failure> {
    let job = find_record(app, id).await?;
    if job.lifecycle == Lifecycle::Deleted { Err(Failure::no_job()) } else { Ok(job) }
}

/// A job, also one that is proven gone.
pub(super) async fn find_record(app: &App, id: &JobId) -> Result<Job, Failure> {
    app.store().find(id).await.map_err(Failure::store)?.ok_or_else(Failure::no_job)
}
