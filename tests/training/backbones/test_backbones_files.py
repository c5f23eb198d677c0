"""Files of weights and SPECs that strangers may have made."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from avfeat.errors import ArgumentError
from avfeat.training.backbones.loaded import load_weights, readable
from avfeat.training.backbones.registry import open_video
from avfeat.training.data.sources.address import Address
from avfeat.training.networks.published import WeightsError


def refused(file: Path) -> str:
    with pytest.raises(WeightsError) as caught, readable(Address("timm:x", "timm:x")):
        load_weights(nn.Linear(2, 2), file)
    return str(caught.value)


@pytest.mark.parametrize(
    "content", [[torch.zeros(1)], torch.zeros(3), {"state_dict": None}, {1: torch.zeros(1)}, {"weight": "x"}]
)
def test_what_is_no_state_dict(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pt")
    assert "w.pt holds no state dict of names and tensors" in refused(tmp_path / "w.pt")


def test_safetensors_that_are_broken_or_of_another_network(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"\xff" * 50)
    assert "header too large" in refused(tmp_path / "w.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "w.safetensors")
    assert "holds those of another network than Linear" in refused(tmp_path / "w.safetensors")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no FIFOs in folders")
@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert "not an ordinary file" in refused(tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no question marks in names")
def test_a_folder_may_have_a_question_mark(tmp_path: Path) -> None:
    folder = tmp_path / "what?now"
    folder.mkdir()
    (folder / "own.py").write_text("def frames():\n    return 3\n")
    with pytest.raises(ArgumentError, match=r"must return a torch\.nn\.Module"):
        open_video(f"{folder}/own.py:frames")


@pytest.mark.parametrize("said", ['{"frames": "x"}', '{"size": None}', '{"mean": 3}', '{"std": (0, 1, 1)}'])
def test_what_a_network_of_ones_own_takes_is_checked(tmp_path: Path, said: str) -> None:
    file = tmp_path / "own.py"
    file.write_text(f"from torch import nn\n\ndef frames():\n    return nn.Identity(), {said}\n")
    with pytest.raises(ArgumentError, match=r"own\.py:frames: (frames|size|mean|std) must be "):
        open_video(f"{file}:frames")
