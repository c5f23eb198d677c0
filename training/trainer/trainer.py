"""A training in this process: the model, its optimizer, a step of both, and all that has to survive."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from avfeat.bundle import Modality
from avfeat.errors import ArgumentError
from avfeat.training.augment import Composition
from avfeat.training.checkpoint import Checkpoint, CheckpointError
from avfeat.training.data import Cache
from avfeat.training.data.loader import Batch, loading, make_loader
from avfeat.training.data.randomness import Order
from avfeat.training.networks.channels_last import to_channels_last
from avfeat.training.objectives import momentum_at
from avfeat.training.provenance import describe_data, revision, versions
from avfeat.training.recipes import Recipe
from avfeat.training.trainer.events import Cost
from avfeat.training.trainer.meter import Meter
from avfeat.training.trainer.model import MODALITIES, Pretraining, StepOutput, count_parameters
from avfeat.training.trainer.optimizer import build_optimizer, rate_at, set_rate
from avfeat.training.trainer.process import Process
from avfeat.training.trainer.start import begin
from avfeat.training.trainer.teacher import Teacher
from avfeat.training.trainer.views import Views, augment_views, seeds_of, to_device
from avfeat.training.trainer.watch import Finite, signs

_PAIR = "pair."
_TRIALS = 2
_UNFOLDED = 4
"""Batches of the training data that BatchNorm statistics of a bundle's networks are taken from."""


