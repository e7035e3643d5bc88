//! `Ingress`: a name on the web for a Service.

use serde::Serialize;

use super::meta::Metadata;
use crate::Kind;

/// One host, all of whose paths below one lead to one port of a Service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingress<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: IngressSpec<'a>,
}

/// Where the host leads.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// Name on the web.
    pub host: &'a str,
    /// Path below which everything is meant.
    pub path: &'a str,
    /// Name of the Service.
    pub service: &'a str,
    /// Its port.
    pub port: u16,
    /// Class of the controller; absent: the cluster's default.
    pub class: Option<&'a str>,
    /// Secret with the certificate of the host; absent: none of its own.
    pub certificate: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct IngressSpec<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress_class_name: Option<&'a str>,
    rules: [Rule<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<[Tls<'a>; 1]>,
}

#[derive(Debug, Serialize)]
struct Rule<'a> {
    host: &'a str,
    http: Http<'a>,
}

#[derive(Debug, Serialize)]
struct Http<'a> {
    paths: [Path<'a>; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Path<'a> {
    path: &'a str,
    path_type: &'static str,
    backend: Backend<'a>,
}

#[derive(Debug, Serialize)]
struct Backend<'a> {
    service: Target<'a>,
}

#[derive(Debug, Serialize)]
struct Target<'a> {
    name: &'a str,
    port: Number,
}

#[derive(Debug, Serialize)]
struct Number {
    number: u16,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Tls<'a> {
    hosts: [&'a str; 1],
    secret_name: &'a str,
}

impl<'a> Ingress<'a> {
    /// An Ingress for one route.
    pub fn new(metadata: Metadata<'a>, route: Route<'a>) -> Self {
        let service = Target { name: route.service, port: Number { number: route.port } };
        let path = Path { path: route.path, path_type: "Prefix", backend: Backend { service } };
        let tls = |secret_name| [Tls { hosts: [route.host], secret_name }];
        Self {
            api_version: "networking.k8s.io/v1",
            kind: "Ingress",
            metadata,
            spec: IngressSpec {
                ingress_class_name: route.class,
                rules: [Rule { host: route.host, http: Http { paths: [path] } }],
                tls: route.certificate.map(tls),
            },
        }
    }

    /// What a plugin that emits one says about it.
    pub fn kind() -> Kind {
        Kind::support("networking.k8s.io/v1", "Ingress", "ingresses", 63)
    }
}
