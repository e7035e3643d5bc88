//! What runs on the members, through the cluster proxy of Karmada's aggregated API server. Each
//! cluster has a bound of its own: one that hangs keeps only its own callers waiting.

mod seen;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::api::{GetParams, ListParams, LogParams};
use kube::client::Body;
use kube::core::request::Request as Requests;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use training::manifest::ObjectRef;
use training::ports::{
    EventSeen, LogBytes, LogQuery, MemberError, ObjectPage, ObjectQuery, PodSeen,
};
use training::{ClusterName, Timestamp};

use crate::KarmadaClient;
use crate::error::{Answer, CallError, chain};
use crate::resolve::is_segment;

pub(crate) use seen::Event;
use seen::Pod;

/// Calls to one member at the same time. More wait, for as long as a call may take.
const CALLS_PER_CLUSTER: usize = 8;
/// Logs of one member that are open at the same time. More are refused.
const LOGS_PER_CLUSTER: usize = 64;
/// Largest piece of a log that is handed on at once, in bytes.
const PIECE: usize = 64 << 10;

/// The bounds of one member.
#[derive(Clone)]
struct Bounds {
    calls: Arc<Semaphore>,
    logs: Arc<Semaphore>,
}

/// Reads members.
pub(crate) struct Reader {
    /// Without a limit between two reads: a log may be silent for hours.
    logs: Client,
    bounds: Mutex<HashMap<ClusterName, Bounds>>,
}

impl Reader {
    pub(crate) fn new(logs: Client) -> Self {
        Self { logs, bounds: Mutex::default() }
    }

    /// Clusters are few and names of unknown ones are refused before they come here, so this does
    /// not grow.
    fn bounds(&self, cluster: &ClusterName) -> Bounds {
        let mut all = self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Bounds {
            calls: Arc::new(Semaphore::new(CALLS_PER_CLUSTER)),
            logs: Arc::new(Semaphore::new(LOGS_PER_CLUSTER)),
        };
        all.entry(cluster.clone()).or_insert_with(fresh).clone()
    }
}

/// The path under which a member's own API is found.
pub(crate) fn proxy(cluster: &ClusterName) -> String {
    format!("/apis/cluster.karmada.io/v1alpha1/clusters/{cluster}/proxy")
}

/// `/api/v1/namespaces/team/pods` on a member.
fn collection(
    cluster: &ClusterName,
    api_version: &str,
    namespace: Option<&str>,
    plural: &str,
) -> Option<String> {
    let parts = api_version.split('/').chain(namespace).chain([plural]);
    if !parts.clone().all(is_segment) || api_version.split('/').count() > 2 {
        return None;
    }
    let root = if api_version.contains('/') { "apis" } else { "api" };
    let within = namespace.map_or_else(String::new, |namespace| format!("/namespaces/{namespace}"));
    Some(format!("{}/{root}/{api_version}{within}/{plural}", proxy(cluster)))
}

fn refused(cluster: &ClusterName, message: &str) -> MemberError {
    MemberError::Refused { cluster: cluster.clone(), message: message.to_owned() }
}

fn no_address(cluster: &ClusterName) -> MemberError {
    refused(cluster, "a name cannot be part of an address")
}

/// What it means that a member could not be read.
fn meaning(cluster: &ClusterName, what: &str, error: &CallError) -> MemberError {
    let cluster = cluster.clone();
    let Some(answer) = error.answer() else {
        return MemberError::Unavailable { cluster, message: error.to_string() };
    };
    let message = answer.text().to_owned();
    match answer.code() {
        404 if answer.is_unknown_cluster() => MemberError::Unregistered { cluster },
        404 => MemberError::NotFound { cluster, what: what.to_owned() },
        401 | 403 => MemberError::Denied { cluster, message },
        400 | 405 | 410 | 422 => MemberError::Refused { cluster, message },
        _ => MemberError::Unavailable { cluster, message: error.to_string() },
    }
}

impl KarmadaClient {
    async fn place(&self, cluster: &ClusterName) -> Result<OwnedSemaphorePermit, MemberError> {
        let waiting = self.reader.bounds(cluster).calls.acquire_owned();
        let busy = || MemberError::Busy { cluster: cluster.clone() };
        tokio::time::timeout(self.caller.deadline(), waiting)
            .await
            .map_err(|_| busy())?
            .map_err(|_| busy())
    }

