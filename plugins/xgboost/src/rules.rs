//! What a schema cannot say: rules across fields, and notes for jobs that are accepted. Each rule
//! is one that the library or the cluster would enforce later, with less to go by.

use plugin_sdk::custom::{env_name, is_env_name};
use plugin_sdk::{Finding, Provider};

use crate::Hyperparameters;
use crate::channels::Inputs;
use crate::convert::{STORAGE_PATH, XgboostJob, is_reserved, storage_path};
use crate::words::{
    Booster, DataSplit, Device, GrowPolicy, NormalizeType, Nthread, Objective, ProcessType,
    SampleType, SamplingMethod, TreeMethod,
};

/// Everything wrong with the job.
pub(crate) fn findings(job: &XgboostJob<'_>) -> Vec<Finding> {
    let inputs = Inputs::of(&job.channels);
    let mut findings = Findings(Vec::new());
    channels(job, &inputs, &mut findings);
    objective(&job.hyperparameters, &mut findings);
    metrics(&job.hyperparameters, &mut findings);
    booster(&job.hyperparameters, &mut findings);
    trees(&job.hyperparameters, job.resources.gpu_count > 0, &mut findings);
    if job.hyperparameters.early_stopping_rounds.is_some_and(|rounds| rounds > 0)
        && inputs.train.is_some()
        && inputs.validation.is_none()
    {
        findings.conflict(
            "early_stopping_rounds",
            "Early stopping watches validation data: add a channel of type `validation`, or leave \
             early stopping empty.",
        );
    }
    custom(job, &mut findings);
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn push(&mut self, field: &str, code: &str, message: impl Into<String>) {
        self.0.push(Finding::new(format!("/hyperparameters/xgboost/{field}"), code, message));
    }

    fn conflict(&mut self, field: &str, message: impl Into<String>) {
        self.push(field, "conflict", message);
    }
}

fn channels(job: &XgboostJob<'_>, inputs: &Inputs<'_>, findings: &mut Findings) {
    if !job.channels.is_empty() && inputs.train.is_none() {
        findings.0.push(Finding::new(
            "/inputDataConfig",
            "required",
            "A channel of type `train` is required.",
        ));
    }
    for &position in &inputs.surplus {
        findings.0.push(Finding::new(
            format!("/inputDataConfig/{position}/channelType"),
            "conflict",
            "Another channel has this type already: give each of `train`, `validation` and `test` \
             at most one channel.",
        ));
    }
}

fn objective(h: &Hyperparameters, findings: &mut Findings) {
    let objective = h.objective.as_str();
    match h.num_class {
        None if h.objective.is_multi_class() => findings.push(
            "num_class",
            "required",
            format!("The objective `{objective}` needs the number of classes, at least 2."),
        ),
        Some(_) if !h.objective.is_multi_class() => findings.conflict(
            "num_class",
            format!(
                "The number of classes belongs to `multi:softmax` and `multi:softprob`, not to \
                 `{objective}`: leave it empty."
            ),
        ),
        _ => {}
    }
    match h.objective {
        Objective::RegLogistic | Objective::BinaryLogistic | Objective::BinaryLogitRaw
            if h.base_score <= 0.0 || h.base_score >= 1.0 =>
        {
            findings.conflict(
                "base_score",
                format!("With `{objective}` the base score is a probability between 0 and 1."),
            );
        }
        Objective::CountPoisson | Objective::RegGamma | Objective::RegTweedie
            if h.base_score <= 0.0 =>
        {
            findings.conflict(
                "base_score",
                format!("With `{objective}` the base score must be above 0."),
            );
        }
        _ => {}
    }
    let is_tweedie = h.objective == Objective::RegTweedie
        || h.eval_metric.iter().any(|metric| metric.starts_with("tweedie-nloglik"));
    #[expect(clippy::float_cmp, reason = "the question is whether anybody changed the default")]
    let is_changed = h.tweedie_variance_power != Hyperparameters::default().tweedie_variance_power;
    if is_changed && !is_tweedie {
        findings.conflict(
            "tweedie_variance_power",
            format!("The variance power belongs to `reg:tweedie`, not to `{objective}`."),
        );
    }
}

