//! The member clusters, as the control plane knows them now.

use api_types::{ClusterList, ClusterSummaryList, Problem};
use axum::Json;
use axum::extract::State;

use super::problem::Failure;
use super::{App, view};

/// List the member clusters
#[utoipa::path(get, path = "/api/v1/clusters", tag = "clusters", responses(
    (status = 200, description = "By name", body = ClusterList),
    (status = 503, description = "Karmada does not answer", body = Problem,
     content_type = "application/problem+json"),
))]
pub(super) async fn list_clusters(State(app): State<App>) -> Result<Json<ClusterList>, Failure> {
    let clusters = app.control.clusters().await.map_err(Failure::control_plane)?;
    Ok(Json(ClusterList { clusters: clusters.into_iter().map(view::cluster).collect() }))
}

/// List the member clusters, for older clients
#[utoipa::path(get, path = "/api/v1/proxy/clusters", tag = "clusters", responses(
    (status = 200, description = "By name", body = ClusterSummaryList),
    (status = 503, description = "Karmada does not answer", body = Problem,
     content_type = "application/problem+json"),
))]
pub(super) async fn list_cluster_summaries(
    State(app): State<App>,
) -> Result<Json<ClusterSummaryList>, Failure> {
    let clusters = app.control.clusters().await.map_err(Failure::control_plane)?;
    Ok(Json(ClusterSummaryList { clusters: clusters.iter().map(view::cluster_summary).collect() }))
}
