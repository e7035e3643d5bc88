//! SageMaker's `CreateTrainingJob`, member by member. Each member is either written into the form or
//! listed with its reason; a member that nobody here knows is listed, too.

mod algorithm;
mod data;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Imported, Unmapped, instances, set};
use crate::form::reader::{self, Fields, Mistakes};
use crate::form::typing::Schema;
use crate::ports::{FieldError, PluginInfo};

/// What SageMaker takes when the document names none.
const DEFAULT_RUNTIME_SECONDS: u32 = 24 * 3600;
/// 28 days, SageMaker's own bound.
const MOST_SECONDS: u32 = 28 * 24 * 3600;

/// Members of the document that no form can say, and why.
const WITHOUT_COUNTERPART: [(&str, &str); 18] = [
    (
        "RoleArn",
        "Clusters know no roles of AWS; storage credentials are a Secret of the namespace.",
    ),
    ("VpcConfig", "Networks belong to the cluster; `targetClusters` chooses one."),
    ("EnableNetworkIsolation", "Network policies belong to the cluster."),
    ("EnableInterContainerTrafficEncryption", "Encryption between pods belongs to the cluster."),
    ("EnableManagedSpotTraining", "Clusters have no spot price; `priority` says what may wait."),
    ("RetryStrategy", "Nothing is run again by itself; ask for another attempt of the job."),
    ("Tags", "Jobs have no tags."),
    (
        "Environment",
        "A form sets no variables; the plugin names them. Write values that the program needs as \
         `customHyperparameters`, and never a secret.",
    ),
    ("CheckpointConfig", "A form names no place for checkpoints; write them beside the results."),
    ("DebugHookConfig", "There is no debugger."),
    ("DebugRuleConfigurations", "There is no debugger."),
    ("RemoteDebugConfig", "There is no remote shell; `kubectl exec` opens one."),
    ("ProfilerConfig", "There is no profiler."),
    ("ProfilerRuleConfigurations", "There is no profiler."),
    ("TensorBoardOutputConfig", "There is no TensorBoard; the program may write its files."),
    ("ExperimentConfig", "There are no experiments."),
    ("InfraCheckConfig", "The health of nodes belongs to the cluster."),
    ("SessionChainingConfig", "Clusters know no roles of AWS."),
];

/// The document while it is read.
struct Import<'a> {
    form: Map<String, Value>,
    unmapped: Vec<Unmapped>,
    plugins: &'a [Arc<PluginInfo>],
}

impl Import<'_> {
    fn set(&mut self, path: &[&str], value: impl Into<Value>) {
        set(&mut self.form, path, value.into());
    }

    fn report(&mut self, pointer: impl Into<String>, reason: impl Into<String>) {
        self.unmapped.push(Unmapped { pointer: pointer.into(), reason: reason.into() });
    }

    /// Reports a member if it says anything.
    fn report_member(&mut self, fields: &Fields<'_>, at: &str, member: &str, reason: &str) {
        if fields.value(member).is_some_and(says_something) {
            self.report(reader::join(at, member), reason);
        }
    }

    /// Reports members that are not listed.
    fn report_others(&mut self, fields: &Fields<'_>, at: &str, known: &[&str]) {
        for name in fields.names().filter(|name| !known.contains(name)) {
            self.report_member(fields, at, name, "It has no counterpart in a form.");
        }
    }
}

/// `false`, nothing and empty lists need no counterpart.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

pub(super) fn import(
    document: &Value,
    wanted: Option<&str>,
    plugins: &[Arc<PluginInfo>],
) -> Result<Imported, Vec<FieldError>> {
    let mistakes = Mistakes::default();
    let mut import = Import { form: Map::new(), unmapped: Vec::new(), plugins };
    let unknown_algorithm =
        Fields::open(document, "", &mistakes).and_then(|fields| read(&fields, wanted, &mut import));
    let errors = mistakes.into_errors();
    if !errors.is_empty() {
        return Err(errors);
    }
    // In the order of the document, whatever the order of reading.
    let order: Vec<&String> = document.as_object().into_iter().flat_map(Map::keys).collect();
    let place = |it: &Unmapped| {
        order.iter().position(|name| it.pointer.split('/').nth(1) == Some(name.as_str()))
    };
    let mut unmapped = import.unmapped;
    unmapped.sort_by_key(place);
    Ok(Imported { form: Value::Object(import.form), unmapped, unknown_algorithm })
}

/// Reads the document. Answers why no algorithm was found.
fn read(
    document: &Fields<'_>,
    wanted: Option<&str>,
    import: &mut Import<'_>,
) -> Option<FieldError> {
    read_name(document, import);
    let chosen = algorithm::read(document, wanted, import);
    read_resources(document, import);
    read_limits(document, import);
    data::read_channels(document, import);
    data::read_output(document, import);
    let plugin = chosen.as_ref().ok().cloned().flatten();
    read_hyperparameters(document, plugin.as_deref(), import);
    for (member, reason) in WITHOUT_COUNTERPART {
        import.report_member(document, "", member, reason);
    }
    let mapped = [
        "TrainingJobName",
        "AlgorithmSpecification",
        "ResourceConfig",
        "StoppingCondition",
        "InputDataConfig",
        "OutputDataConfig",
        "HyperParameters",
    ];
    let known = mapped.into_iter().chain(WITHOUT_COUNTERPART.map(|(member, _)| member));
    import.report_others(document, "", &known.collect::<Vec<_>>());
    chosen.err()
}

