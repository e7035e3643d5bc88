//! Job forms that try a plugin: each parameter at each of its edges, the extremes of everything
//! else a form holds, and random mixtures of both. The same seed makes the same forms.

use fastrand::Rng;
use serde_json::{Map, Value, json};
use training::ports::PluginInfo;

use super::values;

/// Values of one parameter that are tried alone. More would let one long list crowd out the rest.
const EACH_ALONE: usize = 24;

/// Makes forms for one plugin.
pub(crate) struct Generator {
    algorithm: String,
    longest_name: usize,
    /// Image and command of the first example: a plugin that has none of its own says so there.
    program: Value,
    properties: Vec<Property>,
    schema: Value,
    required: Vec<String>,
    rng: Rng,
}

struct Property {
    name: String,
    schema: Value,
    values: Vec<Value>,
}

impl Generator {
    pub(crate) fn new(info: &PluginInfo, seed: u64) -> Self {
        // The runtime has parsed it before.
        let schema: Value = serde_json::from_str(&info.schema).unwrap_or_default();
        let properties = schema.get("properties").and_then(Value::as_object);
        let properties = properties
            .into_iter()
            .flatten()
            .map(|(name, inner)| Property {
                name: name.clone(),
                schema: inner.clone(),
                values: values::interesting(inner, &schema),
            })
            .collect();
        let required = schema.get("required").and_then(Value::as_array);
        let required =
            required.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let workloads = info.kinds.iter().filter(|kind| kind.workload);
        let longest_name = workloads.map(|kind| kind.max_name_length).max().unwrap_or(63);
        Self {
            algorithm: info.algorithm().to_owned(),
            // A job's own name is a DNS label.
            longest_name: longest_name.min(63) as usize,
            program: info.examples.first().map_or_else(|| json!({}), program),
            properties,
            schema,
            required,
            rng: Rng::with_seed(seed),
        }
    }

    /// Forms with one thing at its edge each.
    pub(crate) fn systematic(&self) -> Vec<Value> {
        // Rules across fields often refuse all parameters at once; what is large besides them
        // must be tried nevertheless.
        let mut forms = vec![
            self.form(Map::new()),
            self.largest(self.longest_parameters()),
            self.largest(Map::new()),
        ];
        for property in &self.properties {
            for value in property.values.iter().take(EACH_ALONE) {
                let one = [(property.name.clone(), value.clone())].into_iter().collect();
                forms.push(self.form(one));
            }
        }
        for change in edges(self.longest_name) {
            let mut form = self.form(Map::new());
            merge(&mut form, change);
            forms.push(form);
        }
        forms
    }

    /// A form with any mixture.
    pub(crate) fn random(&mut self) -> Value {
        let mut parameters = Map::new();
        // Few parameters at a time find more than many: rules across fields refuse mixtures.
        let share = self.rng.u8(1..=10);
        for property in &self.properties {
            if self.rng.u8(1..=10) <= share {
                let value =
                    values::random(&property.schema, &self.schema, &property.values, &mut self.rng);
                parameters.insert(property.name.clone(), value);
            }
        }
        let mut form = self.form(parameters);
        let mut changes = edges(self.longest_name);
        self.rng.shuffle(&mut changes);
        changes.truncate(self.rng.usize(0..5));
        for change in changes {
            merge(&mut form, change);
        }
        form
    }

    /// Every parameter at its longest.
    fn longest_parameters(&self) -> Map<String, Value> {
        let longest = |property: &Property| {
            let value = property.values.iter().max_by_key(|value| value.to_string().len())?;
            Some((property.name.clone(), value.clone()))
        };
        self.properties.iter().filter_map(longest).collect()
    }

    /// A form with every list and text long: what costs most.
    fn largest(&self, parameters: Map<String, Value>) -> Value {
        let mut form = self.form(parameters);
        let columns: Vec<String> = (0..500).map(|column| format!("column_{column:04}")).collect();
        let channels: Vec<Value> = (0..20)
            .map(|index| {
                let kind = if index == 0 { "train" } else { "test" };
                let mut channel = channel(&format!("channel-{index}"), kind);
                merge(
                    &mut channel,
                    json!({"contentType": "csv", "featureNames": columns, "labelName": "target"}),
                );
                channel
            })
            .collect();
        let custom: Map<String, Value> =
            (0..100).map(|index| (format!("CUSTOM_{index:03}"), json!("v".repeat(64)))).collect();
        merge(
            &mut form,
            json!({
                "jobName": "n".repeat(self.longest_name),
                "inputDataConfig": channels,
                "customHyperparameters": custom,
                "entrypoint": "python train.py ".repeat(64),
                "resources": {
                    "instanceResources": {"cpuCores": 1024, "memoryGiB": 65536, "gpuCount": 64},
                    "instanceCount": 1000,
                    "volumeSizeGB": 65536,
                },
            }),
        );
        form
    }

