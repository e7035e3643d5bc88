//! What every training program finds in its environment, whatever its framework.
//!
//! | variable | what it holds |
//! |---|---|
//! | `JOB_ID`, `JOB_NAME`, `JOB_ATTEMPT` | which run this is |
//! | `ALGORITHM_ALIAS` | the alias by which the form names the algorithm, if it is one |
//! | `INSTANCE_COUNT`, `INSTANCE_INDEX` | how many pods there are, and which of them this is, from 0 |
//! | `LEADER_HOST` | the name of the pod with number 0 |
//! | `GPU_COUNT` | GPUs of this pod |
//! | `HP_<NAME>` | each hyperparameter; lists joined by commas, empty for none |
//! | `CUSTOM_HYPERPARAMETERS` | a JSON object, if the user added any |
//! | `CHANNELS` | the input data, a JSON list |
//! | `OUTPUT_URI` | where results should go, if the user said so |
//! | `RESULTS_PATH`, `CHECKPOINT_PATH` | folders that stay, if the job has a volume |
//! | `AWS_…` | region, endpoint and credentials of the object storage, for the usual libraries |

use serde::Serialize;
use serde_json::Value;

use super::{RESULTS_PATH, Settings, given};
use crate::answer::internal;
use crate::custom::env_name;
use crate::manifest::pod::Variable;
use crate::{Channel, ChannelType, Failure, Job};

/// Where Kubernetes writes the number of a pod of an Indexed Job.
const INDEX_PATH: &str = "metadata.annotations['batch.kubernetes.io/job-completion-index']";

/// The variable `name` with the number of the pod among its equals.
pub fn index_variable<'a>(name: &'static str, instances: u32) -> Variable<'a> {
    if instances > 1 { Variable::field(name, INDEX_PATH) } else { Variable::value(name, "0") }
}

/// The pod with number 0, where one leads.
pub(super) struct Leader {
    /// The name under which the others reach it.
    pub(super) host: String,
    /// Whether pods find their number in their own metadata.
    pub(super) numbered: bool,
}

pub(super) fn common<'j, H, D>(
    job: &'j Job<'j, H, Settings<D>>,
    leader: Option<Leader>,
    parameters: &impl Serialize,
) -> Result<Vec<Variable<'j>>, Failure> {
    let instances = job.resources.instance_count.max(1);
    let mut env = vec![
        Variable::value("JOB_ID", &*job.id),
        Variable::value("JOB_NAME", &*job.name),
        Variable::value("JOB_ATTEMPT", job.attempt.to_string()),
        Variable::value("INSTANCE_COUNT", instances.to_string()),
    ];
    if let Some(alias) = given(job.algorithm_alias.as_deref()) {
        env.push(Variable::value("ALGORITHM_ALIAS", alias));
    }
    if let Some(leader) = leader {
        if leader.numbered {
            env.push(index_variable("INSTANCE_INDEX", instances));
        }
        env.push(Variable::value("LEADER_HOST", leader.host));
    }
    env.push(Variable::value("GPU_COUNT", job.resources.gpu_count.to_string()));
    // Logs come line by line, not when a buffer is full.
    env.push(Variable::value("PYTHONUNBUFFERED", "1"));
    env.extend(hyperparameters(parameters)?);
    if !job.custom_hyperparameters.is_empty() {
        let custom = job.custom_hyperparameters.to_json();
        env.push(Variable::literal("CUSTOM_HYPERPARAMETERS", custom));
    }
    env.push(Variable::literal("CHANNELS", channels(&job.channels)?));
    let output = given(job.output_uri.as_deref());
    if let Some(uri) = output {
        env.push(Variable::literal("OUTPUT_URI", uri));
    }
    let results = results_path(output);
    env.push(Variable::literal("RESULTS_PATH", results));
    let checkpoints = format!("{}/checkpoints", results.trim_end_matches('/'));
    env.push(Variable::literal("CHECKPOINT_PATH", checkpoints));
    storage(&mut env, job);
    Ok(env)
}

/// `file://` picks a path in the pods; every other destination is the program's business.
pub(super) fn results_path(output: Option<&str>) -> &str {
    let path = output.and_then(|uri| uri.strip_prefix("file://"));
    given(path).unwrap_or(RESULTS_PATH)
}

