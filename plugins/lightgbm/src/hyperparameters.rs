//! The hyperparameters of LightGBM: names, defaults and ranges of its own documentation, and
//! the words they take.

use plugin_sdk::choices;
use plugin_sdk::number::{integer, whole, whole_or_null};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

choices! {
    /// What the training minimizes.
    Objective {
        Regression = "regression",
        RegressionL1 = "regression_l1",
        Huber = "huber",
        Fair = "fair",
        Poisson = "poisson",
        Quantile = "quantile",
        Mape = "mape",
        Gamma = "gamma",
        Tweedie = "tweedie",
        Binary = "binary",
        Multiclass = "multiclass",
        MulticlassOva = "multiclassova",
        CrossEntropy = "cross_entropy",
        CrossEntropyLambda = "cross_entropy_lambda",
        Lambdarank = "lambdarank",
        RankXendcg = "rank_xendcg",
    }
}
choices! {
    /// What is boosted.
    Boosting { Gbdt = "gbdt", Rf = "rf", Dart = "dart" }
}
choices! {
    /// How rows are drawn.
    SampleStrategy { Bagging = "bagging", Goss = "goss" }
}
choices! {
    /// How pods share the work.
    TreeLearner {
        Auto = "auto",
        Serial = "serial",
        Feature = "feature",
        Data = "data",
        Voting = "voting",
    }
}
choices! {
    /// What is measured.
    Metric {
        L1 = "l1",
        L2 = "l2",
        Rmse = "rmse",
        Quantile = "quantile",
        Mape = "mape",
        Huber = "huber",
        Fair = "fair",
        Poisson = "poisson",
        Gamma = "gamma",
        GammaDeviance = "gamma_deviance",
        Tweedie = "tweedie",
        Ndcg = "ndcg",
        Map = "map",
        Auc = "auc",
        AveragePrecision = "average_precision",
        BinaryLogloss = "binary_logloss",
        BinaryError = "binary_error",
        AucMu = "auc_mu",
        MultiLogloss = "multi_logloss",
        MultiError = "multi_error",
        CrossEntropy = "cross_entropy",
        CrossEntropyLambda = "cross_entropy_lambda",
        KullbackLeibler = "kullback_leibler",
    }
}
choices! {
    /// Where the training computes.
    Device { Cpu = "cpu", Gpu = "gpu", Cuda = "cuda" }
}

impl Objective {
    /// More than two classes.
    pub(crate) fn is_multi_class(self) -> bool {
        matches!(self, Self::Multiclass | Self::MulticlassOva)
    }

    /// One of two classes, or several taken one at a time.
    pub(crate) fn weighs_classes(self) -> bool {
        matches!(self, Self::Binary | Self::MulticlassOva)
    }
}

/// A cut-off of a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Position(
    #[serde(deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 100_000))]
    pub u32,
);

