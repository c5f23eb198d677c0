from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundles import without_parity
from exporting import SPECS
from processes import begun

import avfeat
from avfeat.export.media import ClipWindows
from avfeat.export.model import open_model
from avfeat.export.precision import graphs
from avfeat.training.checkpoint import Checkpoint
from avfeat.training.networks import PAIRS


def test_a_run_becomes_a_bundle_that_verifies(
    avfeat_command: Any, run_folder: Path, media: Path, clip: Path
) -> None:
    ran = avfeat_command("export", run_folder, "-o", "b", "--format", "onnx,pt2", "--calibration", media)
    assert ran.status == 0, ran.err
    assert "avfeat verify b" in ran.out and "avfeat embed video.mp4 --model b" in ran.out and "FAIL" not in ran.out
    bundle = avfeat.Bundle.open("b")
    assert (bundle.name, bundle.trained, bundle.licence) == ("avfeat-first", True, "not stated")
    assert bundle.formats == ("onnx", "pt2")
    assert bundle.provenance["step"] == 7 and bundle.provenance["revision"] == "abc"
    assert bundle.provenance["recipe"]["name"] == "smoke" and "squares: 4 clips" in bundle.provenance["data"]
    assert avfeat_command("verify", "b").status == 0
    assert "of the distance between clips" in avfeat_command("info", "b").out
    assert "not stated" in avfeat_command("info", without_parity(Path("old"))).out
    assert avfeat_command("verify", "b", "--backend", "pt2").status == 0
    assert avfeat_command("embed", clip, "--model", "b", "--backend", "pt2", "-o", "v.npz").status == 0
    with np.load("v.npz") as found:
        assert found["video"].shape == (11, 256) and np.isfinite(found["audio"]).all()


def test_what_a_teacher_was_trained_on_is_part_of_the_data(
    run_folder: Path, windows: ClipWindows, tmp_path: Path
) -> None:
    plain = Checkpoint.load(run_folder)
    facts = {"source": "runs/large", "step": 9, "data": {"source": "circles", "clips": 8, "seconds": 9.5}}
    replace(plain, provenance=plain.provenance | {"teacher": facts}).save(tmp_path / "taught.pt")
    said = open_model(str(tmp_path / "taught.pt"), windows).weights_origin.data
    own = "squares: 4 clips, 4.8 s"
    assert said == f"{own}; learned from a teacher that was trained on circles: 8 clips, 9.5 s"
    each = {"video": {"source": "efficientnet_lite0", "licence": "Apache-2.0"}, "audio": facts}
    begun = {"init": {"audio": "default (bundle avfeat-mini, sha256 abc)"}}
    replace(plain, provenance=plain.provenance | begun | {"teacher": each}).save(tmp_path / "taught.pt")
    said = open_model(str(tmp_path / "taught.pt"), windows).weights_origin.data
    assert said == (
        f"{own}; audio begun with default (bundle avfeat-mini, sha256 abc); video learned from efficientnet_lite0 "
        "(Apache-2.0); audio learned from runs/large (trained on circles: 8 clips, 9.5 s)"
    )
    assert open_model(str(run_folder), windows).weights_origin.data == own


def test_untrained_networks_are_calibrated_and_say_so(
    avfeat_command: Any, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PAIRS, "small", SPECS["crop"])
    arguments = ("--calibration", media, "--name", "mine", "--licence", "CC0")
    ran = avfeat_command("export", "untrained:small?seed=3", "-o", "b", *arguments)
    assert ran.status == 0, ran.err
    bundle = avfeat.Bundle.open("b")
    assert (bundle.name, bundle.trained, bundle.licence) == ("mine", False, "CC0")
    assert bundle.video.aspect == "crop"
    card = Path("b/MODEL_CARD.md").read_text("utf-8")
    assert "its weights are random" in card and "no meaning was learned" in card
    assert "| video onnx | cpu | features | media |" in card


def test_the_card_holds_what_its_author_writes(avfeat_command: Any, run_folder: Path, media: Path) -> None:
    Path("notes.md").write_text("## Results\n\nkNN 0.5 ± 0.1.\n", "utf-8")
    words = ("--data", "squares that move", "--notes", "notes.md")
    ran = avfeat_command("export", run_folder, "-o", "b", "--calibration", media, *words)
    assert ran.status == 0, ran.err
    assert avfeat.Bundle.open("b").provenance["data"] == "squares that move"
    card = Path("b/MODEL_CARD.md").read_text("utf-8")
    assert "- Data: squares that move.\n" in card and "\n\n## Results\n\nkNN 0.5 ± 0.1.\n\n## Parity\n" in card


@pytest.mark.parametrize(
    ("source", "arguments", "says"),
    [
        ("run", ("--notes", "missing.md"), "missing.md"),
        ("run", ("--notes", "latin.md"), "latin.md: cannot be read as text"),
        ("untrained:mini", ("--data", "films"), "nothing was trained, so there are no words about its data"),
    ],
)
def test_words_that_do_not_fit_are_refused(
    avfeat_command: Any, run_folder: Path, media: Path, source: str, arguments: tuple[str, ...], says: str
) -> None:
    Path("latin.md").write_bytes("é".encode("latin-1"))
    run = run_folder if source == "run" else source
    ran = avfeat_command("export", run, "-o", "b", "--calibration", media, *arguments)
    assert ran.status == 2 and says in ran.err and not Path("b").exists()


