"""Trains a feed-forward network in Keras from the environment that the plugin writes.

Several pods are workers of one MultiWorkerMirroredStrategy, which finds them by `TF_CONFIG`. The
model holds the scaling of its inputs, so that whoever loads it hands over the columns as they
were.
"""

from __future__ import annotations

import pathlib
from typing import Any

import keras
import numpy

import tensorflow as tf
import trainlib


def strategy() -> tf.distribute.Strategy:
    """How devices and pods share the work. Before any other call: it starts this pod's server."""
    name = trainlib.hp("strategy", "none")
    if name == "multi_worker_mirrored":
        options = tf.distribute.experimental.CommunicationOptions(
            implementation=getattr(
                tf.distribute.experimental.CommunicationImplementation,
                trainlib.hp("communication", "AUTO"),
            )
        )
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if name == "parameter_server":
        trainlib.fail(
            "this program does not train with parameter servers, which Keras 3 has given up: "
            "name an image and entrypoint of your own"
        )
    return tf.distribute.get_strategy()


def set_threads() -> None:
    """The library counts the cores of the node unless it is told."""
    if threads := int(trainlib.text("OMP_NUM_THREADS", "0")):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


def network(width: int, problem: trainlib.Problem) -> keras.Model:
    """Scaling, hidden layers as the form names them, and the outputs in full precision."""
    dropout = trainlib.hp_float("dropout") or 0.0
    variance = [value**2 for value in problem.scale]
    layers: list[keras.Layer] = [
        keras.Input((width,)),
        keras.layers.Normalization(mean=list(problem.mean), variance=variance),
    ]
    for size in map(int, trainlib.hp_list("hidden_units")):
        layers.append(keras.layers.Dense(size, activation="relu"))
        if dropout:
            layers.append(keras.layers.Dropout(dropout))
    activation = "softmax" if problem.is_classification else "linear"
    layers.append(keras.layers.Dense(problem.outputs, activation=activation, dtype="float32"))
    return keras.Sequential(layers)


