//! The environment of the training script: the names and their order are the predecessor's, and
//! scripts in the field rely on both.

use std::borrow::Cow;

use plugin_sdk::custom::{env_name, env_value};
use plugin_sdk::runtime_env::Variables;
use plugin_sdk::{Channel, Provider};

use super::{STORAGE_PATH, XgboostJob};
use crate::Hyperparameters;
use crate::channels::Inputs;
use crate::words::{Booster, Device, Nthread, TreeMethod};

const OUTPUT_URI: &str = "OUTPUT_URI";
const DEFAULT_LABEL_COLUMN: &str = "target";

/// Every variable of the job, in order.
pub(super) fn list(to: &mut Variables<'_>, job: &XgboostJob<'_>, inputs: &Inputs<'_>) {
    control(to, job, inputs);
    if let Some(train) = inputs.train {
        data(to, job, inputs, train);
    }
    hyperparameters(to, &job.hyperparameters, job.resources.gpu_count > 0);
    output(to, job, inputs);
    for (key, value) in job.custom_hyperparameters.iter() {
        to.text(&env_name(key), &env_value(value));
    }
}

fn control(to: &mut Variables<'_>, job: &XgboostJob<'_>, inputs: &Inputs<'_>) {
    let label = inputs.train.and_then(|train| train.label_name.as_deref());
    to.integer("NUM_WORKER", job.resources.instance_count.max(1));
    to.text("USE_GPU", if job.resources.gpu_count > 0 { "true" } else { "false" });
    to.text("LABEL_COLUMN", super::given(label).unwrap_or(DEFAULT_LABEL_COLUMN));
    to.text("RUN_NAME", &job.name);
    to.text("STORAGE_PATH", storage_path(job));
    if let Some(train) = inputs.train
        && !train.feature_names.is_empty()
        && let Ok(names) = serde_json::to_string(&train.feature_names)
    {
        // JSON, because names of columns may hold commas.
        to.text("FEATURE_COLUMNS", &names);
    }
}

/// `file://` picks a path in the pods; every other destination is the script's business.
pub(crate) fn storage_path<'j>(job: &'j XgboostJob<'_>) -> &'j str {
    let path = job.output_uri.as_deref().and_then(|uri| uri.strip_prefix("file://"));
    super::given(path).unwrap_or(STORAGE_PATH)
}

/// Where results should go besides the storage of the pods. It was not passed on once, and scripts
/// were told by a custom hyperparameter of this name, which still wins.
fn output(to: &mut Variables<'_>, job: &XgboostJob<'_>, inputs: &Inputs<'_>) {
    let Some(uri) = output_uri(job) else { return };
    if inputs.train.is_none() {
        to.text("S3_REGION", &job.settings.s3_region);
    }
    if job.custom_hyperparameters.iter().all(|(key, _)| env_name(key) != OUTPUT_URI) {
        to.text(OUTPUT_URI, uri);
    }
}

/// The object store for results, if the form names one.
pub(super) fn output_uri<'j>(job: &'j XgboostJob<'_>) -> Option<&'j str> {
    super::given(job.output_uri.as_deref()).filter(|uri| !uri.starts_with("file://"))
}

/// Where the data is. The credentials are not here: containers get them from a Secret.
fn data(to: &mut Variables<'_>, job: &XgboostJob<'_>, inputs: &Inputs<'_>, train: &Channel<'_>) {
    let region = &job.settings.s3_region;
    let train_endpoint = endpoint(train, region);
    to.text("S3_ENDPOINT", &train_endpoint);
    to.text("S3_REGION", region);
    to.text("S3_BUCKET", &train.bucket);
    to.text("S3_TRAIN_KEY", &key(train));
    let others = [
        (inputs.validation, "S3_VAL_KEY", "S3_VAL_BUCKET", "S3_VAL_ENDPOINT"),
        (inputs.test, "S3_TEST_KEY", "S3_TEST_BUCKET", "S3_TEST_ENDPOINT"),
    ];
    for (channel, name, bucket, endpoint_name) in others {
        let Some(channel) = channel else { continue };
        to.text(name, &key(channel));
        if *channel.bucket != *train.bucket {
            to.text(bucket, &channel.bucket);
        }
        let other_endpoint = endpoint(channel, region);
        if other_endpoint != train_endpoint {
            to.text(endpoint_name, &other_endpoint);
        }
    }
}

/// Where in its store a channel is. What is in none has no bucket, and its path in the pods or its
/// address on the web for a key.
fn key<'c>(channel: &'c Channel<'_>) -> Cow<'c, str> {
    match (channel.url.as_deref(), channel.folder()) {
        (Some(url), _) => Cow::Borrowed(url),
        (None, Some(folder)) => Cow::Owned(folder),
        (None, None) => Cow::Borrowed(&channel.prefix),
    }
}

/// The two big providers have addresses that everybody knows; the others have to be told.
fn endpoint<'c>(channel: &'c Channel<'_>, region: &str) -> Cow<'c, str> {
    match channel.provider {
        _ if !channel.endpoint.is_empty() => Cow::Borrowed(&channel.endpoint),
        Provider::Aws => Cow::Owned(format!("https://s3.{region}.amazonaws.com")),
        Provider::Gcs => Cow::Borrowed("https://storage.googleapis.com"),
        Provider::Minio | Provider::Azure | Provider::Custom => Cow::Borrowed(""),
    }
}

