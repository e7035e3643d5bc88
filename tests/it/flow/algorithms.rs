//! Every converter of this repository in a whole host: its own documented form runs to its end, as
//! each kind of workload that it can make. Which converters there are, and what they can make, is
//! asked of the host, so that a new one is tested without a line here.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{App, Setup, all_plugins_dir, repo, until_within};

/// For eleven components that nothing has compiled yet, on a busy machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(4);
/// Kinds that run until they are stopped.
const ENDLESS: [&str; 1] = ["Deployment"];

/// A host that serves every plugin of this repository, and what it says of each.
async fn every_plugin(settings: &str) -> (App, Vec<Value>) {
    let setup = Setup::sqlite().own_plugins().config(settings);
    let mut files = 0;
    for entry in std::fs::read_dir(all_plugins_dir()).expect("the built plugins") {
        let built = entry.expect("an entry").path();
        if built.extension().is_some_and(|ending| ending == "wasm") {
            let name = built.file_name().expect("a name").to_owned();
            std::fs::copy(&built, setup.plugins_dir().join(name)).expect("a copy");
            files += 1;
        }
    }
    assert!(files > 0, "there are plugins");
    let app = setup.start().await;
    until_within(PATIENCE, "every plugin serves", async || {
        let list = app.get("/api/v1/algorithms").await.body;
        list.as_array().is_some_and(|list| list.len() == files)
    })
    .await;
    let list = app.get("/api/v1/algorithms").await.body;
    let mut described = Vec::new();
    for each in list.as_array().expect("a list") {
        described.push(app.get(&format!("/api/v1/algorithms/{}", name_of(each))).await.body);
    }
    (app, described)
}

fn name_of(described: &Value) -> &str {
    described["name"].as_str().expect("a name")
}

/// The kinds of workloads that a plugin can make, its own choice first.
fn workloads(described: &Value) -> Vec<&str> {
    let kinds = described["kinds"].as_array().expect("kinds").iter();
    let workloads = kinds.filter(|kind| kind["workload"] == true);
    workloads.map(|kind| kind["kind"].as_str().expect("a kind")).collect()
}

/// The smallest form of an algorithm: its plugin's first example, which its page shows.
fn smallest(described: &Value) -> Value {
    let algorithm = name_of(described);
    let mut form = described["examples"][0].clone();
    assert!(form.is_object(), "{algorithm} has an example: {described}");
    let page = repo().join(format!("docs/algorithms/{algorithm}.md"));
    let page = std::fs::read_to_string(&page).expect("every algorithm has its page");
    let shown = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    let shown: Value = serde_json::from_str(shown.expect("a form")).expect("JSON");
    assert_eq!(shown, form, "{algorithm}: its page shows the form that its plugin names");
    form["jobName"] = json!(format!("smallest-{algorithm}"));
    form
}

/// A job that is to run to its end.
struct Wanted {
    /// What it shows, for messages.
    what: String,
    form: Value,
    /// Kind of its workload.
    kind: String,
}

/// Submits the form of each algorithm; all of them run at once, and to their end.
async fn run_all(app: &App, described: &[&Value], kinds: &BTreeMap<&str, &str>) {
    let mut wanted = Vec::new();
    for each in described {
        let mut form = smallest(each);
        let preview = app.post("/api/v1/render", &form).await;
        if preview.pointers() == ["/entrypoint"] {
            // A kind may bring its own launcher, and its message names a program without one.
            form["entrypoint"] = json!("python train.py");
        }
        let what = name_of(each).to_owned();
        wanted.push(Wanted { form, kind: kinds[name_of(each)].to_owned(), what });
    }
    run(app, wanted).await;
}

