//! Hostile plugins in a whole host: each is contained, named, and costs its neighbour nothing; the
//! second wall stands around all of them.

use std::path::Path;

use plugin_runtime::testing::Guest;
use serde_json::{Value, json};

use super::guest;
use crate::harness::{App, Setup, plugins_dir, sample_form, until};

/// A host with these plugins beside the good one.
async fn beside_good(plugins: &[(&str, Guest)]) -> App {
    let setup = Setup::sqlite().own_plugins();
    let dir = setup.plugins_dir();
    guest::install(&dir, "1.0.0");
    for (name, plugin) in plugins {
        guest::put(&dir.join(format!("{name}.wasm")), &plugin.build());
    }
    setup.start().await
}

/// What the good plugin makes of its form.
async fn good_manifests(app: &App) -> Value {
    let answer = app.post("/api/v1/render", &guest::form("trees")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut manifests = answer.body["manifests"].clone();
    // The id is new each time, and so is the digest of what holds it.
    let metadata = &mut manifests[0]["document"]["metadata"];
    metadata["labels"] = Value::Null;
    metadata["annotations"] = Value::Null;
    manifests
}

#[tokio::test]
async fn guests_that_misbehave_are_contained_and_named() {
    let expected = [
        ("chatter", "plugin-timeout"),
        ("huge-string", "plugin-fault"),
        ("invalid-utf8", "plugin-fault"),
        ("loop", "plugin-timeout"),
        ("many-items", "plugin-fault"),
        ("memory-bomb", "plugin-fault"),
        ("out-of-bounds", "plugin-fault"),
        ("recursion", "plugin-fault"),
        ("trap", "plugin-fault"),
    ];
    let plugins = expected.map(|(name, _)| (name, Guest::hostile(name)));
    let app = beside_good(&plugins).await;
    let before = good_manifests(&app).await;
    for (name, code) in expected {
        let answer = app.post("/api/v1/jobs", &guest::form(name)).await;
        assert_eq!(answer.body["code"], code, "{name}: {}", answer.body);
        assert!((500..600).contains(&answer.status), "{name}: {}", answer.status);
        // What the guest said or did is for the operator's log alone.
        assert!(!answer.body.to_string().contains("last words"), "{}", answer.body);
        assert_eq!(good_manifests(&app).await, before, "beside {name}");
    }
    assert!(app.get("/api/v1/jobs").await.body.as_array().is_some_and(Vec::is_empty));
    let list = app.get("/api/v1/plugins").await.body;
    let listed = list["plugins"].as_array().expect("plugins").len();
    assert_eq!(listed, expected.len() + 1, "{list}");
}

#[tokio::test]
async fn files_that_misbehave_while_they_are_loaded_are_rejected_alone() {
    let greedy = Guest { world: "greedy", ..Guest::hostile("clock") };
    let app = beside_good(&[("start", Guest::hostile("loop-in-start")), ("clock", greedy)]).await;
    good_manifests(&app).await;
    let list = app.get("/api/v1/plugins").await.body;
    let rejected = list["rejected"].as_array().expect("a list");
    let reason = |index: usize| rejected[index]["reason"].as_str().unwrap_or_default().to_owned();
    assert_eq!(rejected.len(), 2, "{list}");
    assert!(reason(0).contains("may import `log` only"), "{}", reason(0));
    assert!(reason(1).contains("did not finish `describe`"), "{}", reason(1));
}

#[tokio::test]
async fn plugin_that_never_reads_a_status_leaves_the_jobs_of_others_alone() {
    let setup = Setup::sqlite().own_plugins();
    let dir = setup.plugins_dir();
    std::fs::copy(plugins_dir().join("xgboost.wasm"), dir.join("xgboost.wasm")).unwrap();
    let stuck = Guest::hostile("loop-in-interpret").emits("workload", &guest::workload("1"));
    guest::put(&dir.join("stuck.wasm"), &stuck.build());
    let app = setup.start().await;
    let id = app.submit(&guest::form("loop-in-interpret")).await;
    app.job_in_phase(&id, "Submitted").await;
    until("it was asked", async || app.host.log().contains("could not be interpreted")).await;
    for name in ["one", "two", "three"] {
        let good = app.submit(&sample_form(name)).await;
        app.job_in_phase(&good, "Succeeded").await;
    }
    // Whoever asks why is told, and it can be stopped as any other.
    let explained = app.get(&format!("/api/v1/jobs/{id}/explain")).await;
    assert_eq!(explained.status, 200, "{}", explained.body);
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    app.job_gone(&id).await;
}

/// Manifests that no host may create, and the code of the refusal.
fn forbidden() -> Vec<(&'static str, Guest, &'static str)> {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut document = guest::workload("1");
        change(&mut document);
        document
    };
    let emits = |name: &str, document: &Value| Guest::good(name).emits("workload", document);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": guest::JOB}});
    let mut many = Guest::good("many");
    for _ in 0..10_000 {
        many = many.emits("workload", &json!({}));
    }
    let elsewhere = with(&|document| {
        document["spec"]["template"]["spec"]["affinity"] =
            json!({"podAffinity": {"namespace": "kube-system"}});
    });
    let injected = with(&|document| document["metadata"]["name"] = json!("constant\nname: other"));
    let privileged = with(&|document| {
        document["spec"]["template"]["spec"]["containers"][0]["securityContext"] =
            json!({"privileged": true});
    });
    let greedy = with(&|document| {
        document["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] =
            json!({"cpu": "1000", "memory": "1Gi"});
    });
    let telling = with(&|document| {
        document["spec"]["template"]["spec"]["containers"][0]["env"] =
            json!([{"name": "AWS_SECRET_ACCESS_KEY", "value": "hush"}]);
    });
    let self_removing = with(&|document| document["spec"]["ttlSecondsAfterFinished"] = json!(1));
    let deep = (0..80).fold(json!(1), |inner, _| json!([inner]));
    let deep = with(&|document| document["spec"]["deep"] = deep.clone());
    vec![
        ("kind", emits("kind", &secret), "kind-not-allowed"),
        ("elsewhere", emits("elsewhere", &elsewhere), "foreign-namespace"),
        ("injected", emits("injected", &injected), "wrong-name"),
        ("privileged", emits("privileged", &privileged), "pod-security"),
        ("greedy", emits("greedy", &greedy), "over-ceiling"),
        ("telling", emits("telling", &telling), "secret-literal"),
        ("ttl", emits("ttl", &self_removing), "self-removal"),
        ("many", many, ""),
        ("deep", emits("deep", &deep), ""),
    ]
}

#[tokio::test]
async fn manifests_that_no_host_may_create_are_refused_with_pointers() {
    let cases = forbidden();
    let plugins: Vec<_> = cases.iter().map(|(name, guest, _)| (*name, guest.clone())).collect();
    let app = beside_good(&plugins).await;
    for (name, _, code) in cases {
        let answer = app.post("/api/v1/jobs", &guest::form(name)).await;
        if code.is_empty() {
            // Too much to look at: the runtime stops it before admission.
            assert_eq!(answer.body["code"], "plugin-fault", "{name}: {}", answer.body);
            continue;
        }
        assert_eq!(answer.body["code"], "manifests-refused", "{name}: {}", answer.body);
        let errors = answer.body["errors"].as_array().expect("errors");
        let found = errors.iter().find(|error| error["code"] == code);
        let found = found.unwrap_or_else(|| panic!("{name}: no `{code}` in {}", answer.body));
        assert!(found["pointer"].as_str().is_some_and(|at| at.starts_with("/0")), "{found}");
    }
    good_manifests(&app).await;
}

/// Runner processes of a host.
pub(super) fn runners(host: u32) -> Vec<u32> {
    children(host, "__plugin-runner")
}

/// Processes that a host started for this.
pub(super) fn children(host: u32, role: &str) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{host}/task")).into_iter().flatten().flatten();
    let children = threads.flat_map(|thread| {
        let children = std::fs::read_to_string(thread.path().join("children"));
        let children = children.unwrap_or_default();
        children.split_whitespace().flat_map(str::parse).collect::<Vec<u32>>()
    });
    children.filter(|pid| command_line(*pid).contains(role)).collect()
}

