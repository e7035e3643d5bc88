//! The way of a version from its author to a host that trusts it, at the author's own commands.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use super::guest;
use crate::harness::{App, Setup, all_plugins_dir, plugins_dir, program, sample_form, until};

/// Runs `trainyard-plugin` in a directory.
fn run(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(program("trainyard-plugin"));
    command.current_dir(dir).args(args).env_remove("TRAINYARD_SCHEMAS");
    command.output().expect("the tool runs")
}

/// The same, and its report.
fn report(dir: &Path, args: &[&str], code: i32) -> Value {
    let output = run(dir, &[args, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}"))
}

/// The line of a public key's file that is the key.
fn key_line(file: &Path) -> String {
    let text = std::fs::read_to_string(file).expect("the public key");
    text.lines().nth(1).expect("a key").to_owned()
}

async fn version_of(app: &App) -> Option<String> {
    let answer = app.post("/api/v1/render", &guest::form("trees")).await;
    Some(answer.body["plugin"]["version"].as_str()?.to_owned())
}

#[tokio::test]
async fn signed_version_travels_through_a_registry_to_a_host_that_takes_no_other() {
    let work = tempfile::tempdir().unwrap();
    let at = work.path();
    report(at, &["keygen", "--no-password", "--out", "team.key"], 0);
    std::fs::write(at.join("trees.wasm"), guest::component("1.0.0")).unwrap();
    report(at, &["sign", "trees.wasm", "--key", "team.key"], 0);
    let verified = report(at, &["verify", "trees.wasm", "--key", "team.pub"], 0);
    assert_eq!((&verified["name"], &verified["version"]), (&"trees".into(), &"1.0.0".into()));
    let pushed = report(at, &["push", "trees.wasm", "oci-layout:registry:1.0.0"], 0);
    assert_eq!(pushed["signed"], true);
    let pinned = pushed["reference"].as_str().expect("a reference with a digest").to_owned();

    let mut setup = Setup::sqlite().own_plugins();
    let plugins = setup.plugins_dir();
    setup.env = vec![
        ("TRAINYARD__PLUGINS__TRUSTED_KEYS", key_line(&at.join("team.pub"))),
        ("TRAINYARD__PLUGINS__REQUIRE_SIGNATURE", "true".to_owned()),
    ];
    let out = plugins.join("trees.wasm").display().to_string();
    report(at, &["pull", &pinned, "--out", &out, "--require-digest"], 0);
    let app = setup.start().await;
    assert_eq!(version_of(&app).await.as_deref(), Some("1.0.0"));
    let plugin = app.get("/api/v1/plugins/trees").await.body;
    let key = key_line(&at.join("team.pub"));
    assert!(plugin.to_string().contains(&key), "who signed it is shown: {plugin:#}");
    let id = app.submit(&guest::form("trees")).await;
    let job = app.get(&format!("/api/v1/jobs/{id}")).await.body;
    let inspected = report(at, &["inspect", "trees.wasm"], 0);
    assert_eq!(job["plugin"]["sha256"], inspected["digest"], "{job:#}\n{inspected:#}");

    // A newer version that nobody signed, and one that a stranger signed, change nothing.
    let newer = plugins.join("trees-1.1.0.wasm");
    guest::put(&newer, &guest::component("1.1.0"));
    let rejected = async |why: &str| {
        let list = app.get("/api/v1/plugins").await.body;
        list["rejected"][0]["reason"].as_str().is_some_and(|reason| reason.contains(why))
    };
    until("it is rejected", async || rejected("there is no file").await).await;
    report(at, &["keygen", "--no-password", "--out", "stranger.key"], 0);
    report(at, &["sign", &newer.display().to_string(), "--key", "stranger.key"], 0);
    until("so is the stranger's", async || rejected("none of the 1 trusted keys").await).await;
    let stranger = run(at, &["verify", &newer.display().to_string(), "--key", "team.pub"]);
    assert_eq!(stranger.status.code(), Some(1), "`verify` says what the host says");
    assert_eq!(version_of(&app).await.as_deref(), Some("1.0.0"));

    // The right signature beside the same file is enough.
    std::fs::remove_file(newer.with_extension("wasm.minisig")).unwrap();
    report(at, &["sign", &newer.display().to_string(), "--key", "team.key"], 0);
    until("it serves", async || version_of(&app).await.as_deref() == Some("1.1.0")).await;
}

#[tokio::test]
async fn author_sees_what_a_candidate_would_do_to_the_jobs_of_a_running_host() {
    let setup = Setup::sqlite().own_plugins();
    guest::install(&setup.plugins_dir(), "1.0.0");
    let app = setup.start().await;
    app.submit(&guest::form("trees")).await;
    let at = app.dir.path();
    std::fs::write(at.join("old.wasm"), guest::component("1.0.0")).unwrap();
    std::fs::write(at.join("new.wasm"), guest::component("1.0.1")).unwrap();
    let database = app.database.url(at);
    let same = report(at, &["replay", "old.wasm", "--against", &database], 0);
    assert_eq!(same["counts"]["identical"], 1, "{same:#}");
    let other = report(at, &["replay", "new.wasm", "--against", &database], 0);
    assert_eq!(other["counts"]["changed"], 1, "{other:#}");
    let diff = other["jobs"][0]["diff"].as_str().expect("a diff");
    assert!(diff.contains("-        image: trees:1.0.0\n+        image: trees:1.0.1\n"), "{diff}");

    // The same of a file, where the database is not.
    let exported = report(at, &["export", "--from", &database, "--out", "jobs.jsonl"], 0);
    assert_eq!(exported["jobs"], 1, "{exported:#}");
    let of_file = report(at, &["replay", "new.wasm", "--against", "jobs.jsonl"], 0);
    assert_eq!((&of_file["counts"], &of_file["jobs"]), (&other["counts"], &other["jobs"]));

    let compared = report(at, &["diff", "old.wasm", "new.wasm"], 0);
    assert_eq!((&compared["needed"], &compared["sufficient"]), (&"patch".into(), &true.into()));
    let figures = report(at, &["bench", "old.wasm", "--seconds", "0.05"], 0);
    assert_eq!(figures["calls"].as_array().map(Vec::len), Some(4), "{figures:#}");
}

#[tokio::test]
async fn shipped_plugin_conforms_and_a_broken_one_does_not() {
    let work = tempfile::tempdir().unwrap();
    let at = work.path();
    let shipped = plugins_dir().join("xgboost.wasm").display().to_string();
    let form = at.join("form.json");
    std::fs::write(&form, sample_form("checked").to_string()).unwrap();
    let good = report(at, &["check", &shipped, "--jobs", "30"], 0);
    assert_eq!(good["passed"], true, "{good:#}");
    let traps = plugin_runtime::testing::Guest::hostile("trap").build();
    std::fs::write(at.join("trap.wasm"), traps).unwrap();
    let bad = report(at, &["check", "trap.wasm", "--jobs", "30"], 1);
    assert_eq!(bad["passed"], false, "{bad:#}");
}

/// Debian's `docker-registry` on a port of its own, without a network.
struct Registry {
    child: Child,
    address: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `None` with a loud line where it is not installed.
fn registry(dir: &Path) -> Option<Registry> {
    let program = ["/usr/bin/docker-registry", "/usr/local/bin/docker-registry"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    let Some(program) = program else {
        eprintln!("SKIPPED: docker-registry is not installed (apt-get install docker-registry)");
        return None;
    };
    let config = json!({
        "version": 0.1,
        "log": {"level": "info", "formatter": "json"},
        "storage": {"filesystem": {"rootdirectory": dir.join("data")}},
        "http": {"addr": "127.0.0.1:0"},
    });
    std::fs::write(dir.join("config.yml"), config.to_string()).expect("its settings");
    let mut child = Command::new(program)
        .arg("serve")
        .arg(dir.join("config.yml"))
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    // It says on which port it listens.
    let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
    let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, rest) = line.split_once("listening on ")?;
        Some(rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect())
    });
    // Reads on, so that it never waits for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    let address = address.unwrap_or_default();
    let registry = Registry { child, address };
    assert!(!registry.address.is_empty(), "the registry ended at once");
    Some(registry)
}

