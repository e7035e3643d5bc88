"""Trains LightGBM from the environment that the plugin writes.

Every hyperparameter goes to the library by its own name. With several pods the training is one
LightGBM network; each pod has its own rows, and all end with the same model, which pod 0 writes.
"""

from __future__ import annotations

import os
import socket
import time

from lightgbm.callback import CallbackEnv

import lightgbm
import trainlib

NOT_THE_LIBRARYS = ("num_iterations", "early_stopping_round", "first_metric_only", "machines")
"""Arguments of this program's own calls, or rewritten before they are handed over."""


NETWORK_NUMBERS = ("num_machines", "local_listen_port", "time_out")
"""What the library's Python layer takes as numbers, where everything else may be text."""


def parameters() -> dict[str, str | int]:
    """What the form says, by the library's own names."""
    names = (name for name in os.environ if name.startswith("HP_"))
    found = {name.removeprefix("HP_").lower(): os.environ[name] for name in names}
    found.update({name: str(value) for name, value in trainlib.custom().items()})
    return {
        name: int(value) if name in NETWORK_NUMBERS else value
        for name, value in found.items()
        if value and name not in NOT_THE_LIBRARYS
    }


def address(host: str, patience: float) -> str:
    """A pod's address. Its name appears when the pod does, which may take a while."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return socket.gethostbyname(host)
        except socket.gaierror as error:
            if time.monotonic() > deadline:
                trainlib.fail(f"no address for {host}: {error}")
            time.sleep(1)


def machines() -> str:
    """The list with addresses for names: the library looks for its own address in it.

    Minutes, as `time_out` counts, are how long the library waits for the others as well.
    """
    patience = 60.0 * (trainlib.hp_int("time_out") or 1)
    pairs = (entry.rsplit(":", 1) for entry in trainlib.hp_list("machines"))
    return ",".join(f"{address(host, patience)}:{port}" for host, port in pairs)


def dataset(table: trainlib.Table, of: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
    """Rows as the library keeps them. Bins are those of the training rows."""
    return lightgbm.Dataset(table.features, label=table.label, reference=of)


def tables() -> dict[str, trainlib.Table]:
    """This pod's rows of the train channel, and all rows of the others."""
    share = trainlib.instance()
    model = trainlib.train_channel()
    if trainlib.hp_bool("pre_partition"):
        train = trainlib.read(model, share=share)
    else:
        train = trainlib.read(model).shard(*share)
    found = {"train": train}
    for kind, channel in trainlib.channels().items():
        if kind != "train":
            found[kind] = trainlib.read(channel, model)
    return found


def reporter(results: trainlib.Results) -> object:
    """A callback of the library that writes a line each time it has measured."""

    def report(env: CallbackEnv) -> None:
        found = {f"{entry[0]}-{entry[1]}": entry[2] for entry in env.evaluation_result_list or []}
        if found:
            results.metrics(round=env.iteration + 1, **found)

    return report


def main() -> None:
    """Trains, and pod 0 writes what came of it."""
    index, count = trainlib.instance()
    results = trainlib.Results(writes=index == 0)
    given = parameters()
    if count > 1:
        given["machines"] = machines()
    data = tables()
    train = dataset(data["train"])
    watched = {kind: dataset(table, train) for kind, table in data.items() if kind != "train"}
    callbacks = [reporter(results)]
    patience = trainlib.hp_int("early_stopping_round") or 0
    if patience and "validation" in watched:
        only = trainlib.hp_bool("first_metric_only")
        callbacks.append(lightgbm.early_stopping(patience, only, verbose=False))
        # A test channel must not decide when the training ends.
        watched = {"validation": watched["validation"]}
    measured = {"train": train, **watched}
    booster = lightgbm.train(
        given,
        train,
        num_boost_round=int(trainlib.hp_needed("num_iterations")),
        valid_sets=list(measured.values()),
        valid_names=list(measured),
        callbacks=callbacks,
    )
    finish(results, booster, data)


def finish(
    results: trainlib.Results, booster: lightgbm.Booster, data: dict[str, trainlib.Table]
) -> None:
    """The model as text, which every binding of the library loads."""
    scores: dict[str, float] = {}
    for kind, values in booster.best_score.items():
        scores.update({f"{kind}-{name}": value for name, value in values.items()})
    summary = {
        "rounds": booster.current_iteration(),
        "bestRound": booster.best_iteration or booster.current_iteration(),
        # Not the booster's own names, in which spaces have become underscores.
        "features": [str(name) for name in data["train"].features.columns],
        "rows": {kind: len(table.label) for kind, table in data.items()},
        "metrics": scores,
    }
    if results.writes:
        booster.save_model(results.path("model.txt"))
    results.finish(summary)


if __name__ == "__main__":
    main()