/// Address and credentials of the object storage. Without data there is nothing to log in to, and
/// a Secret that is missing would keep the pods from starting.
fn storage<'j, H, D>(env: &mut Vec<Variable<'j>>, job: &'j Job<'j, H, Settings<D>>) {
    let settings = &job.settings;
    let writes = given(job.output_uri.as_deref()).is_some_and(|uri| !uri.starts_with("file://"));
    let mut stored = job.channels.iter().filter(|channel| channel.is_stored()).peekable();
    if stored.peek().is_none() && !writes {
        return;
    }
    // The first is what newer libraries read; boto3 and the command line of AWS read the second.
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        env.push(Variable::value(name, &*settings.s3_region));
    }
    let named = stored.map(|channel| &*channel.endpoint);
    let mut endpoints = std::iter::once(&*settings.s3_endpoint).chain(named);
    if let Some(endpoint) = endpoints.find(|endpoint| !endpoint.is_empty()) {
        env.push(Variable::literal("AWS_ENDPOINT_URL", endpoint));
    }
    if !settings.s3_secret.is_empty() {
        let secret = &settings.s3_secret;
        let keys = [
            ("AWS_ACCESS_KEY_ID", &settings.s3_access_key),
            ("AWS_SECRET_ACCESS_KEY", &settings.s3_secret_key),
        ];
        env.extend(keys.map(|(name, key)| Variable::secret(name, secret, key)));
    }
}

fn hyperparameters<'a>(parameters: &impl Serialize) -> Result<Vec<Variable<'a>>, Failure> {
    let values = serde_json::to_value(parameters)
        .map_err(|error| internal(&format!("cannot write the hyperparameters: {error}")))?;
    let Value::Object(values) = values else {
        return Err(internal("the hyperparameters are no object"));
    };
    let variable = |(name, value): (&String, &Value)| {
        Variable::literal(format!("HP_{}", env_name(name)), text_of(value))
    };
    Ok(values.iter().map(variable).collect())
}

/// Text as it is, null empty, a list of such values joined by commas, anything deeper JSON.
fn text_of(value: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    };
    let joined = || {
        let items: Option<Vec<String>> = value.as_array()?.iter().map(plain).collect();
        items.map(|items| items.join(","))
    };
    plain(value).or_else(joined).unwrap_or_else(|| value.to_string())
}

fn channels(channels: &[Channel<'_>]) -> Result<String, Failure> {
    let inputs: Vec<Input<'_>> = channels.iter().map(Input::from).collect();
    serde_json::to_string(&inputs)
        .map_err(|error| internal(&format!("cannot write the channels: {error}")))
}

/// Input data as training programs read it; what was not said is left out.
#[derive(Serialize)]
struct Input<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    channel_type: &'static str,
    uri: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    endpoint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    features: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
}

impl<'a> From<&'a Channel<'_>> for Input<'a> {
    fn from(channel: &'a Channel<'_>) -> Self {
        Self {
            name: &channel.name,
            channel_type: match channel.channel_type {
                ChannelType::Train => "train",
                ChannelType::Validation => "validation",
                ChannelType::Test => "test",
            },
            uri: channel.uri(),
            endpoint: &channel.endpoint,
            format: given(channel.content_type.as_deref()),
            features: channel.feature_names.iter().map(|name| &**name).collect(),
            label: given(channel.label_name.as_deref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_written_as_programs_read_them() {
        for (value, text) in [
            (json!(null), ""),
            (json!(true), "true"),
            (json!(0), "0"),
            (json!(1e-8), "1e-8"),
            (json!("a b"), "a b"),
            (json!([]), ""),
            (json!(["rmse", 1, null]), "rmse,1,"),
            (json!([[1], 2]), "[[1],2]"),
            (json!({ "a": 1 }), "{\"a\":1}"),
        ] {
            assert_eq!(text_of(&value), text, "{value}");
        }
    }

    #[test]
    fn only_a_path_of_the_pods_is_where_results_stay() {
        for (output, path) in [
            (None, RESULTS_PATH),
            (Some("s3://a/b"), RESULTS_PATH),
            (Some("file://"), RESULTS_PATH),
            (Some("file:///mnt/x"), "/mnt/x"),
        ] {
            assert_eq!(results_path(output), path);
        }
    }
}
