"""Trains a feed-forward network in JAX from the environment that the plugin writes.

All devices of all pods form one mesh with the axes of the form: batches are divided along `data`
and `fsdp`, weights along `fsdp` and `tensor`. The compiler sees to the exchange.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import jax
import trainlib

Weights = list[dict[str, jax.Array]]

KINDS = {"float32": jnp.float32, "bfloat16": jnp.bfloat16, "float64": jnp.float64}


def join() -> None:
    """Meets the other pods, if there are any."""
    address = trainlib.text("JAX_COORDINATOR_ADDRESS")
    if trainlib.hp("precision") == "float64":
        jax.config.update("jax_enable_x64", True)
    if not address:
        return
    if trainlib.text("GPU_COUNT", "0") == "0":
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(
        coordinator_address=address,
        num_processes=int(trainlib.text("JAX_NUM_PROCESSES")),
        process_id=int(trainlib.text("JAX_PROCESS_ID")),
        initialization_timeout=trainlib.hp_int("initialization_timeout") or 300,
        heartbeat_timeout_seconds=trainlib.hp_int("heartbeat_timeout_seconds") or 100,
        shutdown_timeout_seconds=trainlib.hp_int("shutdown_timeout_seconds") or 300,
    )


def mesh() -> Mesh:
    """The devices along the axes of the form."""
    names = ("data", "fsdp", "tensor")
    sizes = [int(trainlib.hp_needed(f"mesh_{name}")) for name in names]
    devices = jax.devices()
    if len(devices) != numpy.prod(sizes):
        trainlib.fail(f"the mesh has {sizes} devices, and the job {len(devices)}")
    return Mesh(numpy.array(devices).reshape(sizes), names)


def placement(array: numpy.ndarray, on: Mesh) -> NamedSharding:
    """Weights are cut where they come out even, and whole elsewhere, such as the last layer's."""
    if array.ndim != 2:
        return NamedSharding(on, PartitionSpec())
    parts = [
        axis if size % on.shape[axis] == 0 else None
        for size, axis in zip(array.shape, ("fsdp", "tensor"), strict=True)
    ]
    return NamedSharding(on, PartitionSpec(*parts))


def initial(width: int, outputs: int) -> list[dict[str, numpy.ndarray]]:
    """Weights by He's rule. Made with NumPy, so that all pods have the same ones."""
    draw = numpy.random.default_rng(trainlib.hp_int("seed") or 0)
    sizes = [width, *map(int, trainlib.hp_list("hidden_sizes")), outputs]
    kind = numpy.float64 if trainlib.hp("precision") == "float64" else numpy.float32
    return [
        {
            "w": (draw.normal(size=(a, b)) * (2.0 / a) ** 0.5).astype(kind),
            "b": numpy.zeros(b, kind),
        }
        for a, b in itertools.pairwise(sizes)
    ]


def spread(tree: Any, on: Mesh) -> Any:
    """Puts what every pod has whole onto the devices, each taking its part."""

    def place(array: Any) -> jax.Array:
        array = numpy.asarray(array)
        return jax.make_array_from_callback(
            array.shape, placement(array, on), lambda index: array[index]
        )

    return jax.tree.map(place, tree)


def gathered(tree: Any, on: Mesh) -> Any:
    """The whole arrays, in every pod."""
    whole = NamedSharding(on, PartitionSpec())
    copies = jax.jit(lambda arrays: arrays, out_shardings=whole)(tree)
    return jax.tree.map(lambda array: numpy.asarray(array.addressable_data(0)), copies)


def forward(weights: Weights, inputs: jax.Array) -> jax.Array:
    """Hidden layers, then the outputs. Sums are kept in the precision of the weights."""
    kind = KINDS[trainlib.hp("precision", "float32")]
    values = inputs.astype(kind)
    for number, layer in enumerate(weights):
        values = values @ layer["w"].astype(kind) + layer["b"].astype(kind)
        if number + 1 < len(weights):
            values = jax.nn.relu(values)
    return values.astype(weights[0]["w"].dtype)


def loss_of(problem: trainlib.Problem) -> Callable[..., jax.Array]:
    """Mean loss of a batch. Rows of weight 0 only fill it up."""

    def loss(
        weights: Weights, inputs: jax.Array, labels: jax.Array, counts: jax.Array
    ) -> jax.Array:
        predicted = forward(weights, inputs)
        if problem.is_classification:
            each = optax.softmax_cross_entropy_with_integer_labels(predicted, labels)
        else:
            each = jnp.square(predicted[:, 0] - labels)
        return (each * counts).sum() / counts.sum()

    return loss


