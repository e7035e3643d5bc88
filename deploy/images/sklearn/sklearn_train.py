"""Trains one estimator of scikit-learn from the environment that the plugin writes.

The model is a pipeline of imputation, scaling and the estimator, so that whoever loads it hands
over the columns as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import joblib
from sklearn.impute import SimpleImputer
from sklearn.metrics import get_scorer
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import trainlib
from sklearn import ensemble, linear_model, neighbors, svm

Arguments = dict[str, Any]


def is_classification() -> bool:
    """Whether a class is learnt, instead of a number."""
    return trainlib.hp_needed("task") == "classification"


def shared() -> Arguments:
    """What most estimators that learn classes take. Numbers have no classes to weigh."""
    weight = trainlib.hp("class_weight") or None
    return {"class_weight": weight} if is_classification() else {}


def max_features() -> str | float:
    """`all` is the share 1 for the library."""
    name = trainlib.hp("max_features", "all")
    return 1.0 if name == "all" else name


def forest(kind: str) -> Any:
    """Trees of their own, whose votes count."""
    task = "Classifier" if is_classification() else "Regressor"
    return getattr(ensemble, f"{kind}{task}")(
        **shared(),
        n_estimators=trainlib.hp_int("n_estimators"),
        criterion=trainlib.hp_needed("criterion"),
        max_depth=trainlib.hp_int("max_depth"),
        min_samples_split=trainlib.hp_int("min_samples_split"),
        min_samples_leaf=trainlib.hp_int("min_samples_leaf"),
        max_features=max_features(),
        max_leaf_nodes=trainlib.hp_int("max_leaf_nodes"),
        bootstrap=trainlib.hp_bool("bootstrap"),
        ccp_alpha=trainlib.hp_float("ccp_alpha"),
        random_state=trainlib.hp_int("random_state"),
        n_jobs=trainlib.hp_int("n_jobs"),
    )


def boosting() -> Any:
    """Trees that mend one another."""
    task = "Classifier" if is_classification() else "Regressor"
    stopping = trainlib.hp("early_stopping", "auto")
    # Boosting spells a share of all columns like forests do, but knows no `sqrt`.
    features = max_features()
    if isinstance(features, str):
        trainlib.fail("hist_gradient_boosting takes `all` features at a split only")
    return getattr(ensemble, f"HistGradientBoosting{task}")(
        **shared(),
        learning_rate=trainlib.hp_float("learning_rate"),
        max_iter=trainlib.hp_int("max_iter"),
        max_leaf_nodes=trainlib.hp_int("max_leaf_nodes"),
        max_depth=trainlib.hp_int("max_depth"),
        min_samples_leaf=trainlib.hp_int("min_samples_leaf"),
        l2_regularization=trainlib.hp_float("l2_regularization"),
        max_bins=trainlib.hp_int("max_bins"),
        early_stopping="auto" if stopping == "auto" else stopping == "true",
        validation_fraction=trainlib.hp_float("validation_fraction"),
        n_iter_no_change=trainlib.hp_int("n_iter_no_change"),
        tol=trainlib.hp_float("tol"),
        random_state=trainlib.hp_int("random_state"),
    )


def logistic_regression() -> Any:
    """The library says the penalty by its mixture: 0 is L2, 1 is L1; an infinite C is none."""
    penalty = trainlib.hp("penalty", "l2")
    mixture = {"l1": 1.0, "elasticnet": trainlib.hp_float("l1_ratio")}.get(penalty, 0.0)
    return linear_model.LogisticRegression(
        **shared(),
        C=float("inf") if penalty == "none" else trainlib.hp_float("c"),
        l1_ratio=mixture,
        solver=trainlib.hp_needed("solver"),
        fit_intercept=trainlib.hp_bool("fit_intercept"),
        max_iter=trainlib.hp_int("max_iter"),
        tol=trainlib.hp_float("tol"),
        random_state=trainlib.hp_int("random_state"),
    )


def ridge() -> Any:
    """Least squares with a penalty."""
    return linear_model.Ridge(
        alpha=trainlib.hp_float("alpha"),
        fit_intercept=trainlib.hp_bool("fit_intercept"),
        max_iter=trainlib.hp_int("max_iter"),
        tol=trainlib.hp_float("tol"),
        random_state=trainlib.hp_int("random_state"),
    )


def support_vectors() -> Any:
    """The rows at the border between classes decide."""
    arguments = shared() | {
        "C": trainlib.hp_float("c"),
        "kernel": trainlib.hp_needed("kernel"),
        "degree": trainlib.hp_int("degree"),
        "gamma": trainlib.hp_needed("gamma"),
        "max_iter": trainlib.hp_int("max_iter") or -1,
        "tol": trainlib.hp_float("tol"),
    }
    return svm.SVC(**arguments) if is_classification() else svm.SVR(**arguments)


def nearest() -> Any:
    """The rows nearby decide."""
    task = "Classifier" if is_classification() else "Regressor"
    return getattr(neighbors, f"KNeighbors{task}")(
        n_neighbors=trainlib.hp_int("n_neighbors"),
        weights=trainlib.hp_needed("weights"),
        p=trainlib.hp_float("p"),
        n_jobs=trainlib.hp_int("n_jobs"),
    )


ESTIMATORS: dict[str, Callable[[], Any]] = {
    "random_forest": lambda: forest("RandomForest"),
    "extra_trees": lambda: forest("ExtraTrees"),
    "hist_gradient_boosting": boosting,
    "logistic_regression": logistic_regression,
    "ridge": ridge,
    "svm": support_vectors,
    "k_neighbors": nearest,
}


def estimator() -> Any:
    """The estimator of the form, with what the user added by the library's own names."""
    name = trainlib.hp_needed("estimator")
    build = ESTIMATORS.get(name) or trainlib.fail(f"no estimator is called {name}")
    built = build()
    return built.set_params(**trainlib.custom())


