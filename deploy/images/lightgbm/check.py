"""Loads the model that a training wrote, and measures it; run by `cargo xtask train`."""

from __future__ import annotations

import json
import pathlib
import sys

import pandas
from sklearn.metrics import roc_auc_score

import lightgbm


def main(results: pathlib.Path, rows: pathlib.Path) -> None:
    """Scores of the rows that the training did not learn from."""
    model = lightgbm.Booster(model_file=results / "model.txt")
    table = pandas.read_csv(rows)
    summary = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    predicted = model.predict(table[summary["features"]])
    print(json.dumps({"auc": float(roc_auc_score(table["target"], predicted))}))


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