    fn form(&self, mut parameters: Map<String, Value>) -> Value {
        for name in &self.required {
            let property = self.properties.iter().find(|property| property.name == *name);
            if let Some(first) = property.and_then(|property| property.values.first()) {
                parameters.entry(name.as_str()).or_insert_with(|| first.clone());
            }
        }
        let mut form = json!({
            "jobName": "trial",
            "algorithm": {"algorithmName": self.algorithm},
            "resources": {"instanceResources": {"cpuCores": 2, "memoryGiB": 4}},
            "inputDataConfig": [channel("train", "train")],
            "hyperparameters": {self.algorithm.as_str(): parameters},
        });
        merge(&mut form, self.program.clone());
        form
    }
}

/// What an example says about the program that runs.
fn program(example: &Value) -> Value {
    let mut program = json!({});
    if let Some(image) = example.pointer("/algorithm/imageUri") {
        merge(&mut program, json!({"algorithm": {"imageUri": image}}));
    }
    if let Some(entrypoint) = example.get("entrypoint") {
        merge(&mut program, json!({"entrypoint": entrypoint}));
    }
    program
}

fn channel(name: &str, kind: &str) -> Value {
    json!({
        "channelName": name,
        "channelType": kind,
        "storageProvider": "minio",
        "endpoint": "https://minio.example:9000",
        "bucket": "input",
        "prefix": "datasets/",
    })
}

/// Everything of a form that is no parameter, at its edges: changes to a plain form.
fn edges(longest_name: usize) -> Vec<Value> {
    let mut edges = vec![
        json!({"jobName": "a"}),
        json!({"jobName": "n".repeat(longest_name)}),
        json!({"jobName": format!("{}9", "0-".repeat(longest_name.saturating_sub(1) / 2))}),
        json!({"namespace": "n".repeat(63)}),
        json!({"priority": 1}),
        json!({"priority": 1000}),
        json!({"inputDataConfig": []}),
        json!({"inputDataConfig": [channel("a", "train"), channel("b", "validation"), channel("c", "test")]}),
        json!({"outputDataConfig": {"artifactUri": "s3://output/models/"}}),
        json!({"outputDataConfig": {"artifactUri": "file:///mnt/storage"}}),
        json!({"stoppingCondition": {"maxRuntimeSeconds": 1}}),
        json!({"stoppingCondition": {"maxRuntimeSeconds": 2_592_000}}),
        json!({"entrypoint": "python -c 'print(\"a b\")' # x"}),
        json!({"headImage": "registry.example/head:1", "workerImage": "registry.example/worker:1"}),
        json!({"algorithm": {"imageUri": "registry.example/both@sha256:abc"}}),
        json!({"pvcName": "existing-claim"}),
        json!({"pvcName": "existing-claim", "resources": {"volumeSizeGB": 1}}),
        json!({"customHyperparameters": {"plain": 1, "UPPER_CASE": true, "nested": {"a": [1, null]}}}),
        json!({"customHyperparameters": {"with space": "x", "ü": "ü", "text": "a\nb: c # d"}}),
    ];
    for provider in ["aws", "gcs", "azure", "custom"] {
        let mut one = channel("train", "train");
        merge(&mut one, json!({"storageProvider": provider, "endpoint": "", "prefix": ""}));
        edges.push(json!({"inputDataConfig": [one]}));
    }
    for content in ["csv", "text/csv", "parquet", "application/x-recordio"] {
        let mut one = channel("train", "train");
        merge(
            &mut one,
            json!({"contentType": content, "featureNames": ["a b", "ü", "c"], "labelName": "y"}),
        );
        edges.push(json!({"inputDataConfig": [one]}));
    }
    for (member, values) in
        [("cpuCores", [1, 1024]), ("memoryGiB", [0, 65_536]), ("gpuCount", [1, 64])]
    {
        for value in values {
            edges.push(json!({"resources": {"instanceResources": {member: value}}}));
        }
    }
    for (member, values) in [("instanceCount", [2, 1000]), ("volumeSizeGB", [1, 65_536])] {
        for value in values {
            edges.push(json!({"resources": {member: value}}));
        }
    }
    edges
}

