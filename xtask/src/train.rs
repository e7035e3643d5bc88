//! `cargo xtask train`: shows that what the plugins write works with the real libraries.
//!
//! A form goes through the real plugin; the pods of the bundle become processes of this machine,
//! with the program of the training image, libraries from the Python Package Index and a local
//! object store. What must come of it stands beside each image, in its `train.json`.

mod bundle;
mod image;
mod pods;
mod python;
mod store;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::bundle::Pod;
use self::python::Environment;
use self::store::Store;
use crate::setup::Repo;
use crate::{cmd, setup};

/// Where the images are, from the root of the repository.
const IMAGES: &str = "deploy/images";

/// Where trainings write to, and where forms find tables; `xtask/train/store.py` makes both.
const OUTPUT_BUCKET: &str = "models";
const INPUT_BUCKET: &str = "datasets";

/// Which trainings to run.
#[derive(Clone, Copy)]
pub(crate) enum Choice<'a> {
    /// Those of these images; all of them without a name.
    Named(&'a [String]),
    /// Those that are quick enough for every test run.
    Quick,
}

/// What is run for an image: its `train.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Plan {
    /// Images of the same name share an environment, as long as their requirements agree.
    environment: String,
    /// Part of `cargo xtask test`.
    #[serde(default)]
    quick: bool,
    cases: Vec<Case>,
}

/// One form, and what must come of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    name: String,
    /// As users write it. Endpoints are added, and the place of the output. A channel with a `url`
    /// names a table that the web server has, one with a `pvcName` a claim that gets it first.
    form: Value,
    /// A hyperparameter that is a port. It gets a free one, as pods have all ports to themselves
    /// and processes have not.
    port: Option<String>,
    /// Variables that hold the port on which a pod itself listens.
    #[serde(default)]
    own_port: Vec<String>,
    /// Where results are in the pods, for programs that leave them on a volume.
    results: Option<String>,
    /// Files that must be among the results.
    files: Vec<String>,
    /// What `summary.json` must say, such as how many processes met.
    #[serde(default)]
    summary: Map<String, Value>,
    /// What `check.py`, which loads the model, must at least say of each.
    at_least: Map<String, Value>,
    /// Later attempts on the same volumes: changes of the form's hyperparameters, and the first
    /// line of metrics that must come of it.
    #[serde(default)]
    then: Vec<Attempt>,
}

/// Another run, in whose volumes is what the earlier one left.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Attempt {
    hyperparameters: Map<String, Value>,
    first_metrics: Map<String, Value>,
}

/// An image and its plan.
struct Program {
    name: String,
    plan: Plan,
}

/// Runs the chosen trainings. Without Python or the package index nothing can be shown, and that
/// is said.
pub(crate) fn run(repo: &Repo, choice: Choice<'_>) -> Result<()> {
    let images = repo.root.join(IMAGES);
    let all = programs(&images)?;
    let chosen = select(&all, choice)?;
    let kit = repo.root.join("xtask/train");
    let folder = repo.target.join("train-environments");
    let environment = |name: &str| {
        let members = all.iter().filter(|program| program.plan.environment == name);
        let mut files: Vec<PathBuf> =
            members.map(|program| image::requirements(&images, &program.name)).collect();
        if name == python::KIT {
            files.push(kit.join("requirements.txt"));
        }
        Environment::of(&folder, name, &files)
    };
    let Some(tools) = environment(python::KIT)? else { return Ok(()) };
    python::run_tests(&tools, &images)?;
    build(repo)?;
    let store = Store::start(&tools, &kit.join("store.py"))?;
    for program in chosen {
        let Some(environment) = environment(&program.plan.environment)? else { return Ok(()) };
        for case in &program.plan.cases {
            let run = Run { repo, images: &images, store: &store, environment: &environment };
            run.case(&program.name, case)
                .with_context(|| format!("training {}: {}", program.name, case.name))?;
        }
    }
    Ok(())
}

/// The plugins and the tool that renders forms.
fn build(repo: &Repo) -> Result<()> {
    setup::wasm_targets(repo)?;
    setup::build_plugins(repo, &repo.plugins_dir())?;
    // With the features of all, so that tests and this command share what is compiled.
    setup::build_workspace(repo)
}