/// Gradient boosting on tabular data.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "LightGBM", extend("x-channel-sources" = ["pvc", "http"]))]
pub struct Hyperparameters {
    /// What the training minimizes, and with it what a prediction means.
    #[schemars(title = "Objective", extend("x-group" = "Objective and evaluation"))]
    pub objective: Objective,
    /// How many classes the label has, which run from 0. Needed by the multi-class
    /// objectives.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Number of classes",
        range(min = 1, max = 2_147_483_647),
        extend(
            "x-group" = "Objective and evaluation",
            "x-unit" = "classes",
            "x-visible-when" = { "objective": ["multiclass", "multiclassova"] }
        )
    )]
    pub num_class: u32,
    /// What is measured on the validation data. Empty: the metric of the objective.
    #[schemars(
        title = "Metrics",
        extend("x-group" = "Objective and evaluation", "maxItems" = 16, "uniqueItems" = true)
    )]
    pub metric: Vec<Metric>,
    /// Cut-offs at which `ndcg` and `map` are measured.
    #[schemars(
        title = "Positions",
        extend(
            "x-group" = "Objective and evaluation",
            "maxItems" = 16,
            "x-visible-when" = { "objective": ["lambdarank", "rank_xendcg"] }
        )
    )]
    pub eval_at: Vec<Position>,
    /// Every how many rounds the metrics are computed.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Metric period",
        range(min = 1, max = 2_147_483_647),
        extend("x-group" = "Objective and evaluation", "x-unit" = "rounds")
    )]
    pub metric_freq: u32,
    /// Stop when a metric of the validation data has not improved for this many rounds. 0:
    /// run every round.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Early stopping",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "Objective and evaluation", "x-unit" = "rounds")
    )]
    pub early_stopping_round: u32,
    /// Whether only the first metric decides about early stopping.
    #[schemars(title = "First metric only", extend("x-group" = "Objective and evaluation"))]
    pub first_metric_only: bool,
    /// Weighs the classes of a binary label by how rare they are.
    #[schemars(
        title = "Unbalanced classes",
        extend(
            "x-group" = "Objective and evaluation",
            "x-visible-when" = { "objective": ["binary", "multiclassova"] }
        )
    )]
    pub is_unbalance: bool,
    /// Weight of the positive rows of a binary label.
    #[schemars(
        title = "Weight of positives",
        extend(
            "x-group" = "Objective and evaluation",
            "exclusiveMinimum" = 0,
            "x-visible-when" = { "objective": ["binary", "multiclassova"] }
        )
    )]
    pub scale_pos_weight: f64,
    /// The quantile to predict, or where the Huber loss turns linear.
    #[schemars(
        title = "Alpha",
        extend(
            "x-group" = "Objective and evaluation",
            "exclusiveMinimum" = 0,
            "x-visible-when" = { "objective": ["huber", "quantile"] }
        )
    )]
    pub alpha: f64,
    /// Where the fair loss turns.
    #[schemars(
        title = "Fair constant",
        extend(
            "x-group" = "Objective and evaluation",
            "exclusiveMinimum" = 0,
            "x-visible-when" = { "objective": ["fair"] }
        )
    )]
    pub fair_c: f64,
    /// Near 2 the distribution resembles a gamma, near 1 a Poisson distribution.
    #[schemars(
        title = "Tweedie variance power",
        range(min = 1),
        extend(
            "x-group" = "Objective and evaluation",
            "exclusiveMaximum" = 2,
            "x-visible-when" = { "objective": ["tweedie"] }
        )
    )]
    pub tweedie_variance_power: f64,
    /// Plain boosting, a random forest, or trees with dropout.
    #[schemars(title = "Boosting", extend("x-group" = "Boosting"))]
    pub boosting: Boosting,
    /// How many rounds of boosting to run.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Boosting rounds",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "Boosting", "x-unit" = "rounds")
    )]
    pub num_iterations: u32,
    /// How much of each new tree is taken over.
    #[schemars(title = "Learning rate", extend("x-group" = "Boosting", "exclusiveMinimum" = 0))]
    pub learning_rate: f64,
    /// Most leaves of a tree: the main bound of its complexity.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Leaves",
        range(min = 2, max = 131_072),
        extend("x-group" = "Trees", "x-unit" = "leaves")
    )]
    pub num_leaves: u32,
    /// Most levels of a tree. 0 or less: no limit.
    #[serde(deserialize_with = "integer")]
    #[schemars(
        title = "Maximum depth",
        range(min = -1, max = 2_147_483_647),
        extend("x-group" = "Trees", "x-unit" = "levels")
    )]
    pub max_depth: i32,
    /// Fewest rows of a leaf.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Rows in a leaf",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "Trees", "x-unit" = "rows")
    )]
    pub min_data_in_leaf: u32,
    /// Least sum of the second derivatives in a leaf.
    #[schemars(title = "Hessian in a leaf", range(min = 0), extend("x-group" = "Trees"))]
    pub min_sum_hessian_in_leaf: f64,
    /// Bins for each column. More find better splits and take longer.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Maximum bins",
        range(min = 2, max = 2_147_483_647),
        extend("x-group" = "Trees", "x-unit" = "bins")
    )]
    pub max_bin: u32,
    /// Fewest rows of a bin.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Rows in a bin",
        range(min = 1, max = 2_147_483_647),
        extend("x-group" = "Trees", "x-unit" = "rows")
    )]
    pub min_data_in_bin: u32,
    /// Rows at random, or those with large gradients (GOSS).
    #[schemars(title = "Sampling of rows", extend("x-group" = "Sampling"))]
    pub data_sample_strategy: SampleStrategy,
    /// Share of the rows for each bag.
    #[schemars(
        title = "Bagging fraction",
        range(max = 1),
        extend(
            "x-group" = "Sampling",
            "exclusiveMinimum" = 0,
            "x-visible-when" = { "data_sample_strategy": ["bagging"] }
        )
    )]
    pub bagging_fraction: f64,
    /// Every how many rounds a new bag is drawn. 0: no bagging.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Bagging period",
        range(min = 0, max = 2_147_483_647),
        extend(
            "x-group" = "Sampling",
            "x-unit" = "rounds",
            "x-visible-when" = { "data_sample_strategy": ["bagging"] }
        )
    )]
    pub bagging_freq: u32,
    /// Share of the rows with large gradients that GOSS keeps.
    #[schemars(
        title = "Kept share",
        range(min = 0, max = 1),
        extend("x-group" = "Sampling", "x-visible-when" = { "data_sample_strategy": ["goss"] })
    )]
    pub top_rate: f64,
    /// Share of the other rows that GOSS draws.
    #[schemars(
        title = "Drawn share",
        range(min = 0, max = 1),
        extend("x-group" = "Sampling", "x-visible-when" = { "data_sample_strategy": ["goss"] })
    )]
    pub other_rate: f64,
    /// Share of the columns for each tree.
    #[schemars(
        title = "Columns per tree",
        range(max = 1),
        extend("x-group" = "Sampling", "exclusiveMinimum" = 0)
    )]
    pub feature_fraction: f64,
    /// Share of the columns for each node.
    #[schemars(
        title = "Columns per node",
        range(max = 1),
        extend("x-group" = "Sampling", "exclusiveMinimum" = 0)
    )]
    pub feature_fraction_bynode: f64,
    /// Penalty on the size of leaf values.
    #[schemars(title = "L1", range(min = 0), extend("x-group" = "Regularization"))]
    pub lambda_l1: f64,
    /// Penalty on the squares of leaf values.
    #[schemars(title = "L2", range(min = 0), extend("x-group" = "Regularization"))]
    pub lambda_l2: f64,
    /// Least gain of a split.
    #[schemars(title = "Gain of a split", range(min = 0), extend("x-group" = "Regularization"))]
    pub min_gain_to_split: f64,
    /// Draws the values of small leaves to those of their parents. Needs at least 2 rows in
    /// a leaf.
    #[schemars(title = "Path smoothing", range(min = 0), extend("x-group" = "Regularization"))]
    pub path_smooth: f64,
    /// Share of earlier trees to drop in a round.
    #[schemars(
        title = "Dropout rate",
        range(min = 0, max = 1),
        extend("x-group" = "Boosting variants", "x-visible-when" = { "boosting": ["dart"] })
    )]
    pub drop_rate: f64,
    /// Most trees to drop in a round. 0 or less: no limit.
    #[serde(deserialize_with = "integer")]
    #[schemars(
        title = "Most dropped trees",
        range(min = -1, max = 2_147_483_647),
        extend(
            "x-group" = "Boosting variants",
            "x-unit" = "trees",
            "x-visible-when" = { "boosting": ["dart"] }
        )
    )]
    pub max_drop: i32,
    /// Chance that a round drops nothing.
    #[schemars(
        title = "Skip dropout",
        range(min = 0, max = 1),
        extend("x-group" = "Boosting variants", "x-visible-when" = { "boosting": ["dart"] })
    )]
    pub skip_drop: f64,
    /// How pods share the work. `auto` is `data` with several pods, and `serial` with one.
    #[schemars(title = "Tree learner", extend("x-group" = "Learning across pods"))]
    pub tree_learner: TreeLearner,
    /// Port on which the pods listen for one another.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Port",
        range(min = 1024, max = 65_535),
        extend("x-group" = "Learning across pods")
    )]
    pub local_listen_port: u32,
    /// How long the pods wait for one another.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Time-out",
        range(min = 1, max = 10_080),
        extend("x-group" = "Learning across pods", "x-unit" = "minutes")
    )]
    pub time_out: u32,
    /// Whether each pod reads files of its own. Otherwise each takes its share of the rows.
    #[schemars(title = "Partitioned data", extend("x-group" = "Learning across pods"))]
    pub pre_partition: bool,
    /// Where the training computes. GPUs need an image that was built for them.
    #[schemars(title = "Device", extend("x-group" = "Program"))]
    pub device_type: Device,
    /// Threads of each pod. 0: as many as it has cores.
    #[serde(deserialize_with = "whole")]
    #[schemars(title = "Threads", range(min = 0, max = 4096), extend("x-group" = "Program"))]
    pub num_threads: u32,
    /// Makes sampling repeatable. Empty: the defaults of the library.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Random seed",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "Program")
    )]
    pub seed: Option<u32>,
    /// How much the training prints: below 0 only fatal errors, 0 warnings, 1 information,
    /// above 1 everything.
    #[serde(deserialize_with = "integer")]
    #[schemars(title = "Verbosity", range(min = -1, max = 3), extend("x-group" = "Program"))]
    pub verbosity: i32,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self {
            objective: Objective::Regression,
            num_class: 1,
            metric: Vec::new(),
            eval_at: vec![Position(1), Position(2), Position(3), Position(4), Position(5)],
            metric_freq: 1,
            early_stopping_round: 0,
            first_metric_only: false,
            is_unbalance: false,
            scale_pos_weight: 1.0,
            alpha: 0.9,
            fair_c: 1.0,
            tweedie_variance_power: 1.5,
            boosting: Boosting::Gbdt,
            num_iterations: 100,
            learning_rate: 0.1,
            num_leaves: 31,
            max_depth: -1,
            min_data_in_leaf: 20,
            min_sum_hessian_in_leaf: 0.001,
            max_bin: 255,
            min_data_in_bin: 3,
            data_sample_strategy: SampleStrategy::Bagging,
            bagging_fraction: 1.0,
            bagging_freq: 0,
            top_rate: 0.2,
            other_rate: 0.1,
            feature_fraction: 1.0,
            feature_fraction_bynode: 1.0,
            lambda_l1: 0.0,
            lambda_l2: 0.0,
            min_gain_to_split: 0.0,
            path_smooth: 0.0,
            drop_rate: 0.1,
            max_drop: 50,
            skip_drop: 0.5,
            tree_learner: TreeLearner::Auto,
            local_listen_port: 12_400,
            time_out: 120,
            pre_partition: false,
            device_type: Device::Cpu,
            num_threads: 0,
            seed: None,
            verbosity: 1,
        }
    }
}
