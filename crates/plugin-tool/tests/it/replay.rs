//! Stored jobs made again, from a database and from an export.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use job_store::{Config, DatabaseUrl};
use plugin_runtime::PluginRuntime;
use serde_json::{Map, Value, json};
use training::admit::Policy;
use training::clock::{RandomIds, SystemClock};
use training::job::{Exact, JobSpec, Resources, Spread};
use training::submit::{SubmitPorts, submit};
use training::{JobName, Namespace};

use crate::guests::{Guest, form, spec};
use crate::tool::{Run, run};

/// What the form of [`form`] asks for, with the parameters given.
fn job(name: &str, rounds: u32) -> JobSpec {
    let mut request = form(name);
    request["hyperparameters"]["toy"]["rounds"] = json!(rounds);
    JobSpec {
        name: JobName::parse(name).unwrap(),
        namespace: Namespace::parse("default").unwrap(),
        priority: 500,
        algorithm: "toy".to_owned(),
        resources: Resources {
            cpu_cores: 2,
            memory_gib: 4,
            gpu_count: 0,
            instance_count: 1,
            volume_size_gb: 0,
        },
        exact: Exact::default(),
        max_runtime_seconds: None,
        max_pending_seconds: None,
        attempt: training::job::Attempt::FIRST,
        channels: Vec::new(),
        output_uri: None,
        hyperparameters: request["hyperparameters"]["toy"].clone(),
        custom_hyperparameters: Map::new(),
        target_clusters: Vec::new(),
        spread: Spread::One,
        entrypoint: None,
        head_image: None,
        worker_image: None,
        image_uri: None,
        pvc_name: None,
        request,
    }
}

/// A database with the jobs `a`, `b` and `c` of 1, 2 and 3 rounds, submitted as a host does it.
async fn database(dir: &Path, guest: &Guest) -> String {
    let plugins = dir.join("plugins");
    fs::create_dir(&plugins).unwrap();
    guest.write(&plugins, "toy.wasm");
    let url = format!("sqlite://{}/jobs.db", dir.display());
    let config = Config::new(DatabaseUrl::new(url.clone()));
    let connected = job_store::connect(&config, &RandomIds).await.unwrap();
    let plugins = plugin_runtime::Config::new(Some(plugins), None);
    let ports = SubmitPorts {
        store: Arc::clone(&connected.store),
        plugins: PluginRuntime::start(plugins).await.unwrap(),
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds),
        policy: Arc::new(Policy::default()),
        origin: connected.store.origin().await.unwrap(),
        host_version: "0.0.0".to_owned(),
    };
    for (name, rounds) in [("a", 1), ("b", 2), ("c", 3)] {
        submit(&ports, job(name, rounds), None).await.unwrap();
    }
    drop(ports);
    connected.close().await;
    url
}

fn replayed(candidate: &Guest, source: &str, more: &[&str]) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let file = candidate.write(dir.path(), "candidate.wasm");
    let mut args = vec!["replay", file.to_str().unwrap(), "--against", source, "--json"];
    args.extend(more);
    run(&args)
}

fn outcome<'a>(report: &'a Value, job: &str) -> &'a Value {
    let jobs = report["jobs"].as_array().unwrap();
    jobs.iter().find(|each| each["job"] == job).unwrap_or_else(|| panic!("{report:#}"))
}

