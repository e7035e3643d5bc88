//! What users can set: estimators of scikit-learn, their parameters by the names that they have
//! there, and what the standard program does around them.

use plugin_sdk::choices;
use plugin_sdk::number::{whole, whole_or_null};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

choices! {
    /// What is learnt.
    Task { Classification = "classification", Regression = "regression" }
}
choices! {
    /// What learns.
    Estimator {
        RandomForest = "random_forest",
        ExtraTrees = "extra_trees",
        HistGradientBoosting = "hist_gradient_boosting",
        LogisticRegression = "logistic_regression",
        Ridge = "ridge",
        Svm = "svm",
        KNeighbors = "k_neighbors",
    }
}
choices! {
    /// How classes are weighed.
    ClassWeight { Balanced = "balanced", BalancedSubsample = "balanced_subsample" }
}
choices! {
    /// How good a split is.
    Criterion {
        Gini = "gini",
        Entropy = "entropy",
        LogLoss = "log_loss",
        SquaredError = "squared_error",
        AbsoluteError = "absolute_error",
        FriedmanMse = "friedman_mse",
        Poisson = "poisson",
    }
}
choices! {
    /// Columns of a split.
    MaxFeatures { Sqrt = "sqrt", Log2 = "log2", All = "all" }
}
choices! {
    /// Whether boosting ends early.
    EarlyStopping { Auto = "auto", On = "true", Off = "false" }
}
choices! {
    /// What is kept small.
    Penalty { L2 = "l2", L1 = "l1", Elasticnet = "elasticnet", None = "none" }
}
choices! {
    /// How the optimum is found.
    Solver {
        Lbfgs = "lbfgs",
        Liblinear = "liblinear",
        NewtonCg = "newton-cg",
        NewtonCholesky = "newton-cholesky",
        Sag = "sag",
        Saga = "saga",
    }
}
choices! {
    /// How alike two rows are.
    Kernel { Rbf = "rbf", Linear = "linear", Poly = "poly", Sigmoid = "sigmoid" }
}
choices! {
    /// How far a row reaches.
    Gamma { Scale = "scale", Auto = "auto" }
}
choices! {
    /// Whether near rows count for more.
    Weights { Uniform = "uniform", Distance = "distance" }
}
choices! {
    /// How columns are made comparable.
    Scaling { Auto = "auto", Standard = "standard", MinMax = "min_max", None = "none" }
}
choices! {
    /// What stands in for missing values.
    Imputation { Mean = "mean", Median = "median", MostFrequent = "most_frequent", None = "none" }
}
choices! {
    /// What is measured.
    Scoring {
        Accuracy = "accuracy",
        BalancedAccuracy = "balanced_accuracy",
        F1Macro = "f1_macro",
        RocAuc = "roc_auc",
        NegLogLoss = "neg_log_loss",
        R2 = "r2",
        NegRootMeanSquaredError = "neg_root_mean_squared_error",
        NegMeanAbsoluteError = "neg_mean_absolute_error",
    }
}

