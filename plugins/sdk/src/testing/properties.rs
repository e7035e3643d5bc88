//! What holds for every job that a plugin's schema and rules let through, tried with generated
//! jobs. `trainyard-plugin check` asks more of the finished component; this runs with the tests.
#![expect(clippy::indexing_slicing, reason = "what a JSON value does not have is null")]

mod generate;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use self::generate::{any_job, any_status};
use super::run;
use crate::{Converter, Failure, Plan, guest};

/// Generated jobs for each test: enough to meet each parameter, few enough for a second.
const JOBS: u32 = 192;

/// Tries generated jobs.
///
/// # Panics
///
/// If one breaks a rule: it is a test's assertion.
pub fn hold<C: Converter>() {
    for settings in kinds_of_settings::<C>() {
        hold_with::<C>(&settings);
    }
}

/// Tries generated jobs with settings of an operator.
///
/// # Panics
///
/// If one breaks a rule: it is a test's assertion.
pub fn hold_with<C: Converter>(settings: &Value) {
    let mut converted = 0_u32;
    for_all(any_job::<C>(settings), |job| {
        let value: Value = serde_json::from_str(job).unwrap_or_default();
        converted += u32::from(check::<C>(job, &value)?);
        Ok(())
    });
    let enough = converted >= JOBS / 8;
    assert!(enough, "only {converted} of {JOBS} jobs were converted with {settings}");
}

/// The plugin's own settings, or those that choose each kind of workload that it offers.
fn kinds_of_settings<C: Converter>() -> Vec<Value> {
    let schema: Value =
        serde_json::from_str(&guest::describe::<C>().settings_schema).unwrap_or_default();
    let kinds = schema["properties"]["workloadKind"]["enum"].as_array().cloned();
    kinds.map_or_else(
        || vec![json!({})],
        |kinds| kinds.iter().map(|kind| json!({ "workloadKind": kind })).collect(),
    )
}

/// Tries statuses that no operator should write, and some that each does.
///
/// # Panics
///
/// If one breaks the plugin, or is answered with nothing to show: it is a test's assertion.
pub fn read_any_status<C: Converter>() {
    let kinds = guest::describe::<C>().kinds;
    for kind in kinds.into_iter().filter(|kind| kind.workload) {
        for_all(any_status(), |status| {
            let object = json!({
                "apiVersion": kind.api_version, "kind": kind.kind,
                "metadata": { "name": "iris", "namespace": "default" }, "status": status,
            });
            let report = guest::interpret::<C>(&object.to_string());
            prop_assert!(!report.reason.is_empty() && report.message.len() < 8_000);
            let known = report.reason.chars().all(|c| c.is_ascii_alphanumeric());
            prop_assert!(known, "{}", report.reason);
            Ok(())
        });
    }
    for text in ["", "null", "[]", "{", r#"{"metadata":{"name":"a"}}"#] {
        let report = guest::interpret::<C>(text);
        assert_eq!(report.state, crate::RunState::Unknown, "{text}");
    }
}

/// Checks the schema of the hyperparameters: everything that a form shows, with defaults that
/// stand; and the examples against it.
///
/// # Panics
///
/// If something is missing.
pub fn describe_every_parameter<C: Converter>() {
    let description = guest::describe::<C>();
    let schema = schema_of::<C>();
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    assert!(!properties.is_empty());
    for (name, property) in &properties {
        for word in ["title", "description", "x-group"] {
            assert!(property[word].is_string(), "{name} has no {word}: {property}");
        }
        let Some(default) = property.get("default") else {
            assert!(schema["required"].to_string().contains(name), "{name} has no default");
            continue;
        };
        assert!(accepts(property, default), "{name} refuses its default: {property}");
    }
    let group = |property: &Value| property["x-group"].to_string();
    let mut groups: Vec<String> = properties.values().map(group).collect();
    let all = groups.len();
    groups.dedup();
    let runs = groups.len();
    groups.sort_unstable();
    groups.dedup();
    assert_eq!(groups.len(), runs, "a group stands in two places of the {all} parameters");
    let algorithm = description.algorithms.first().cloned().unwrap_or_default();
    assert!(!description.examples.is_empty());
    for example in &description.examples {
        let form: Value = serde_json::from_str(example).unwrap_or_default();
        let given = form["hyperparameters"].get(&algorithm).unwrap_or(&Value::Null);
        assert!(given.is_null() || accepts(&schema, given), "{example}");
        let job = super::job_of(&form, &algorithm, &json!({})).to_string();
        if let Err(failure) = run::<C>(&job) {
            fail(&format!("{failure:?}\n{example}"));
        }
    }
}

