//! `trainyard clusters`: how the member clusters are, and what room they have.

use api_types::{ClusterList, ClusterView};

use super::typed;
use crate::args::Output;
use crate::client::{Client, Failure};
use crate::printer;

const HEADINGS: [&str; 11] = [
    "NAME",
    "READY",
    "SINCE",
    "VERSION",
    "REGION",
    "NODES",
    "FREE CPU",
    "FREE MEMORY",
    "FREE GPU",
    "JOBS",
    "REMARKS",
];

pub(super) async fn list(client: &Client, output: Output) -> Result<(), Failure> {
    let answer = client.get("/api/v1/clusters").await?;
    if output == Output::Json {
        printer::json(&answer);
        return Ok(());
    }
    let list: ClusterList = typed(&answer)?;
    printer::table(&HEADINGS, list.clusters.iter().map(row).collect());
    Ok(())
}

fn row(cluster: &ClusterView) -> Vec<String> {
    let ready = if cluster.summary.ready { "yes" } else { "no" };
    let nodes = match (cluster.nodes_ready, cluster.nodes_total) {
        (Some(ready), Some(total)) => format!("{ready}/{total}"),
        _ => String::new(),
    };
    let gpus: Vec<String> = cluster
        .capacity
        .iter()
        .filter(|room| room.gpu)
        .map(|room| format!("{}={}/{}", room.resource, room.free, room.allocatable))
        .collect();
    vec![
        cluster.summary.name.clone(),
        ready.to_owned(),
        // To the second, as everywhere in the output of Kubernetes.
        cluster.ready_since.as_deref().map(seconds).unwrap_or_default(),
        cluster.kubernetes_version.clone().unwrap_or_default(),
        place(cluster),
        nodes,
        room(cluster, "cpu"),
        room(cluster, "memory"),
        gpus.join(","),
        cluster.running_jobs.map(|jobs| jobs.to_string()).unwrap_or_default(),
        remarks(cluster),
    ]
}

/// `2026-01-01T00:00:00.123456Z` without its fraction.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}

fn place(cluster: &ClusterView) -> String {
    let zone = cluster.summary.zone.as_deref().map(|zone| format!("/{zone}")).unwrap_or_default();
    format!("{}{zone}", cluster.summary.region.as_deref().unwrap_or_default())
}

/// `12/64`: free, and all there is.
fn room(cluster: &ClusterView, resource: &str) -> String {
    let found = cluster.capacity.iter().find(|room| room.resource == resource);
    found.map(|room| format!("{}/{}", room.free, room.allocatable)).unwrap_or_default()
}

/// What keeps new work away.
fn remarks(cluster: &ClusterView) -> String {
    let mut remarks = Vec::new();
    if !cluster.summary.ready {
        remarks.push(cluster.ready_reason.clone());
    }
    remarks.extend(cluster.taints.iter().map(|taint| format!("taint {taint}")));
    let missing = cluster.needed_apis.iter().filter(|api| !api.present);
    remarks.extend(missing.map(|api| format!("lacks {} {}", api.api_version, api.kind)));
    remarks.join("; ")
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_are_shown_to_the_second() {
        assert_eq!(seconds("2026-01-01T00:00:00.123456Z"), "2026-01-01T00:00:00Z");
        assert_eq!(seconds("2026-01-01T00:00:00Z"), "2026-01-01T00:00:00Z");
    }
}
