//! A client that keeps the whole answer, problems included.

use serde_json::Value;

/// An answer of the API.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    /// The JSON body, or the text of another one.
    pub(crate) body: Value,
}

impl Answer {
    /// A header's value, empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The pointers of a problem's field errors, in order.
    pub(crate) fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["pointer"].as_str()).collect()
    }
}

/// Submits a form under an idempotency key; `None` if there is no whole answer.
pub(crate) async fn send_with_key(base: &str, form: &Value, key: &str) -> Option<Answer> {
    send_to_with_key(base, "/api/v1/jobs", form, key).await
}

/// The same to another path.
pub(crate) async fn send_to_with_key(
    base: &str,
    path: &str,
    form: &Value,
    key: &str,
) -> Option<Answer> {
    let request = reqwest::Client::new()
        .post(format!("{base}{path}"))
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(form.to_string());
    let response = request.send().await.ok()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = serde_json::from_str(&response.text().await.ok()?).expect("an answer in JSON");
    Some(Answer { status, headers, body })
}

pub(crate) async fn send(base: &str, method: &str, path: &str, body: Option<String>) -> Answer {
    send_as(base, method, path, body, None).await
}

pub(super) async fn send_as(
    base: &str,
    method: &str,
    path: &str,
    body: Option<String>,
    actor: Option<&str>,
) -> Answer {
    let client = reqwest::Client::new();
    let method = method.parse().expect("a method");
    let mut request = client.request(method, format!("{base}{path}"));
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body);
    }
    if let Some(actor) = actor {
        request = request.header("x-trainyard-actor", actor);
    }
    let response = request.send().await.expect("the host answers");
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await.expect("a whole body");
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status, headers, body }
}

/// One server-sent event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: Value,
    pub(crate) id: Option<String>,
}

/// A stream of events that is being read.
pub(crate) struct EventStream {
    response: reqwest::Response,
    unread: String,
}

impl EventStream {
    pub(super) fn new(response: reqwest::Response) -> Self {
        assert_eq!(response.status(), 200);
        let kind = response.headers().get("content-type").expect("a content type");
        assert_eq!(kind, "text/event-stream");
        Self { response, unread: String::new() }
    }

    /// The next event; `None` once the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = event.lines();
                    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                };
                let data = field("data").map(|data| serde_json::from_str(data).expect("JSON"));
                let name = field("event").unwrap_or_default().to_owned();
                let id = field("id").map(str::to_owned);
                self.unread = rest.to_owned();
                // Signs of life have no data.
                if let Some(data) = data {
                    return Some(Event { name, data, id });
                }
                continue;
            }
            let piece = self.response.chunk().await.ok().flatten()?;
            self.unread.push_str(std::str::from_utf8(&piece).expect("UTF-8"));
        }
    }

    /// The next event that is wanted; fails if the stream ends before, or takes too long.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        let search = async {
            loop {
                let event = self.next().await.expect("the stream ended before the wanted event");
                if wanted(&event) {
                    return event;
                }
            }
        };
        tokio::time::timeout(super::PATIENCE, search).await.expect("the wanted event never came")
    }
}