#[expect(clippy::panic, reason = "this is a test's assertion")]
fn fail(why: &str) -> ! {
    panic!("{why}")
}

fn for_all<S: Strategy>(strategy: S, mut test: impl FnMut(&S::Value) -> Result<(), TestCaseError>) {
    let config = Config { cases: JOBS, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let test = std::cell::RefCell::new(&mut test);
    if let Err(error) = runner.run(&strategy, |value| (test.borrow_mut())(&value)) {
        fail(&error.to_string());
    }
}

fn schema_of<C: Converter>() -> Value {
    serde_json::from_str(&guest::describe::<C>().hyperparameters_schema).unwrap_or_default()
}

fn accepts(schema: &Value, value: &Value) -> bool {
    jsonschema::draft202012::new(schema).is_ok_and(|validator| validator.is_valid(value))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Whether the job was converted; an error if something does not hold.
fn check<C: Converter>(job: &str, asked: &Value) -> Result<bool, TestCaseError> {
    let plan = match run::<C>(job) {
        Ok(plan) => plan,
        Err(Failure::Invalid(findings)) => {
            let parts = [
                "/hyperparameters/",
                "/inputDataConfig",
                "/customHyper",
                "/resources",
                "/algorithm",
                "/entrypoint",
                "/jobName",
                "/outputDataConfig",
                "/pvcName",
            ];
            for finding in findings {
                let known = parts.iter().any(|part| finding.pointer.starts_with(part));
                prop_assert!(known && finding.message.ends_with('.'), "{finding:?}");
            }
            return Ok(false);
        }
        Err(failure) => return Err(TestCaseError::fail(format!("{failure:?}"))),
    };
    let documents = |plan: &Plan| -> Vec<String> {
        plan.manifests.iter().map(|manifest| manifest.document.clone()).collect()
    };
    let again = guest::convert::<C>(job).map_err(|f| TestCaseError::fail(format!("{f:?}")))?;
    prop_assert_eq!(documents(&plan), documents(&again));
    prop_assert_eq!(plan.manifests.iter().filter(|m| m.role == "workload").count(), 1);
    let kinds = C::describe().kinds;
    let mut demand = Demand::default();
    for manifest in &plan.manifests {
        let document: Value = serde_json::from_str(&manifest.document).unwrap_or_default();
        let name = text(&document["metadata"]["name"]);
        let own = text(&asked["name"]);
        let kind = kinds.iter().find(|kind| {
            document["kind"] == kind.kind.as_str()
                && document["apiVersion"] == kind.api_version.as_str()
        });
        let Some(kind) = kind else {
            return Err(TestCaseError::fail(format!("an undeclared kind: {document}")));
        };
        prop_assert_eq!(kind.workload, manifest.role == "workload");
        prop_assert!(name.len() <= kind.max_name_length as usize, "{}", name);
        let fits = if kind.workload { name == own } else { name.starts_with(&format!("{own}-")) };
        prop_assert!(fits, "{} of {}", name, own);
        prop_assert_eq!(&document["metadata"]["namespace"], "default");
        walk(&document, 1, &mut demand)?;
    }
    demand.check(&asked["resources"])?;
    Ok(true)
}

/// What all pods ask for together.
#[derive(Default)]
struct Demand {
    pods: u64,
    sums: BTreeMap<String, u64>,
    largest: BTreeMap<String, u64>,
}

impl Demand {
    /// The workers, and one pod that leads them, without devices.
    fn check(&self, asked: &Value) -> Result<(), TestCaseError> {
        let number = |name: &str| asked[name].as_u64().unwrap_or_default();
        let instances = number("instanceCount");
        prop_assert!(self.pods <= instances + 1, "{} pods", self.pods);
        for (resource, sum) in &self.sums {
            let (one, pods) = match resource.as_str() {
                "cpu" => (number("cpuCores"), instances + 1),
                "memory" => (number("memoryGiB"), instances + 1),
                "storage" => (number("volumeSizeGB"), 1),
                _ => (number("gpuCount"), instances),
            };
            let largest = self.largest.get(resource).copied().unwrap_or_default();
            prop_assert!(*sum <= one * pods && largest <= one, "{sum} of {resource}");
        }
        Ok(())
    }
}

/// Members that multiply the pods below them.
const COUNTS: [&str; 3] = ["replicas", "parallelism", "numNodes"];

fn walk(value: &Value, times: u64, demand: &mut Demand) -> Result<(), TestCaseError> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| walk(item, times, demand))?,
        Value::Object(members) => {
            let count = COUNTS.iter().find_map(|name| members.get(*name)?.as_u64()).unwrap_or(1);
            let times = times.saturating_mul(count);
            for (name, inner) in members {
                prop_assert!(!name.starts_with("ttl"), "a member may not remove the job: {name}");
                if name == "requests" || name == "limits" {
                    add_amounts(inner, if name == "requests" { times } else { 0 }, demand)?;
                }
                if name == "env" {
                    check_environment(inner)?;
                }
                walk(inner, times, demand)?;
            }
            if members.get("containers").is_some_and(Value::is_array) {
                demand.pods = demand.pods.saturating_add(times);
                check_pod(value)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn add_amounts(amounts: &Value, times: u64, demand: &mut Demand) -> Result<(), TestCaseError> {
    for (resource, amount) in amounts.as_object().into_iter().flatten() {
        let number = amount.as_str().and_then(|text| text.trim_end_matches("Gi").parse().ok());
        let Some(number) = number else {
            return Err(TestCaseError::fail(format!("{amount} of {resource}")));
        };
        *demand.sums.entry(resource.clone()).or_default() += u64::saturating_mul(number, times);
        let largest = demand.largest.entry(resource.clone()).or_default();
        *largest = (*largest).max(number);
    }
    Ok(())
}

fn names(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|item| text(&item["name"])).collect()
}

/// Every mount has its volume.
fn check_pod(pod: &Value) -> Result<(), TestCaseError> {
    let volumes = names(&pod["volumes"]);
    for container in pod["containers"].as_array().into_iter().flatten() {
        for mount in names(&container["volumeMounts"]) {
            prop_assert!(volumes.contains(&mount), "{} is not declared", mount);
        }
    }
    Ok(())
}

/// No variable comes twice, and no secret is a literal.
fn check_environment(env: &Value) -> Result<(), TestCaseError> {
    let mut variables = names(env);
    let all = variables.len();
    variables.sort_unstable();
    variables.dedup();
    prop_assert_eq!(variables.len(), all, "{}", env);
    for variable in env.as_array().into_iter().flatten() {
        let name = text(&variable["name"]);
        let secret = ["SECRET", "PASSWORD", "ACCESS_KEY", "TOKEN"];
        let promises = secret.iter().any(|word| name.contains(word)) && !name.contains("HP_");
        let refers = variable["valueFrom"]["secretKeyRef"].is_object();
        prop_assert!(!promises || refers, "{}", name);
    }
    Ok(())
}