/// An estimator of scikit-learn, in one pod.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "scikit-learn", extend("x-channel-sources" = ["pvc", "http"]))]
pub struct Hyperparameters {
    /// What is learnt: a class or a number.
    #[schemars(title = "Task", extend("x-group" = "Estimator"))]
    pub task: Task,
    /// What learns it. `logistic_regression` learns classes, `ridge` numbers, the others
    /// both.
    #[schemars(title = "Estimator", extend("x-group" = "Estimator"))]
    pub estimator: Estimator,
    /// Weighs classes by how rare they are. Empty: all weigh the same.
    #[schemars(
        title = "Class weights",
        extend("x-group" = "Estimator", "x-visible-when" = { "task": ["classification"] })
    )]
    pub class_weight: Option<ClassWeight>,
    /// Makes the training repeatable. Empty: it differs each time.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Random state",
        range(min = 0, max = 2_147_483_647),
        extend("x-group" = "Estimator")
    )]
    pub random_state: Option<u32>,
    /// Processes or threads. Empty: as many as the instance has cores; -1: as many as the
    /// node has.
    #[schemars(
        title = "Parallel jobs",
        range(min = -1, max = 4096),
        extend("x-group" = "Estimator")
    )]
    pub n_jobs: Option<i32>,
    /// How many trees a forest has.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Trees",
        range(min = 1, max = 1_000_000),
        extend(
            "x-group" = "Forests and trees",
            "x-unit" = "trees",
            "x-visible-when" = { "estimator": ["random_forest", "extra_trees"] }
        )
    )]
    pub n_estimators: u32,
    /// How good a split is. Empty: `gini` for classes, `squared_error` for numbers.
    #[schemars(
        title = "Criterion",
        extend(
            "x-group" = "Forests and trees",
            "x-visible-when" = { "estimator": ["random_forest", "extra_trees"] }
        )
    )]
    pub criterion: Option<Criterion>,
    /// Most levels of a tree. Empty: no limit.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Maximum depth",
        range(min = 1, max = 2_147_483_647),
        extend(
            "x-group" = "Forests and trees",
            "x-unit" = "levels",
            "x-visible-when" = { "estimator": ["random_forest", "extra_trees", "hist_gradient_boosting"] }
        )
    )]
    pub max_depth: Option<u32>,
    /// Fewest rows of a node that is split.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Rows of a split",
        range(min = 2, max = 2_147_483_647),
        extend(
            "x-group" = "Forests and trees",
            "x-unit" = "rows",
            "x-visible-when" = { "estimator": ["random_forest", "extra_trees"] }
        )
    )]
    pub min_samples_split: u32,
    /// Fewest rows of a leaf. Empty: 1 in forests, 20 in boosting.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Rows of a leaf",
        range(min = 1, max = 2_147_483_647),
        extend(
            "x-group" = "Forests and trees",
            "x-unit" = "rows",
            "x-visible-when" = { "estimator": ["random_forest", "extra_trees", "hist_gradient_boosting"] }
        )
    )]
    pub min_samples_leaf: Option<u32>,
    /// How many columns a split looks at. Empty: `sqrt` for classes in forests, `all`
    /// otherwise.
    #[schemars(
        title = "Columns of a split",
        extend(
            "x-group" = "Forests and trees",
            "x-visible-when" = { "estimator": ["random_forest", "extra_trees"] }
        )
    )]
    pub max_features: Option<MaxFeatures>,
    /// Most leaves of a tree. Empty: no limit in forests, 31 in boosting.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Leaves",
        range(min = 2, max = 2_147_483_647),
        extend(
            "x-group" = "Forests and trees",
            "x-unit" = "leaves",
            "x-visible-when" = { "estimator": ["random_forest", "extra_trees", "hist_gradient_boosting"] }
        )
    )]
    pub max_leaf_nodes: Option<u32>,
    /// Whether each tree sees a sample of the rows. Empty: `random_forest` does,
    /// `extra_trees` does not.
    #[schemars(
        title = "Bootstrap",
        extend(
            "x-group" = "Forests and trees",
            "x-visible-when" = { "estimator": ["random_forest", "extra_trees"] }
        )
    )]
    pub bootstrap: Option<bool>,
    /// Complexity that a subtree has to be worth.
    #[schemars(
        title = "Pruning",
        range(min = 0),
        extend(
            "x-group" = "Forests and trees",
            "x-visible-when" = { "estimator": ["random_forest", "extra_trees"] }
        )
    )]
    pub ccp_alpha: f64,
    /// How much of each new tree is taken over.
    #[schemars(
        title = "Learning rate",
        extend(
            "x-group" = "Boosting",
            "exclusiveMinimum" = 0,
            "x-visible-when" = { "estimator": ["hist_gradient_boosting"] }
        )
    )]
    pub learning_rate: f64,
    /// Penalty on the squares of leaf values.
    #[schemars(
        title = "L2",
        range(min = 0),
        extend(
            "x-group" = "Boosting",
            "x-visible-when" = { "estimator": ["hist_gradient_boosting"] }
        )
    )]
    pub l2_regularization: f64,
    /// Bins for each column.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Maximum bins",
        range(min = 2, max = 255),
        extend(
            "x-group" = "Boosting",
            "x-unit" = "bins",
            "x-visible-when" = { "estimator": ["hist_gradient_boosting"] }
        )
    )]
    pub max_bins: u32,
    /// Whether boosting ends when a part of the rows that is held back gets no better.
    /// `auto` does so from 10 000 rows on.
    #[schemars(
        title = "Early stopping",
        extend(
            "x-group" = "Boosting",
            "x-visible-when" = { "estimator": ["hist_gradient_boosting"] }
        )
    )]
    pub early_stopping: EarlyStopping,
    /// Share of the rows that early stopping watches.
    #[schemars(
        title = "Held back",
        extend(
            "x-group" = "Boosting",
            "exclusiveMinimum" = 0,
            "exclusiveMaximum" = 1,
            "x-visible-when" = { "estimator": ["hist_gradient_boosting"] }
        )
    )]
    pub validation_fraction: f64,
    /// Rounds without improvement before boosting ends.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Patience",
        range(min = 1, max = 2_147_483_647),
        extend(
            "x-group" = "Boosting",
            "x-unit" = "rounds",
            "x-visible-when" = { "estimator": ["hist_gradient_boosting"] }
        )
    )]
    pub n_iter_no_change: u32,
    /// Most rounds of boosting or steps of a solver. Empty: 100, without limit for `svm`
    /// and `ridge`.
    #[serde(deserialize_with = "whole_or_null")]
    #[schemars(
        title = "Iterations",
        range(min = 1, max = 2_147_483_647),
        extend("x-group" = "Linear models")
    )]
    pub max_iter: Option<u32>,
    /// Improvements below it count as none. Empty: 1e-7 in boosting, 1e-3 for `svm`, 1e-4
    /// otherwise.
    #[schemars(title = "Tolerance", extend("x-group" = "Linear models", "exclusiveMinimum" = 0))]
    pub tol: Option<f64>,
    /// Strength of the data against the penalty: smaller values simplify more.
    #[schemars(
        title = "C",
        extend(
            "x-group" = "Linear models",
            "exclusiveMinimum" = 0,
            "x-visible-when" = { "estimator": ["logistic_regression", "svm"] }
        )
    )]
    pub c: f64,
    /// What is kept small.
    #[schemars(
        title = "Penalty",
        extend(
            "x-group" = "Linear models",
            "x-visible-when" = { "estimator": ["logistic_regression"] }
        )
    )]
    pub penalty: Penalty,
    /// Share of the L1 penalty in `elasticnet`.
    #[schemars(
        title = "L1 share",
        range(min = 0, max = 1),
        extend("x-group" = "Linear models", "x-visible-when" = { "penalty": ["elasticnet"] })
    )]
    pub l1_ratio: f64,
    /// How the optimum is found.
    #[schemars(
        title = "Solver",
        extend(
            "x-group" = "Linear models",
            "x-visible-when" = { "estimator": ["logistic_regression"] }
        )
    )]
    pub solver: Solver,
    /// Strength of the penalty.
    #[schemars(
        title = "Alpha",
        range(min = 0),
        extend("x-group" = "Linear models", "x-visible-when" = { "estimator": ["ridge"] })
    )]
    pub alpha: f64,
    /// Whether the model has a constant term.
    #[schemars(
        title = "Intercept",
        extend(
            "x-group" = "Linear models",
            "x-visible-when" = { "estimator": ["logistic_regression", "ridge"] }
        )
    )]
    pub fit_intercept: bool,
    /// How alike two rows are.
    #[schemars(
        title = "Kernel",
        extend("x-group" = "Support vectors", "x-visible-when" = { "estimator": ["svm"] })
    )]
    pub kernel: Kernel,
    /// Degree of the polynomial kernel.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Degree",
        range(min = 0, max = 100),
        extend("x-group" = "Support vectors", "x-visible-when" = { "kernel": ["poly"] })
    )]
    pub degree: u32,
    /// How far a row reaches.
    #[schemars(
        title = "Gamma",
        extend(
            "x-group" = "Support vectors",
            "x-visible-when" = { "kernel": ["rbf", "poly", "sigmoid"] }
        )
    )]
    pub gamma: Gamma,
    /// How many rows decide.
    #[serde(deserialize_with = "whole")]
    #[schemars(
        title = "Neighbours",
        range(min = 1, max = 2_147_483_647),
        extend(
            "x-group" = "Neighbours",
            "x-unit" = "rows",
            "x-visible-when" = { "estimator": ["k_neighbors"] }
        )
    )]
    pub n_neighbors: u32,
    /// Whether near rows count for more.
    #[schemars(
        title = "Weights",
        extend("x-group" = "Neighbours", "x-visible-when" = { "estimator": ["k_neighbors"] })
    )]
    pub weights: Weights,
    /// 1 measures distances along the axes, 2 straight.
    #[schemars(
        title = "Power",
        extend(
            "x-group" = "Neighbours",
            "exclusiveMinimum" = 0,
            "x-visible-when" = { "estimator": ["k_neighbors"] }
        )
    )]
    pub p: f64,
    /// How columns are made comparable. `auto` is `standard` for all but trees.
    #[schemars(title = "Scaling", extend("x-group" = "Preparation"))]
    pub scaling: Scaling,
    /// What stands in for them.
    #[schemars(title = "Missing values", extend("x-group" = "Preparation"))]
    pub imputation: Imputation,
    /// Parts of a cross-validation. 0: none.
    #[serde(deserialize_with = "whole")]
    #[schemars(title = "Folds", range(min = 0, max = 1000), extend("x-group" = "Evaluation"))]
    pub cv: u32,
    /// Share of the rows that is held back if there is no channel for validation or test.
    #[schemars(
        title = "Test share",
        range(min = 0),
        extend("x-group" = "Evaluation", "exclusiveMaximum" = 1)
    )]
    pub test_size: f64,
    /// What is measured. Empty: `accuracy` for classes, `r2` for numbers.
    #[schemars(title = "Score", extend("x-group" = "Evaluation"))]
    pub scoring: Option<Scoring>,
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self {
            task: Task::Classification,
            estimator: Estimator::RandomForest,
            class_weight: None,
            random_state: None,
            n_jobs: None,
            n_estimators: 100,
            criterion: None,
            max_depth: None,
            min_samples_split: 2,
            min_samples_leaf: None,
            max_features: None,
            max_leaf_nodes: None,
            bootstrap: None,
            ccp_alpha: 0.0,
            learning_rate: 0.1,
            l2_regularization: 0.0,
            max_bins: 255,
            early_stopping: EarlyStopping::Auto,
            validation_fraction: 0.1,
            n_iter_no_change: 10,
            max_iter: None,
            tol: None,
            c: 1.0,
            penalty: Penalty::L2,
            l1_ratio: 0.0,
            solver: Solver::Lbfgs,
            alpha: 1.0,
            fit_intercept: true,
            kernel: Kernel::Rbf,
            degree: 3,
            gamma: Gamma::Scale,
            n_neighbors: 5,
            weights: Weights::Uniform,
            p: 2.0,
            scaling: Scaling::Auto,
            imputation: Imputation::Mean,
            cv: 0,
            test_size: 0.25,
            scoring: None,
        }
    }
}