#[tokio::test]
async fn same_plugin_gives_the_same_bytes_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let url = database(dir.path(), &Guest::good()).await;
    let file = dir.path().join("jobs.db");
    let before = fs::read(&file).unwrap();
    let report = replayed(&Guest::good(), &url, &["--require-identical"]).ends(0).json();
    assert_eq!(report["counts"], json!({"identical": 3, "changed": 0, "invalid": 0, "fails": 0}));
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn each_job_shows_what_a_candidate_would_do_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let url = database(dir.path(), &Guest::good()).await;
    let mut other = spec();
    other["backoffLimit"] = json!(5);
    let candidate = Guest {
        version: "1.1.0".to_owned(),
        spec: other,
        objects_to: "\"rounds\":2".to_owned(),
        traps_on: "\"rounds\":3".to_owned(),
        ..Guest::good()
    };
    let run = replayed(&candidate, &url, &[]).ends(1);
    let report = run.json();
    assert_eq!(report["counts"], json!({"identical": 0, "changed": 1, "invalid": 1, "fails": 1}));
    let changed = outcome(&report, "default/a");
    let diff = changed["diff"].as_str().unwrap();
    assert!(diff.contains("-  backoffLimit: 0\n+  backoffLimit: 5\n"), "{diff}");
    assert!(!diff.contains("bundle-sha256"), "{diff}");
    assert_eq!(outcome(&report, "default/b")["outcome"], "invalid");
    assert!(outcome(&report, "default/b")["why"].as_str().unwrap().contains("conflict"));
    assert_eq!(outcome(&report, "default/c")["outcome"], "fails");
    assert!(run.stderr.contains("2 of 3 jobs that were accepted once"), "{}", run.stderr);
}

#[tokio::test]
async fn newest_jobs_of_a_namespace_are_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let url = database(dir.path(), &Guest::good()).await;
    let last = replayed(&Guest::good(), &url, &["--last", "2"]).ends(0).json();
    let names: Vec<&str> =
        last["jobs"].as_array().unwrap().iter().map(|job| job["job"].as_str().unwrap()).collect();
    assert_eq!(names, ["default/c", "default/b"]);
    let none = replayed(&Guest::good(), &url, &["--namespace", "other"]).ends(0).json();
    assert_eq!(none["jobs"], json!([]));
}

#[tokio::test]
async fn policy_of_the_host_refuses_in_a_replay_too() {
    let dir = tempfile::tempdir().unwrap();
    let url = database(dir.path(), &Guest::good()).await;
    let policy = dir.path().join("policy.json");
    let mut rules = Policy::default().to_value();
    rules["allowed_images"] = serde_json::json!(["registry.example"]);
    fs::write(&policy, rules.to_string()).unwrap();
    let report = replayed(&Guest::good(), &url, &["--policy", policy.to_str().unwrap()]).ends(1);
    let report = report.json();
    assert_eq!(report["counts"]["fails"], 3, "{report:#}");
    assert!(outcome(&report, "default/a")["why"].as_str().unwrap().contains("image-not-allowed"));
}

#[tokio::test]
async fn export_is_replayed_as_the_database_is() {
    let dir = tempfile::tempdir().unwrap();
    let url = database(dir.path(), &Guest::good()).await;
    let out = dir.path().join("jobs.jsonl");
    let out = out.to_str().unwrap();
    let exported = run(&["export", "--from", &url, "--out", out, "--json"]).ends(0).json();
    assert_eq!(exported["jobs"], 3);
    let text = fs::read_to_string(out).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[2]["name"], &lines[2]["algorithm"]), (&json!("a"), &json!("toy")));
    assert_eq!(lines[2]["plugin"]["version"], "1.0.0");
    assert_eq!(lines[2]["bundle"][0]["role"], "workload");
    let counts = json!({"identical": 3, "changed": 0, "invalid": 0, "fails": 0});
    assert_eq!(replayed(&Guest::good(), out, &[]).ends(0).json()["counts"], counts);

    // A job without settings is replayed with defaults, and that is said.
    let mut older = lines[0].clone();
    older.as_object_mut().unwrap().remove("settings");
    fs::write(out, format!("{older}\n\n")).unwrap();
    let run = replayed(&Guest::good(), out, &[]).ends(0);
    assert_eq!(run.json()["assumedSettings"], 1);
    assert!(run.stderr.contains("hint: give the settings"), "{}", run.stderr);

    fs::write(out, "{\"id\": 1}\n").unwrap();
    let broken = replayed(&Guest::good(), out, &[]).ends(1);
    assert!(broken.stderr.contains("line 1: not an exported job"), "{}", broken.stderr);
}

#[test]
fn unreachable_database_does_not_repeat_its_password() {
    let url = "postgres://ada:geheim@127.0.0.1:1/nothing";
    let run = replayed(&Guest::good(), url, &[]).ends(1);
    assert!(run.stderr.contains("cannot be read"), "{}", run.stderr);
    assert!(!run.stderr.contains("geheim"), "{}", run.stderr);
}