def test_wrong_files_are_refused_with_the_table_on_stderr(
    avfeat_command: Any, run_folder: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Shifted(graphs.RawVideo):
        def forward(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return super().forward(frames.roll(1, 1))

    monkeypatch.setattr(graphs, "RawVideo", Shifted)
    ran = avfeat_command("export", run_folder, "-o", "b", "--format", "torchscript", "--calibration", media)
    assert ran.status == 1 and ran.out == "" and not Path("b").exists()
    *table, last = ran.err.splitlines()
    assert sum("FAIL" in line for line in table) == 6 and sum(line.endswith("ok") for line in table) == 6
    assert last.startswith("error: video torchscript: parity check failed")


@pytest.mark.parametrize(
    "options",
    [
        ("--format", "torchscript", "--precision", "fp16"),
        ("--format", "onnx,pt2", "--precision", "int8"),
        ("--format", "tflite"),
        ("--format", ""),
        ("--precision", "bf16"),
    ],
)
def test_other_combinations_are_wrong_usage(
    avfeat_command: Any, run_folder: Path, options: tuple[str, ...]
) -> None:
    ran = avfeat_command("export", run_folder, "-o", "b", *options)
    assert ran.status == 2 and ran.out == "" and not Path("b").exists()
    assert "onnx in fp32, fp16, int8; torchscript in fp32; pt2 in fp32, fp16" in ran.err


@pytest.mark.parametrize(
    ("source", "status", "says"),
    [
        ("gone", 1, "gone: "),
        ("untrained:minni", 2, "did you mean 'mini'?"),
        ("untrained:mini?sead=1", 2, "did you mean 'seed'?"),
        ("untrained:mini?seed=x", 2, "seed must be a whole number"),
    ],
)
def test_what_cannot_be_exported(avfeat_command: Any, source: str, status: int, says: str) -> None:
    ran = avfeat_command("export", source, "-o", "b")
    assert ran.status == status and says in ran.err and len(ran.err.splitlines()) == 1
    assert not Path("b").exists()


def test_checkpoint_of_another_version_is_refused(avfeat_command: Any, run_folder: Path, tmp_path: Path) -> None:
    values = torch.load(run_folder / "checkpoints" / "last.pt", weights_only=True)
    torch.save({**values, "version": 99}, tmp_path / "new.pt")
    ran = avfeat_command("export", tmp_path / "new.pt", "-o", "b")
    assert ran.status == 1 and "checkpoint version 99" in ran.err
    del values["encoders"]
    torch.save(values, tmp_path / "less.pt")
    ran = avfeat_command("export", tmp_path / "less.pt", "-o", "b")
    assert ran.status == 1 and "has no encoders" in ran.err


def test_an_existing_bundle_is_kept(avfeat_command: Any, run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine").touch()
    ran = avfeat_command("export", run_folder, "-o", "b")
    assert ran.status == 2 and "exists already" in ran.err


def test_one_clip_is_too_few(avfeat_command: Any, run_folder: Path, media: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.mkv").write_bytes((media / "0.mkv").read_bytes())
    ran = avfeat_command("export", run_folder, "-o", "b", "--calibration", "one")
    assert ran.status == 2 and "two different ones are needed" in ran.err


def test_a_format_that_is_named_twice_is_refused(avfeat_command: Any, run_folder: Path) -> None:
    ran = avfeat_command("export", run_folder, "-o", "b", "--format", "onnx,onnx")
    assert (ran.status, ran.err) == (2, "error: --format onnx,onnx: names a format twice.\n")


def test_the_next_commands_can_be_pasted(avfeat_command: Any, run_folder: Path, media: Path) -> None:
    ran = avfeat_command("export", run_folder, "-o", "my bundle", "--calibration", media)
    assert "  avfeat verify 'my bundle'\n" in ran.out


def test_a_checkpoint_of_other_things_is_refused(avfeat_command: Any, run_folder: Path, tmp_path: Path) -> None:
    values = torch.load(run_folder / "checkpoints" / "last.pt", weights_only=True)
    torch.save({**values, "encoders": [1, 2]}, tmp_path / "list.pt")
    ran = avfeat_command("export", tmp_path / "list.pt", "-o", "b")
    assert ran.status == 1 and "list.pt: encoders is not what avfeat writes" in ran.err


def test_verify_shows_distances_in_json(avfeat_command: Any, run_folder: Path, media: Path) -> None:
    assert avfeat_command("export", run_folder, "-o", "b", "--calibration", media).status == 0
    checks = json.loads(avfeat_command("verify", "b", "--json", "-").out)["checks"]
    assert all(0 <= check["distance"] <= check["distance_limit"] for check in checks)
    old = json.loads(avfeat_command("verify", without_parity(Path("old")), "--json", "-").out)["checks"]
    assert all("distance" not in check and check["ok"] for check in old)


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_export_that_is_stopped_leaves_nothing(
    run_folder: Path, media: Path, tmp_path: Path, number: int
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = begun(
        *("export", run_folder, "-o", "b", "--calibration", media),
        cwd=tmp_path,
        until=lambda: list(scratch.glob("avfeat-parity-*/bundle/bundle.json")),
        TMPDIR=str(scratch),
    )
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert not list(scratch.glob("avfeat-*")) and not (tmp_path / "b").exists()
