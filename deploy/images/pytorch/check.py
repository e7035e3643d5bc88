"""Loads the model that a training wrote, and measures it; run by `cargo xtask train`."""

from __future__ import annotations

import itertools
import json
import pathlib
import sys

import numpy
import pandas
import torch
from torch import nn


def r2(label: pandas.Series, predicted: numpy.ndarray) -> float:
    """Share of the variance that is explained."""
    return float(1 - ((label - predicted) ** 2).sum() / ((label - label.mean()) ** 2).sum())


def main(results: pathlib.Path, rows: pathlib.Path) -> None:
    """Scores of the rows that the training did not learn from."""
    model = torch.load(results / "model.pt", weights_only=True)
    table = pandas.read_csv(rows)
    values = table.drop(columns=["target"]).to_numpy("float64")
    inputs = torch.tensor((values - model["mean"]) / model["scale"], dtype=torch.float32)
    sizes = [inputs.shape[1], *model["hidden_sizes"]]
    layers: list[nn.Module] = []
    for width, size in itertools.pairwise(sizes):
        layers += [nn.Linear(width, size), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Linear(sizes[-1], len(model["classes"]) or 1))
    network.load_state_dict(model["weights"])
    predicted = network(inputs).detach().numpy()
    if not model["classes"]:
        print(json.dumps({"r2": r2(table["target"], predicted[:, 0])}))
        return
    classes = [model["classes"][number] for number in predicted.argmax(1)]
    print(json.dumps({"accuracy": float((table["target"] == classes).mean())}))


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
