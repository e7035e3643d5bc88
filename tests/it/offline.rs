//! Rendering without a server gives the server's bytes.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::{App, Setup, all_plugins_dir, plugins_dir, program, sample_form};

/// Runs `trainyard-plugin render` on the XGBoost plugin.
async fn render(app: &App, form: &Value, args: &[&str]) -> Output {
    let path = app.dir.path().join("form.json");
    std::fs::write(&path, form.to_string()).unwrap();
    let mut command = Command::new(program("trainyard-plugin"));
    command.arg("render").arg(plugins_dir().join("xgboost.wasm"));
    command.arg("--form").arg(path).args(args);
    tokio::task::spawn_blocking(move || command.output().expect("the tool runs"))
        .await
        .expect("it ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// The policy in force, as the host's own binary exports it under the same environment.
fn exported_policy(app: &App, env: &[(&str, &str)]) -> String {
    let output = Command::new(program("trainyard-host"))
        .args(["config", "policy"])
        .envs(env.iter().copied())
        .output()
        .expect("the host's binary runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let path = app.dir.path().join("policy.json");
    std::fs::write(&path, &output.stdout).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn offline_bundle_is_the_stored_one_byte_for_byte() {
    let env = [
        ("TRAINYARD__ADMISSION__ALLOWED_IMAGES", "trainyard,registry.example/team"),
        ("TRAINYARD__ADMISSION__HELPERS", "2"),
    ];
    let mut setup = Setup::sqlite();
    setup.env = env.map(|(name, value)| (name, value.to_owned())).to_vec();
    let app = setup.start().await;
    let policy = exported_policy(&app, &env);
    let mut rich = sample_form("rich");
    rich["algorithm"] = json!("xgboost");
    rich["headImage"] = json!("registry.example/team/head:1");
    rich["customHyperparameters"] = json!({"alpha_rate": 0.001, "note": "a \"quoted\"\nline ä"});
    for form in [sample_form("plain"), rich] {
        let id = app.submit(&form).await;
        let job = app.get(&format!("/api/v1/jobs/{id}")).await.body;
        let stored = app.get(&format!("/api/v1/jobs/{id}/manifests")).await.body;
        let labels = &stored["manifests"][0]["document"]["metadata"]["labels"];
        let origin = labels["trainyard.dev/origin"].as_str().expect("an origin");
        let same = ["--job-id", &id, "--origin", origin, "--policy", &policy];

        let output = render(&app, &form, &[&same[..], &["--output", "bundle"]].concat()).await;
        assert!(output.status.success(), "{}", text(&output.stderr));
        let bundle = text(&output.stdout);
        assert_eq!(bundle, json!({"manifests": stored["manifests"]}).to_string());
        assert_eq!(training::Sha256Digest::of(bundle).to_string(), job["bundleSha256"]);
        // What the host did is said on the way, as it is kept in the job's first event.
        let said = text(&output.stderr);
        assert!(said.contains("note: /1/metadata/labels: "), "{said}");

        let output = render(&app, &form, &[&same[..], &["--json"]].concat()).await;
        let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        assert_eq!(answer["bundleSha256"], job["bundleSha256"]);
        assert_eq!(answer["bundle"].to_string(), bundle);
        let first = app.events(&id).await.remove(0);
        assert_eq!(answer["changes"], first["evidence"]["changes"]);
        assert!(answer["changes"].as_array().is_some_and(|changes| changes.len() > 10));
    }
}

#[tokio::test]
async fn offline_refusals_are_the_servers() {
    let app = Setup::sqlite().start().await;
    let mut wrong = sample_form("wrong");
    wrong["jobName"] = json!("Not A Name");
    wrong["priority"] = json!("high");
    wrong["hyperparameters"]["xgboost"]["eta"] = json!(7);
    wrong["customHyperparameters"] = json!({"api_key": "hunter2"});
    let answer = app.post("/api/v1/render", &wrong).await;
    let output = render(&app, &wrong, &[]).await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
    let lines: Vec<&str> = text(&output.stderr).lines().collect();
    let errors = answer.body["errors"].as_array().expect("errors");
    let expected: Vec<String> = errors
        .iter()
        .map(|error| {
            let part = |name: &str| error[name].as_str().expect("a text").to_owned();
            format!("error: {}: {}", part("pointer"), part("detail"))
        })
        .collect();
    assert_eq!(lines, expected);

    // What the form itself would put into a manifest is the user's to change, in both places.
    let mut secret = sample_form("secret");
    secret["customHyperparameters"] = json!({"api_key": "hunter2"});
    let answer = app.post("/api/v1/jobs", &secret).await;
    assert_eq!((answer.status, answer.pointers()), (400, vec!["/customHyperparameters/api_key"]));
    assert!(!answer.body.to_string().contains("hunter2"), "{}", answer.body);
    let output = render(&app, &secret, &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(!text(&output.stderr).contains("hunter2"), "{}", text(&output.stderr));
}

#[tokio::test]
async fn refused_manifests_are_listed_for_whoever_owns_the_plugin() {
    let mut setup = Setup::sqlite();
    setup.env = vec![("TRAINYARD__ADMISSION__ALLOWED_IMAGES", "registry.example".to_owned())];
    let app = setup.start().await;
    let answer = app.post("/api/v1/jobs", &sample_form("strange")).await;
    assert_eq!((answer.status, &answer.body["code"]), (500, &json!("manifests-refused")));
    let template = "/1/spec/rayClusterSpec";
    let head = format!("{template}/headGroupSpec/template/spec/containers/0/image");
    let worker = format!("{template}/workerGroupSpecs/0/template/spec/containers/0/image");
    assert_eq!(answer.pointers(), [head, worker], "{}", answer.body);
    assert_eq!(answer.body["errors"][0]["code"], "image-not-allowed");
    assert_eq!(app.get("/api/v1/jobs").await.body, json!([]));

    let answer = app.post("/api/v1/render", &sample_form("shown")).await;
    assert_eq!(answer.status, 500, "{}", answer.body);
}

#[tokio::test]
async fn render_says_what_the_host_changed() {
    let app = Setup::sqlite().start().await;
    let answer = app.post("/api/v1/render", &sample_form("shown")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let changes = answer.body["changes"].as_array().expect("changes");
    let rules: Vec<&str> = changes.iter().filter_map(|change| change["rule"].as_str()).collect();
    for rule in ["ownership", "service-account", "pod-security", "bundle-digest"] {
        assert!(rules.contains(&rule), "{rule}: {rules:?}");
    }
    // Every pointer leads to what is there now.
    for change in changes {
        let pointer = change["pointer"].as_str().expect("a pointer");
        let (index, rest) = pointer.trim_start_matches('/').split_once('/').expect("two parts");
        let manifest = &answer.body["manifests"][index.parse::<usize>().expect("a number")];
        assert!(manifest["document"].pointer(&format!("/{rest}")).is_some(), "{pointer}");
    }
}

/// Groups and plurals that the ClusterRole lets the host create.
fn may_create() -> Vec<(String, String)> {
    let path = crate::harness::repo().join("deploy/karmada-rbac.yaml");
    let yaml = std::fs::read_to_string(path).expect("the rights");
    let role = yaml.split("\n---\n").next().expect("a first document");
    let role: Value = serde_saphyr::from_str(role).expect("it is YAML");
    let words = |rule: &Value, field: &str| -> Vec<String> {
        let list = rule[field].as_array().expect("a list");
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let rules = role["rules"].as_array().expect("rules");
    let creating = rules.iter().filter(|rule| words(rule, "verbs").contains(&"create".to_owned()));
    creating
        .flat_map(|rule| {
            let groups = words(rule, "apiGroups");
            let plurals = words(rule, "resources");
            groups.into_iter().flat_map(move |group| {
                plurals.clone().into_iter().map(move |plural| (group.clone(), plural))
            })
        })
        .collect()
}

#[test]
fn host_may_create_every_kind_that_a_plugin_emits() {
    let granted = may_create();
    let plugins = std::fs::read_dir(all_plugins_dir()).expect("the built plugins");
    let files: Vec<_> = plugins.flatten().map(|file| file.path()).collect();
    assert!(files.len() >= 11, "{files:?}");
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "wasm")) {
        let mut command = Command::new(program("trainyard-plugin"));
        let output = command.arg("inspect").arg(file).arg("--json").output().expect("it runs");
        let inspected: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        for kind in inspected["kinds"].as_array().expect("kinds") {
            let api_version = kind["apiVersion"].as_str().expect("an API version");
            let group = api_version.split_once('/').map_or("", |(group, _)| group);
            let needed = (group.to_owned(), kind["plural"].as_str().expect("a plural").to_owned());
            assert!(granted.contains(&needed), "{}: {needed:?}", file.display());
        }
    }
}
