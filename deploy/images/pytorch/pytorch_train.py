"""Trains a feed-forward network in PyTorch from the environment that the plugin writes.

`torchrun` starts one process per GPU, or one; every process has its own rows, and gradients are
averaged by DDP or FSDP. Checkpoints hold everything that the next attempt needs to go on.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_state_dict,
    set_state_dict,
)
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import trainlib

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
"""States are written as if there were one process, so that another number of them can go on."""

KINDS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class World:
    """Which process this is, and where it computes."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """One process writes."""
        return self.rank == 0


def join() -> World:
    """Meets the other processes, if there are any."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    seconds = trainlib.hp_int("ddp_timeout") or 1800
    backend = trainlib.hp("backend", "gloo")
    distributed.init_process_group(backend, timeout=datetime.timedelta(seconds=seconds))
    return World(int(os.environ.get("RANK", "0")), size, device)


def network(width: int, problem: trainlib.Problem) -> nn.Sequential:
    """Hidden layers as the form names them, then one output for each class, or one."""
    dropout = trainlib.hp_float("dropout") or 0.0
    layers: list[nn.Module] = []
    for size in map(int, trainlib.hp_list("hidden_sizes")):
        layers += [nn.Linear(width, size), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = size
    return nn.Sequential(*layers, nn.Linear(width, problem.outputs))


def shared(model: nn.Module, world: World) -> nn.Module:
    """The model as all processes train it."""
    if trainlib.hp("strategy") == "fsdp":
        return fully_sharded(model)
    optional: dict[str, Any] = {}
    if size := trainlib.hp_int("bucket_cap_mb"):
        optional["bucket_cap_mb"] = size
    return DistributedDataParallel(
        model,
        device_ids=[world.device.index] if world.device.type == "cuda" else None,
        find_unused_parameters=trainlib.hp_bool("find_unused_parameters"),
        gradient_as_bucket_view=trainlib.hp_bool("gradient_as_bucket_view"),
        static_graph=trainlib.hp_bool("static_graph"),
        broadcast_buffers=trainlib.hp_bool("broadcast_buffers"),
        **optional,
    )


def fully_sharded(model: nn.Module) -> nn.Module:
    """Each process keeps a part of each layer."""
    from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, fully_shard

    again = trainlib.hp("reshard_after_forward")
    options: dict[str, Any] = {
        "reshard_after_forward": again == "true" if again else None,
        "mp_policy": MixedPrecisionPolicy(param_dtype=KINDS[trainlib.hp("precision", "fp32")]),
    }
    if trainlib.hp_bool("cpu_offload"):
        options["offload_policy"] = CPUOffloadPolicy()
    for layer in model.children():
        if isinstance(layer, nn.Linear):
            fully_shard(layer, **options)
    return fully_shard(model, **options)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """The rule of the form."""
    name = trainlib.hp_needed("optimizer")
    rate = float(trainlib.hp_needed("learning_rate"))
    decay = trainlib.hp_float("weight_decay") or 0.0
    if name == "sgd":
        return torch.optim.SGD(
            model.parameters(),
            lr=rate,
            momentum=trainlib.hp_float("momentum") or 0.0,
            nesterov=trainlib.hp_bool("nesterov"),
            weight_decay=decay,
        )
    rule = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    betas = (float(trainlib.hp_needed("beta1")), float(trainlib.hp_needed("beta2")))
    eps = float(trainlib.hp_needed("eps"))
    return rule(model.parameters(), lr=rate, betas=betas, eps=eps, weight_decay=decay)


def schedule(rule: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """A rise from 0, then the course of the form down to 0, over all steps."""
    import math

    kind = trainlib.hp("lr_scheduler_type", "constant")
    warmup = trainlib.hp_int("warmup_steps") or 0

    def factor(step: int) -> float:
        if step < warmup:
            return step / warmup
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        if kind == "linear":
            return 1.0 - done
        return 0.5 * (1.0 + math.cos(math.pi * done)) if kind == "cosine" else 1.0

    return torch.optim.lr_scheduler.LambdaLR(rule, factor)


def tensors(table: trainlib.Table, problem: trainlib.Problem) -> TensorDataset:
    """Rows as the network takes them."""
    labels = torch.from_numpy(problem.labels(table))
    labels = labels.long() if problem.is_classification else labels.unsqueeze(1)
    return TensorDataset(torch.from_numpy(problem.inputs(table)), labels)


class Trainer:
    """One training, from the first epoch or from a checkpoint."""

    def __init__(self, world: World, data: dict[str, trainlib.Table]) -> None:
        """Builds the model and looks for what an earlier attempt left."""
        self.world = world
        self.problem = trainlib.problem_of(data["train"], trainlib.hp("task", "auto"))
        self.data = {kind: tensors(table, self.problem) for kind, table in data.items()}
        self.results = trainlib.Results(writes=world.leads)
        self.checkpoints = trainlib.Checkpoints(".pt", trainlib.hp_int("save_total_limit"))
        width = data["train"].features.shape[1]
        # The same weights everywhere, other dropout in each process.
        torch.manual_seed(trainlib.hp_int("seed") or 0)
        self.plain = network(width, self.problem).to(world.device)
        self.model = shared(self.plain, world)
        self.rule = optimizer(self.model)
        self.loader = self.batches("train", shuffle=True)
        self.accumulate = trainlib.hp_int("gradient_accumulation_steps") or 1
        self.epochs = int(trainlib.hp_needed("epochs"))
        steps = -(-len(self.loader) // self.accumulate) * self.epochs
        self.schedule = schedule(self.rule, steps)
        self.loss = nn.CrossEntropyLoss() if self.problem.is_classification else nn.MSELoss()
        self.scaler = torch.amp.GradScaler(
            world.device.type, enabled=trainlib.hp("precision") == "fp16"
        )
        self.call = torch.compile(self.model) if trainlib.hp_bool("torch_compile") else self.model
        self.best = float("inf")
        self.stale = 0
        torch.manual_seed((trainlib.hp_int("seed") or 0) + world.rank)

    def batches(self, kind: str, shuffle: bool) -> DataLoader[Any]:
        """This process's rows. The sampler gives all equally many, so that none waits."""
        sampler: DistributedSampler[Any] = DistributedSampler(
            self.data[kind],
            num_replicas=self.world.size,
            rank=self.world.rank,
            shuffle=shuffle,
            seed=trainlib.hp_int("seed") or 0,
        )
        return DataLoader(
            self.data[kind],
            batch_size=int(trainlib.hp_needed("batch_size")),
            sampler=sampler,
            num_workers=trainlib.hp_int("dataloader_num_workers") or 0,
        )

    def precision(self) -> contextlib.AbstractContextManager[Any]:
        """FSDP converts by itself."""
        kind = KINDS[trainlib.hp("precision", "fp32")]
        enabled = kind != torch.float32 and trainlib.hp("strategy") != "fsdp"
        return torch.autocast(self.world.device.type, dtype=kind, enabled=enabled)

    def run(self) -> None:
        """All epochs that are left."""
        first = self.resume() if trainlib.hp_bool("resume") else 0
        every = trainlib.hp_int("checkpoint_every") or 0
        scores: dict[str, float] = {}
        done = first
        for epoch in range(first, self.epochs):
            loss = self.epoch(epoch)
            scores = {"train-loss": loss, **self.scores()}
            done = epoch + 1
            self.results.metrics(epoch=done, **scores)
            if every and done % every == 0:
                self.save(done)
            if self.is_enough(scores):
                break
        self.finish(done, scores or self.scores())

    def epoch(self, number: int) -> float:
        """One pass over the rows; the mean loss of all processes."""
        self.model.train()
        if isinstance(self.loader.sampler, DistributedSampler):
            self.loader.sampler.set_epoch(number)
        total = torch.zeros(2, device=self.world.device)
        batches = len(self.loader)
        for step, (inputs, labels) in enumerate(self.moved(self.loader)):
            last = (step + 1) % self.accumulate == 0 or step + 1 == batches
            with self.together(last):
                with self.precision():
                    loss = self.loss(self.call(inputs), labels)
                self.scaler.scale(loss / self.accumulate).backward()
            total += torch.stack([loss.detach() * len(labels), loss.new_tensor(len(labels))])
            if last:
                self.step()
        distributed.all_reduce(total)
        return float(total[0] / total[1])

    def together(self, last: bool) -> contextlib.AbstractContextManager[Any]:
        """Gradients are exchanged once for all that are added up."""
        if last or not isinstance(self.model, DistributedDataParallel):
            return contextlib.nullcontext()
        return self.model.no_sync()

    def step(self) -> None:
        """One change of the model."""
        longest = trainlib.hp_float("max_grad_norm") or 0.0
        if longest:
            self.scaler.unscale_(self.rule)
            nn.utils.clip_grad_norm_(self.model.parameters(), longest)
        self.scaler.step(self.rule)
        self.scaler.update()
        self.rule.zero_grad(set_to_none=True)
        self.schedule.step()

    def moved(self, loader: DataLoader[Any]) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches where the model is."""
        for inputs, labels in loader:
            yield inputs.to(self.world.device), labels.to(self.world.device)

    @torch.no_grad()
    def scores(self) -> dict[str, float]:
        """Loss, and accuracy of classes, on the channels that are not learnt from.

        Every process measures all rows: a sampler would count some of them twice.
        """
        self.model.eval()
        found: dict[str, float] = {}
        for kind, rows in self.data.items():
            if kind == "train":
                continue
            inputs, labels = (part.to(self.world.device) for part in rows.tensors)
            with self.precision():
                predicted = self.model(inputs)
                found[f"{kind}-loss"] = float(self.loss(predicted, labels))
            if self.problem.is_classification:
                right = predicted.argmax(1) == labels
                found[f"{kind}-accuracy"] = float(right.float().mean())
        return found

    def is_enough(self, scores: dict[str, float]) -> bool:
        """Whether the validation has not improved for as long as the form says."""
        patience = trainlib.hp_int("early_stopping_patience")
        if patience is None:
            return False
        loss = scores.get("validation-loss", float("inf"))
        self.stale = 0 if loss < self.best else self.stale + 1
        self.best = min(self.best, loss)
        return self.stale >= patience

    def save(self, epoch: int) -> None:
        """All processes give their parts, and one writes."""
        model, rule = get_state_dict(self.model, self.rule, options=WHOLE)
        if not self.world.leads:
            return
        data = io.BytesIO()
        state = {
            "model": model,
            "optimizer": rule,
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "best": self.best,
            "stale": self.stale,
        }
        torch.save(state, data)
        self.checkpoints.write(epoch, data.getvalue())

    def resume(self) -> int:
        """Goes on from the newest checkpoint that pod 0 sees; how many epochs are behind it.

        Pods without a common volume see none, and get the state from pod 0.
        """
        newest = self.checkpoints.newest() if self.world.leads else None
        box: list[Any] = [None]
        if newest:
            box = [(newest[0], torch.load(newest[1], map_location="cpu", weights_only=True))]
        distributed.broadcast_object_list(box, src=0)
        if box[0] is None:
            return 0
        epoch, state = box[0]
        set_state_dict(
            self.model,
            self.rule,
            model_state_dict=state["model"],
            optim_state_dict=state["optimizer"],
            options=StateDictOptions(full_state_dict=True),
        )
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])
        self.best, self.stale = state["best"], state["stale"]
        if self.world.leads:
            print(f"going on after epoch {epoch}", flush=True)
        return int(epoch)

    def finish(self, epochs: int, scores: dict[str, float]) -> None:
        """The weights with all that is needed to build the network and to scale its inputs."""
        weights, _ = get_state_dict(self.model, self.rule, options=WHOLE)
        if self.world.leads:
            model = {
                "weights": weights,
                "hidden_sizes": [int(size) for size in trainlib.hp_list("hidden_sizes")],
                "classes": list(self.problem.classes),
                "mean": list(self.problem.mean),
                "scale": list(self.problem.scale),
            }
            torch.save(model, self.results.path("model.pt"))
        self.results.finish({"epochs": epochs, "processes": self.world.size, "metrics": scores})


def main() -> None:
    """Meets, trains, parts."""
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads:
        torch.set_num_threads(int(threads))
    world = join()
    try:
        Trainer(world, trainlib.read_all()).run()
        # A process that leaves early would be taken for one that failed.
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