fn metrics(h: &Hyperparameters, findings: &mut Findings) {
    let is_multi = h.objective.is_multi_class();
    for metric in h.eval_metric.iter() {
        let base = metric.split('@').next().unwrap_or(metric);
        let fits = match base {
            "merror" | "mlogloss" => is_multi,
            "error" | "logloss" => !is_multi,
            "aft-nloglik" | "interval-regression-accuracy" => h.objective == Objective::SurvivalAft,
            "cox-nloglik" => h.objective == Objective::SurvivalCox,
            _ => true,
        };
        if !fits {
            let objective = h.objective.as_str();
            findings.conflict(
                "eval_metric",
                format!(
                    "The metric `{metric}` cannot be computed for the objective `{objective}`."
                ),
            );
        }
    }
}

fn booster(h: &Hyperparameters, findings: &mut Findings) {
    let changed_dart_fields = [
        ("sample_type", h.sample_type != SampleType::Uniform),
        ("normalize_type", h.normalize_type != NormalizeType::Tree),
        ("rate_drop", h.rate_drop != 0.0),
        ("one_drop", h.one_drop != 0),
        ("skip_drop", h.skip_drop != 0.0),
    ];
    for (field, is_changed) in changed_dart_fields {
        if is_changed && h.booster != Booster::Dart {
            let booster = h.booster.as_str();
            findings.conflict(
                field,
                format!("Only the booster `dart` drops trees; the booster is `{booster}`."),
            );
        }
    }
    if h.lambda_bias != 0.0 && h.booster != Booster::Gblinear {
        findings.conflict(
            "lambda_bias",
            "Only linear models have a bias: use the booster `gblinear`, or leave this at 0.",
        );
    }
}

fn trees(h: &Hyperparameters, has_gpu: bool, findings: &mut Findings) {
    let is_exact = h.tree_method == TreeMethod::Exact;
    let is_lossguide = h.grow_policy == GrowPolicy::Lossguide;
    let on_gpu = has_gpu && h.device != Device::Cpu;
    if h.device == Device::Cuda && !has_gpu {
        findings.conflict(
            "device",
            "The device `cuda` needs at least one GPU per worker: raise `gpuCount`, or use `cpu`.",
        );
    }
    if h.device == Device::Cuda && is_exact {
        findings.conflict(
            "tree_method",
            "The exact method does not run on GPUs: use `hist` or `approx`, or the device `cpu`.",
        );
    }
    if h.sampling_method == SamplingMethod::GradientBased
        && (is_exact || !(h.tree_method == TreeMethod::Hist || on_gpu))
    {
        findings.conflict(
            "sampling_method",
            "Gradient-based sampling needs the tree method `hist` or a GPU.",
        );
    }
    if is_lossguide && is_exact {
        findings.conflict(
            "grow_policy",
            "Loss-guided growth needs the tree method `hist`, `approx` or `auto`.",
        );
    }
    if h.max_leaves > 0 && is_exact {
        findings.conflict(
            "max_leaves",
            "The exact method knows no limit of leaves: use `hist` or `approx`, or leave it at 0.",
        );
    }
    if h.max_depth == 0 && (is_exact || !(is_lossguide || h.tree_method == TreeMethod::Hist)) {
        findings.conflict(
            "max_depth",
            "Unlimited depth (0) needs the growth policy `lossguide` or the tree method `hist`.",
        );
    }
    if h.dsplit == DataSplit::Col {
        findings.push(
            "dsplit",
            "unsupported",
            "Data cannot be divided by columns: Ray hands each worker a share of the rows, and \
             XGBoost 3.4 removed the option. Use `row`.",
        );
    }
    if h.process_type == ProcessType::Update && h.updater.steps().is_none() {
        findings.conflict(
            "updater",
            "The process type `update` needs an updater, such as `refresh` or `prune`.",
        );
    }
}

