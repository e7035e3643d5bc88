//! The hyperparameters of XGBoost: names, types, ranges, defaults, groups and help, once. The JSON
//! Schema, the web form, the CLI's flags and the reference page all come from here.
//!
//! Members stand in the order of the form. Defaults are those of the predecessor's form; ranges
//! are those of the library, which are wider in places. Which environment variable each becomes
//! stands in `convert/env.rs`.

use plugin_sdk::number::{whole, whole_or_null};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{
    Booster, DataSplit, Device, EvalMetric, GrowPolicy, NormalizeType, Nthread, Objective,
    ProcessType, SampleType, SamplingMethod, TreeMethod, Updater,
};

/// Gradient boosting on tabular data.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "XGBoost", extend("x-channel-sources" = ["pvc", "http"]))]
pub struct Hyperparameters {
    /// How many rounds of boosting to run. More rounds fit closer and take longer; with a
    /// validation channel, early stopping can end sooner.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Boosting rounds",
        range(min = 1, max = 2_147_483_647),
        extend("x-group" = "Training strategy", "x-unit" = "rounds")
    )]
    pub num_round: u32,
    /// Stop when the last evaluation metric has not improved for this many rounds on the validation
    /// channel. Empty or 0: run every round.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Early stopping",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "Training strategy", "x-unit" = "rounds")
    )]
    pub early_stopping_rounds: Option<u32>,
    /// What is boosted: trees, linear models, or trees with dropout (DART). For linear models, eta
    /// 0.5 and lambda 0 are the usual start.
    #[schemars(title = "Booster", extend("x-group" = "Training strategy"))]
    pub booster: Booster,
    /// How much the training prints: 0 nothing, 1 warnings, 2 information, 3 everything.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Verbosity",
        range(min = 0, max = 3),
        extend("x-group" = "Training strategy")
    )]
    pub verbosity: u32,
    /// 0 ignores weights; 1 takes the last column of the CSV as the weight of each row.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "CSV weights",
        range(min = 0, max = 1),
        extend("x-group" = "Training strategy")
    )]
    pub csv_weights: u32,
    /// Threads per worker: `auto` takes every core of the instance; a number should not exceed its
    /// cores.
    #[schemars(title = "Threads", extend("x-group" = "Training strategy"))]
    pub nthread: Nthread,
    /// Prediction every row starts with. With enough rounds it hardly matters. Logistic objectives
    /// need a value between 0 and 1.
    #[schemars(title = "Base score", extend("x-group" = "Training strategy"))]
    pub base_score: f64,
    /// Multiplies the weight of positive rows in unbalanced binary problems; rows without the label
    /// divided by rows with it is a good start.
    #[schemars(
        title = "Weight of positives",
        range(min = 0),
        extend("x-group" = "Training strategy")
    )]
    pub scale_pos_weight: f64,
    /// Where the training computes. `auto` takes the GPUs if the job asks for any.
    #[schemars(title = "Device", extend("x-group" = "Training strategy"))]
    pub device: Device,
    /// Makes sampling repeatable. Empty: the default of the library.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Random seed",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "Training strategy")
    )]
    pub seed: Option<u32>,
    /// How much of each new tree is taken over. Smaller values need more rounds and overfit less.
    #[schemars(
        title = "Learning rate (eta)",
        range(min = 0, max = 1),
        extend("x-group" = "Learning rate and tree constraints")
    )]
    pub eta: f64,
    /// A leaf is split only if that lowers the loss by at least this much.
    #[schemars(
        title = "Minimum split loss (gamma)",
        range(min = 0),
        extend("x-group" = "Learning rate and tree constraints")
    )]
    pub gamma: f64,
    /// Deepest level of a tree. Memory grows fast with it. 0 is no limit and needs the loss-guided
    /// growth policy or the histogram method.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Maximum depth",
        range(min = 0, max = 1024),
        extend("x-group" = "Learning rate and tree constraints", "x-unit" = "levels")
    )]
    pub max_depth: u32,
    /// Least sum of instance weights in a leaf. Larger is more conservative.
    #[schemars(
        title = "Minimum child weight",
        range(min = 0),
        extend("x-group" = "Learning rate and tree constraints")
    )]
    pub min_child_weight: f64,
    /// Bound of the output of each leaf; 0 is none. Values from 1 to 10 help unbalanced logistic
    /// problems.
    #[schemars(
        title = "Maximum delta step",
        range(min = 0),
        extend("x-group" = "Learning rate and tree constraints")
    )]
    pub max_delta_step: f64,
    /// Share of rows drawn for each tree. 0.5 halves them, which prevents overfitting.
    #[schemars(
        title = "Row sample",
        range(max = 1),
        extend("x-group" = "Sampling and columns", "exclusiveMinimum" = 0)
    )]
    pub subsample: f64,
    /// `gradient_based` prefers rows with large gradients and allows far smaller samples; it needs
    /// the histogram tree method.
    #[schemars(title = "Sampling method", extend("x-group" = "Sampling and columns"))]
    pub sampling_method: SamplingMethod,
    /// Share of columns drawn for each tree.
    #[schemars(
        title = "Columns per tree",
        range(max = 1),
        extend("x-group" = "Sampling and columns", "exclusiveMinimum" = 0)
    )]
    pub colsample_bytree: f64,
    /// Share of the columns of the tree that is drawn for each level.
    #[schemars(
        title = "Columns per level",
        range(max = 1),
        extend("x-group" = "Sampling and columns", "exclusiveMinimum" = 0)
    )]
    pub colsample_bylevel: f64,
    /// Share of the columns of the level that is drawn for each split.
    #[schemars(
        title = "Columns per split",
        range(max = 1),
        extend("x-group" = "Sampling and columns", "exclusiveMinimum" = 0)
    )]
    pub colsample_bynode: f64,
    /// Resolution of the candidate splits of the approximate method in old versions of the library;
    /// newer ones use the number of bins.
    #[schemars(
        title = "Sketch accuracy",
        range(min = 0),
        extend("x-group" = "Sampling and columns")
    )]
    pub sketch_eps: f64,
    /// L2 regularization of the weights. Larger is more conservative.
    #[schemars(
        title = "L2 penalty (lambda)",
        range(min = 0),
        extend("x-group" = "Regularization and process")
    )]
    pub lambda: f64,
    /// L1 regularization of the weights. Larger is more conservative and drives weights to zero.
    #[schemars(
        title = "L1 penalty (alpha)",
        range(min = 0),
        extend("x-group" = "Regularization and process")
    )]
    pub alpha: f64,
    /// L2 regularization of the bias of linear models.
    #[schemars(
        title = "L2 penalty of the bias",
        range(min = 0),
        extend("x-group" = "Regularization and process", "x-visible-when" = { "booster": ["gblinear"] })
    )]
    pub lambda_bias: f64,
    /// How splits are searched: `exact` tries every one and fits small data only, `approx` and
    /// `hist` use bins. `auto` is `hist` in current versions.
    #[schemars(title = "Tree method", extend("x-group" = "Regularization and process"))]
    pub tree_method: TreeMethod,
    /// Expert setting: comma-separated steps that build and change trees. `auto` leaves the choice
    /// to the tree method.
    #[schemars(title = "Updater", extend("x-group" = "Regularization and process"))]
    pub updater: Updater,
    /// How data is divided among workers. Only rows can be divided.
    #[schemars(title = "Data split", extend("x-group" = "Regularization and process"))]
    pub dsplit: DataSplit,
    /// For the updater `refresh`: 1 updates leaves and statistics of nodes, 0 the statistics only.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Refresh leaves",
        range(min = 0, max = 1),
        extend("x-group" = "Regularization and process")
    )]
    pub refresh_leaf: u32,
    /// `default` builds new trees; `update` changes an existing model and needs an updater.
    #[schemars(title = "Process type", extend("x-group" = "Regularization and process"))]
    pub process_type: ProcessType,
    /// `depthwise` splits the nodes nearest to the root first, `lossguide` those with the greatest
    /// gain.
    #[schemars(
        title = "Growth policy",
        extend("x-group" = "Regularization and process", "x-visible-when" = { "tree_method": ["auto", "hist", "approx"] })
    )]
    pub grow_policy: GrowPolicy,
    /// Most leaves of a tree; 0 is no limit.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Maximum leaves",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "Regularization and process", "x-unit" = "leaves", "x-visible-when" = { "grow_policy": ["lossguide"] })
    )]
    pub max_leaves: u32,
    /// Bins for each continuous column. More bins find better splits and take longer.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Maximum bins",
        range(min = 2, max = 2_147_483_647),
        extend("x-group" = "Regularization and process", "x-unit" = "bins", "x-visible-when" = { "tree_method": ["auto", "hist", "approx"] })
    )]
    pub max_bin: u32,
    /// Trees grown in each round. With sampling, more than one boosts a random forest.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Parallel trees",
        range(min = 1, max = 2_147_483_647),
        extend("x-group" = "Regularization and process", "x-unit" = "trees")
    )]
    pub num_parallel_tree: u32,
    /// How trees are chosen to be dropped: equally, or by weight.
    #[schemars(
        title = "Dropout sampling",
        extend("x-group" = "DART and advanced", "x-visible-when" = { "booster": ["dart"] })
    )]
    pub sample_type: SampleType,
    /// Whether a new tree weighs as much as each dropped tree or as all of them together.
    #[schemars(
        title = "Dropout normalization",
        extend("x-group" = "DART and advanced", "x-visible-when" = { "booster": ["dart"] })
    )]
    pub normalize_type: NormalizeType,
    /// Share of earlier trees to drop in a round.
    #[schemars(
        title = "Dropout rate",
        range(min = 0, max = 1),
        extend("x-group" = "DART and advanced", "x-visible-when" = { "booster": ["dart"] })
    )]
    pub rate_drop: f64,
    /// 1 drops at least one tree in every round.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Drop at least one",
        range(min = 0, max = 1),
        extend("x-group" = "DART and advanced", "x-visible-when" = { "booster": ["dart"] })
    )]
    pub one_drop: u32,
    /// Chance that a round drops nothing.
    #[schemars(
        title = "Skip dropout",
        range(min = 0, max = 1),
        extend("x-group" = "DART and advanced", "x-visible-when" = { "booster": ["dart"] })
    )]
    pub skip_drop: f64,
    /// Near 2 the distribution resembles a gamma, near 1 a Poisson distribution.
    #[schemars(
        title = "Tweedie variance power",
        extend("x-group" = "DART and advanced", "exclusiveMinimum" = 1, "exclusiveMaximum" = 2, "x-visible-when" = { "objective": ["reg:tweedie"] })
    )]
    pub tweedie_variance_power: f64,
    /// What the training minimizes, and with it what a prediction means.
    #[schemars(title = "Objective", extend("x-group" = "Objective and evaluation"))]
    pub objective: Objective,
    /// How many classes the label has. Required for multi-class objectives; labels run from 0 to
    /// one less.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Number of classes",
        range(min = 2, max = 2_147_483_647),
        extend("x-group" = "Objective and evaluation", "x-unit" = "classes", "x-visible-when" = { "objective": ["multi:softmax", "multi:softprob"] })
    )]
    pub num_class: Option<u32>,
    /// What is measured on the evaluation data. The last one decides about early stopping.
    /// `error@0.5` sets the threshold, `ndcg@10` the cut-off.
    #[schemars(title = "Evaluation metrics", extend("x-group" = "Objective and evaluation"))]
    pub eval_metric: EvalMetric,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self {
            num_round: 300,
            early_stopping_rounds: None,
            booster: Booster::Gbtree,
            verbosity: 1,
            csv_weights: 0,
            nthread: Nthread::Auto,
            base_score: 0.5,
            scale_pos_weight: 1.0,
            device: Device::Auto,
            seed: None,
            eta: 0.3,
            gamma: 0.0,
            max_depth: 6,
            min_child_weight: 1.0,
            max_delta_step: 0.0,
            subsample: 1.0,
            sampling_method: SamplingMethod::Uniform,
            colsample_bytree: 1.0,
            colsample_bylevel: 1.0,
            colsample_bynode: 1.0,
            sketch_eps: 0.03,
            lambda: 1.0,
            alpha: 0.0,
            lambda_bias: 0.0,
            tree_method: TreeMethod::Auto,
            updater: Updater::auto(),
            dsplit: DataSplit::Row,
            refresh_leaf: 1,
            process_type: ProcessType::Default,
            grow_policy: GrowPolicy::Depthwise,
            max_leaves: 0,
            max_bin: 256,
            num_parallel_tree: 1,
            sample_type: SampleType::Uniform,
            normalize_type: NormalizeType::Tree,
            rate_drop: 0.0,
            one_drop: 0,
            skip_drop: 0.0,
            tweedie_variance_power: 1.5,
            objective: Objective::RegSquaredError,
            num_class: None,
            eval_metric: EvalMetric::single("rmse"),
        }
    }
}
