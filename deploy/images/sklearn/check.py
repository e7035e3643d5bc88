"""Loads the model that a training wrote, and measures it; run by `cargo xtask train`."""

from __future__ import annotations

import json
import pathlib
import sys

import joblib
import pandas
from sklearn.metrics import accuracy_score, r2_score


def main(results: pathlib.Path, rows: pathlib.Path) -> None:
    """Scores of the rows that the training did not learn from."""
    model = joblib.load(results / "model.joblib")
    table = pandas.read_csv(rows)
    summary = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    predicted = model.predict(table[summary["features"]])
    if table["target"].dtype.kind == "f":
        scores = {"r2": float(r2_score(table["target"], predicted))}
    else:
        scores = {"accuracy": float(accuracy_score(table["target"], predicted))}
    print(json.dumps(scores))


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