fn read_name(document: &Fields<'_>, import: &mut Import<'_>) {
    let Some(name) = document.text("TrainingJobName", 253) else { return };
    let lower = name.to_ascii_lowercase();
    // Names of Services, which some workloads need, begin with a letter.
    let starts = lower.starts_with(|first: char| first.is_ascii_lowercase());
    let ours = if starts { lower } else { format!("job-{lower}") };
    if ours != name {
        let reason =
            format!("The job is named `{ours}`: names are in lower case and begin with a letter.");
        import.report("/TrainingJobName", reason);
    }
    import.set(&["jobName"], ours);
}

fn read_resources(document: &Fields<'_>, import: &mut Import<'_>) {
    let Some(config) = document.object("ResourceConfig") else { return };
    let at = "/ResourceConfig";
    let groups = config.list("InstanceGroups", 5);
    if let [(below, group)] = groups.as_slice() {
        if let Some(group) = config.item(below, group) {
            read_machines(&group, &format!("{at}/{below}"), import);
            import.report_others(
                &group,
                &format!("{at}/{below}"),
                &["InstanceType", "InstanceCount", "InstanceGroupName"],
            );
        }
    } else if !groups.is_empty() {
        let reason = "All instances of a job are alike. Set `resources` by hand.";
        import.report(format!("{at}/InstanceGroups"), reason);
    } else {
        read_machines(&config, at, import);
    }
    if let Some(size) = config.size("VolumeSizeInGB", 0, 65_536) {
        import.set(&["resources", "volumeSizeGB"], size);
    }
    let encrypted = "Encryption of volumes belongs to the cluster's storage class.";
    import.report_member(&config, at, "VolumeKmsKeyId", encrypted);
    let pools = "There are no warm pools: room is free again when a job ends.";
    import.report_member(&config, at, "KeepAlivePeriodInSeconds", pools);
    import.report_others(
        &config,
        at,
        &[
            "InstanceType",
            "InstanceCount",
            "InstanceGroups",
            "VolumeSizeInGB",
            "VolumeKmsKeyId",
            "KeepAlivePeriodInSeconds",
        ],
    );
}

fn read_machines(config: &Fields<'_>, at: &str, import: &mut Import<'_>) {
    if let Some(count) = config.size("InstanceCount", 0, u32::MAX) {
        import.set(&["resources", "instanceCount"], count);
    }
    let Some(kind) = config.text("InstanceType", 64) else { return };
    match instances::machine(&kind) {
        Some(machine) => import.set(
            &["resources", "instanceResources"],
            json!({
                "cpuCores": machine.cores,
                "memoryGiB": machine.gib,
                "gpuCount": machine.gpus,
            }),
        ),
        None => import.report(
            format!("{at}/InstanceType"),
            format!("How large a `{kind}` is, is not known. Set `resources.instanceResources`."),
        ),
    }
}

fn read_limits(document: &Fields<'_>, import: &mut Import<'_>) {
    let condition = document.object("StoppingCondition");
    let limit = |member| condition.as_ref()?.size(member, 0, MOST_SECONDS);
    let runtime = limit("MaxRuntimeInSeconds").unwrap_or(DEFAULT_RUNTIME_SECONDS);
    import.set(&["stoppingCondition", "maxRuntimeSeconds"], runtime);
    if let Some(pending) = limit("MaxPendingTimeInSeconds") {
        import.set(&["stoppingCondition", "maxPendingSeconds"], pending);
    }
    let Some(condition) = condition else { return };
    let at = "/StoppingCondition";
    let reason = "It bounds the wait for spot machines; `maxPendingSeconds` bounds any wait.";
    import.report_member(&condition, at, "MaxWaitTimeInSeconds", reason);
    let known = ["MaxRuntimeInSeconds", "MaxPendingTimeInSeconds", "MaxWaitTimeInSeconds"];
    import.report_others(&condition, at, &known);
}

/// Those that the plugin knows get their types; the others are the program's own.
fn read_hyperparameters(
    document: &Fields<'_>,
    plugin: Option<&PluginInfo>,
    import: &mut Import<'_>,
) {
    let schema = plugin.map(|plugin| Schema::parse(&plugin.schema));
    let (mut own, mut custom) = (Map::new(), Map::new());
    for (name, value) in document.map("HyperParameters").into_iter().flatten() {
        if name.starts_with("sagemaker_") {
            let reason = "It tells SageMaker's images what to fetch and to start. Put the program \
                          into an image, and set `entrypoint`.";
            import.report(reader::join("/HyperParameters", name), reason);
            continue;
        }
        let property = schema.as_ref().and_then(|schema| Some((schema, schema.property(name)?)));
        match property {
            Some((schema, property)) => {
                own.insert(name.clone(), schema.typed(value, property));
            }
            None => {
                custom.insert(name.clone(), unquoted(value));
            }
        }
    }
    if let Some(plugin) = plugin
        && !own.is_empty()
    {
        import.set(&["hyperparameters", plugin.algorithm()], Value::Object(own));
    }
    if !custom.is_empty() {
        import.set(&["customHyperparameters"], Value::Object(custom));
    }
}

/// SageMaker's client writes texts as JSON, with their quotes; its images take them off.
fn unquoted(value: &Value) -> Value {
    let text = value.as_str().and_then(|text| serde_json::from_str::<String>(text).ok());
    text.map_or_else(|| value.clone(), Value::from)
}
