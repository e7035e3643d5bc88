"""Loads the model that a training wrote, and measures it; run by `cargo xtask train`."""

from __future__ import annotations

import json
import pathlib
import sys

import numpy
import pandas


def r2(label: pandas.Series, predicted: numpy.ndarray) -> float:
    """Share of the variance that is explained."""
    return float(1 - ((label - predicted) ** 2).sum() / ((label - label.mean()) ** 2).sum())


def main(results: pathlib.Path, rows: pathlib.Path) -> None:
    """Scores of the rows that the training did not learn from."""
    summary = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    table = pandas.read_csv(rows)
    inputs = table.drop(columns=["target"]).to_numpy("float64")
    values = (inputs - summary["mean"]) / summary["scale"]
    with numpy.load(results / "model.npz") as model:
        layers = len(model.files) // 2
        for number in range(layers):
            values = values @ model[f"w{number}"] + model[f"b{number}"]
            if number + 1 < layers:
                values = numpy.maximum(values, 0.0)
    if not summary["classes"]:
        print(json.dumps({"r2": r2(table["target"], values[:, 0])}))
        return
    classes = [summary["classes"][number] for number in values.argmax(1)]
    print(json.dumps({"accuracy": float((table["target"] == classes).mean())}))


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
