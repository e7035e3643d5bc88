"""Trains XGBoost from the environment that the converter writes.

Input is one CSV or Parquet object per channel, or every such object below a prefix, from an
S3-compatible store; a path on disk works as well. Output, below STORAGE_PATH/RUN_NAME: the model
(`model.json`), metrics as JSON lines (`metrics.jsonl`) and a summary (`summary.json`).

With one worker the training runs in this process. With more it runs as an XGBoost collective on
Ray, one rank per worker, each on its own rows.
"""

import io
import json
import os
import pathlib
import sys

import pandas
import xgboost

# Parameters of the booster by the names of their variables, with the type XGBoost wants.
PARAMETERS = {
    "booster": str, "verbosity": int, "nthread": int, "device": str, "eta": float, "gamma": float,
    "max_depth": int, "min_child_weight": float, "max_delta_step": float, "subsample": float,
    "sampling_method": str, "colsample_bytree": float, "colsample_bylevel": float,
    "colsample_bynode": float, "lambda": float, "alpha": float, "tree_method": str,
    "scale_pos_weight": float, "updater": str, "refresh_leaf": int, "process_type": str,
    "grow_policy": str, "max_leaves": int, "max_bin": int, "num_parallel_tree": int,
    "objective": str, "base_score": float, "num_class": int, "seed": int,
    "tweedie_variance_power": float, "quantile_alpha": str,
}
# Meaningless, and warned about, for the other boosters.
DART_PARAMETERS = {
    "sample_type": str, "normalize_type": str, "rate_drop": float, "one_drop": int,
    "skip_drop": float,
}


def variable(name, default=""):
    """A variable's value; an empty one counts as absent."""
    return os.environ.get(name, "") or default


def booster_parameters():
    """The parameters of the environment, typed."""
    wanted = dict(PARAMETERS)
    if variable("BOOSTER") == "dart":
        wanted.update(DART_PARAMETERS)
    if variable("BOOSTER") == "gblinear":
        # The linear booster knows no trees.
        for name in ("gamma", "max_depth", "min_child_weight", "max_delta_step", "subsample",
                     "sampling_method", "colsample_bytree", "colsample_bylevel",
                     "colsample_bynode", "tree_method", "grow_policy", "max_leaves", "max_bin",
                     "num_parallel_tree", "refresh_leaf", "process_type", "updater"):
            wanted.pop(name)
    parameters = {}
    for name, kind in wanted.items():
        text = variable(name.upper())
        if text:
            parameters[name] = kind(text)
    if "quantile_alpha" in parameters:
        parameters["quantile_alpha"] = [float(a) for a in parameters["quantile_alpha"].split(",")]
    metrics = variable("EVAL_METRIC")
    if metrics:
        parameters["eval_metric"] = metrics.split(",")
    return parameters