    #[tracing::instrument(name = "karmada.member.pods", skip_all, fields(cluster.name = %cluster))]
    pub(crate) async fn pods_of(
        &self,
        cluster: &ClusterName,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<PodSeen>, MemberError> {
        let path = collection(cluster, "v1", Some(namespace), "pods");
        let path = path.ok_or_else(|| no_address(cluster))?;
        let _place = self.place(cluster).await?;
        let mut pods = Vec::new();
        let listed =
            self.caller.list(&path, Some(labels.to_owned()), |pod: Pod| pods.push(pod.seen()));
        listed.await.map_err(|error| meaning(cluster, "the list of pods", &error))?;
        pods.sort_by(|a: &PodSeen, b| a.name.cmp(&b.name));
        Ok(pods)
    }

    #[tracing::instrument(name = "karmada.member.events", skip_all, fields(cluster.name = %cluster))]
    pub(crate) async fn events_of(
        &self,
        cluster: &ClusterName,
        namespace: &str,
        name: &str,
    ) -> Result<Vec<EventSeen>, MemberError> {
        if !is_segment(name) {
            return Err(no_address(cluster));
        }
        let query = ObjectQuery {
            api_version: "v1".to_owned(),
            plural: "events".to_owned(),
            namespace: Some(namespace.to_owned()),
            fields: format!("involvedObject.name={name}"),
            limit: 500,
            ..ObjectQuery::default()
        };
        let page = self.page_of(cluster, &query).await?;
        let read = |item| serde_json::from_value::<Event>(item).ok().map(Event::seen);
        let mut events: Vec<EventSeen> = page.items.into_iter().filter_map(read).collect();
        events.sort_by_key(|event| event.last_at);
        Ok(events)
    }

    #[tracing::instrument(name = "karmada.member.get", skip_all, fields(cluster.name = %cluster))]
    pub(crate) async fn object_of(
        &self,
        cluster: &ClusterName,
        object: &ObjectRef,
    ) -> Result<Option<Value>, MemberError> {
        let unavailable = |message| MemberError::Unavailable { cluster: cluster.clone(), message };
        let path = self.collection(object).await.map_err(|error| unavailable(error.to_string()))?;
        let plural = path.rsplit('/').next().unwrap_or_default().to_owned();
        let _place = self.place(cluster).await?;
        let path = format!("{}{path}", proxy(cluster));
        let request = Requests::new(path).get(&object.name, &GetParams::default());
        match self.caller.request(request).await {
            Ok(found) => Ok(Some(found)),
            Err(CallError::Answered(answer)) if answer.is_absence_of(&plural, &object.name) => {
                Ok(None)
            }
            Err(error) => Err(meaning(cluster, &object.to_string(), &error)),
        }
    }

    #[tracing::instrument(name = "karmada.member.list", skip_all, fields(cluster.name = %cluster))]
    pub(crate) async fn page_of(
        &self,
        cluster: &ClusterName,
        query: &ObjectQuery,
    ) -> Result<ObjectPage, MemberError> {
        let path =
            collection(cluster, &query.api_version, query.namespace.as_deref(), &query.plural);
        let path = path.ok_or_else(|| no_address(cluster))?;
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let params = ListParams {
            label_selector: some(&query.labels),
            field_selector: some(&query.fields),
            limit: Some(query.limit),
            continue_token: query.after.clone(),
            ..ListParams::default()
        };
        let _place = self.place(cluster).await?;
        let request = Requests::new(path).list(&params);
        let page: Page = self
            .caller
            .request(request)
            .await
            .map_err(|error| meaning(cluster, &query.plural, &error))?;
        Ok(ObjectPage {
            items: page.items.unwrap_or_default(),
            next: page.metadata.next.filter(|next| !next.is_empty()),
            more: page.metadata.remaining_item_count,
        })
    }

    #[tracing::instrument(
        name = "karmada.member.log",
        skip_all,
        fields(cluster.name = %query.cluster, pod = query.pod)
    )]
    pub(crate) async fn log_of(&self, query: &LogQuery) -> Result<LogBytes, MemberError> {
        let cluster = &query.cluster;
        let path = collection(cluster, "v1", Some(&query.namespace), "pods");
        let path = path.filter(|_| is_segment(&query.pod)).ok_or_else(|| no_address(cluster))?;
        let busy = |_| MemberError::Busy { cluster: cluster.clone() };
        let place = self.reader.bounds(cluster).logs.try_acquire_owned().map_err(busy)?;
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let params = LogParams {
            container: Some(query.container.clone()),
            follow: query.follow,
            limit_bytes: query.limit_bytes.map(signed),
            previous: query.previous,
            // Kubernetes takes whole seconds, and `kube` would round up past lines that are wanted.
            since_time: query.since.and_then(|at| Timestamp::from_second(at.as_second()).ok()),
            tail_lines: query.tail_lines.map(signed),
            timestamps: true,
            ..LogParams::default()
        };
        let request = Requests::new(path).logs(&query.pod, &params);
        let request = request.map_err(|_| no_address(cluster))?;
        let what = format!("the log of pod {}", query.pod);
        let body = open(&self.reader.logs, request, self.caller.deadline())
            .await
            .map_err(|error| meaning(cluster, &what, &error))?;
        let cluster = cluster.clone();
        let pieces = body.into_data_stream().map(move |piece| {
            // Open as long as somebody reads.
            let _held = &place;
            piece.map(Vec::from).map_err(|error| MemberError::Unavailable {
                cluster: cluster.clone(),
                message: chain(&error),
            })
        });
        Ok(Box::pin(pieces))
    }
}

/// Sends a request whose answer has no end; only its beginning has a deadline.
async fn open(
    client: &Client,
    request: http::Request<Vec<u8>>,
    deadline: Duration,
) -> Result<Body, CallError> {
    let begun = async {
        let response = client.send(request.map(Body::from)).await?;
        let code = response.status();
        if code.is_success() {
            return Ok(response.into_body());
        }
        let body = http_body_util::Limited::new(response.into_body(), PIECE).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Err(CallError::Answered(Answer::new(code.as_u16(), &body)))
    };
    tokio::time::timeout(deadline, begun).await.unwrap_or(Err(CallError::Timeout(deadline)))
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMeta,
    items: Option<Vec<Value>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PageMeta {
    #[serde(rename = "continue")]
    next: Option<String>,
    remaining_item_count: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_made_of_names_only() {
        let cluster = ClusterName::parse("member1").unwrap();
        let path =
            |version: &str, plural: &str| collection(&cluster, version, Some("team"), plural);
        assert!(
            path("ray.io/v1", "rayjobs")
                .unwrap()
                .ends_with("/clusters/member1/proxy/apis/ray.io/v1/namespaces/team/rayjobs")
        );
        for (version, plural) in
            [("v1", "pods/../secrets"), ("a/b/c", "x"), ("..", "x"), ("v1", "")]
        {
            assert_eq!(path(version, plural), None, "{version} {plural}");
        }
    }
}
