//! The member clusters, as the control plane knows them now.

pub(super) mod resources;

use std::collections::{BTreeMap, BTreeSet};

use api_types::{ClusterList, ClusterSummaryList, NeededApi, Problem};
use axum::Json;
use axum::extract::State;

use super::problem::{Failure, causes};
use super::{App, view};

/// List the member clusters
#[utoipa::path(get, path = "/api/v1/clusters", tag = "clusters", responses(
    (status = 200, description = "By name", body = ClusterList),
    (status = 503, description = "Karmada does not answer", body = Problem,
     content_type = "application/problem+json"),
))]
pub(super) async fn list_clusters(State(app): State<App>) -> Result<Json<ClusterList>, Failure> {
    let clusters = app.control.clusters().await.map_err(Failure::control_plane)?;
    // Clusters are worth seeing, and a count is not worth losing them.
    let jobs: Option<BTreeMap<String, u64>> = match app.store().count_by_cluster().await {
        Ok(counts) => {
            Some(counts.into_iter().map(|(name, jobs)| (name.to_string(), jobs)).collect())
        }
        Err(error) => {
            tracing::warn!("The jobs of clusters cannot be counted: {}", causes(&error));
            None
        }
    };
    let needed = needed_apis(&app);
    let shown = clusters.into_iter().map(|cluster| {
        let running = jobs.as_ref().map(|jobs| jobs.get(cluster.name.as_str()).copied());
        let needed = needed.iter().map(|((api_version, kind), plugins)| NeededApi {
            present: cluster.apis.contains(&format!("{api_version}/{kind}")),
            api_version: api_version.clone(),
            kind: kind.clone(),
            plugins: plugins.iter().cloned().collect(),
        });
        let needed = needed.collect();
        let running = running.map(Option::unwrap_or_default);
        view::cluster(cluster, needed, running, &app.inspection.gpu_resources)
    });
    Ok(Json(ClusterList { clusters: shown.collect() }))
}

/// The workloads that loaded plugins make, and which of them make it.
fn needed_apis(app: &App) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut needed: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for plugin in app.plugins().list() {
        for kind in plugin.kinds.iter().filter(|kind| kind.workload) {
            let api = (kind.api_version.clone(), kind.kind.clone());
            needed.entry(api).or_default().insert(plugin.name.clone());
        }
    }
    needed
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