/// Submits forms as `curl` does; all of them run at once, each to its end and with logs.
async fn run(app: &App, wanted: Vec<Wanted>) {
    let mut jobs = Vec::new();
    for Wanted { what, form, kind } in wanted {
        let answer = app.post("/api/v1/jobs", &form).await;
        assert_eq!(answer.status, 201, "{what}: {}", answer.body);
        jobs.push((what, kind, answer.body["id"].as_str().expect("an id").to_owned()));
    }
    for (what, kind, id) in jobs {
        let is_endless = ENDLESS.contains(&kind.as_str());
        let job = app.job_in_phase(&id, if is_endless { "Running" } else { "Succeeded" }).await;
        assert_eq!(job["clusters"].as_array().unwrap().len(), 1, "{what}: {job:#}");
        let made = app.get(&format!("/api/v1/jobs/{id}/manifests")).await.body;
        let made = made["manifests"].as_array().expect("manifests");
        let workload = made.iter().find(|one| one["role"] == "workload").expect("a workload");
        assert_eq!(workload["document"]["kind"], kind, "{what}");
        // The bindings tell the end before the log may be complete in the archive.
        until_within(PATIENCE, &format!("{what} as {kind} has logs"), async || {
            let logs = app.get(&format!("/api/v1/jobs/{id}/logs")).await;
            // What the host itself says in a log begins so.
            let says = |line: &str| !line.is_empty() && !line.starts_with("[trainyard]");
            let text = logs.body.as_str().unwrap_or_default();
            logs.status == 200 && text.lines().any(says)
        })
        .await;
        let verified = app.post(&format!("/api/v1/jobs/{id}/verify"), &json!({})).await;
        assert_eq!(verified.body["verdict"], "same", "{what}: {}", verified.body);
        if is_endless {
            let stopped = app.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).await;
            assert_eq!(stopped.status, 200, "{}", stopped.body);
            app.job_in_phase(&id, "Cancelled").await;
        }
    }
}

#[tokio::test]
async fn documented_form_of_every_algorithm_runs_to_its_end() {
    let (app, described) = every_plugin("").await;
    let kinds = described.iter().map(|each| (name_of(each), workloads(each)[0])).collect();
    run_all(&app, &described.iter().collect::<Vec<_>>(), &kinds).await;
}

#[tokio::test]
async fn documented_forms_run_as_each_kind_that_an_operator_may_choose() {
    let (app, described) = every_plugin("").await;
    drop(app);
    let most = described.iter().map(|each| workloads(each).len()).max().unwrap_or_default();
    assert!(most > 1, "some plugin has a choice: {described:#?}");
    for choice in 1..most {
        let chosen: Vec<(&Value, &str)> = described
            .iter()
            .filter_map(|each| Some((each, *workloads(each).get(choice)?)))
            .collect();
        let mut settings = String::new();
        for (each, kind) in &chosen {
            let plugin = each["plugin"]["name"].as_str().expect("a plugin");
            settings += &format!("[plugins.settings.{plugin}]\nworkloadKind = \"{kind}\"\n");
        }
        let (app, _) = every_plugin(&settings).await;
        let kinds = chosen.iter().map(|(each, kind)| (name_of(each), *kind)).collect();
        let described: Vec<&Value> = chosen.iter().map(|(each, _)| *each).collect();
        run_all(&app, &described, &kinds).await;
    }
}