def client(endpoint):
    """An S3 client with the credentials of the environment."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=endpoint or None,
        region_name=variable("S3_REGION", "us-east-1"),
        aws_access_key_id=variable("S3_ACCESS_KEY"),
        aws_secret_access_key=variable("S3_SECRET_KEY"),
    )


def parse(name, data):
    """One object as a table."""
    if name.endswith(".parquet"):
        return pandas.read_parquet(io.BytesIO(data))
    return pandas.read_csv(io.BytesIO(data))


def read_channel(channel):
    """The rows of `TRAIN`, `VAL` or `TEST`; `None` if there is no such channel."""
    key = os.environ.get(f"S3_{channel}_KEY")
    if key is None:
        return None
    bucket = variable(f"S3_{channel}_BUCKET", variable("S3_BUCKET"))
    if not bucket:
        paths = [pathlib.Path(key)]
        if paths[0].is_dir():
            paths = sorted(p for p in paths[0].iterdir() if p.suffix in (".csv", ".parquet"))
        return pandas.concat([parse(p.name, p.read_bytes()) for p in paths], ignore_index=True)
    s3 = client(variable(f"S3_{channel}_ENDPOINT", variable("S3_ENDPOINT")))
    keys = [key]
    if not key.endswith((".csv", ".parquet")):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
        objects = (item["Key"] for page in pages for item in page.get("Contents", []))
        keys = sorted(k for k in objects if k.endswith((".csv", ".parquet")))
    if not keys:
        sys.exit(f"no CSV or Parquet object below {bucket}/{key}")
    tables = [parse(k, s3.get_object(Bucket=bucket, Key=k)["Body"].read()) for k in keys]
    return pandas.concat(tables, ignore_index=True)


def matrix(table, rank=0, world=1):
    """A DMatrix of the rows that belong to this rank."""
    table = table.iloc[rank::world]
    label = variable("LABEL_COLUMN", "target")
    if label not in table.columns:
        sys.exit(f"the label column `{label}` is not among {list(table.columns)}")
    weight = None
    if variable("CSV_WEIGHT", "0") == "1":
        # By convention the last column.
        weight = table.iloc[:, -1]
        table = table.iloc[:, :-1]
    wanted = json.loads(variable("FEATURE_COLUMNS", "[]"))
    features = table[wanted] if wanted else table.drop(columns=[label])
    return xgboost.DMatrix(features, label=table[label], weight=weight)


class MetricsFile(xgboost.callback.TrainingCallback):
    """Writes one JSON line a round, to the file and to the log."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")

    def after_iteration(self, model, epoch, evals_log):
        metrics = {
            f"{data}-{name}": values[-1]
            for data, by_name in evals_log.items()
            for name, values in by_name.items()
        }
        line = json.dumps({"round": epoch, **metrics})
        print(line, file=self.file, flush=True)
        print(line, flush=True)
        return False

    def after_training(self, model):
        self.file.close()
        return model


def train(directory, rank=0, world=1):
    """Trains on this rank's rows. Rank 0 writes the results."""
    tables = {name: read_channel(channel) for name, channel in
              (("train", "TRAIN"), ("validation", "VAL"))}
    if tables["train"] is None:
        sys.exit("there is no train channel")
    watched = [(matrix(table, rank, world), name)
               for name, table in tables.items() if table is not None]
    early = variable("EARLY_STOPPING_ROUNDS")
    history = {}
    callbacks = []
    if rank == 0:
        directory.mkdir(parents=True, exist_ok=True)
        callbacks.append(MetricsFile(directory / "metrics.jsonl"))
    model = xgboost.train(
        booster_parameters(),
        watched[0][0],
        num_boost_round=int(os.environ["NUM_BOOST_ROUND"]),
        evals=watched,
        early_stopping_rounds=int(early) if early else None,
        evals_result=history,
        callbacks=callbacks,
        verbose_eval=False,
    )
    if rank == 0:
        finish(directory, model, history)


def finish(directory, model, history):
    """Writes the model and what it is worth."""
    model.save_model(directory / "model.json")
    last = {f"{data}-{name}": values[-1]
            for data, by_name in history.items() for name, values in by_name.items()}
    summary = {"rounds": model.num_boosted_rounds(), "metrics": last}
    if variable("EARLY_STOPPING_ROUNDS"):
        summary["bestRound"] = model.best_iteration
        summary["bestScore"] = model.best_score
    test = read_channel("TEST")
    if test is not None:
        summary["test"] = model.eval(matrix(test), "test")
    (directory / "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")
    print(json.dumps({"summary": summary}), flush=True)


def train_on_ray(directory, world):
    """One rank per worker of the Ray cluster."""
    import ray
    from xgboost import collective
    from xgboost.tracker import RabitTracker

    ray.init()
    gpus = 1 if variable("USE_GPU") == "true" else 0
    cores = int(variable("NTHREAD", "1"))

    @ray.remote(num_cpus=cores, num_gpus=gpus, scheduling_strategy="SPREAD")
    def rank(number, arguments):
        with collective.CommunicatorContext(**arguments):
            train(directory, collective.get_rank(), world)

    tracker = RabitTracker(host_ip=ray.util.get_node_ip_address(), n_workers=world)
    tracker.start()
    ray.get([rank.remote(number, tracker.worker_args()) for number in range(world)])


def main():
    directory = pathlib.Path(variable("STORAGE_PATH", ".")) / variable("RUN_NAME", "xgboost")
    world = max(1, int(variable("NUM_WORKER", "1")))
    if world == 1:
        train(directory)
    else:
        train_on_ray(directory, world)


if __name__ == "__main__":
    main()
