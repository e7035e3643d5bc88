//! The router over in-memory ports: routes, layers and the form of every answer.

mod plugins;
mod ports;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use training::clock::{ManualClock, SequentialIds};
use training::inspect::Readable;
use training::plugins::PluginPorts;
use training::ports::Plugins;
use training::submit::SubmitPorts;
use training::testing::{MemoryRegistry, MemoryStore, samples};

use self::ports::{Away, OnePlugin};
use super::*;

struct Api {
    router: Router,
    store: Arc<MemoryStore>,
    draining: Draining,
}

struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Status and code of a problem that has the promised form.
    fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let body = self.json();
        assert_eq!(body["status"], self.status);
        assert_eq!(body["requestId"], self.header("x-request-id"));
        assert!(body["error"].is_string() && body["title"].is_string(), "{body}");
        (self.status, body["code"].as_str().unwrap().to_owned())
    }
}

fn options() -> Options {
    Options {
        max_body_bytes: 4096,
        request_timeout: Duration::from_secs(30),
        max_requests: 8,
        cors_origins: Vec::new(),
    }
}

impl Api {
    fn new() -> Self {
        Self::with(&options())
    }

    fn with(options: &Options) -> Self {
        Self::over(options, Arc::new(OnePlugin))
    }

    fn over(options: &Options, plugins: Arc<dyn Plugins>) -> Self {
        super::install_metrics();
        let store = Arc::new(MemoryStore::new("origin"));
        let draining = Draining::default();
        let policy = training::admit::Policy::default();
        let ports = SubmitPorts {
            store: store.clone(),
            plugins: plugins.clone(),
            clock: Arc::new(ManualClock::new(samples::at(0))),
            ids: Arc::new(SequentialIds::default()),
            policy: Arc::new(policy),
            origin: "origin".to_owned(),
            host_version: "0".to_owned(),
        };
        let decisions = PluginPorts {
            registry: Arc::new(MemoryRegistry::default()),
            plugins,
            clock: Arc::new(ManualClock::new(samples::at(0))),
        };
        let app = App {
            ports: Arc::new(ports),
            decisions,
            control: Arc::new(Away),
            members: Arc::new(Away),
            inspection: Arc::new(Inspection {
                readable: Readable::parse(&Readable::usual()).unwrap(),
                gpu_resources: Vec::new(),
                allowed_clusters: std::collections::BTreeMap::new(),
            }),
            archive: store.clone(),
            redactor: Arc::default(),
            streams: Streams::new(1),
            deployment_algorithm: "trees".into(),
            draining: draining.clone(),
        };
        Self { router: router(app, options), store, draining }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response: Response<Body> = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    async fn call(&self, method: &str, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call("GET", path).await
    }

    async fn post(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method("POST").uri(path);
        request = request.header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    async fn submit(&self, form: &Value) -> Answer {
        self.post("/api/v1/jobs", &form.to_string(), &[]).await
    }

    async fn submitted(&self, name: &str) -> String {
        let answer = self.submit(&form(name)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["id"].as_str().unwrap().to_owned()
    }
}

fn form(name: &str) -> Value {
    json!({"jobName": name, "algorithm": {"algorithmName": "trees"}})
}

fn moody(mood: &str) -> Value {
    let mut form = form("moody");
    form["hyperparameters"] = json!({"trees": {"mood": mood}});
    form
}

#[tokio::test]
async fn submitted_job_is_found_everywhere() {
    let api = Api::new();
    let answer = api.submit(&form("iris")).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let body = answer.json();
    assert_eq!(answer.header("location"), "/api/v1/jobs/iris-00000001");
    assert_eq!((&body["status"], &body["phase"]), (&json!("Pending"), &json!("Queued")));
    assert_eq!(body["warnings"], json!(["Mind the gap."]));
    assert_eq!(body["createdAt"], "2026-01-01T12:00:00.123456Z");
    let path = "/api/v1/jobs/iris-00000001";
    assert_eq!(api.get(path).await.json()["id"], "iris-00000001");
    assert_eq!(api.get("/api/v1/jobs").await.json().as_array().unwrap().len(), 1);
    let status = api.get(&format!("{path}/status")).await.json();
    assert_eq!((&status["status"], &status["active"]), (&json!("Pending"), &json!(0)));
    assert!(status.get("startTime").is_none() && status.get("clusterDistribution").is_none());
    let events = api.get(&format!("{path}/events")).await.json();
    assert_eq!((&events[0]["seq"], &events[0]["kind"]), (&json!(1), &json!("Accepted")));
    let manifests = api.get(&format!("{path}/manifests")).await.json();
    assert_eq!(manifests["manifests"][0]["document"]["metadata"]["namespace"], "default");
}

#[tokio::test]
async fn refusals_are_problems_with_their_status() {
    let api = Api::new();
    let huge = json!({"jobName": "a".repeat(5000)}).to_string();
    for (body, expected) in [
        ("", (400, "malformed-json")),
        ("{", (400, "malformed-json")),
        ("{\"a\":1} x", (400, "malformed-json")),
        ("{\"a\":01}", (400, "malformed-json")),
        (&"[".repeat(2000), (400, "malformed-json")),
        ("[]", (400, "invalid-form")),
        ("null", (400, "invalid-form")),
        (&huge, (413, "payload-too-large")),
    ] {
        let (status, code) = api.post("/api/v1/jobs", body, &[]).await.problem();
        assert_eq!((status, code.as_str()), expected, "{body:.20}");
    }
    let plain = [("content-type", "text/plain")];
    let request =
        Request::builder().method("POST").uri("/api/v1/jobs").header(plain[0].0, plain[0].1);
    let answer = api.send(request.body(Body::from("{}")).unwrap()).await;
    assert_eq!(answer.problem(), (415, "unsupported-media-type".to_owned()));

    let mut unknown = form("x");
    unknown["algorithm"] = json!("other");
    let answer = api.submit(&unknown).await;
    assert_eq!(answer.problem(), (400, "unknown-algorithm".to_owned()));
    assert!(answer.text.contains("trees, forest"), "{}", answer.text);
}

#[tokio::test]
async fn mistakes_in_form_and_hyperparameters_come_in_one_answer() {
    let api = Api::new();
    let form =
        json!({"jobName": "", "algorithm": "forest", "hyperparameters": {"trees": {"eta": 7}}});
    let answer = api.submit(&form).await;
    assert_eq!(answer.problem(), (400, "invalid-form".to_owned()));
    let body = answer.json();
    let pointers: Vec<&str> =
        body["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/jobName", "/hyperparameters/trees/eta"]);
    // The same pointer if the form is right otherwise: it leads to what the user wrote.
    let form =
        json!({"jobName": "a", "algorithm": "forest", "hyperparameters": {"trees": {"eta": 7}}});
    let body = api.submit(&form).await.json();
    assert_eq!(body["errors"][0]["pointer"], "/hyperparameters/trees/eta");
}

#[tokio::test]
async fn failures_of_plugins_are_ours_and_keep_their_details() {
    let api = Api::new();
    for (mood, expected) in [
        ("busy", (503, "overloaded")),
        ("slow", (500, "plugin-timeout")),
        ("broken", (500, "plugin-fault")),
        ("greedy", (500, "manifests-refused")),
        ("panic", (500, "internal")),
    ] {
        let answer = api.submit(&moody(mood)).await;
        let (status, code) = answer.problem();
        assert_eq!((status, code.as_str()), expected, "{mood}");
        assert!(!answer.text.contains("secret"), "{}", answer.text);
        assert_eq!(!answer.header("retry-after").is_empty(), status == 503, "{mood}");
    }
}

#[tokio::test]
async fn refused_manifests_are_listed_with_their_places() {
    let answer = Api::new().submit(&moody("greedy")).await.json();
    assert_eq!(answer["errors"][0]["pointer"], "/0/kind");
    assert_eq!(answer["errors"][0]["code"], "kind-not-allowed");
    assert!(answer["detail"].as_str().unwrap().contains("`trees`"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn stuck_request_times_out() {
    let api = Api::new();
    let answer = api.submit(&moody("stuck")).await;
    assert_eq!(answer.problem(), (504, "request-timeout".to_owned()));
}

#[tokio::test]
async fn requests_beyond_the_limit_are_refused_at_once_but_probes_are_answered() {
    let api = Arc::new(Api::with(&Options { max_requests: 1, ..options() }));
    let stuck = moody("stuck");
    let first = api.submit(&stuck);
    let second = async {
        tokio::task::yield_now().await;
        let shed = api.get("/api/v1/jobs").await;
        assert_eq!(shed.problem(), (503, "overloaded".to_owned()));
        assert_eq!(shed.header("retry-after"), "2");
        assert_eq!(api.get("/livez").await.status, 200);
        // What ends something is still taken.
        assert_eq!(api.call("DELETE", "/api/v1/jobs/none-00000000").await.status, 404);
        let verb = async |verb: &str| {
            api.post(&format!("/api/v1/jobs/none-00000000/{verb}"), "{}", &[]).await.status
        };
        assert_eq!((verb("cancel").await, verb("suspend").await), (404, 404));
        assert_eq!(verb("resume").await, 503);
    };
    tokio::select! { biased; _ = first => panic!("it is stuck"), () = second => {} }
}

#[tokio::test]
async fn repeated_key_answers_with_the_first_job_and_another_body_is_refused() {
    let api = Api::new();
    let send = async |form: Value| {
        api.post("/api/v1/jobs", &form.to_string(), &[("idempotency-key", "k")]).await
    };
    let first = send(form("one")).await;
    let again = send(form("one")).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.json()["id"], again.json()["id"]);
    assert_eq!(
        (first.header("idempotent-replayed"), again.header("idempotent-replayed")),
        ("", "true")
    );
    assert_eq!(send(form("two")).await.problem(), (422, "key-reused".to_owned()));
    let long = "k".repeat(256);
    let answer =
        api.post("/api/v1/jobs", &form("x").to_string(), &[("idempotency-key", &long)]).await;
    assert_eq!(answer.problem(), (400, "invalid-parameter".to_owned()));
    let answer = api.submit(&form("one")).await;
    assert_eq!(answer.problem(), (409, "name-taken".to_owned()));
    assert!(answer.text.contains("one-00000001"), "{}", answer.text);
}

#[tokio::test]
async fn store_that_is_away_is_503_and_never_404() {
    let api = Api::new();
    let id = api.submitted("iris").await;
    api.store.set_unavailable(true);
    for path in ["", "/status", "/events", "/manifests"] {
        let answer = api.get(&format!("/api/v1/jobs/{id}{path}")).await;
        assert_eq!(answer.problem(), (503, "store-unavailable".to_owned()), "{path}");
        assert!(!answer.header("retry-after").is_empty());
        assert!(answer.json().get("detail").is_none(), "{}", answer.text);
    }
    assert_eq!(api.get("/api/v1/jobs").await.status, 503);
    assert_eq!(api.submit(&form("x")).await.problem(), (503, "store-unavailable".to_owned()));
    assert_eq!(api.call("DELETE", &format!("/api/v1/jobs/{id}")).await.status, 503);
    let health = api.get("/health").await;
    assert_eq!((health.status, health.json()), (503, json!({"status": "unhealthy"})));
    assert_eq!(api.get("/readyz").await.status, 503);
    assert_eq!(api.get("/livez").await.status, 200);
}

#[tokio::test]
async fn readiness_tells_draining_and_shows_karmada_without_needing_it() {
    let api = Api::new();
    assert_eq!(api.get("/health").await.json(), json!({"status": "healthy"}));
    let ready = api.get("/readyz?verbose").await;
    assert_eq!(ready.status, 200, "{}", ready.text);
    let checks = ready.json()["checks"].as_array().unwrap().clone();
    let karmada = checks.iter().find(|check| check["name"] == "karmada").unwrap();
    assert_eq!((&karmada["ok"], &karmada["required"]), (&json!(false), &json!(false)));
    api.draining.begin();
    assert_eq!(api.get("/readyz").await.json(), json!({"ready": false}));
}

#[tokio::test]
async fn starting_host_lives_and_is_not_ready() {
    let router = starting_router(&options());
    for (path, expected) in
        [("/livez", 200), ("/readyz", 503), ("/health", 503), ("/api/v1/jobs", 503), ("/x", 404)]
    {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{path}");
    }
}

#[tokio::test]
async fn logs_that_cannot_be_read_are_a_problem_and_free_their_place() {
    let api = Api::new();
    let path = format!("/api/v1/jobs/{}/logs", api.submitted("iris").await);
    // There is one place, so a leak would show as `overloaded`.
    for _ in 0..3 {
        let answer = api.get(&path).await;
        assert_eq!(answer.problem(), (503, "logs-unavailable".to_owned()));
        assert!(answer.text.contains("status of the job cannot be read"), "{}", answer.text);
    }
    for query in ["follow=perhaps", "since=soon", "format=html", "tail=99999999999", "tail=x"] {
        let answer = api.get(&format!("{path}?{query}")).await;
        assert_eq!(answer.problem(), (400, "invalid-parameter".to_owned()), "{query}");
    }
    let request = Request::builder().uri(&path).header("last-event-id", "7");
    let answer = api.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.problem(), (400, "invalid-parameter".to_owned()));
    let answer = api.get("/api/v1/jobs/none-00000000/logs").await;
    assert_eq!(answer.problem(), (404, "job-not-found".to_owned()));
}

#[tokio::test]
async fn unknown_paths_methods_and_ids_are_told_apart() {
    let api = Api::new();
    for path in ["/x", "/api/v1/nothing", "/api/v1/jobs/a-1/nothing", "/api/v1/jobs/a/b/c"] {
        assert_eq!(api.get(path).await.problem(), (404, "route-not-found".to_owned()), "{path}");
    }
    for id in ["none-00000000", "..%2F..%2Fx", "A", "%00", "a%0Ab"] {
        let answer = api.get(&format!("/api/v1/jobs/{id}")).await;
        assert_eq!(answer.problem(), (404, "job-not-found".to_owned()), "{id}");
    }
    let answer = api.call("DELETE", "/api/v1/jobs").await;
    assert_eq!(answer.problem(), (405, "method-not-allowed".to_owned()));
    assert!(answer.header("allow").contains("POST"), "{:?}", answer.headers);
    assert_eq!(api.get("/api/v1/algorithms/none").await.problem().1, "algorithm-not-found");
}

#[tokio::test]
async fn slash_at_the_end_leads_to_the_path_without_and_nowhere_else() {
    let api = Api::new();
    let answer = api.get("/api/v1/jobs/?limit=1").await;
    assert_eq!((answer.status, answer.header("location")), (301, "/api/v1/jobs?limit=1"));
    assert_eq!(api.call("POST", "/api/v1/jobs/").await.status, 307);
    assert_eq!(api.get("//evil.example/").await.status, 404);
}

#[tokio::test]
async fn delete_and_cancel_record_the_wish_and_may_be_repeated() {
    let api = Api::new();
    let id = api.submitted("iris").await;
    let path = format!("/api/v1/jobs/{id}");
    let cancelled = api.call("POST", &format!("{path}/cancel")).await;
    assert_eq!((cancelled.status, &cancelled.json()["desired"]), (200, &json!("Cancel")));
    assert_eq!(api.call("DELETE", &format!("{path}?volumes=maybe")).await.status, 400);
    for _ in 0..2 {
        let answer = api.call("DELETE", &format!("{path}?volumes=delete")).await;
        assert_eq!((answer.status, &answer.json()["lifecycle"]), (200, &json!("Deleting")));
    }
    assert_eq!(api.get(&path).await.json()["lifecycle"], "Deleting");
    assert_eq!(api.call("DELETE", "/api/v1/jobs/none-00000000").await.status, 404);
}

#[tokio::test]
async fn pages_link_to_the_next_one_and_filters_are_checked() {
    let api = Api::new();
    for name in ["a", "b", "c"] {
        api.submitted(name).await;
    }
    let first = api.get("/api/v1/jobs?limit=2&status=Pending&algorithm=forest").await;
    assert_eq!(first.json().as_array().unwrap().len(), 2, "{}", first.text);
    let link = first.header("link").to_owned();
    let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    let second = api.get(&format!("{next}&envelope=true")).await.json();
    assert_eq!(second["items"].as_array().unwrap().len(), 1);
    assert!(second.get("continue").is_none());
    assert_eq!(api.get("/api/v1/jobs?phase=Running,Lost").await.json(), json!([]));
    assert_eq!(api.get("/api/v1/jobs?namespace=elsewhere").await.json(), json!([]));
    for query in [
        "limit=0",
        "limit=x",
        "limit=1001",
        "phase=running",
        "status=x",
        "continue=x",
        "envelope=7",
    ] {
        let answer = api.get(&format!("/api/v1/jobs?{query}")).await;
        assert_eq!(answer.problem(), (400, "invalid-parameter".to_owned()), "{query}");
    }
}

#[tokio::test]
async fn clusters_are_503_while_karmada_is_away_and_targets_are_checked_from_memory() {
    let api = Api::new();
    for path in ["/api/v1/clusters", "/api/v1/proxy/clusters"] {
        let answer = api.get(path).await;
        assert_eq!(answer.problem(), (503, "control-plane-unavailable".to_owned()));
        assert!(!answer.text.contains("secret"), "{}", answer.text);
    }
    let mut astray = form("astray");
    astray["targetClusters"] = json!(["member1", "nowhere"]);
    let answer = api.submit(&astray).await;
    assert_eq!(answer.json()["errors"][0]["pointer"], "/targetClusters/1");
}

#[tokio::test]
async fn schema_comes_byte_for_byte_and_can_be_cached() {
    let api = Api::new();
    let answer = api.get("/api/v1/algorithms/forest/schema").await;
    assert_eq!(answer.text, "{ \"type\":  \"object\" }");
    assert_eq!(answer.header("content-type"), "application/schema+json");
    let request = Request::builder()
        .uri("/api/v1/algorithms/trees/schema")
        .header("if-none-match", answer.header("etag"));
    assert_eq!(api.send(request.body(Body::empty()).unwrap()).await.status, 304);
    let list = api.get("/api/v1/algorithms").await.json();
    assert_eq!((&list[0]["name"], &list[0]["aliases"]), (&json!("trees"), &json!(["forest"])));
    let one = api.get("/api/v1/algorithms/forest").await.json();
    assert_eq!(one["examples"], json!([{"jobName": "example"}]));
}

#[tokio::test]
async fn render_shows_manifests_and_policies_and_stores_nothing() {
    let api = Api::new();
    let answer = api.post("/api/v1/render", &form("shown").to_string(), &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["manifests"][0]["role"], "workload");
    assert_eq!(answer.json()["changes"][0]["pointer"], "/0/metadata/labels");
    assert_eq!(answer.json()["policies"][0]["kind"], "PropagationPolicy");
    assert_eq!(api.get("/api/v1/jobs").await.json(), json!([]));
}

#[tokio::test]
async fn every_answer_has_an_id_and_the_security_headers_and_no_foreign_origin_is_allowed() {
    let api = Api::new();
    let request = Request::builder()
        .uri("/api/v1/jobs")
        .header("x-request-id", "mine")
        .header("origin", "https://evil.example");
    let answer = api.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.header("x-request-id"), "mine");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let odd = Request::builder().uri("/livez").header("x-request-id", "a b");
    let answer = api.send(odd.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.header("x-request-id").len(), 32);

    let origin = HeaderValue::from_static("https://ui.example");
    let api = Api::with(&Options { cors_origins: vec![origin], ..options() });
    let request = Request::builder()
        .method("OPTIONS")
        .uri("/api/v1/jobs")
        .header("origin", "https://ui.example")
        .header("access-control-request-method", "POST");
    let answer = api.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, "https://ui.example")
    );
}

#[tokio::test]
async fn openapi_lists_every_route() {
    let served = Api::new().get("/api/v1/openapi.json").await.json();
    let alone = serde_json::to_value(document()).unwrap();
    assert_eq!(alone["components"]["schemas"].get("JobForm"), None);
    assert!(served["components"]["schemas"].get("JobForm.trees").is_some());
    let paths: Vec<&str> =
        served["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    for path in [
        "/api/v1/jobs",
        "/api/v1/jobs/{id}",
        "/api/v1/jobs/{id}/cancel",
        "/api/v1/jobs/{id}/events",
        "/api/v1/jobs/{id}/manifests",
        "/api/v1/jobs/{id}/status",
        "/api/v1/jobs/{id}/verify",
        "/api/v1/plugins",
        "/api/v1/plugins/events",
        "/api/v1/plugins/{name}",
        "/api/v1/plugins/{name}/canary",
        "/api/v1/plugins/{name}/pin",
        "/metrics",
        "/api/v1/render",
        "/api/v1/clusters",
        "/api/v1/proxy/clusters",
        "/api/v1/algorithms/{name}/schema",
        "/health",
        "/livez",
        "/readyz",
    ] {
        assert!(paths.contains(&path), "{path}: {paths:?}");
    }
}
