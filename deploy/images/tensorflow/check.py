"""Loads the model that a training wrote, and measures it; run by `cargo xtask train`."""

from __future__ import annotations

import json
import pathlib
import sys

import keras
import pandas


def main(results: pathlib.Path, rows: pathlib.Path) -> None:
    """Scores of the rows that the training did not learn from."""
    summary = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    model = keras.models.load_model(results / "model.keras")
    table = pandas.read_csv(rows)
    predicted = model.predict(table[summary["features"]].to_numpy("float32"), verbose=0)
    classes = [summary["classes"][number] for number in predicted.argmax(1)]
    print(json.dumps({"accuracy": float((table["target"] == classes).mean())}))


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