fn hyperparameters(to: &mut Variables<'_>, h: &Hyperparameters, has_gpu: bool) {
    to.integer("NUM_BOOST_ROUND", h.num_round);
    match h.early_stopping_rounds {
        Some(rounds) => to.integer("EARLY_STOPPING_ROUNDS", rounds),
        None => to.text("EARLY_STOPPING_ROUNDS", ""),
    }
    to.integer("CSV_WEIGHT", h.csv_weights);
    to.text("BOOSTER", h.booster.as_str());
    to.integer("VERBOSITY", h.verbosity);
    if let Nthread::Fixed(threads) = h.nthread {
        to.integer("NTHREAD", threads);
    }
    to.float("ETA", h.eta);
    to.float("GAMMA", h.gamma);
    to.integer("MAX_DEPTH", h.max_depth);
    to.float("MIN_CHILD_WEIGHT", h.min_child_weight);
    to.float("MAX_DELTA_STEP", h.max_delta_step);
    to.float("SUBSAMPLE", h.subsample);
    to.text("SAMPLING_METHOD", h.sampling_method.as_str());
    to.float("COLSAMPLE_BYTREE", h.colsample_bytree);
    to.float("COLSAMPLE_BYLEVEL", h.colsample_bylevel);
    to.float("COLSAMPLE_BYNODE", h.colsample_bynode);
    to.float("LAMBDA", h.lambda);
    to.float("ALPHA", h.alpha);
    to.text("TREE_METHOD", h.tree_method.as_str());
    to.float("SKETCH_EPS", h.sketch_eps);
    to.float("SCALE_POS_WEIGHT", h.scale_pos_weight);
    if let Some(steps) = h.updater.steps() {
        to.text("UPDATER", steps);
    }
    to.text("DSPLIT", h.dsplit.as_str());
    to.integer("REFRESH_LEAF", h.refresh_leaf);
    to.text("PROCESS_TYPE", h.process_type.as_str());
    to.text("GROW_POLICY", h.grow_policy.as_str());
    to.integer("MAX_LEAVES", h.max_leaves);
    to.integer("MAX_BIN", h.max_bin);
    to.integer("NUM_PARALLEL_TREE", h.num_parallel_tree);
    to.text("SAMPLE_TYPE", h.sample_type.as_str());
    to.text("NORMALIZE_TYPE", h.normalize_type.as_str());
    to.float("RATE_DROP", h.rate_drop);
    to.integer("ONE_DROP", h.one_drop);
    to.float("SKIP_DROP", h.skip_drop);
    to.float("LAMBDA_BIAS", h.lambda_bias);
    to.float("TWEEDIE_VARIANCE_POWER", h.tweedie_variance_power);
    to.text("OBJECTIVE", h.objective.as_str());
    to.float("BASE_SCORE", h.base_score);
    if let Some(metrics) = h.eval_metric.joined() {
        to.text("EVAL_METRIC", &metrics);
    }
    // What the predecessor did not have stands after what it had.
    if let Some(device) = device(h, has_gpu) {
        to.text("DEVICE", device.as_str());
    }
    if let Some(classes) = h.num_class {
        to.integer("NUM_CLASS", classes);
    }
    if let Some(seed) = h.seed {
        to.integer("SEED", seed);
    }
}

/// What to tell the script. On a CPU job nothing: the library computes there anyway. GPUs are
/// used unless the method cannot.
fn device(h: &Hyperparameters, has_gpu: bool) -> Option<Device> {
    match h.device {
        Device::Auto if !has_gpu => None,
        Device::Auto if h.tree_method == TreeMethod::Exact || h.booster == Booster::Gblinear => {
            Some(Device::Cpu)
        }
        Device::Auto => Some(Device::Cuda),
        device => Some(device),
    }
}

/// Names that the plugin writes, or could write for another job.
const OWN_NAMES: [&str; 49] = [
    "NUM_WORKER",
    "USE_GPU",
    "LABEL_COLUMN",
    "FEATURE_COLUMNS",
    "RUN_NAME",
    "STORAGE_PATH",
    "NUM_BOOST_ROUND",
    "EARLY_STOPPING_ROUNDS",
    "CSV_WEIGHT",
    "BOOSTER",
    "VERBOSITY",
    "NTHREAD",
    "ETA",
    "GAMMA",
    "MAX_DEPTH",
    "MIN_CHILD_WEIGHT",
    "MAX_DELTA_STEP",
    "SUBSAMPLE",
    "SAMPLING_METHOD",
    "COLSAMPLE_BYTREE",
    "COLSAMPLE_BYLEVEL",
    "COLSAMPLE_BYNODE",
    "LAMBDA",
    "ALPHA",
    "TREE_METHOD",
    "SKETCH_EPS",
    "SCALE_POS_WEIGHT",
    "UPDATER",
    "DSPLIT",
    "REFRESH_LEAF",
    "PROCESS_TYPE",
    "GROW_POLICY",
    "MAX_LEAVES",
    "MAX_BIN",
    "NUM_PARALLEL_TREE",
    "SAMPLE_TYPE",
    "NORMALIZE_TYPE",
    "RATE_DROP",
    "ONE_DROP",
    "SKIP_DROP",
    "LAMBDA_BIAS",
    "TWEEDIE_VARIANCE_POWER",
    "OBJECTIVE",
    "BASE_SCORE",
    "EVAL_METRIC",
    "DEVICE",
    "NUM_CLASS",
    "SEED",
    "NUM_ROUND",
];

/// Names that steer the container, Ray or the cloud libraries instead of the training.
const SYSTEM_NAMES: [&str; 5] = ["PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "HOME"];
const SYSTEM_PREFIXES: [&str; 4] = ["RAY_", "KUBERNETES_", "AWS_", "S3_"];

/// Whether users may not set this variable by a custom hyperparameter.
pub(crate) fn is_reserved(name: &str) -> bool {
    OWN_NAMES.contains(&name)
        || SYSTEM_NAMES.contains(&name)
        || SYSTEM_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
