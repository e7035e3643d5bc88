"""Loads the model that a training wrote, and measures it; run by `cargo xtask train`."""

from __future__ import annotations

import json
import pathlib
import sys

import pandas
from sklearn.metrics import accuracy_score, roc_auc_score

import xgboost


def main(results: pathlib.Path, rows: pathlib.Path) -> None:
    """Scores of the rows that the training did not learn from."""
    model = xgboost.Booster(model_file=results / "model.json")
    table = pandas.read_csv(rows)
    label = table["target"]
    predicted = model.predict(xgboost.DMatrix(table[model.feature_names]))
    if label.nunique() == 2:
        scores = {"auc": float(roc_auc_score(label, predicted))}
    else:
        scores = {"accuracy": float(accuracy_score(label, predicted))}
    print(json.dumps(scores))


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