#[tokio::test]
async fn version_travels_over_http_from_a_registry_to_a_running_host() {
    let work = tempfile::tempdir().unwrap();
    let at = work.path();
    let Some(registry) = registry(at) else { return };
    let setup = Setup::sqlite().own_plugins();
    guest::install(&setup.plugins_dir(), "1.0.0");
    let app = setup.start().await;
    assert_eq!(version_of(&app).await.as_deref(), Some("1.0.0"));
    std::fs::write(at.join("trees.wasm"), guest::component("1.1.0")).unwrap();
    let reference = format!("oci://{}/team/trees:1.1.0", registry.address);
    let pushed = report(at, &["push", "trees.wasm", &reference], 0);
    let pinned = pushed["reference"].as_str().expect("a reference with a digest").to_owned();
    let out = guest::file(&app.plugins_dir(), "1.1.0").display().to_string();
    report(at, &["pull", &pinned, "--out", &out, "--require-digest"], 0);
    until("it serves", async || version_of(&app).await.as_deref() == Some("1.1.0")).await;
}

/// Random jobs for each plugin: the kit tries every edge of every parameter besides.
const JOBS: &str = "10";
/// Tests among which the shipped plugins are divided.
const PARTS: usize = 3;

/// Checks one part of the shipped plugins: a test of all of them would take minutes.
fn clusters_take_what_they_make(part: usize) {
    let Some(schemas) = super::cluster_schemas::folder() else { return };
    let schemas = schemas.canonicalize().expect("the folder of schemas");
    let schemas = schemas.display().to_string();
    let plugins = std::fs::read_dir(all_plugins_dir()).expect("the built plugins");
    let mut files: Vec<_> = plugins.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "wasm"));
    files.sort();
    assert!(files.len() >= 10, "{files:?}");
    let work = tempfile::tempdir().unwrap();
    for file in files.into_iter().skip(part).step_by(PARTS) {
        let name = file.display().to_string();
        let args = ["check", &name, "--schemas", &schemas, "--jobs", JOBS];
        let output = run(work.path(), &[&args[..], &["--json"]].concat());
        let said = String::from_utf8_lossy(&output.stdout);
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{name}: {error}: {output:?}"));
        assert_eq!((output.status.code(), &report["passed"]), (Some(0), &json!(true)), "{said}");
        let sections = report["sections"].as_array().expect("sections");
        let clusters = sections.iter().find(|section| section["name"] == "schemas of clusters");
        let checks = clusters.expect("the section")["checks"].as_array().expect("checks");
        // None of its kinds lacks a schema.
        assert!(!checks.is_empty(), "{name}");
        for check in checks {
            assert_eq!(check["outcome"], "passed", "{name}: {check}");
        }
    }
}

#[test]
fn clusters_take_what_the_first_part_of_the_shipped_plugins_makes() {
    clusters_take_what_they_make(0);
}

#[test]
fn clusters_take_what_the_second_part_of_the_shipped_plugins_makes() {
    clusters_take_what_they_make(1);
}

#[test]
fn clusters_take_what_the_third_part_of_the_shipped_plugins_makes() {
    clusters_take_what_they_make(2);
}
