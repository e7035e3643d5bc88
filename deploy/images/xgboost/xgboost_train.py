"""Trains XGBoost from the environment that the converter writes.

The variables are the predecessor's, other than those of docs/training-programs.md: they are
translated once, and from there on everything is as in the other images. Results go below
STORAGE_PATH/RUN_NAME, and to OUTPUT_URI where somebody sets it.

With one worker the training runs in this process. With more it runs as an XGBoost collective on
Ray, one rank per worker, each on its own rows.
"""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

import pandas

import trainlib
import xgboost

PARAMETERS: dict[str, type] = {
    "booster": str,
    "verbosity": int,
    "nthread": int,
    "device": str,
    "eta": float,
    "gamma": float,
    "max_depth": int,
    "min_child_weight": float,
    "max_delta_step": float,
    "subsample": float,
    "sampling_method": str,
    "colsample_bytree": float,
    "colsample_bylevel": float,
    "colsample_bynode": float,
    "lambda": float,
    "alpha": float,
    "tree_method": str,
    "scale_pos_weight": float,
    "updater": str,
    "refresh_leaf": int,
    "process_type": str,
    "grow_policy": str,
    "max_leaves": int,
    "max_bin": int,
    "num_parallel_tree": int,
    "objective": str,
    "base_score": float,
    "num_class": int,
    "seed": int,
    "tweedie_variance_power": float,
}
"""Parameters of the booster by the names of their variables, with the type XGBoost wants.

`SKETCH_EPS`, `DSPLIT` and `LAMBDA_BIAS` are missing: the library has given them up.
"""

DART_PARAMETERS: dict[str, type] = {
    "sample_type": str,
    "normalize_type": str,
    "rate_drop": float,
    "one_drop": int,
    "skip_drop": float,
}
"""Meaningless, and warned about, for the other boosters."""

LINEAR_PARAMETERS = (
    "booster",
    "verbosity",
    "nthread",
    "device",
    "eta",
    "lambda",
    "alpha",
    "objective",
    "base_score",
    "num_class",
    "seed",
    "tweedie_variance_power",
    "scale_pos_weight",
)
"""What the linear booster knows, which has no trees."""

CHANNELS = {"train": "TRAIN", "validation": "VAL", "test": "TEST"}


def parameters() -> dict[str, Any]:
    """The parameters of the environment, typed."""
    booster = trainlib.text("BOOSTER", "gbtree")
    wanted = PARAMETERS | (DART_PARAMETERS if booster == "dart" else {})
    if booster == "gblinear":
        wanted = {name: kind for name, kind in wanted.items() if name in LINEAR_PARAMETERS}
    found: dict[str, Any] = {}
    for name, kind in wanted.items():
        if value := trainlib.text(name.upper()):
            found[name] = kind(value)
    if metrics := trainlib.text("EVAL_METRIC"):
        found["eval_metric"] = metrics.split(",")
    return found