def optimizer() -> keras.optimizers.Optimizer:
    """The rule of the form; only what it has is handed over."""
    name = trainlib.hp_needed("optimizer")
    numbers = {
        "rmsprop": ("momentum", "epsilon"),
        "adam": ("beta_1", "beta_2", "epsilon"),
        "adamw": ("beta_1", "beta_2", "epsilon"),
        "sgd": ("momentum",),
        "adagrad": ("epsilon",),
    }[name]
    shared = ("learning_rate", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm")
    arguments: dict[str, Any] = {
        parameter: value
        for parameter in (*shared, *numbers)
        if (value := trainlib.hp_float(parameter)) is not None
    }
    if name in ("adam", "adamw"):
        arguments["amsgrad"] = trainlib.hp_bool("amsgrad")
    if name == "sgd":
        arguments["nesterov"] = trainlib.hp_bool("nesterov")
    classes = {
        "rmsprop": keras.optimizers.RMSprop,
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "sgd": keras.optimizers.SGD,
        "adagrad": keras.optimizers.Adagrad,
    }
    return classes[name](**arguments)


def compiled(model: keras.Model, problem: trainlib.Problem) -> keras.Model:
    """With loss and metrics for what is learnt."""
    jit = trainlib.hp("jit_compile", "auto")
    model.compile(
        optimizer=optimizer(),
        loss="sparse_categorical_crossentropy" if problem.is_classification else "mse",
        metrics=["accuracy"] if problem.is_classification else ["mae"],
        steps_per_execution=trainlib.hp_int("steps_per_execution") or 1,
        jit_compile="auto" if jit == "auto" else jit == "true",
    )
    return model


def columns(table: trainlib.Table, problem: trainlib.Problem) -> numpy.ndarray:
    """Features as they are; missing values become the mean."""
    values = table.features.to_numpy("float32")
    return numpy.where(numpy.isnan(values), numpy.asarray(problem.mean, "float32"), values)


def divided(data: dict[str, trainlib.Table]) -> dict[str, trainlib.Table]:
    """Holds the last rows back if the form says so and no channel brings any."""
    share = trainlib.hp_float("validation_split") or 0.0
    if "validation" in data or share <= 0:
        return data
    table = data["train"]
    at = round(len(table.label) * (1 - share))
    return data | {
        "train": trainlib.Table(table.features[:at], table.label[:at]),
        "validation": trainlib.Table(table.features[at:], table.label[at:]),
    }


class Reporter(keras.callbacks.Callback):
    """Writes one line each epoch."""

    def __init__(self, results: trainlib.Results) -> None:
        """Where to."""
        super().__init__()
        self.results = results
        self.last: dict[str, float] = {}
        self.epochs = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras counts epochs from 0."""
        self.epochs = epoch + 1
        self.last = {name: float(value) for name, value in (logs or {}).items()}
        self.results.metrics(epoch=self.epochs, **self.last)


def callbacks(reporter: Reporter, index: int, validates: bool) -> list[keras.callbacks.Callback]:
    """What the form asks for besides the training."""
    found: list[keras.callbacks.Callback] = [reporter]
    directory = pathlib.Path(trainlib.text("CHECKPOINT_PATH", "results/checkpoints"))
    job = trainlib.text("JOB_NAME", "job")
    monitor = trainlib.hp("monitor", "val_loss")
    if trainlib.hp_bool("backup"):
        # Each worker its own: they would write into one another's files.
        found.append(
            keras.callbacks.BackupAndRestore(
                str(directory / f"{job}-backup-{index}"),
                delete_checkpoint=trainlib.hp_bool("delete_checkpoint"),
            )
        )
    if index == 0:
        directory.mkdir(parents=True, exist_ok=True)
        best = trainlib.hp_bool("save_best_only") and validates
        found.append(
            keras.callbacks.ModelCheckpoint(
                str(directory / f"{job}-{'best' if best else 'last'}.keras"),
                monitor=monitor,
                save_best_only=best,
                save_freq=trainlib.hp_int("save_freq") or "epoch",
            )
        )
    if trainlib.hp_bool("early_stopping"):
        found.append(
            keras.callbacks.EarlyStopping(
                monitor=monitor,
                patience=trainlib.hp_int("patience") or 0,
                min_delta=trainlib.hp_float("min_delta") or 0.0,
                restore_best_weights=trainlib.hp_bool("restore_best_weights"),
            )
        )
    return found


def dataset(
    table: trainlib.Table,
    problem: trainlib.Problem,
    shuffle: bool,
    repeat: bool,
    size: int | None = None,
) -> tf.data.Dataset:
    """Rows in batches; those of the form's size unless another one is asked for."""
    rows = tf.data.Dataset.from_tensor_slices((columns(table, problem), problem.labels(table)))
    if shuffle:
        rows = rows.shuffle(len(table.label), seed=trainlib.hp_int("seed"))
    rows = rows.repeat() if repeat else rows
    # An endless one has full batches only.
    return rows.batch(size or int(trainlib.hp_needed("batch_size")), drop_remainder=repeat)


def train(
    shared: tf.distribute.Strategy,
    model: keras.Model,
    problem: trainlib.Problem,
    data: dict[str, trainlib.Table],
) -> None:
    """Trains, measures and writes."""
    index, workers = trainlib.instance()
    results = trainlib.Results(writes=index == 0)
    reporter = Reporter(results)
    asked = callbacks(reporter, index, "validation" in data)
    if workers > 1:
        train_together(shared, model, problem, data, asked)
    else:
        train_alone(model, problem, data, asked)
    finish(shared, results, reporter, model, problem, data)


def train_alone(
    model: keras.Model,
    problem: trainlib.Problem,
    data: dict[str, trainlib.Table],
    asked: list[keras.callbacks.Callback],
) -> None:
    """One pod: what Keras does by itself."""
    steps = trainlib.hp_int("steps_per_epoch")
    validation = data.get("validation")
    verbose = trainlib.hp("verbose", "auto")
    shuffle = trainlib.hp_bool("shuffle")
    model.fit(
        dataset(data["train"], problem, shuffle, repeat=steps is not None),
        epochs=int(trainlib.hp_needed("epochs")),
        steps_per_epoch=steps,
        validation_data=dataset(validation, problem, False, False) if validation else None,
        validation_freq=trainlib.hp_int("validation_freq") or 1,
        callbacks=asked,
        # The lines of this program stand for the bar.
        verbose=0 if verbose == "auto" else int(verbose),
    )


def train_together(
    shared: tf.distribute.Strategy,
    model: keras.Model,
    problem: trainlib.Problem,
    data: dict[str, trainlib.Table],
    asked: list[keras.callbacks.Callback],
) -> None:
    """Several pods: a loop of our own, because `fit` of Keras 3 fails with more than one worker.

    Every step has equally many rows in each worker, whatever its share, or the others would wait
    for ever.
    """
    index, workers = trainlib.instance()
    epochs = int(trainlib.hp_needed("epochs"))
    size = int(trainlib.hp_needed("batch_size"))
    steps = trainlib.hp_int("steps_per_epoch") or max(1, len(data["train"].label) // size)
    mine = data["train"].shard(index, workers)
    own = max(1, size // workers)
    rows = dataset(mine, problem, trainlib.hp_bool("shuffle"), repeat=True, size=own)
    batches = iter(shared.distribute_datasets_from_function(lambda _: rows))
    kinds = (keras.losses.MeanSquaredError, keras.losses.SparseCategoricalCrossentropy)
    loss = kinds[problem.is_classification]()
    regression = not problem.is_classification

    def of_replica(inputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            predicted = model(inputs, training=True)
            if regression:
                labels = tf.expand_dims(labels, 1)
            # The mean of the replica's rows, so that the sum over all is the mean of the step.
            value = loss(labels, predicted) / shared.num_replicas_in_sync
        gradients = tape.gradient(value, model.trainable_variables)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return value

    @tf.function
    def step(inputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return shared.reduce("SUM", shared.run(of_replica, args=(inputs, labels)), axis=None)

    listeners = keras.callbacks.CallbackList(asked, model=model, epochs=epochs, steps=steps)
    model.stop_training = False
    listeners.on_train_begin()
    every = trainlib.hp_int("validation_freq") or 1
    for epoch in range(getattr(model, "_initial_epoch", 0) or 0, epochs):
        listeners.on_epoch_begin(epoch)
        losses = []
        for number in range(steps):
            listeners.on_train_batch_begin(number)
            losses.append(float(step(*next(batches))))
            listeners.on_train_batch_end(number, {"loss": losses[-1]})
        logs = {"loss": sum(losses) / len(losses)}
        if "validation" in data and (epoch + 1) % every == 0:
            logs |= scores(model, problem, data["validation"])
        listeners.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    listeners.on_train_end()


def scores(
    model: keras.Model, problem: trainlib.Problem, table: trainlib.Table
) -> dict[str, float]:
    """What `fit` would say of the validation rows. Every worker measures all of them."""
    predicted = model(columns(table, problem), training=False).numpy()
    labels = problem.labels(table)
    if problem.is_classification:
        loss = keras.losses.sparse_categorical_crossentropy(labels, predicted)
        accuracy = float((predicted.argmax(1) == labels).mean())
        return {"val_loss": float(numpy.mean(loss)), "val_accuracy": accuracy}
    errors = predicted[:, 0] - labels
    return {
        "val_loss": float(numpy.square(errors).mean()),
        "val_mae": float(numpy.abs(errors).mean()),
    }


def finish(
    shared: tf.distribute.Strategy,
    results: trainlib.Results,
    reporter: Reporter,
    model: keras.Model,
    problem: trainlib.Problem,
    data: dict[str, trainlib.Table],
) -> None:
    """The model in the library's own format."""
    if not results.writes:
        return
    model.save(results.path("model.keras"))
    summary = {
        "epochs": reporter.epochs,
        "replicas": shared.num_replicas_in_sync,
        "classes": list(problem.classes),
        "features": [str(name) for name in data["train"].features.columns],
        "metrics": reporter.last,
    }
    results.finish(summary)


def main() -> None:
    """Meets, reads, trains."""
    set_threads()
    if (seed := trainlib.hp_int("seed")) is not None:
        keras.utils.set_random_seed(seed)
    keras.mixed_precision.set_global_policy(trainlib.hp("mixed_precision", "float32"))
    shared = strategy()
    data = divided(trainlib.read_all())
    problem = trainlib.problem_of(data["train"], trainlib.hp("task", "auto"))
    with shared.scope():
        model = compiled(network(data["train"].features.shape[1], problem), problem)
        model.optimizer.build(model.trainable_variables)
    # Outside: what only one worker writes must not make variables that all would have to share.
    train(shared, model, problem, data)


if __name__ == "__main__":
    main()
