"""What users of CatBoost can set, under the names that CatBoost gives them. Where CatBoost chooses
a value by the data, the parameter is empty."""

from dataclasses import dataclass

from trainyard.schema import parameter

# Losses by task. Ranking losses need groups, which tabular channels do not name.
REGRESSION = ["RMSE", "MAE", "Quantile", "Poisson", "MAPE", "LogLinQuantile", "Tweedie"]
BINARY = ["Logloss", "CrossEntropy"]
MULTICLASS = ["MultiClass", "MultiClassOneVsAll"]

METRICS = ["RMSE", "MAE", "MAPE", "R2", "Logloss", "AUC", "Accuracy", "F1", "TotalF1", "MultiClass"]


@dataclass(frozen=True)
class Hyperparameters:
    """`hyperparameters.catboost` of the form."""

    loss_function: str = parameter(
        "RMSE",
        "Loss",
        "What is minimised; decides between regression, two classes and several classes.",
        group="Task",
        choices=REGRESSION + BINARY + MULTICLASS,
    )
    eval_metric: str | None = parameter(
        None,
        "Metric",
        "What is watched on validation data. Empty: the loss.",
        group="Task",
        choices=METRICS,
    )
    quantile_alpha: float = parameter(
        0.5,
        "Quantile",
        "Which quantile is predicted.",
        group="Task",
        above=0,
        below=1,
        visible_when={"loss_function": ["Quantile", "LogLinQuantile"]},
    )
    tweedie_variance_power: float = parameter(
        1.5,
        "Variance power",
        "Power of the Tweedie distribution: near 1 like Poisson, near 2 like gamma.",
        group="Task",
        above=1,
        below=2,
        visible_when={"loss_function": ["Tweedie"]},
    )
    auto_class_weights: str = parameter(
        "None",
        "Class weights",
        "Weights of rare classes.",
        group="Task",
        choices=["None", "Balanced", "SqrtBalanced"],
        visible_when={"loss_function": BINARY + MULTICLASS},
    )
    iterations: int = parameter(
        1000, "Iterations", "Largest number of trees.", group="Boosting", minimum=1, maximum=1_000_000
    )
    learning_rate: float | None = parameter(
        None,
        "Learning rate",
        "Share of each tree. Empty: by the size of the data and the number of iterations.",
        group="Boosting",
        above=0,
        maximum=1,
    )
    boosting_type: str | None = parameter(
        None,
        "Scheme",
        "Ordered is better on small data and slower. Empty: by the size of the data.",
        group="Boosting",
        choices=["Ordered", "Plain"],
    )
    random_seed: int = parameter(
        0, "Seed", "Start of the random numbers.", group="Boosting", minimum=0, maximum=2_147_483_647
    )
    depth: int = parameter(6, "Depth", "Depth of a tree.", group="Trees", minimum=1, maximum=16)
    grow_policy: str = parameter(
        "SymmetricTree",
        "Growth",
        "How a tree grows.",
        group="Trees",
        choices=["SymmetricTree", "Depthwise", "Lossguide"],
    )
    min_data_in_leaf: int = parameter(
        1,
        "Least rows of a leaf",
        "Leaves with fewer rows are not split.",
        group="Trees",
        unit="rows",
        minimum=1,
        maximum=1_000_000_000,
        visible_when={"grow_policy": ["Depthwise", "Lossguide"]},
    )
    max_leaves: int = parameter(
        31,
        "Most leaves",
        "Leaves of a tree. CatBoost advises against more than 64.",
        group="Trees",
        minimum=2,
        maximum=65_536,
        visible_when={"grow_policy": ["Lossguide"]},
    )
    border_count: int | None = parameter(
        None,
        "Borders",
        "Splits that are tried per numeric feature. Empty: 254 on CPUs, 128 on GPUs.",
        group="Trees",
        minimum=1,
        maximum=65_535,
    )
    one_hot_max_size: int | None = parameter(
        None,
        "One-hot up to",
        "Categories with at most so many values become one-hot. Empty: by the task.",
        group="Trees",
        unit="values",
        minimum=2,
        maximum=255,
    )
    max_ctr_complexity: int = parameter(
        4,
        "Combined categories",
        "Most categorical features that are combined.",
        group="Trees",
        minimum=0,
        maximum=16,
    )
    nan_mode: str = parameter(
        "Min",
        "Missing values",
        "Numeric values that are missing become the least or the greatest, or are an error.",
        group="Trees",
        choices=["Min", "Max", "Forbidden"],
    )
    l2_leaf_reg: float = parameter(
        3.0, "L2", "Weight of the L2 term.", group="Regularisation", minimum=0, maximum=1e9
    )
    random_strength: float = parameter(
        1.0,
        "Random strength",
        "Noise in the scores of splits, against overfitting.",
        group="Regularisation",
        minimum=0,
        maximum=1e6,
    )
    rsm: float = parameter(
        1.0,
        "Share of features",
        "Share of the features that each split chooses from.",
        group="Regularisation",
        above=0,
        maximum=1,
    )
    bootstrap_type: str | None = parameter(
        None,
        "Sampling",
        "How rows are weighted for each tree. Empty: by the task and the device.",
        group="Regularisation",
        choices=["Bayesian", "Bernoulli", "MVS", "Poisson", "No"],
    )
    bagging_temperature: float = parameter(
        1.0,
        "Bagging temperature",
        "0: equal weights; 1: weights from an exponential distribution.",
        group="Regularisation",
        minimum=0,
        maximum=1e6,
        visible_when={"bootstrap_type": ["Bayesian"]},
    )
    subsample: float | None = parameter(
        None,
        "Share of rows",
        "Share of the rows for each tree. Empty: 0.66 or 0.8, by the size of the data.",
        group="Regularisation",
        above=0,
        maximum=1,
        visible_when={"bootstrap_type": ["Bernoulli", "MVS", "Poisson"]},
    )
    od_type: str = parameter(
        "IncToDec",
        "Overfitting detector",
        "When to stop: by the shape of the curve, or after iterations without a better value.",
        group="Stopping",
        choices=["IncToDec", "Iter"],
    )
    od_pval: float = parameter(
        0.0,
        "Threshold",
        "Larger values stop earlier; CatBoost advises 1e-10 to 1e-2. 0: off.",
        group="Stopping",
        minimum=0,
        maximum=1,
        visible_when={"od_type": ["IncToDec"]},
    )
    od_wait: int | None = parameter(
        None,
        "Patience",
        "Iterations to go on after the best value. Empty: 20.",
        group="Stopping",
        unit="iterations",
        minimum=1,
        maximum=1_000_000,
    )
    use_best_model: bool = parameter(
        False, "Keep the best", "Drop the trees after the best value.", group="Stopping"
    )
    cat_features: list[str] = parameter(
        [],
        "Categorical features",
        "Columns that hold categories. Others must be numeric.",
        group="Data",
    )
    task_type: str = parameter(
        "CPU", "Device", "What trains.", group="Device", choices=["CPU", "GPU"]
    )