def rate(steps: int) -> optax.Schedule:
    """The learning rate over all steps."""
    peak = float(trainlib.hp_needed("learning_rate"))
    kind = trainlib.hp("schedule", "constant")
    end = trainlib.hp_float("end_value") or 0.0
    exponent = trainlib.hp_float("exponent") or 1.0
    if kind == "cosine":
        return optax.cosine_decay_schedule(peak, steps, alpha=end / peak, exponent=exponent)
    if kind == "warmup_cosine":
        warmup = trainlib.hp_int("warmup_steps") or 0
        first = trainlib.hp_float("init_value") or 0.0
        # The library counts the rise among the steps, and wants some left.
        total = max(steps, warmup + 1)
        return optax.warmup_cosine_decay_schedule(first, peak, warmup, total, end, exponent)
    return optax.constant_schedule(peak)


def optimizer(steps: int) -> optax.GradientTransformation:
    """The rule of the form; only what it has is handed over."""
    name = trainlib.hp_needed("optimizer")
    schedule = rate(steps)
    known: dict[str, tuple[str, ...]] = {
        "adamw": ("b1", "b2", "eps", "eps_root", "weight_decay"),
        "adam": ("b1", "b2", "eps", "eps_root"),
        "lion": ("b1", "b2", "weight_decay"),
        "sgd": ("momentum",),
        "adafactor": ("momentum", "weight_decay"),
    }
    theirs = {("adafactor", "weight_decay"): "weight_decay_rate"}
    arguments: dict[str, Any] = {}
    for parameter in known[name]:
        if (value := trainlib.hp_float(parameter)) is not None:
            arguments[theirs.get((name, parameter), parameter)] = value
    if name in ("adamw", "adam", "sgd"):
        arguments["nesterov"] = trainlib.hp_bool("nesterov")
    rule = getattr(optax, name)(schedule, **arguments)
    longest = trainlib.hp_float("max_grad_norm")
    return optax.chain(optax.clip_by_global_norm(longest), rule) if longest else rule