fn programs(images: &Path) -> Result<Vec<Program>> {
    let mut found = Vec::new();
    for entry in
        fs::read_dir(images).with_context(|| format!("cannot read {}", images.display()))?
    {
        let folder = entry?.path();
        let file = folder.join("train.json");
        if !file.is_file() {
            continue;
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let plan = serde_json::from_slice(&fs::read(&file)?)
            .with_context(|| format!("cannot read {}", file.display()))?;
        found.push(Program { name, plan });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn select<'a>(all: &'a [Program], choice: Choice<'_>) -> Result<Vec<&'a Program>> {
    let names = match choice {
        Choice::Quick => return Ok(all.iter().filter(|program| program.plan.quick).collect()),
        Choice::Named([]) => return Ok(all.iter().collect()),
        Choice::Named(names) => names,
    };
    let find = |name: &String| {
        all.iter().find(|program| program.name == *name).with_context(|| {
            let known: Vec<&str> = all.iter().map(|program| program.name.as_str()).collect();
            format!("there is no training image `{name}`; there are {}", known.join(", "))
        })
    };
    names.iter().map(find).collect()
}

/// What is left of pods that ended well.
struct Finished {
    pods: usize,
    /// The folder of a volume, if the case names one.
    results: Option<PathBuf>,
}

/// What the cases of one image have in common.
struct Run<'a> {
    repo: &'a Repo,
    images: &'a Path,
    store: &'a Store<'a>,
    environment: &'a Environment,
}

impl Run<'_> {
    fn case(&self, program: &str, case: &Case) -> Result<()> {
        let dir = tempfile::Builder::new().prefix("trainyard-train-").tempdir()?;
        let root = dir.path();
        image::unpack(self.images, program, &root.join("image"))?;
        let prefix = format!("{program}/{}/", case.name.replace(' ', "-"));
        let mut form = self.form(case, &prefix)?;
        self.fill_claims(case, root)?;
        let finished = self.attempt(program, case, &form, root, 1)?;
        println!("train {program}: {}: {} pod(s) finished", case.name, finished.pods);
        self.check(program, case, &self.results(&finished, &prefix, root, 1)?)?;
        for (number, attempt) in (2_u32..).zip(&case.then) {
            let parameters = form.pointer_mut(&format!("/hyperparameters/{program}"));
            let parameters = parameters.and_then(Value::as_object_mut);
            let parameters = parameters.context("the form has no hyperparameters to change")?;
            parameters.extend(attempt.hyperparameters.clone());
            let finished = self.attempt(program, case, &form, root, number)?;
            let results = self.results(&finished, &prefix, root, number)?;
            let metrics = self.check(program, case, &results)?;
            let first = metrics.first().context("there are no metrics")?;
            expect(first, &attempt.first_metrics).context("the first line of metrics")?;
            println!("train {program}: {}: attempt {number} went on", case.name);
        }
        Ok(())
    }

    /// The form with the addresses of this machine.
    fn form(&self, case: &Case, prefix: &str) -> Result<Value> {
        let mut form = case.form.clone();
        let channels = form.get_mut("inputDataConfig").and_then(Value::as_array_mut);
        let mut uses_the_store = false;
        for channel in channels.context("the form has no input data")? {
            let channel = channel.as_object_mut().context("a channel is no object")?;
            if let Some(table) = channel.get("url").and_then(Value::as_str) {
                let address = format!("{}/{table}", self.store.web);
                channel.insert("url".to_owned(), json!(address));
            }
            if is_elsewhere(channel) {
                continue;
            }
            uses_the_store = true;
            channel.insert("endpoint".to_owned(), json!(self.store.endpoint));
            channel.insert("bucket".to_owned(), json!(INPUT_BUCKET));
        }
        let form = form.as_object_mut().context("the form is no object")?;
        let output = format!("s3://{OUTPUT_BUCKET}/{prefix}");
        // The address of the store comes with the channels; without one results stay on the volume.
        if uses_the_store {
            form.insert("outputDataConfig".to_owned(), json!({ "artifactUri": output }));
        }
        let mut form = Value::Object(form.clone());
        if let Some(pointer) = &case.port {
            let slot = form.pointer_mut(pointer).context("the form does not name the port")?;
            *slot = json!(pods::free_port()?);
        }
        Ok(form)
    }

    /// Puts the tables of channels in claims where the claims are on this machine, as somebody has
    /// done who made the claim.
    fn fill_claims(&self, case: &Case, root: &Path) -> Result<()> {
        let channels = case.form.get("inputDataConfig").and_then(Value::as_array);
        for channel in channels.into_iter().flatten() {
            let Some(claim) = channel.get("pvcName").and_then(Value::as_str) else { continue };
            let table = channel.get("path").and_then(Value::as_str).context("it has no path")?;
            let to = root.join(pods::VOLUMES).join(claim).join(table);
            self.store.fetch(INPUT_BUCKET, table, &to)?;
        }
        Ok(())
    }

    /// Renders the form, and runs the pods of its bundle to their end.
    fn attempt(
        &self,
        program: &str,
        case: &Case,
        form: &Value,
        root: &Path,
        attempt: u32,
    ) -> Result<Finished> {
        let file = root.join("form.json");
        fs::write(&file, form.to_string())?;
        let mut render = Command::new(self.repo.bin_dir().join("trainyard-plugin"));
        render.arg("render").arg(self.repo.plugins_dir().join(format!("{program}.wasm")));
        render.arg("--form").arg(&file).args(["--output", "json"]);
        let documents: Vec<Value> = serde_json::from_str(&cmd::output(&mut render)?)?;
        let mut pods: Vec<Pod> = bundle::pods(&documents)?;
        for pod in &mut pods {
            pod.set("JOB_ATTEMPT", &attempt.to_string());
        }
        let machine =
            pods::Machine { root, path: self.environment.bin(), own_port: &case.own_port };
        pods::run(&machine, &pods)?;
        let results = case.results.as_deref().map(|path| machine.folder(&pods, path));
        Ok(Finished { pods: pods.len(), results: results.transpose()? })
    }

    /// A folder of this machine with the results.
    fn results(
        &self,
        finished: &Finished,
        prefix: &str,
        root: &Path,
        attempt: u32,
    ) -> Result<PathBuf> {
        if let Some(folder) = &finished.results {
            return Ok(folder.clone());
        }
        let to = root.join(format!("fetched-{attempt}"));
        self.store.fetch(OUTPUT_BUCKET, prefix, &to)?;
        Ok(to)
    }

    /// Loads the model, measures it, and returns the lines of metrics.
    fn check(&self, program: &str, case: &Case, to: &Path) -> Result<Vec<Value>> {
        for name in case.files.iter().map(String::as_str).chain(["metrics.jsonl", "summary.json"]) {
            ensure!(to.join(name).is_file(), "`{name}` is not among the results");
        }
        let first = case.form.pointer("/inputDataConfig/0").context("there is no input")?;
        let named = ["prefix", "path", "url"].into_iter().find_map(|member| first.get(member));
        let table = named.and_then(Value::as_str);
        let folder = table.and_then(|key| key.split('/').next()).unwrap_or_default();
        let rows = to.join("validation-rows");
        self.store.fetch(INPUT_BUCKET, &format!("{folder}/validation.csv"), &rows)?;
        let mut check = self.environment.python();
        check.arg(self.images.join(program).join("check.py")).arg(to);
        check.arg(rows);
        // The program's own module, for models that need it to be loaded.
        check.env("PYTHONPATH", self.images.join("common"));
        check.env("TF_CPP_MIN_LOG_LEVEL", "3");
        let said = cmd::output(&mut check)?;
        let scores: Map<String, Value> = serde_json::from_str(said.lines().last().unwrap_or(""))
            .with_context(|| format!("check.py said no scores: {said}"))?;
        println!("train {program}: {}: {}", case.name, Value::Object(scores.clone()));
        for (name, least) in &case.at_least {
            let score = scores.get(name).and_then(Value::as_f64);
            let least = least.as_f64().context("a bound is no number")?;
            ensure!(
                score.is_some_and(|score| score >= least),
                "{name} is {score:?}, below {least}"
            );
        }
        let summary: Value = serde_json::from_slice(&fs::read(to.join("summary.json"))?)?;
        expect(&summary, &case.summary).context("summary.json")?;
        let text = fs::read_to_string(to.join("metrics.jsonl"))?;
        let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        ensure!(!lines.is_empty(), "there are no metrics");
        Ok(lines)
    }
}

/// Whether a channel's data is in no object store.
fn is_elsewhere(channel: &Map<String, Value>) -> bool {
    channel.contains_key("url") || channel.contains_key("pvcName")
}

fn expect(said: &Value, expected: &Map<String, Value>) -> Result<()> {
    for (name, value) in expected {
        if said.get(name) != Some(value) {
            bail!("{name} is not {value} in {said}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_has_a_plan_that_can_be_read() {
        let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(IMAGES);
        let found = programs(&images).unwrap();
        for program in &found {
            assert!(!program.plan.cases.is_empty(), "{}", program.name);
            assert!(image::requirements(&images, &program.name).is_file(), "{}", program.name);
            assert!(images.join(&program.name).join("check.py").is_file(), "{}", program.name);
        }
        assert!(found.iter().any(|program| program.plan.quick));
    }

    #[test]
    fn an_unknown_image_is_answered_with_those_there_are() {
        let plan = Plan { environment: "a".to_owned(), quick: true, cases: Vec::new() };
        let all = [Program { name: "known".to_owned(), plan }];
        let wrong = ["unknown".to_owned()];
        let error = select(&all, Choice::Named(&wrong)).err().unwrap();
        assert!(error.to_string().ends_with("there are known"), "{error}");
        assert_eq!(select(&all, Choice::Named(&[])).unwrap().len(), 1);
    }

    #[test]
    fn an_attempt_that_begins_anew_is_noticed() {
        let expected = Map::from_iter([("epoch".to_owned(), json!(6))]);
        assert!(expect(&json!({ "epoch": 6, "loss": 1 }), &expected).is_ok());
        assert!(expect(&json!({ "epoch": 1 }), &expected).is_err());
        assert!(expect(&json!({}), &expected).is_err());
    }
}
