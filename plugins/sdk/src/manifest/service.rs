//! `Service`: names by which pods are found.

use serde::Serialize;

use super::meta::{Metadata, Pairs};
use crate::Kind;

/// A Service inside the cluster.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Service<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: ServiceSpec<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceSpec<'a> {
    #[serde(rename = "clusterIP", skip_serializing_if = "Option::is_none")]
    cluster_ip: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    publish_not_ready_addresses: Option<bool>,
    selector: Pairs<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ports: &'a [ServicePort<'a>],
}

/// A port of a Service.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort<'a> {
    /// Name, unique in the Service.
    pub name: &'a str,
    /// Number that clients use.
    pub port: u16,
    /// Number or name of the container's port.
    pub target_port: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: &'a str,
}

impl<'a> Service<'a> {
    /// A Service without an address of its own: it gives each pod that names it as its
    /// `subdomain` a name, and does so before the pod is ready, because pods that train together
    /// look for one another while they start.
    pub fn headless(metadata: Metadata<'a>, selector: &'a [(&'a str, &'a str)]) -> Self {
        Self::new(metadata, Some("None"), Some(true), selector, &[])
    }

    /// A Service with an address inside the cluster.
    pub fn cluster_ip(
        metadata: Metadata<'a>,
        selector: &'a [(&'a str, &'a str)],
        ports: &'a [ServicePort<'a>],
    ) -> Self {
        Self::new(metadata, None, None, selector, ports)
    }

    fn new(
        metadata: Metadata<'a>,
        cluster_ip: Option<&'static str>,
        publish_not_ready_addresses: Option<bool>,
        selector: &'a [(&'a str, &'a str)],
        ports: &'a [ServicePort<'a>],
    ) -> Self {
        let selector = Pairs(selector);
        let spec = ServiceSpec { cluster_ip, publish_not_ready_addresses, selector, ports };
        Self { api_version: "v1", kind: "Service", metadata, spec }
    }

    /// What a plugin that emits one says about it.
    pub fn kind() -> Kind {
        Kind::support("v1", "Service", "services", 63)
    }
}