class Rows:
    """A channel in memory, handed out in batches of one size."""

    def __init__(self, table: trainlib.Table, problem: trainlib.Problem, on: Mesh) -> None:
        """Batches are divided along two axes of the mesh."""
        self.inputs = problem.inputs(table)
        self.labels = problem.labels(table)
        self.sharding = NamedSharding(on, PartitionSpec(("data", "fsdp")))
        self.size = int(trainlib.hp_needed("batch_size"))

    @property
    def count(self) -> int:
        """How many batches there are."""
        return -(-len(self.labels) // self.size)

    def batches(self, order: numpy.ndarray) -> Iterator[tuple[jax.Array, jax.Array, jax.Array]]:
        """Every row once. The last batch is filled with rows that do not count."""
        for start in range(0, len(order), self.size):
            rows = order[start : start + self.size]
            counts = numpy.zeros(self.size, "float32")
            counts[: len(rows)] = 1.0
            rows = numpy.resize(rows, self.size)
            arrays = (self.inputs[rows], self.labels[rows], counts)
            yield tuple(map(self.place, arrays))  # type: ignore[misc]

    def place(self, array: numpy.ndarray) -> jax.Array:
        """Each device takes its rows; every pod has all of them at hand."""
        return jax.make_array_from_callback(array.shape, self.sharding, lambda index: array[index])


class Trainer:
    """One training, from the first epoch or from a checkpoint."""

    def __init__(self, data: dict[str, trainlib.Table]) -> None:
        """Builds the model and looks for what an earlier attempt left."""
        self.mesh = mesh()
        self.problem = trainlib.problem_of(data["train"], trainlib.hp("task", "auto"))
        self.rows = {kind: Rows(table, self.problem, self.mesh) for kind, table in data.items()}
        self.results = trainlib.Results(writes=jax.process_index() == 0)
        self.checkpoints = trainlib.Checkpoints(".npz", trainlib.hp_int("max_to_keep"))
        self.epochs = int(trainlib.hp_needed("epochs"))
        rule = optimizer(self.epochs * self.rows["train"].count)
        whole = initial(data["train"].features.shape[1], self.problem.outputs)
        self.weights: Weights = spread(whole, self.mesh)
        self.state = spread(rule.init(whole), self.mesh)
        self.first = self.resume() if trainlib.hp_bool("resume") else 0
        loss = loss_of(self.problem)

        def step(weights: Weights, state: Any, *batch: jax.Array) -> tuple[Any, Any, jax.Array]:
            value, gradients = jax.value_and_grad(loss)(weights, *batch)
            updates, state = rule.update(gradients, state, weights)
            return optax.apply_updates(weights, updates), state, value

        def measure(weights: Weights, *batch: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            inputs, labels, counts = batch
            right = forward(weights, inputs).argmax(1) == labels
            rows = counts.sum()
            return loss(weights, *batch) * rows, (right * counts).sum(), rows

        self.step = jax.jit(step, donate_argnums=(0, 1))
        self.measure = jax.jit(measure)

    def run(self) -> None:
        """All epochs that are left."""
        every = trainlib.hp_int("checkpoint_every") or 0
        patience = trainlib.hp_int("early_stopping_patience")
        best, stale, done = float("inf"), 0, self.first
        scores: dict[str, float] = {}
        for epoch in range(self.first, self.epochs):
            scores = {"train-loss": self.epoch(epoch), **self.scores()}
            done = epoch + 1
            self.results.metrics(epoch=done, **scores)
            if every and done % every == 0:
                self.save(done)
            loss = scores.get("validation-loss", 0.0)
            best, stale = (loss, 0) if loss < best else (best, stale + 1)
            if patience is not None and stale >= patience:
                break
        self.finish(done, scores or self.scores())

    def epoch(self, number: int) -> float:
        """One pass over the rows, in the same new order in every pod."""
        train = self.rows["train"]
        draw = numpy.random.default_rng(((trainlib.hp_int("seed") or 0), number))
        losses = []
        for batch in train.batches(draw.permutation(len(train.labels))):
            self.weights, self.state, loss = self.step(self.weights, self.state, *batch)
            losses.append(loss)
        return float(numpy.mean([float(loss) for loss in losses]))

    def scores(self) -> dict[str, float]:
        """Loss, and accuracy of classes, on the channels that are not learnt from."""
        found: dict[str, float] = {}
        for kind, rows in self.rows.items():
            if kind == "train":
                continue
            batches = rows.batches(numpy.arange(len(rows.labels)))
            totals = numpy.sum(
                [[float(v) for v in self.measure(self.weights, *batch)] for batch in batches],
                axis=0,
            )
            found[f"{kind}-loss"] = float(totals[0] / totals[2])
            if self.problem.is_classification:
                found[f"{kind}-accuracy"] = float(totals[1] / totals[2])
        return found

    def save(self, epoch: int) -> None:
        """All pods give their parts, and pod 0 writes."""
        whole = gathered((self.weights, self.state), self.mesh)
        if self.results.writes:
            data = io.BytesIO()
            numpy.savez(data, *jax.tree.leaves(whole))
            self.checkpoints.write(epoch, data.getvalue())

    def resume(self) -> int:
        """Goes on from the newest checkpoint that pod 0 sees; how many epochs are behind it.

        Pods without a common volume see none, and get the state from pod 0.
        """
        from jax.experimental import multihost_utils

        newest = self.checkpoints.newest() if self.results.writes else None
        epoch = newest[0] if newest else 0
        several = jax.process_count() > 1
        if several:
            epoch = int(multihost_utils.broadcast_one_to_all(numpy.int32(epoch)))
        if not epoch:
            return 0
        whole = gathered((self.weights, self.state), self.mesh)
        leaves, shape = jax.tree.flatten(whole)
        if newest:
            with numpy.load(newest[1]) as stored:
                leaves = [stored[name] for name in stored.files]
        state = jax.tree.unflatten(shape, leaves)
        if several:
            state = multihost_utils.broadcast_one_to_all(state)
        self.weights, self.state = spread(state, self.mesh)
        if self.results.writes:
            print(f"going on after epoch {epoch}", flush=True)
        return epoch

    def finish(self, epochs: int, scores: dict[str, float]) -> None:
        """Arrays that NumPy loads; names and scales are in the summary."""
        weights = gathered(self.weights, self.mesh)
        if self.results.writes:
            arrays = {
                f"{name}{number}": layer[name]
                for number, layer in enumerate(weights)
                for name in layer
            }
            numpy.savez(self.results.path("model.npz"), **arrays)
        summary = {
            "epochs": epochs,
            "devices": len(jax.devices()),
            "classes": list(self.problem.classes),
            "mean": list(self.problem.mean),
            "scale": list(self.problem.scale),
            "metrics": scores,
        }
        self.results.finish(summary)


def main() -> None:
    """Meets, trains, parts."""
    join()
    Trainer(trainlib.read_all()).run()
    if jax.process_count() > 1:
        jax.distributed.shutdown()


if __name__ == "__main__":
    main()