def translate_credentials() -> None:
    """The predecessor's names of the store, as the libraries read them."""
    for theirs, ours in (
        ("S3_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
        ("S3_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"),
        ("S3_REGION", "AWS_REGION"),
        ("S3_ENDPOINT", "AWS_ENDPOINT_URL"),
    ):
        if value := trainlib.text(theirs):
            os.environ.setdefault(ours, value)


def channels() -> dict[str, trainlib.Channel]:
    """The inputs by their type. A key that is a path or an address on the web has no bucket."""
    found: dict[str, trainlib.Channel] = {}
    for kind, word in CHANNELS.items():
        key = os.environ.get(f"S3_{word}_KEY")
        if key is None:
            continue
        bucket = trainlib.text(f"S3_{word}_BUCKET", trainlib.text("S3_BUCKET"))
        if key.startswith(("/", "http://", "https://")):
            bucket = ""
        # Old forms write the bucket as an address.
        bucket = bucket.split("://", 1)[-1].strip("/")
        found[kind] = trainlib.Channel(
            name=kind,
            type=kind,
            uri=f"s3://{bucket}/{key}" if bucket else key,
            endpoint=trainlib.text(f"S3_{word}_ENDPOINT", trainlib.text("S3_ENDPOINT")),
            features=json.loads(trainlib.text("FEATURE_COLUMNS", "[]")),
            label=trainlib.text("LABEL_COLUMN", trainlib.DEFAULT_LABEL),
        )
    return found


def matrix(channel: trainlib.Channel, rank: int = 0, world: int = 1) -> xgboost.DMatrix:
    """The rows of a channel that belong to this rank."""
    rows = pandas.concat(trainlib.read_files(channel), ignore_index=True).iloc[rank::world]
    weight = None
    if trainlib.text("CSV_WEIGHT", "0") == "1":
        # By convention the last column.
        weight, rows = rows.iloc[:, -1], rows.iloc[:, :-1]
    table = trainlib.to_table(rows, channel)
    return xgboost.DMatrix(table.features, label=table.label, weight=weight)


class Reporter(xgboost.callback.TrainingCallback):
    """Writes one line each round."""

    def __init__(self, results: trainlib.Results) -> None:
        """Where to."""
        super().__init__()
        self.results = results

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Never ends the training."""
        self.results.metrics(round=epoch + 1, **last(evals_log))
        return False


def last(history: dict[str, dict[str, list[float]]]) -> dict[str, float]:
    """The newest value of each metric."""
    return {
        f"{data}-{name}": values[-1]
        for data, by_name in history.items()
        for name, values in by_name.items()
    }


def train(directory: pathlib.Path, rank: int = 0, world: int = 1) -> None:
    """Trains on this rank's rows. Rank 0 writes the results."""
    translate_credentials()
    inputs = channels()
    if "train" not in inputs:
        trainlib.fail("there is no train channel")
    results = trainlib.Results(directory, writes=rank == 0)
    watched = [
        (matrix(inputs[kind], rank, world), kind)
        for kind in ("train", "validation")
        if kind in inputs
    ]
    patience = trainlib.text("EARLY_STOPPING_ROUNDS")
    history: dict[str, dict[str, list[float]]] = {}
    model = xgboost.train(
        parameters(),
        watched[0][0],
        num_boost_round=int(os.environ["NUM_BOOST_ROUND"]),
        evals=watched,
        early_stopping_rounds=int(patience) if patience else None,
        evals_result=history,
        callbacks=[Reporter(results)],
        verbose_eval=False,
    )
    if rank == 0:
        finish(results, model, history, inputs.get("test"))


def finish(
    results: trainlib.Results,
    model: xgboost.Booster,
    history: dict[str, dict[str, list[float]]],
    test: trainlib.Channel | None,
) -> None:
    """Writes the model and what it is worth."""
    model.save_model(results.path("model.json"))
    summary: dict[str, Any] = {
        "rounds": model.num_boosted_rounds(),
        "features": model.feature_names,
        "metrics": last(history),
    }
    if trainlib.text("EARLY_STOPPING_ROUNDS"):
        summary["bestRound"] = model.best_iteration + 1
        summary["bestScore"] = model.best_score
    if test:
        summary["test"] = model.eval(matrix(test), "test")
    results.finish(summary)


def train_on_ray(directory: pathlib.Path, world: int) -> None:
    """One rank per worker of the Ray cluster."""
    import ray
    from xgboost.tracker import RabitTracker

    from xgboost import collective

    ray.init()
    gpus = 1 if trainlib.text("USE_GPU") == "true" else 0
    cores = int(trainlib.text("NTHREAD", "1"))

    @ray.remote(num_cpus=cores, num_gpus=gpus, scheduling_strategy="SPREAD")
    def rank(arguments: dict[str, Any]) -> None:
        with collective.CommunicatorContext(**arguments):
            train(directory, collective.get_rank(), world)

    tracker = RabitTracker(host_ip=ray.util.get_node_ip_address(), n_workers=world)
    tracker.start()
    ray.get([rank.remote(tracker.worker_args()) for _ in range(world)])


def main() -> None:
    """One process or many."""
    storage = pathlib.Path(trainlib.text("STORAGE_PATH", "."))
    directory = storage / trainlib.text("RUN_NAME", "xgboost")
    world = max(1, int(trainlib.text("NUM_WORKER", "1")))
    if world == 1:
        train(directory)
    else:
        train_on_ray(directory, world)


if __name__ == "__main__":
    main()
