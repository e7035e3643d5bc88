//! The endpoints about plugins, metrics and verification over in-memory ports.

use training::PluginDigest;
use training::testing::MemoryPlugins;

use super::*;

struct World {
    api: Api,
    plugins: Arc<MemoryPlugins>,
    one: PluginDigest,
    two: PluginDigest,
}

fn world() -> World {
    let plugins = Arc::new(MemoryPlugins::default());
    let one = plugins.add("trees", "1.0.0", true);
    let two = plugins.add("trees", "2.0.0", true);
    World { api: Api::over(&options(), plugins.clone()), plugins, one, two }
}

impl World {
    async fn send(&self, method: &str, path: &str, body: Option<Value>, actor: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("x-trainyard-actor", actor);
        let request = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.api.send(request.unwrap()).await
    }

    async fn done(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.send(method, path, body, "ada").await;
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text);
        answer.json()
    }

    async fn events(&self) -> Vec<Value> {
        let page = self.api.get("/api/v1/plugins/trees/events").await.json();
        page["items"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn decisions_take_effect_and_are_on_record() {
    let world = world();
    let (one, two) = (world.one.to_string(), world.two.to_string());
    let pin = json!({"version": "1.0.0"});
    let route = world.done("PUT", "/api/v1/plugins/trees/pin", Some(pin)).await;
    assert_eq!((&route["pinned"], &route["previous"]), (&json!(one), &json!(two)));
    assert_eq!((&route["version"], &route["updatedBy"]), (&json!(1), &json!("ada")));

    let canary = json!({"sha256": two, "percent": 5, "namespaces": ["team-a", "team-a"]});
    let route = world.done("PUT", "/api/v1/plugins/trees/canary", Some(canary)).await;
    let expected = json!({"sha256": two, "percent": 5, "namespaces": ["team-a"]});
    assert_eq!(route["canary"], expected);
    let plugin = world.done("GET", "/api/v1/plugins/trees", None).await;
    assert_eq!(plugin["route"], route);
    assert_eq!(plugin["versions"][1]["state"], "Active");

    let route = world.done("POST", "/api/v1/plugins/trees/promote", None).await;
    assert_eq!((&route["pinned"], route.get("canary")), (&json!(two), None));
    let route = world.done("POST", "/api/v1/plugins/trees/rollback", None).await;
    assert_eq!(route["pinned"], one);
    let route = world.done("DELETE", "/api/v1/plugins/trees/pin", None).await;
    assert_eq!(route.get("pinned"), None);
    world.done("DELETE", "/api/v1/plugins/trees/canary", None).await;

    let kinds: Vec<Value> = world.events().await.iter().map(|line| line["kind"].clone()).collect();
    assert_eq!(kinds, ["Unpinned", "RolledBack", "Promoted", "CanaryStarted", "Pinned"]);
    let list = world.done("GET", "/api/v1/plugins", None).await;
    assert_eq!(list["plugins"][0]["versions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn history_is_read_in_pages() {
    let world = world();
    for version in ["1.0.0", "2.0.0", "1.0.0"] {
        let body = json!({"version": version});
        world.done("PUT", "/api/v1/plugins/trees/pin", Some(body)).await;
    }
    let first = world.api.get("/api/v1/plugins/events?limit=2").await.json();
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let next = format!("/api/v1/plugins/events?limit=2&before={}", first["next"]);
    let last = world.api.get(&next).await.json();
    assert_eq!((last["items"].as_array().unwrap().len(), last.get("next")), (1, None));
    let refused = world.api.get("/api/v1/plugins/events?limit=0").await;
    assert_eq!(refused.problem(), (400, "invalid-parameter".to_owned()));
}

#[tokio::test]
async fn wrong_decisions_are_refused_with_their_codes() {
    let world = world();
    let nothing = "0".repeat(64);
    for (method, path, body, status, code) in [
        ("PUT", "/api/v1/plugins/tress/pin", json!({"version": "1.0.0"}), 404, "plugin-not-found"),
        (
            "PUT",
            "/api/v1/plugins/trees/pin",
            json!({"version": "9.0.0"}),
            404,
            "plugin-version-not-found",
        ),
        (
            "PUT",
            "/api/v1/plugins/trees/pin",
            json!({"sha256": nothing}),
            404,
            "plugin-version-not-found",
        ),
        ("PUT", "/api/v1/plugins/trees/pin", json!({}), 400, "invalid-form"),
        ("PUT", "/api/v1/plugins/trees/pin", json!({"versoin": "1"}), 400, "invalid-form"),
        ("PUT", "/api/v1/plugins/trees/pin", json!({"sha256": "short"}), 400, "invalid-form"),
        (
            "PUT",
            "/api/v1/plugins/trees/canary",
            json!({"version": "1.0.0", "percent": 101, "namespaces": ["kube-system"]}),
            400,
            "invalid-form",
        ),
        ("POST", "/api/v1/plugins/trees/promote", Value::Null, 409, "plugin-route-conflict"),
        ("POST", "/api/v1/plugins/trees/rollback", Value::Null, 409, "plugin-route-conflict"),
    ] {
        let body = (!body.is_null()).then_some(body);
        let answer = world.send(method, path, body.clone(), "ada").await;
        assert_eq!(answer.problem(), (status, code.to_owned()), "{method} {path} {body:?}");
    }
    let both = json!({"version": "1.0.0", "percent": 101, "namespaces": ["kube-system"]});
    let answer = world.send("PUT", "/api/v1/plugins/trees/canary", Some(both), "ada").await.json();
    assert_eq!(answer["errors"][0]["pointer"], "/percent");
    assert_eq!(answer["errors"][1]["pointer"], "/namespaces/0");
    assert_eq!(world.api.get("/api/v1/plugins/tress").await.status, 404);
    assert!(world.events().await.is_empty());
}

#[tokio::test]
async fn actor_that_is_no_name_is_the_api() {
    let world = world();
    for (actor, version) in [("ada; DROP", "1.0.0"), ("", "2.0.0"), ("a@b.c", "1.0.0")] {
        let body = Some(json!({"version": version}));
        let answer = world.send("PUT", "/api/v1/plugins/trees/pin", body, actor).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let actors: Vec<Value> =
        world.events().await.iter().map(|line| line["actor"].clone()).collect();
    assert_eq!(actors, ["a@b.c", "api", "api"]);
}

#[tokio::test]
async fn quarantined_version_is_shown_measured_and_released() {
    let world = world();
    world.plugins.quarantine(&world.one);
    let metrics = world.api.get("/metrics").await.text;
    let line = "trainyard_plugin_quarantined{plugin=\"trees\",version=\"1.0.0\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    let path = format!("/api/v1/plugins/trees/versions/{}/release", world.one);
    let version = world.done("POST", &path, None).await;
    assert_eq!(version["state"], "Standby");
    let again = world.send("POST", &path, None, "ada").await;
    assert_eq!(again.problem(), (409, "plugin-route-conflict".to_owned()));
    assert_eq!(world.events().await[0]["kind"], "Released");
}

#[tokio::test]
async fn verification_answers_item_by_item_and_says_when_the_plugin_is_gone() {
    let world = world();
    let id = world.api.submitted("proven").await;
    let path = format!("/api/v1/jobs/{id}/verify");
    let answer = world.done("POST", &path, None).await;
    assert_eq!(answer["verdict"], "same", "{answer}");
    assert_eq!(answer["items"].as_array().unwrap().len(), 5);
    assert_eq!(answer["pluginVersion"], "2.0.0");
    world.plugins.forget(&world.two);
    let gone = world.send("POST", &path, None, "ada").await;
    assert_eq!(gone.problem(), (404, "plugin-version-not-found".to_owned()));
    let unknown = world.send("POST", "/api/v1/jobs/no-00000000/verify", None, "ada").await;
    assert_eq!(unknown.problem(), (404, "job-not-found".to_owned()));
}

#[tokio::test]
async fn requests_are_counted_by_route_pattern_never_by_what_users_write() {
    let world = world();
    world.api.get("/api/v1/plugins/somebodys-secret").await;
    world.api.get("/nobody/knows/this-path").await;
    let answer = world.api.get("/metrics").await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let metrics = answer.text;
    for part in [
        "trainyard_http_requests_total{method=\"GET\",route=\"/api/v1/plugins/{name}\",status=\"4xx\"}",
        "trainyard_http_request_duration_seconds_bucket{method=\"GET\",route=\"(no route)\",le=\"0.001\"}",
        "trainyard_plugins{state=\"active\"}",
        "trainyard_plugin_files_rejected 0",
        "trainyard_build_info{version=",
        "process_start_time_seconds ",
        "# HELP trainyard_http_requests_total Requests that were answered",
    ] {
        assert!(metrics.contains(part), "{part} is missing:\n{metrics}");
    }
    for secret in ["somebodys-secret", "this-path"] {
        assert!(!metrics.contains(secret), "{secret}");
    }
}
