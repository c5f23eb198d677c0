"""The GPU path without a GPU: networks, augmentations, objectives and teachers on ``cuda``, in bf16.

See ``fake_cuda``; ``docs/gpu-validation.md`` has the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from fake_cuda import Seen, bf16, fake_cuda, moved
from torch import nn

from avfeat.bundle import Modality
from avfeat.training.augment import Clips, Composition, SampleRNG
from avfeat.training.augment.compose import list_compositions, load_composition
from avfeat.training.augment.registry import AUGMENTATIONS
from avfeat.training.backbones.backbone import AudioBackbone, Origin
from avfeat.training.backbones.mn04 import SAMPLE_RATE, Mn04
from avfeat.training.backbones.registry import open_video
from avfeat.training.networks import PairSpec, build_pair
from avfeat.training.networks.registry import AUDIO_NETWORKS, VIDEO_NETWORKS, log_mel_of
from avfeat.training.objectives import OBJECTIVES, Pairs, build_objective
from avfeat.training.objectives.distillation import Distillation, DistillationSettings
from avfeat.training.objectives.embedded import Chosen
from avfeat.training.teachers.audio import AudioTeacher
from avfeat.training.teachers.lesson import Lesson, TeacherOutput
from avfeat.training.teachers.run import RunTeacher
from avfeat.training.teachers.video import VideoTeacher

BATCH = 4
TINY = PairSpec("tiny_shift", "tiny_mel")
PRESENT: dict[str, list[bool]] = {"all": [True] * 4, "some": [True, False, True, True], "one": [False] * 3 + [True]}


def on_cuda(found: Any) -> bool:
    return {one.device.type for one in found} == {"cuda"}


def check_clean(seen: Seen) -> None:
    """Nothing waited for the GPU, and nothing was made beside it."""
    assert (seen.waits, seen.elsewhere) == ([], [])


@pytest.mark.parametrize("name", VIDEO_NETWORKS)
def test_every_video_network_runs_forward_on_cuda_in_bf16(name: str) -> None:
    spec = replace(TINY, video=name, size=max(48, VIDEO_NETWORKS[name].size))
    with torch.device("meta"):
        network = build_pair(spec, published=False).train().video
    with fake_cuda():
        frames = torch.zeros(2, spec.frames, 3, spec.size, spec.size, device="cuda")
        moved(network)
        with Seen() as seen, bf16():
            outs = [*network(frames)]
    assert on_cuda(outs) and {len(out) for out in outs} == {2}
    assert torch.bfloat16 in seen.products
    check_clean(seen)


@pytest.mark.parametrize("name", AUDIO_NETWORKS)
def test_every_audio_network_runs_forward_on_cuda_in_bf16(name: str) -> None:
    spec = replace(TINY, audio=name)
    log_mel = log_mel_of(spec)
    with torch.device("meta"):
        network = build_pair(spec, published=False).train().audio
    with fake_cuda():
        waveform = torch.zeros(2, round(spec.seconds * spec.sample_rate), device="cuda")
        moved(network), moved(log_mel)
        with Seen() as seen, bf16():
            outs = [*network(log_mel(waveform))]
    assert on_cuda(outs) and {len(out) for out in outs} == {2}
    assert torch.bfloat16 in seen.products
    check_clean(seen)


def augmented(composition: Composition) -> Seen:
    """What a second batch does: constants have been copied for the first."""
    with fake_cuda():
        clips = Clips(torch.zeros(BATCH, 8, 3, 32, 48, device="cuda"), torch.zeros(BATCH, 16_000, device="cuda"))
        seeds = torch.zeros(BATCH, dtype=torch.int64, device="cuda")
        with Seen() as first:
            composition(clips, SampleRNG(seeds))
        with Seen() as seen:
            found = composition(clips, SampleRNG(seeds))
    assert found.frames is not None and found.waveform is not None
    assert on_cuda([found.frames, found.waveform])
    assert (found.frames.shape, found.waveform.shape) == ((BATCH, 8, 3, 32, 48), (BATCH, 16_000))
    assert {found.frames.dtype, found.waveform.dtype} == {torch.float32}
    # Once a device: noise, and matrices of colours.
    assert set(first.waits) <= {"_to_copy"} and len(first.waits) <= 4
    return seen


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_runs_on_cuda(name: str) -> None:
    check_clean(augmented(Composition((AUGMENTATIONS[name](p=0.5),))))


@pytest.mark.parametrize("name", list_compositions())
def test_every_shipped_composition_runs_on_cuda(name: str) -> None:
    check_clean(augmented(load_composition(name)))


@pytest.mark.parametrize("there", ["some", "one"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_runs_forward_on_cuda_in_bf16(name: str, there: str) -> None:
    dims: dict[Modality, int] = {"video": 24, "audio": 16}
    present: dict[Modality, Any] = {"video": torch.tensor(PRESENT[there]), "audio": torch.tensor(PRESENT["all"])}
    with torch.device("meta"):
        objective = build_objective(name, dims, {"hidden": 32, "out": 8}, Pairs(1.0, 1.0, 1.0, 1.0))
    with fake_cuda():
        moved(objective)
        with torch.device("cuda"):
            features = {side: [torch.zeros(BATCH, dim) for _ in range(2)] for side, dim in dims.items()}
        with Seen() as seen:
            with bf16():
                losses = objective(features, features if objective.momentum else None, present)
            objective.update_target(0.9)
    assert on_cuda([losses.total, *losses.terms.values(), *losses.counts.values(), *losses.projections.values()])
    # Embeddings in half precision, the loss not.
    assert {torch.bfloat16} <= seen.products <= {torch.bfloat16, torch.float32}
    assert losses.total.dtype == torch.float32
    check_clean(seen)


@pytest.mark.parametrize(("loss", "there"), [("cosine", "some"), ("smooth_l1", "one")])
def test_distillation_runs_forward_on_cuda_in_bf16(loss: Any, there: str) -> None:
    settings = DistillationSettings("any", hidden=32, loss=loss, scores=1.0)
    lessons: dict[Modality, Lesson] = {"video": Lesson(12, 5), "audio": Lesson(12, 7, several=True)}
    dims: dict[Modality, int] = {"video": 24, "audio": 16}
    present: dict[Modality, Any] = dict.fromkeys(dims, torch.tensor(PRESENT[there]))
    rows = {name: Chosen(mask) for name, mask in present.items()}
    with torch.device("meta"):
        distillation = Distillation(settings, dims, lessons)
    with fake_cuda():
        moved(distillation)
        with torch.device("cuda"):
            features = {name: rows[name](torch.zeros(BATCH, dim)) for name, dim in dims.items()}
            taught = {
                name: TeacherOutput(torch.zeros(BATCH, one.dim), torch.zeros(BATCH, one.classes))
                for name, one in lessons.items()
            }
        with Seen() as seen, bf16():
            total = distillation(features, rows, present, taught)
    assert on_cuda([total]) and total.dtype == torch.float32
    assert torch.bfloat16 in seen.products
    check_clean(seen)


def _pictures(spec: str) -> nn.Module:
    found = open_video(spec)
    return VideoTeacher(replace(found, look=replace(found.look, crop=(64, 64))), 2)


def _mn04() -> nn.Module:
    network = Mn04().eval()
    origin = Origin("mn04_as", "ours")
    found = AudioBackbone(network, SAMPLE_RATE, lambda x: (), origin, classifier=network.classifier)
    return AudioTeacher(found, TINY)


TEACHERS: dict[str, Callable[[], nn.Module]] = {
    "timm": lambda: _pictures("timm:tf_efficientnet_lite0?weights=none"),
    "torchvision": lambda: _pictures("torchvision:mobilenet_v3_small?weights=none"),
    "video of a run": lambda: RunTeacher(build_pair(TINY).video, None, {}),
    "mn04_as": _mn04,
    "audio of a run": lambda: RunTeacher(build_pair(TINY).audio, log_mel_of(TINY), {}),
}


@pytest.mark.parametrize("name", TEACHERS)
def test_every_teacher_runs_on_cuda(name: str) -> None:
    teacher = TEACHERS[name]()
    sound = name in ("mn04_as", "audio of a run")
    with fake_cuda():
        x = torch.zeros((BATCH, 32_000) if sound else (BATCH, 16, 3, 48, 48), device="cuda")
        moved(teacher)
        with Seen() as seen, torch.no_grad(), bf16():
            features, scores = teacher(x)
    assert on_cuda([features] if scores is None else [features, scores])
    # What mn04_as hears spans more than half precision holds.
    assert (torch.bfloat16 in seen.products) is (name != "mn04_as")
    check_clean(seen)


def test_what_waits_is_noticed() -> None:
    mask = torch.tensor([True, False])
    with fake_cuda(), Seen() as seen:
        x = torch.zeros(2, 3, device="cuda")
        for wait in (
            lambda: x.cpu(),
            lambda: mask.to("cuda"),
            lambda: x.sum().item(),
            lambda: x[x > 0],
            lambda: torch.tensor([1.0, 2.0], device="cuda"),
            lambda: x[:, [0, 2]],
        ):
            before = len(seen.waits)
            # Of a fake number, or a fake mask, there is no value to go on with.
            try:
                wait()
            except (
                torch._subclasses.fake_tensor.DataDependentOutputException,
                torch._subclasses.fake_tensor.DynamicOutputShapeException,
            ):
                seen.waits.append("value")
            assert len(seen.waits) > before
        before = len(seen.waits)
        x.to("cpu", non_blocking=True), mask.to("cuda", non_blocking=True), x + 1
        assert len(seen.waits) == before
        with pytest.raises(RuntimeError, match="device"):
            x + torch.zeros(3)
        torch.zeros(3)
    assert seen.elsewhere
