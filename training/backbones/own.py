"""A network of one's own: a function in a Python file, which runs because it is named."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from avfeat.arguments import is_number
from avfeat.errors import ArgumentError
from avfeat.suggest import suggestion
from avfeat.training.backbones.backbone import AudioBackbone, Kernel, Look, Origin, Steps, VideoBackbone, as_outputs
from avfeat.training.backbones.loaded import fingerprint_of, versions
from avfeat.training.data.sources.address import Address

_VIDEO = {"size": 224, "resize": None, "kernel": "bilinear", "mean": (0.0,) * 3, "std": (1.0,) * 3} | {
    "frames": 4,
    "fps": None,
    "licence": "not stated",
    "trained": True,
}
_AUDIO = {"sample_rate": 16_000, "seconds": 2.0, "first": None, "period": None} | {
    "licence": "not stated",
    "trained": True,
}


def own_frames(name: str, address: Address) -> VideoBackbone:
    """A network of frames: calling ``name``, which is ``module.py:function``, gives it, and what it takes.

    The second is a dictionary of ``size`` (224, or height and width), ``resize`` (as of ``Look``; None for
    ``size``), ``kernel``, ``mean``, ``std``, ``frames``, ``fps`` (of a video network), ``licence``, ``trained``;
    each may be left out.

    Raises:
        ArgumentError: no such function, it raises, or gives something else.
    """
    network, takes = _call(name, address, _VIDEO)
    _check(address, takes, ("frames", "fps", "resize"), ("mean", "std"))
    crop = _pair(takes["size"], address)
    sides = (2, 3, *crop) if takes["fps"] is None else (2, 3, int(takes["frames"]), *crop)
    _check_outputs(network, torch.zeros(sides), address)
    resize = crop if takes["resize"] is None else takes["resize"]
    if takes["kernel"] not in get_args(Kernel):
        raise ArgumentError(f"{address.text}: kernel must be one of {', '.join(get_args(Kernel))}.")
    look = Look(
        resize if isinstance(resize, int) else _pair(resize, address),
        crop,
        cast(Kernel, takes["kernel"]),
        takes["mean"],
        takes["std"],
    )
    origin = _origin(address, takes, network)
    return VideoBackbone(network, look, pillow(look), origin, int(takes["frames"]), takes["fps"])


def own_audio(name: str, address: Address) -> AudioBackbone:
    """A network of sound: calling ``name`` gives it, and a dictionary of what it takes.

    That is ``sample_rate``, ``seconds`` and ``licence``; of a network that gives rows within a window behind its
    features, ``first`` and ``period``, too: the instant of the first row, and the time between two, in seconds.

    Raises:
        ArgumentError: no such function, it raises, or gives something else.
    """
    network, takes = _call(name, address, _AUDIO)
    _check(address, takes, ("sample_rate", "seconds", "period"))
    steps = _steps(address, takes)
    taken = torch.zeros(2, round(takes["seconds"] * takes["sample_rate"]))
    _check_outputs(network, taken, address, rows=steps is not None)

    def pipeline(waveform: NDArray[np.float32]) -> tuple[Tensor, ...]:
        return as_outputs(network(torch.from_numpy(waveform)[None]))

    rate, origin = int(takes["sample_rate"]), _origin(address, takes, network)
    return AudioBackbone(network, rate, pipeline, origin, float(takes["seconds"]), steps=steps)


def _steps(address: Address, takes: Mapping[str, Any]) -> Steps | None:
    """When rows within a window are, if the network is said to give some."""
    first, period = takes["first"], takes["period"]
    if period is None and first is None:
        return None
    if period is None or not (first is None or (is_number(first) and first >= 0)):
        raise ArgumentError(
            f"{address.text}: rows need a period in seconds, and first, from 0 on; not {period!r} and {first!r}."
        )
    return Steps(float(first or 0.0), float(period))


def _call(name: str, address: Address, known: Mapping[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    file, _, function = name.rpartition(":")
    made = _function(file, function, address)
    try:
        found = made()
    except Exception as error:  # it is the user's code, which may raise anything
        raise ArgumentError(f"{address.text}: raises {type(error).__name__}: {error}.") from error
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], nn.Module)):
        raise ArgumentError(f"{address.text}: must return a torch.nn.Module and a dictionary of what it takes.")
    network, takes = found
    if not isinstance(takes, dict):
        raise ArgumentError(f"{address.text}: what the network takes must be a dictionary, not {takes!r}.")
    for key in takes:
        if key not in known:
            raise ArgumentError(f"{address.text}: {key!r} is not known; {suggestion(str(key), list(known))}")
    return network.eval(), {**known, **takes}


def _function(file: str, function: str, address: Address) -> Callable[[], Any]:
    path = Path(file)
    spec = importlib.util.spec_from_file_location(path.stem, path) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise ArgumentError(f"{file}: no such Python file; name one as module.py:function.")
    module = importlib.util.module_from_spec(spec)
    # It may import what lies beside it.
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # it is the user's code, which may raise anything
        raise ArgumentError(f"{file}: cannot be imported ({type(error).__name__}: {error}).") from error
    finally:
        sys.path.pop(0)
    found = getattr(module, function, None)
    if not callable(found):
        raise ArgumentError(f"{address.text}: {file} has no function {function!r}.")
    return cast("Callable[[], Any]", found)


def _check(address: Address, takes: Mapping[str, Any], numbers: Sequence[str], colours: Sequence[str] = ()) -> None:
    """What must be a positive number is one, if it is a number or is not left to avfeat; colours are three."""
    for name in numbers:
        value = takes[name]
        left = value is None and name in ("fps", "resize", "period")
        if not left and not (name == "resize" and isinstance(value, list | tuple)) and not _positive(value):
            raise ArgumentError(f"{address.text}: {name} must be a positive number, not {value!r}.")
    for name in colours:
        value = takes[name]
        three = isinstance(value, list | tuple) and len(value) == 3 and all(is_number(one) for one in value)
        if not three or (name == "std" and not all(_positive(one) for one in value)):
            raise ArgumentError(f"{address.text}: {name} must be three numbers (red, green, blue), not {value!r}.")


def _positive(value: Any) -> bool:
    return is_number(value) and value > 0


def _check_outputs(network: nn.Module, taken: Tensor, address: Address, rows: bool = False) -> None:
    try:
        with torch.inference_mode():
            found = network(taken)
    except Exception as error:  # it is the user's code, which may raise anything
        why = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no reason'}"
        raise ArgumentError(f"{address.text}: cannot take {tuple(taken.shape)} ({why}).") from error
    outputs = as_outputs(found) if isinstance(found, Tensor | tuple | list) else ()
    ranks = [one.ndim if isinstance(one, Tensor) and one.ndim and len(one) == len(taken) else 0 for one in outputs]
    if ranks not in ([[2, 3], [2, 2, 3]] if rows else [[2], [2, 2]]):
        said = [list(one.shape) if isinstance(one, Tensor) else type(one).__name__ for one in outputs]
        what = type(found).__name__ if not said else " and ".join(map(str, said))
        behind = ", and rows (n, T, d) behind them, as there is a period" if rows else ""
        raise ArgumentError(
            f"{address.text}: forward must give a tensor (n, d), or features and unit vectors of a shared space, "
            f"each (n, d){behind}, and gives {what} for n = {len(taken)}."
        )


def _pair(size: Any, address: Address) -> tuple[int, int]:
    sides = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, list | tuple) else ()
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise ArgumentError(f"{address.text}: size must be a number of pixels, or height and width, not {size!r}.")
    return sides


def _origin(address: Address, takes: Mapping[str, Any], network: nn.Module) -> Origin:
    licence, trained = str(takes["licence"]), bool(takes["trained"])
    return Origin(address.text, licence, trained, versions("torch"), fingerprint_of(network))


def pillow(look: Look) -> Callable[[NDArray[np.uint8]], Tensor]:
    """``look`` as Pillow does it: what a network without a library of its own is held against."""
    kernel = Image.Resampling[look.kernel.upper()]
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (look.mean, look.std))

    def one(frame: NDArray[np.uint8]) -> Tensor:
        height, width = frame.shape[:2]
        if isinstance(look.resize, int):
            short = min(height, width)
            size = (int(width * look.resize / short), int(height * look.resize / short))
        else:
            size = (look.resize[1], look.resize[0])
        scaled = np.asarray(Image.fromarray(frame).resize(size, kernel))
        top, left = (round((side - kept) / 2) for side, kept in zip(scaled.shape[:2], look.crop, strict=True))
        seen = scaled[top : top + look.crop[0], left : left + look.crop[1]]
        return (torch.from_numpy(np.array(seen)).permute(2, 0, 1).float() / 255 - mean) / std

    def pipeline(frames: NDArray[np.uint8]) -> Tensor:
        rows = torch.stack([one(frame) for frame in frames])
        return rows

    return pipeline