/// Writes the members of `change` over those of `target`, objects member by member.
fn merge(target: &mut Value, change: Value) {
    match (target, change) {
        (Value::Object(target), Value::Object(change)) => {
            for (name, value) in change {
                merge(target.entry(name).or_insert(Value::Null), value);
            }
        }
        (target, change) => *target = change,
    }
}

/// Forms that lack one thing of this one, or have a plainer value in its place; the largest steps
/// first. A failure is made smaller by taking those steps that keep it.
pub(crate) fn smaller(form: &Value) -> Vec<Value> {
    let mut forms = Vec::new();
    let without = |pointer: &str, name: &str| {
        let mut smaller = form.clone();
        let holder = smaller.pointer_mut(pointer).and_then(Value::as_object_mut);
        let removed = holder.and_then(|holder| holder.remove(name));
        removed.map(|_| smaller)
    };
    let members = |pointer: &str| -> Vec<String> {
        let object = form.pointer(pointer).and_then(Value::as_object);
        object.into_iter().flat_map(|object| object.keys().cloned()).collect()
    };
    let needed = ["jobName", "algorithm", "hyperparameters"];
    for name in members("").iter().filter(|name| !needed.contains(&name.as_str())) {
        forms.extend(without("", name));
    }
    let algorithm = form.pointer("/algorithm/algorithmName").and_then(Value::as_str);
    let parameters = format!("/hyperparameters/{}", algorithm.unwrap_or_default());
    let names = members(&parameters);
    // Half of them at once, so that fifty parameters do not take fifty steps.
    for half in names.chunks(names.len().div_ceil(2).max(1)).filter(|_| names.len() > 3) {
        let mut smaller = form.clone();
        if let Some(holder) = smaller.pointer_mut(&parameters).and_then(Value::as_object_mut) {
            holder.retain(|name, _| !half.contains(name));
        }
        forms.push(smaller);
    }
    for pointer in [
        parameters.as_str(),
        "/resources",
        "/resources/instanceResources",
        "/customHyperparameters",
    ] {
        for name in members(pointer) {
            forms.extend(without(pointer, &name));
        }
    }
    let channels = form.get("inputDataConfig").and_then(Value::as_array);
    for index in 0..channels.map_or(0, Vec::len) {
        let mut smaller = form.clone();
        if let Some(list) = smaller.get_mut("inputDataConfig").and_then(Value::as_array_mut) {
            list.remove(index);
        }
        forms.push(smaller);
        let pointer = format!("/inputDataConfig/{index}");
        for name in members(&pointer).iter().filter(|name| *name != "bucket") {
            forms.extend(without(&pointer, name));
        }
    }
    if form.get("jobName").is_some_and(|name| name != "a") {
        let mut smaller = form.clone();
        merge(&mut smaller, json!({"jobName": "a"}));
        forms.push(smaller);
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_forms_lack_one_thing_each_and_never_what_a_form_needs() {
        let form = json!({
            "jobName": "trial",
            "algorithm": {"algorithmName": "x"},
            "hyperparameters": {"x": {"a": 1, "b": 2}},
            "inputDataConfig": [{"bucket": "b", "prefix": "p"}],
        });
        let forms = smaller(&form);
        assert!(forms.iter().all(|smaller| *smaller != form));
        assert!(forms.iter().all(|smaller| smaller.get("algorithm").is_some()));
        let lacks_a = |form: &Value| form["hyperparameters"]["x"] == json!({"b": 2});
        assert!(forms.iter().any(lacks_a), "{forms:?}");
        assert!(forms.iter().any(|form| form["inputDataConfig"] == json!([{"bucket": "b"}])));
        assert!(forms.iter().any(|form| form["jobName"] == "a"));
    }

    #[test]
    fn forms_run_what_the_first_example_runs() {
        let example = json!({
            "jobName": "a", "algorithm": {"algorithmName": "x", "imageUri": "a/b:1"},
            "entrypoint": "python a.py", "namespace": "n",
        });
        let wanted = json!({"algorithm": {"imageUri": "a/b:1"}, "entrypoint": "python a.py"});
        assert_eq!(program(&example), wanted);
        assert_eq!(program(&json!({"algorithm": "x"})), json!({}));
    }

    #[test]
    fn merging_keeps_what_is_not_named() {
        let mut form = json!({"a": {"b": 1, "c": 2}});
        merge(&mut form, json!({"a": {"b": 3}, "d": 4}));
        assert_eq!(form, json!({"a": {"b": 3, "c": 2}, "d": 4}));
    }
}