fn command_line(pid: u32) -> String {
    let bytes = std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline"));
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

#[tokio::test]
async fn runners_are_confined_replaced_when_killed_and_end_with_the_host() {
    let mut app = beside_good(&[]).await;
    good_manifests(&app).await;
    let first = runners(app.host.pid());
    assert!(!first.is_empty());
    for pid in &first {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        assert!(environment.is_empty(), "{}", String::from_utf8_lossy(&environment));
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        // System calls are filtered, and no program that it starts could get more rights.
        for line in ["Seccomp:\t2\n", "NoNewPrivs:\t1\n"] {
            assert!(status.contains(line), "{line}: {status}");
        }
        // Nor could one that broke out use up the machine.
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        for name in ["Max core file size", "Max cpu time", "Max data size"] {
            let limit = limits.lines().find_map(|line| line.strip_prefix(name));
            let soft = limit.and_then(|limit| limit.split_whitespace().next());
            assert!(soft.is_some_and(|soft| soft != "unlimited"), "{name}: {limits}");
        }
    }
    assert!(app.host.log().contains("Plugin runners are confined by"), "{}", app.host.log());

    for pid in &first {
        let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
        assert!(killed.expect("`kill` runs").success());
    }
    good_manifests(&app).await;
    let second = runners(app.host.pid());
    assert!(!second.is_empty() && second.iter().all(|pid| !first.contains(pid)), "{second:?}");

    app.host.kill();
    until("no runner is left", async || {
        second.iter().all(|pid| !command_line(*pid).contains("__plugin-runner"))
    })
    .await;
}

#[tokio::test]
async fn callers_that_find_no_place_are_told_when_to_come_back() {
    let mut setup = Setup::sqlite().own_plugins();
    // One place for each plugin, so that the second caller of one that loops waits in vain.
    setup.env = vec![("TRAINYARD__PLUGINS__RUNNERS", "2".to_owned())];
    guest::install(&setup.plugins_dir(), "1.0.0");
    guest::put(&setup.plugins_dir().join("loop.wasm"), &Guest::hostile("loop").build());
    let app = setup.start().await;
    let (looping, trees) = (guest::form("loop"), guest::form("trees"));
    let call = || app.post("/api/v1/render", &looping);
    let good = app.post("/api/v1/render", &trees);
    let (first, second, third, good) = tokio::join!(call(), call(), call(), good);
    assert_eq!(good.status, 200, "{}", good.body);
    let looped = [first, second, third];
    assert!(looped.iter().any(|answer| answer.body["code"] == "plugin-timeout"));
    let refused: Vec<_> = looped.iter().filter(|answer| answer.status == 503).collect();
    assert!(!refused.is_empty());
    for answer in refused {
        assert_eq!(
            (&answer.body["code"], answer.header("retry-after")),
            (&json!("overloaded"), "2")
        );
    }
}

#[tokio::test]
async fn dropped_file_serves_without_a_restart_and_a_broken_one_changes_nothing() {
    let app = beside_good(&[]).await;
    let dir = app.plugins_dir();
    let algorithms = async || {
        let list = app.get("/api/v1/algorithms").await.body;
        let names =
            list.as_array().expect("a list").iter().map(|algorithm| algorithm["name"].clone());
        names.collect::<Vec<_>>()
    };
    assert_eq!(algorithms().await, ["trees"]);
    let bush = Guest::good("bush").emits("workload", &guest::workload("1"));
    guest::put(&dir.join("bush.wasm"), &bush.build());
    until("bush serves", async || algorithms().await == ["bush", "trees"]).await;
    let answer = app.post("/api/v1/jobs", &guest::form("bush")).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let id = answer.body["id"].as_str().expect("an id").to_owned();

    // Half of a newer version, and its writer is gone.
    let newer = bush.clone().version("2.0.0").build();
    std::fs::write(dir.join("bush.wasm"), &newer[..newer.len() / 2]).unwrap();
    until("it is reported", async || {
        let list = app.get("/api/v1/plugins").await.body;
        list["rejected"][0]["file"] == "bush.wasm"
    })
    .await;
    assert_eq!(algorithms().await, ["bush", "trees"]);
    let served = async || {
        let answer = app.post("/api/v1/render", &guest::form("bush")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["plugin"]["version"].clone()
    };
    assert_eq!(served().await, "1.0.0");

    // All of it, in the place of the half.
    guest::put(&dir.join("bush.wasm"), &newer);
    until("the newer version serves", async || served().await == "2.0.0").await;
    let list = app.get("/api/v1/plugins").await.body;
    assert_eq!(list["rejected"], json!([]), "{list:#}");

    std::fs::remove_file(dir.join("bush.wasm")).unwrap();
    until("bush is gone", async || algorithms().await == ["trees"]).await;
    // Its job keeps the bytes that made it.
    let verified = app.post(&format!("/api/v1/jobs/{id}/verify"), &json!({})).await;
    assert_eq!(verified.body["verdict"], "same", "{}", verified.body);
}