def pipeline() -> Pipeline:
    """Everything between the columns and the prediction."""
    steps: list[tuple[str, Any]] = []
    imputation = trainlib.hp("imputation", "none")
    if imputation != "none":
        steps.append(("imputation", SimpleImputer(strategy=imputation)))
    scalers = {"standard": StandardScaler, "min_max": MinMaxScaler}
    if scaler := scalers.get(trainlib.hp("scaling")):
        steps.append(("scaling", scaler()))
    return Pipeline([*steps, ("estimator", estimator())])


def divided(data: dict[str, trainlib.Table]) -> dict[str, trainlib.Table]:
    """Holds rows back to measure by, if no channel brings any."""
    share = trainlib.hp_float("test_size") or 0.0
    if len(data) > 1 or share <= 0:
        return data
    table = data["train"]
    parts = train_test_split(
        table.features,
        table.label,
        test_size=share,
        random_state=trainlib.hp_int("random_state"),
        stratify=table.label if is_classification() else None,
    )
    return {
        "train": trainlib.Table(parts[0], parts[2]),
        "held-out": trainlib.Table(parts[1], parts[3]),
    }


def main() -> None:
    """Trains, measures and writes."""
    if trainlib.hp("estimator") == "svm" and trainlib.hp("scoring") == "neg_log_loss":
        trainlib.fail("svm says no probabilities, which neg_log_loss needs: use another score")
    results = trainlib.Results()
    data = divided(trainlib.read_all())
    train = data["train"]
    model = pipeline()
    scoring = trainlib.hp_needed("scoring")
    summary: dict[str, Any] = {"estimator": trainlib.hp("estimator"), "scoring": scoring}
    folds = trainlib.hp_int("cv") or 0
    if folds:
        scores = cross_val_score(model, train.features, train.label, cv=folds, scoring=scoring)
        for fold, score in enumerate(scores):
            results.metrics(fold=fold, **{scoring: float(score)})
        summary["crossValidation"] = {"mean": float(scores.mean()), "std": float(scores.std())}
    model.fit(train.features, train.label)
    score = get_scorer(scoring)
    metrics = {
        f"{kind}-{scoring}": float(score(model, table.features, table.label))
        for kind, table in data.items()
    }
    results.metrics(**metrics)
    joblib.dump(model, results.path("model.joblib"))
    summary["features"] = [str(name) for name in train.features.columns]
    summary["rows"] = {kind: len(table.label) for kind, table in data.items()}
    summary["metrics"] = metrics
    results.finish(summary)


if __name__ == "__main__":
    main()
