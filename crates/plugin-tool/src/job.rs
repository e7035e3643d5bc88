//! Jobs for a plugin: a form as the server takes it, and the bare job of the contract.

use serde::Deserialize;
use serde_json::{Map, Value};
use training::form::Form;
use training::job::{
    Attempt, ChannelType, DataChannel, DataSource, Exact, JobSpec, Resources, Spread,
};
use training::ports::{ConversionInput, FieldError, PluginInfo, Plugins};
use training::{JobId, JobName, Namespace, submit};

/// The random part of a job's id where nobody gave one: always the same, so that two runs can be
/// compared.
pub(crate) const RANDOM: u32 = 0x1a2b_3c4d;

/// Reads a form exactly as the server does, but for the clusters, which nobody knows here.
///
/// # Errors
/// Every mistake; a form for an algorithm that this plugin does not serve is one.
pub(crate) fn from_form(
    plugins: &dyn Plugins,
    info: &PluginInfo,
    form: Value,
) -> Result<Form, Vec<FieldError>> {
    if let Some(name) = submit::algorithm_of(&form)
        && !info.algorithms.iter().any(|algorithm| algorithm == name)
    {
        let detail = format!(
            "The form names `{name}`, and this plugin serves {}.",
            info.algorithms.join(", ")
        );
        let pointer = submit::algorithm_pointer(&form);
        return Err(vec![FieldError::new(pointer, "unknown-algorithm", detail)]);
    }
    submit::read_form(plugins, Some(info), &[], form)
}

/// The job of the contract. Unknown members are refused here, unlike in a plugin: whoever writes
/// a job by hand wants to hear about a slip.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct JobText {
    #[serde(default)]
    id: Option<String>,
    name: String,
    #[serde(default = "default_namespace")]
    namespace: String,
    algorithm: String,
    #[serde(default = "first_attempt")]
    attempt: u32,
    #[serde(default = "default_priority")]
    priority: i32,
    resources: ResourcesText,
    max_runtime_seconds: Option<u32>,
    #[serde(default)]
    channels: Vec<ChannelText>,
    output_uri: Option<String>,
    #[serde(default)]
    hyperparameters: Value,
    #[serde(default)]
    custom_hyperparameters: Map<String, Value>,
    entrypoint: Option<String>,
    head_image: Option<String>,
    worker_image: Option<String>,
    image_uri: Option<String>,
    pvc_name: Option<String>,
    /// Taken as the operator's settings, unless those are given separately.
    pub(crate) settings: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResourcesText {
    #[serde(default = "one")]
    cpu_cores: u32,
    #[serde(default, rename = "memoryGiB")]
    memory_gib: u32,
    #[serde(default)]
    gpu_count: u32,
    #[serde(default = "one")]
    instance_count: u32,
    #[serde(default, rename = "volumeSizeGB")]
    volume_size_gb: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChannelText {
    name: String,
    #[serde(default = "train")]
    r#type: String,
    #[serde(default = "custom")]
    provider: String,
    #[serde(default)]
    endpoint: String,
    #[serde(default)]
    bucket: String,
    #[serde(default)]
    prefix: String,
    claim: Option<String>,
    #[serde(default)]
    path: String,
    url: Option<String>,
    content_type: Option<String>,
    #[serde(default)]
    feature_names: Vec<String>,
    label_name: Option<String>,
}

fn default_namespace() -> String {
    "default".to_owned()
}

fn default_priority() -> i32 {
    500
}

fn one() -> u32 {
    1
}

fn train() -> String {
    "train".to_owned()
}

fn custom() -> String {
    "custom".to_owned()
}

impl JobText {
    /// Reads the job, or says in a sentence why not.
    pub(crate) fn parse(job: Value) -> Result<Self, String> {
        serde_json::from_value(job).map_err(|error| format!("not a job of the contract: {error}"))
    }

    /// The job as the host would hand it over, but for the defaults of its hyperparameters.
    pub(crate) fn into_input(self) -> Result<ConversionInput, String> {
        let name = JobName::parse(self.name).map_err(|error| error.message)?;
        let id = match self.id {
            Some(id) => JobId::parse(id).map_err(|error| error.message)?,
            None => JobId::from_name(&name, RANDOM),
        };
        let channels = self.channels.into_iter().map(channel).collect::<Result<_, _>>()?;
        let spec = JobSpec {
            name,
            namespace: Namespace::parse(self.namespace).map_err(|error| error.message)?,
            priority: self.priority,
            algorithm: self.algorithm,
            resources: Resources {
                cpu_cores: self.resources.cpu_cores,
                memory_gib: self.resources.memory_gib,
                gpu_count: self.resources.gpu_count,
                instance_count: self.resources.instance_count.max(1),
                volume_size_gb: self.resources.volume_size_gb,
            },
            exact: Exact::default(),
            max_runtime_seconds: self.max_runtime_seconds.filter(|seconds| *seconds > 0),
            max_pending_seconds: None,
            attempt: Attempt { number: self.attempt.max(1), first: None },
            channels,
            output_uri: self.output_uri,
            hyperparameters: self.hyperparameters,
            custom_hyperparameters: self.custom_hyperparameters,
            target_clusters: Vec::new(),
            spread: Spread::One,
            entrypoint: self.entrypoint,
            head_image: self.head_image,
            worker_image: self.worker_image,
            image_uri: self.image_uri,
            pvc_name: self.pvc_name,
            request: Value::Null,
        };
        Ok(ConversionInput { id, spec, settings: None })
    }
}

fn channel(channel: ChannelText) -> Result<DataChannel, String> {
    let channel_type = [ChannelType::Train, ChannelType::Validation, ChannelType::Test]
        .into_iter()
        .find(|known| known.as_str() == channel.r#type)
        .ok_or_else(|| format!("channel `{}` has no known type", channel.name))?;
    let source = match (channel.claim, channel.url) {
        (Some(claim), None) => DataSource::Volume { claim, path: channel.path },
        (None, Some(url)) => DataSource::Web { url },
        (None, None) => DataSource::ObjectStorage {
            provider: channel.provider,
            endpoint: channel.endpoint,
            bucket: channel.bucket,
            prefix: channel.prefix,
        },
        (Some(_), Some(_)) => {
            return Err(format!("channel `{}` has a claim and a URL", channel.name));
        }
    };
    Ok(DataChannel {
        name: channel.name,
        channel_type,
        source,
        content_type: channel.content_type,
        feature_names: channel.feature_names,
        label_name: channel.label_name,
    })
}

fn first_attempt() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn slip_in_a_job_is_named() {
        let error = JobText::parse(json!({"name": "a", "algoritm": "x"})).unwrap_err();
        assert!(error.contains("algoritm"), "{error}");
    }
}