class Trainer:
    """The model, its optimizer and the data; one step at a time.

    Attributes:
        data: what it trains on, in facts.
        provenance: versions and revision of the code that runs, and of a teacher its facts.
        teacher: what the model learns from, too, or None.
        model: as it is, and ``wrapped`` for several processes.
        part: clips of one pass in this process.
    """

    def __init__(self, recipe: Recipe, cache: Cache, source: str, process: Process, published: bool = True) -> None:
        """Build everything from the recipe's seed; torch's global generator is left as it was.

        Args:
            recipe: what to do.
            cache: prepared with ``recipe.cache``.
            source: of the data, as it was asked for.
            process: this one.
            published: False leaves out published weights, for a training whose own are loaded next.

        Raises:
            ArgumentError: a recipe whose parts do not go together, a batch that the processes cannot share or that
                there are too few clips for, a cache that was prepared otherwise, or a teacher of other windows.
            CheckpointError: a teacher that is missing, broken, or still being trained.
        """
        self.recipe, self.cache, self.process = recipe, cache, process
        self.data = describe_data(source, cache)
        self.provenance: dict[str, Any] = {"revision": revision(), "versions": versions()}
        self.part = _part(recipe, process.world_size)
        _check_data(recipe, cache, self.part, process.world_size)
        with torch.random.fork_rng():
            self.teacher = Teacher.from_recipe(recipe)
            torch.manual_seed(recipe.seed)
            self.model = Pretraining(recipe, published, self.teacher.lessons if self.teacher else None)
            if published:
                self._begin()
        to_channels_last(self.model).to(process.device)
        if self.teacher is not None:
            self.teacher.to(process.device)
            self.provenance |= {"teacher": self.teacher.facts}
        if recipe.compile:
            for backbone in self.model.backbones.values():
                backbone.compile()
        self.wrapped: nn.Module = process.wrapped(self.model)
        self.optimizer = build_optimizer(self.model, recipe.optimizer, recipe.batch_size)
        self.meter, self._finite = Meter(), Finite()
        self._trained = [one for one in self.model.parameters() if one.requires_grad]

    @contextmanager
    def batches(self, done: int) -> Iterator[Iterator[Batch]]:
        """All passes of the steps after ``done``, from worker processes that leave with the block."""
        recipe, world_size = self.recipe, self.process.world_size
        passes = recipe.grad_accumulation_steps
        loader = make_loader(
            self.cache,
            recipe.sampling,
            self.part,
            recipe.steps * passes,
            start_step=done * passes,
            seed=recipe.seed,
            rank=self.process.rank,
            world_size=world_size,
            workers=self._workers() if done < recipe.steps else 0,
            required_streams=recipe.required_streams,
        )
        with loading(loader) as batches:
            yield batches

    def step(self, step: int, batches: Iterator[Batch]) -> tuple[StepOutput, Views]:
        """One step of the optimizer; gives the outcome and the views of its last pass.

        Raises:
            DivergedError: loss or gradient of the step before were not numbers.
        """
        recipe = self.recipe
        peak = recipe.optimizer.peak(recipe.batch_size)
        set_rate(self.optimizer, self.rate(step), peak)
        outcomes = []
        for number in range(recipe.grad_accumulation_steps):
            with self.meter.waiting():
                batch = next(batches)
            last = number + 1 == recipe.grad_accumulation_steps
            outcome, views = self.forward_backward(batch, step * recipe.grad_accumulation_steps + number, last)
            outcomes.append(outcome)
        norm = nn.utils.clip_grad_norm_(self._trained, recipe.optimizer.max_grad_norm or float("inf"))
        self._finite.watch(step + 1, torch.stack([one.total.detach() for one in outcomes]).sum(), norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if (base := self.model.base_momentum) is not None:
            self.model.update_targets(momentum_at((step + 1) / recipe.steps, base))
        self.meter.add(outcomes, norm, recipe.batch_size)
        return outcomes[-1], views

    def forward_backward(self, batch: Batch, number: int, last: bool = True) -> tuple[StepOutput, Views]:
        """One pass: augment, embed, compare, and the gradient of it.

        Args:
            batch: from the loader.
            number: of the pass in the whole training.
            last: whether it is the last one of its step, after which processes average gradients.
        """
        recipe, device = self.recipe, self.process.device
        seeds = seeds_of(recipe.seed, number, self.process.rank, len(batch["item"]) * self.model.views)
        inputs = to_device(batch, device, self.model.modalities)
        views = augment_views(inputs, recipe.augment, recipe.encoders.sample_rate, seeds)
        apart = nullcontext() if last or self.process.world_size == 1 else cast(Any, self.wrapped).no_sync()
        with apart:
            with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
                taught = None if self.teacher is None else self.teacher(views)
                outcome: StepOutput = self.wrapped(views.frames, views.waveform, views.present, taught)
            torch.autograd.backward(outcome.total / recipe.grad_accumulation_steps)
        return outcome, views

    @property
    def bf16(self) -> bool:
        """Whether the networks compute in bfloat16, by autocast."""
        precision = self.recipe.precision
        automatic = self.process.device.type == "cuda" and torch.cuda.is_bf16_supported()
        return precision == "bf16" or (precision == "auto" and automatic)

    def rate(self, step: int) -> float:
        """The learning rate of a step, from 0 on."""
        recipe = self.recipe
        return rate_at(step, recipe.steps, recipe.optimizer, recipe.batch_size)

    def metrics(self, done: int, outcome: StepOutput, views: Views) -> dict[str, float]:
        """Means since the last call, and how alive the last batch's embeddings are."""
        return {
            "step": done,
            **self.meter.take(self.process),
            "rate": self.rate(done - 1),
            **signs(outcome, views.present),
        }

    def trial(self) -> float:
        """Seconds of a step, from two on random numbers; nothing of the model is changed by them."""
        kept = {name: one.clone() for name, one in self.model.state_dict().items()}
        took = 0.0
        for _ in range(_TRIALS):
            begun = time.perf_counter()
            for _ in range(self.recipe.grad_accumulation_steps):
                outcome, _ = self.forward_backward(self._noise(), 0)
            outcome.total.item()
            took = time.perf_counter() - begun
        self.optimizer.zero_grad(set_to_none=True)
        self.model.load_state_dict(kept)
        return took

    def cost(self, done: int, seconds: float) -> Cost:
        """What is to come after ``done`` steps of so many seconds."""
        recipe, model, device = self.recipe, self.model, self.process.device
        clips = len(self.cache.members(recipe.required_streams))
        parameters = {str(name): count_parameters([getattr(model.pair, name)]) for name in MODALITIES}
        heads: list[nn.Module] = [model.objective.projectors, model.objective.predictors]
        heads += [] if model.distillation is None else [model.distillation]
        return Cost(
            parameters={**parameters, "heads": count_parameters(heads)},
            steps=recipe.steps - done,
            batch_size=recipe.batch_size,
            clips=clips,
            epochs=(recipe.steps - done) * recipe.batch_size / clips,
            seconds=(recipe.steps - done) * seconds,
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            processes=self.process.world_size,
        )

    def checkpoint(self, done: int, extra: dict[str, Any]) -> Checkpoint:
        """All that going on after ``done`` steps needs; ``extra`` is the caller's.

        Raises:
            DivergedError: the last step's numbers were none; there is nothing to keep.
        """
        self._finite.check()
        whole = {name: one.cpu() for name, one in self.model.state_dict().items()}
        encoders = {name.removeprefix(_PAIR): one for name, one in whole.items() if name.startswith(_PAIR)}
        return Checkpoint(
            recipe=self.recipe.to_values(),
            step=done,
            data=self.data,
            provenance=self.provenance,
            encoders=encoders,
            training={
                "rest": {name: one for name, one in whole.items() if not name.startswith(_PAIR)},
                "optimizer": self.optimizer.state_dict(),
                "meter": self.meter.state(),
                **extra,
            },
        )

    def load(self, before: Checkpoint) -> None:
        """Be where the training was that wrote ``before``; of the same recipe and data, see ``resume``.

        Raises:
            CheckpointError: it lacks what a training needs, or has it of another one.
        """
        encoders = {f"{_PAIR}{name}": one for name, one in before.encoders.items()}
        if "init" in before.provenance:
            self.provenance |= {"init": before.provenance["init"]}
        try:
            self.model.load_state_dict(encoders | dict(before.training["rest"]))
            self.optimizer.load_state_dict(before.training["optimizer"])
            self.meter.load(before.training["meter"], self.process.device)
        except (KeyError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise CheckpointError(
                f"The checkpoint does not hold what this training needs to go on ({reason}); "
                "train into another folder."
            ) from error

    def _begin(self) -> None:
        """Take the weights of trained pairs that the recipe names."""
        recipe = self.recipe
        loader = make_loader(
            self.cache,
            recipe.sampling,
            self.part,
            _UNFOLDED,
            seed=recipe.seed,
            required_streams=recipe.required_streams,
        )
        seeds = seeds_of(recipe.seed, 0, 0, self.part * self.model.views)

        def batches(modality: Modality) -> Iterator[Tensor]:
            for batch in loader:
                views = augment_views(batch, Composition(), recipe.encoders.sample_rate, seeds)
                there = views.present[modality].repeat_interleave(self.model.views)
                x = views.frames if modality == "video" else views.waveform
                if x is not None and there.any():
                    yield x[there] if modality == "video" else self.model.log_mel(x[there])

        facts = begin(self.model.pair, recipe.encoders, batches)
        self.model.train()
        if facts:
            self.provenance |= {"init": facts}

    def _noise(self) -> Batch:
        """A batch as the loader gives them, of noise."""
        spec, views = self.recipe.encoders, self.model.views
        generator = torch.Generator().manual_seed(0)
        shape = (self.part, views, spec.frames, spec.size, spec.size, 3)
        there = torch.ones(self.part, dtype=torch.bool)
        samples = self.recipe.sampling.samples(spec.sample_rate)
        return {
            "frames": torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),
            "waveform": 0.1 * torch.randn((self.part, views, samples), generator=generator),
            "has_video": there,
            "has_audio": there,
            "item": torch.arange(self.part),
        }

    def _workers(self) -> int:
        if self.recipe.workers is not None:
            return self.recipe.workers
        cores = (os.cpu_count() or 1) // self.process.world_size
        return 1 if self.process.device.type == "cpu" else max(1, min(8, cores - 1))


def _check_data(recipe: Recipe, cache: Cache, part: int, world_size: int) -> None:
    wanted = replace(recipe.cache, quality=cache.settings.quality)
    if cache.settings != wanted:
        raise ArgumentError(
            f"{cache.path}: was prepared with {cache.settings}; the recipe's encoders need {wanted}."
        )
    # Refuses too few clips now, not after all that comes before the first batch.
    Order(cache.members(recipe.required_streams), recipe.seed, part, world_size)


def _part(recipe: Recipe, world_size: int) -> int:
    parts = recipe.grad_accumulation_steps * world_size
    if recipe.batch_size % parts or recipe.batch_size // parts < 2:
        raise ArgumentError(
            f"batch_size {recipe.batch_size} cannot be shared by {world_size} processes with {recipe.grad_accumulation_steps} passes "
            "each; take a multiple of that, with 2 clips or more a pass."
        )
    return recipe.batch_size // parts
