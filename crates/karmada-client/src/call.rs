//! One call to the API server: a deadline over all of it, a cap on the answer, no retries. Every
//! request of this crate but the watches goes through here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::api::{GetParams, ListParams};
use kube::client::Body;
use kube::core::request::Request as Requests;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Answer, CallError};

/// Longest answer in bytes: a page of 500 objects of 64 KiB each, which is more than any has.
const MAX_ANSWER: usize = 32 << 20;

/// Objects per page of a list, the number that `kubectl` and client-go use.
const PAGE: u32 = 500;

/// Calls the API server with a deadline.
pub(crate) struct Caller {
    client: Client,
    deadline: Duration,
    calls: AtomicU64,
}

/// One page of a list.
#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: PageMeta,
    items: Option<Vec<T>>,
}

#[derive(Deserialize, Default)]
struct PageMeta {
    #[serde(rename = "continue")]
    next: Option<String>,
}

impl Caller {
    pub(crate) fn new(client: Client, deadline: Duration) -> Self {
        Self { client, deadline, calls: AtomicU64::new(0) }
    }

    /// Longest time for one call.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// How many calls were made.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Sends a request and returns the body of a successful answer.
    pub(crate) async fn send(&self, request: Request<Vec<u8>>) -> Result<Vec<u8>, CallError> {
        self.send_within(request, self.deadline).await
    }

    /// The same with a deadline of its own.
    pub(crate) async fn send_within(
        &self,
        request: Request<Vec<u8>>,
        deadline: Duration,
    ) -> Result<Vec<u8>, CallError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let whole = async {
            let response = self.client.send(request.map(Body::from)).await?;
            let code = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            let body = body.map_err(|error| CallError::Transport(crate::error::chain(&*error)))?;
            let body = body.to_bytes();
            if code.is_success() {
                Ok(Vec::from(body))
            } else {
                Err(CallError::Answered(Answer::new(code.as_u16(), &body)))
            }
        };
        tokio::time::timeout(deadline, whole).await.unwrap_or(Err(CallError::Timeout(deadline)))
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn request<T: DeserializeOwned>(
        &self,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, CallError> {
        let body = self.send(request.map_err(unbuildable)?).await?;
        read(&body)
    }

    /// Reads one object; `None` if the API server says that it does not exist.
    pub(crate) async fn find<T: DeserializeOwned>(
        &self,
        collection: &str,
        name: &str,
    ) -> Result<Option<T>, CallError> {
        let request = Requests::new(collection).get(name, &GetParams::default());
        match self.request(request).await {
            Ok(object) => Ok(Some(object)),
            Err(CallError::Answered(answer)) if answer.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a collection page by page and hands each object to `take`. An error means that some
    /// of it was not read.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        collection: &str,
        labels: Option<String>,
        mut take: impl FnMut(T) + Send,
    ) -> Result<(), CallError> {
        let requests = Requests::new(collection);
        let mut params = ListParams { label_selector: labels, ..ListParams::default() };
        params.limit = Some(PAGE);
        loop {
            let page: Page<T> = self.request(requests.list(&params)).await?;
            page.items.into_iter().flatten().for_each(&mut take);
            params.continue_token = page.metadata.next.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(());
            }
        }
    }
}

fn unbuildable(error: kube::core::request::Error) -> CallError {
    CallError::Unreadable(crate::error::chain(&error))
}

/// Reads an answer. The error names no content: an answer may hold what must not be logged.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(body).map_err(|error| {
        CallError::Unreadable(format!(
            "an answer of {} bytes is not the expected JSON ({:?} at line {}, column {})",
            body.len(),
            error.classify(),
            error.line(),
            error.column()
        ))
    })
}