#[tokio::test]
async fn wrong_parameters_of_every_algorithm_are_answered_with_their_pointers() {
    let (app, described) = every_plugin("").await;
    for each in &described {
        let algorithm = name_of(each);
        let group = format!("/hyperparameters/{algorithm}");
        let mut form = smallest(each);
        form["hyperparameters"][algorithm]["no_such_parameter"] = json!(1);
        let answer = app.post("/api/v1/jobs", &form).await;
        assert_eq!(answer.status, 400, "{algorithm}: {}", answer.body);
        let pointer = format!("{group}/no_such_parameter");
        assert_eq!(answer.pointers(), [pointer.as_str()], "{algorithm}: {}", answer.body);

        let schema = app.get(each["schemaPath"].as_str().expect("a path")).await.body;
        let parameters = schema["properties"].as_object().expect("parameters");
        assert!(!parameters.is_empty(), "{algorithm}");
        // A list in a list is nobody's value.
        form["hyperparameters"][algorithm] =
            parameters.keys().map(|name| (name.clone(), json!([[]]))).collect::<Value>();
        let answer = app.post("/api/v1/jobs", &form).await;
        assert_eq!(answer.status, 400, "{algorithm}: {}", answer.body);
        let pointers = answer.pointers();
        for name in parameters.keys() {
            let own = format!("{group}/{name}");
            let is_told = pointers.iter().any(|pointer| {
                pointer
                    .strip_prefix(&own)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            assert!(is_told, "{own} is not among {pointers:?}");
        }
        // Each of them alone is as wrong, and nothing else is said.
        let mut good = smallest(each);
        for name in parameters.keys() {
            let before = good["hyperparameters"][algorithm][name].take();
            good["hyperparameters"][algorithm][name] = json!([[]]);
            let answer = app.post("/api/v1/render", &good).await;
            let own = format!("{group}/{name}");
            assert_eq!(answer.status, 400, "{own}: {}", answer.body);
            let pointers = answer.pointers();
            assert!(
                pointers.iter().all(|pointer| pointer.starts_with(&own)),
                "{own}: {pointers:?}"
            );
            match before {
                Value::Null => {
                    good["hyperparameters"][algorithm].as_object_mut().unwrap().remove(name);
                }
                before => good["hyperparameters"][algorithm][name] = before,
            }
        }
    }
}

/// The names of the predecessor, and the converters to which they lead.
const ALIASES: [(&str, &str); 7] = [
    ("torch-mpi", "pytorch"),
    ("tensorflow-cnn", "tensorflow"),
    ("tensorflow-transformer", "tensorflow"),
    ("tf-distributed", "tensorflow"),
    ("jax-pjit", "jax"),
    ("horovod-mpi", "horovod"),
    ("deepspeed-zero3", "deepspeed"),
];
/// Every algorithm that there has to be.
const ALGORITHMS: [&str; 11] = [
    "deepspeed",
    "horovod",
    "jax",
    "job",
    "lightgbm",
    "pytorch",
    "ray",
    "service",
    "sklearn",
    "tensorflow",
    "xgboost",
];

#[tokio::test]
async fn job_of_every_alias_runs_to_its_end_with_the_documented_form() {
    let (app, described) = every_plugin("").await;
    let mut names: Vec<&str> = described.iter().map(name_of).collect();
    names.sort_unstable();
    assert_eq!(names, ALGORITHMS);
    let (mut wanted, mut aliases) = (Vec::new(), Vec::new());
    for each in &described {
        for alias in each["aliases"].as_array().expect("aliases") {
            let alias = alias.as_str().expect("a name");
            aliases.push((alias, name_of(each)));
            let mut form = smallest(each);
            form["jobName"] = json!(format!("by-{alias}"));
            form["algorithm"]["algorithmName"] = json!(alias);
            let parameters = form["hyperparameters"][name_of(each)].take();
            form["hyperparameters"] =
                if parameters.is_null() { json!({}) } else { json!({ alias: parameters }) };
            let kind = workloads(each)[0].to_owned();
            wanted.push(Wanted { what: alias.to_owned(), form, kind });
        }
    }
    for expected in ALIASES {
        assert!(aliases.contains(&expected), "{expected:?} is not among {aliases:?}");
    }
    run(&app, wanted).await;
}

#[tokio::test]
async fn flat_form_of_every_algorithm_runs_to_its_end() {
    let (app, described) = every_plugin("").await;
    let mut wanted = Vec::new();
    for each in &described {
        let algorithm = name_of(each);
        let nested = smallest(each);
        let mut form = json!({"name": format!("flat-{algorithm}"), "jobType": algorithm});
        for (from, to) in [
            (&nested["algorithm"]["imageUri"], "image"),
            (&nested["entrypoint"], "command"),
            (&nested["hyperparameters"][algorithm], "hyperparameters"),
            (&nested["inputDataConfig"], "inputDataConfig"),
        ] {
            if !from.is_null() {
                form[to] = from.clone();
            }
        }
        let kind = workloads(each)[0].to_owned();
        wanted.push(Wanted { what: format!("flat {algorithm}"), form, kind });
    }
    run(&app, wanted).await;
}

#[tokio::test]
async fn image_of_the_user_runs_as_every_algorithm() {
    let (app, described) = every_plugin("").await;
    let image = "registry.example/team/train:1";
    let mut wanted = Vec::new();
    for each in &described {
        for source in ["container", "custom"] {
            let algorithm = name_of(each);
            let mut form = smallest(each);
            form["jobName"] = json!(format!("{source}-{algorithm}"));
            form["algorithm"] =
                json!({"source": source, "algorithmName": algorithm, "imageUri": image});
            let made = app.post("/api/v1/render", &form).await;
            assert_eq!(made.status, 200, "{algorithm}: {}", made.body);
            let text = made.body.to_string();
            assert!(text.contains(&format!("\"image\":\"{image}\"")), "{algorithm}: {text}");
            let kind = workloads(each)[0].to_owned();
            wanted.push(Wanted { what: format!("{source} {algorithm}"), form, kind });
            // An image is the point of a container.
            let mut bare = smallest(each);
            bare["algorithm"] = json!({"source": "container", "algorithmName": algorithm});
            let refused = app.post("/api/v1/jobs", &bare).await;
            assert_eq!(refused.status, 400, "{algorithm}: {}", refused.body);
            assert!(refused.pointers().contains(&"/algorithm/imageUri"), "{}", refused.body);
        }
    }
    run(&app, wanted).await;
}

#[tokio::test]
async fn names_of_the_predecessor_lead_to_their_converters() {
    let (app, _) = every_plugin("").await;
    for (alias, algorithm) in ALIASES {
        let described = app.get(&format!("/api/v1/algorithms/{alias}")).await;
        assert_eq!(
            (described.status, &described.body["name"]),
            (200, &json!(algorithm)),
            "{alias}"
        );
    }
}

#[tokio::test]
async fn alias_is_remembered_and_may_mean_a_default() {
    let (app, described) = every_plugin("").await;
    let mut form = smallest(described.iter().find(|each| name_of(each) == "deepspeed").unwrap());
    form["algorithm"]["algorithmName"] = json!("deepspeed-zero3");
    form["hyperparameters"] = json!({});
    for (name, sent, stage) in [("meant", None, 3), ("sent", Some(0), 0)] {
        form["jobName"] = json!(name);
        if let Some(sent) = sent {
            form["hyperparameters"] = json!({"deepspeed-zero3": {"zero_stage": sent}});
        }
        let id = app.submit(&form).await;
        let job = app.get(&format!("/api/v1/jobs/{id}")).await.body;
        assert_eq!(
            (&job["algorithm"], &job["algorithmAlias"]),
            (&json!("deepspeed"), &json!("deepspeed-zero3")),
            "{job:#}"
        );
        let made = app.get(&format!("/api/v1/jobs/{id}/manifests")).await.body.to_string();
        assert!(made.contains(&format!("\\\"stage\\\": {stage}")), "{name}: {made}");
        let told = r#"{"name":"ALGORITHM_ALIAS","value":"deepspeed-zero3"}"#;
        assert!(made.contains(told), "{name}: {made}");
        let verified = app.post(&format!("/api/v1/jobs/{id}/verify"), &json!({})).await;
        assert_eq!(verified.body["verdict"], "same", "{}", verified.body);
    }
    form["algorithm"]["algorithmName"] = json!("deepspeed");
    form["hyperparameters"] = json!({});
    form["jobName"] = json!("plain");
    let id = app.submit(&form).await;
    let job = app.get(&format!("/api/v1/jobs/{id}")).await.body;
    assert_eq!(job.get("algorithmAlias"), None, "{job:#}");
    let made = app.get(&format!("/api/v1/jobs/{id}/manifests")).await.body.to_string();
    assert!(made.contains("\\\"stage\\\": 0") && !made.contains("ALGORITHM_ALIAS"), "{made}");
}