fn custom(job: &XgboostJob<'_>, findings: &mut Findings) {
    let mut seen: Vec<String> = Vec::new();
    for (key, _) in job.custom_hyperparameters.iter() {
        let name = env_name(key);
        let problem = if !is_env_name(&name) {
            Some((
                "invalid",
                "The name becomes an environment variable: use letters, digits, `_`, `-` and `.`, \
                 and do not start with a digit."
                    .to_owned(),
            ))
        } else if is_reserved(&name) {
            Some(("reserved-name", format!("The environment variable `{name}` is reserved.")))
        } else if seen.contains(&name) {
            Some(("duplicate", format!("Another custom hyperparameter becomes `{name}` as well.")))
        } else {
            None
        };
        if let Some((code, message)) = problem {
            let key = key.replace('~', "~0").replace('/', "~1");
            let pointer = format!("/customHyperparameters/{key}");
            findings.0.push(Finding::new(pointer, code, message));
        }
        seen.push(name);
    }
}

/// What the user should know although the job is accepted.
pub(crate) fn warnings(job: &XgboostJob<'_>, inputs: &Inputs<'_>) -> Vec<String> {
    let h = &job.hyperparameters;
    let mut warnings = Vec::new();
    let mut warn = |applies: bool, message: &str| {
        if applies {
            warnings.push(message.to_owned());
        }
    };
    let has_gpu = job.resources.gpu_count > 0;
    let cannot_use_gpu = h.device == Device::Cpu
        || h.device == Device::Auto
            && (h.tree_method == TreeMethod::Exact || h.booster == Booster::Gblinear);
    warn(
        has_gpu && cannot_use_gpu,
        "The job reserves GPUs but computes on the CPU: change the device, the tree method or the \
         booster, or ask for no GPU.",
    );
    warn(
        matches!(h.nthread, Nthread::Fixed(threads) if threads > job.resources.cpu_cores),
        "The number of threads exceeds the cores of an instance, which slows the training down.",
    );
    warn(
        h.max_depth == 0 && h.max_leaves == 0,
        "Neither depth nor leaves are limited: trees can take up all memory.",
    );
    warn(
        h.sampling_method == SamplingMethod::GradientBased && !has_gpu,
        "Many versions of XGBoost do gradient-based sampling on GPUs only.",
    );
    let has_custom =
        |name: &str| job.custom_hyperparameters.iter().any(|(key, _)| env_name(key) == name);
    warn(
        h.objective == Objective::RegQuantileError && !has_custom("QUANTILE_ALPHA"),
        "The objective `reg:quantileerror` needs the custom hyperparameter `quantile_alpha`.",
    );
    warn(
        h.objective == Objective::RegExpectileError && !has_custom("EXPECTILE_ALPHA"),
        "The objective `reg:expectileerror` needs the custom hyperparameter `expectile_alpha`.",
    );
    warn(
        matches!(h.objective, Objective::RankNdcg | Objective::RankMap | Objective::RankPairwise),
        "Ranking needs the group of each row, which the standard training script does not read: \
         use an entrypoint of your own.",
    );
    warn(
        matches!(h.objective, Objective::SurvivalAft | Objective::SurvivalCox),
        "Survival objectives need labels of a special form: bounds for `survival:aft`, negative \
         times for censored rows for `survival:cox`.",
    );
    let channels = [inputs.train, inputs.validation, inputs.test];
    warn(
        channels.iter().flatten().any(|channel| {
            channel.is_stored()
                && channel.endpoint.is_empty()
                && !matches!(channel.provider, Provider::Aws | Provider::Gcs)
        }),
        "A channel has no endpoint, and its provider has none that everybody knows: the training \
         script must know it.",
    );
    warn(
        !storage_path(job).starts_with(STORAGE_PATH),
        "The output path lies outside of the mounted storage, so results leave with the pods \
         unless the image mounts something there.",
    );
    warnings
}
