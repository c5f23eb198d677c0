"""What the file of a classifier says of itself: JSON in the metadata of the ONNX file, read as anybody's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avfeat.backends.onnx_file import read_metadata
from avfeat.bundle import MODALITIES
from avfeat.classify.choice import PROBES
from avfeat.errors import OutputError
from avfeat.plain import check_depth

KEY = "avfeat.json"
FORMAT, VERSION = "avfeat-classifier", 1
MOST_BYTES = 2**28
MOST_CLASSES, MOST_DIM = 100_000, 2**20
_DEEPEST = 16


@dataclass(frozen=True)
class Card:
    """The description of a classifier.

    Attributes:
        labels: the classes, in the order of the columns.
        dims: numbers in a row of features, by modality that the classifier looks at.
        probes: those that it has, of ``av``, ``video`` and ``audio``; the first that a file has all of speaks.
        bundle: sha256 of the bundle whose features it takes.
        bundle_name: its name.
        avfeat: the version that fitted it.
        figures: what it reached on groups that it was not fitted on.
    """

    labels: tuple[str, ...]
    dims: Mapping[str, int]
    probes: tuple[str, ...]
    bundle: str
    bundle_name: str
    avfeat: str
    figures: Mapping[str, Any]

    def to_json(self) -> str:
        """As the file has it."""
        values = {
            **{"format": FORMAT, "version": VERSION, "labels": self.labels, "dims": dict(self.dims)},
            **{"probes": self.probes, "bundle": self.bundle, "bundle_name": self.bundle_name},
            **{"avfeat": self.avfeat, "figures": dict(self.figures)},
        }
        return json.dumps(values, ensure_ascii=False, allow_nan=False)


def not_a_classifier(path: Path, why: object) -> OutputError:
    """The error for a file that is none."""
    return OutputError(f"{path}: is no classifier ({why}); make one with: avfeat classify fit DATA -o model.onnx")


def read_card(path: Path) -> Card:
    """Read and check the description in an ONNX file.

    Raises:
        OutputError: it is not there, no classifier, too large, or of a newer version.
    """
    try:
        text = read_metadata(path, MOST_BYTES).get(KEY)
        if text is None:
            raise ValueError("it does not say what it is")
        values = json.loads(text)
        check_depth(values, _DEEPEST)
        return _checked(values)
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise not_a_classifier(path, error) from error


def _checked(values: Any) -> Card:
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    if values.get("version") != VERSION:
        raise ValueError(f"its version is {values.get('version')!r}, and this avfeat reads {VERSION}")
    labels, dims, probes = values.get("labels"), values.get("dims"), values.get("probes")
    if not isinstance(labels, list) or not all(isinstance(one, str) and one for one in labels):
        raise ValueError("its labels are no list of names")
    if not 2 <= len(labels) <= MOST_CLASSES or len(set(labels)) != len(labels):
        raise ValueError(f"it has {len(labels)} labels, which are not two or more different ones")
    if not isinstance(dims, dict) or not dims or not set(dims) <= set(MODALITIES):
        raise ValueError("its dims are not those of video and audio")
    if not all(
        isinstance(dim, int) and not isinstance(dim, bool) and 1 <= dim <= MOST_DIM for dim in dims.values()
    ):
        raise ValueError("its dims are no whole numbers")
    if not isinstance(probes, list) or not probes or any(one not in PROBES for one in probes):
        raise ValueError("its probes are not some of av, video and audio")
    if len(set(probes)) < len(probes):
        raise ValueError("it has a probe twice")
    if set(dims) != {name for one in probes for name in (MODALITIES if one == "av" else (one,))}:
        raise ValueError("its dims are not those that its probes need")
    bundle, name, version = values.get("bundle"), values.get("bundle_name"), values.get("avfeat")
    if not isinstance(bundle, str) or not re.fullmatch("[0-9a-f]{64}", bundle):
        raise ValueError("its bundle is no SHA-256")
    figures = values.get("figures")
    if not isinstance(name, str) or not isinstance(version, str) or not isinstance(figures, dict):
        raise ValueError("bundle_name, avfeat or figures are not there")
    return Card(tuple(labels), dict(dims), tuple(probes), bundle, name, version, figures)
