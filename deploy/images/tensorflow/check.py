"""Loads the model that a training wrote, and measures it; run by `cargo xtask train`."""

from __future__ import annotations

import json
import pathlib
import sys

import keras
import numpy
import pandas


def r2(label: pandas.Series, predicted: numpy.ndarray) -> float:
    """Share of the variance that is explained."""
    return float(1 - ((label - predicted) ** 2).sum() / ((label - label.mean()) ** 2).sum())


def main(results: pathlib.Path, rows: pathlib.Path) -> None:
    """Scores of the rows that the training did not learn from."""
    summary = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    model = keras.models.load_model(results / "model.keras")
    table = pandas.read_csv(rows)
    predicted = model.predict(table[summary["features"]].to_numpy("float32"), verbose=0)
    if not summary["classes"]:
        print(json.dumps({"r2": r2(table["target"], predicted[:, 0])}))
        return
    classes = [summary["classes"][number] for number in predicted.argmax(1)]
    print(json.dumps({"accuracy": float((table["target"] == classes).mean())}))


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
