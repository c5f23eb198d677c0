from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import avfeat
from avfeat.bundle import default_bundle, write_bundle

NAMES = ("video.onnx", "audio.onnx", "golden.npz", "MODEL_CARD.md")
OUTPUTS = ("video_features", "video_shared", "audio_features", "audio_shared")
Arrays = dict[str, np.ndarray]


def strict_json(text: str) -> Any:
    """JSON as every reader takes it: without NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def bundle_with_golden(folder: Path, golden: bytes) -> Path:
    manifest = json.loads((default_bundle() / "bundle.json").read_text("utf-8"))
    manifest = {key: value for key, value in manifest.items() if key not in ("format", "version", "sha256")}
    files = {name: (default_bundle() / name).read_bytes() for name in NAMES}
    return write_bundle(folder / "altered", manifest, {**files, "golden.npz": golden}).path


def altered_golden(folder: Path, change: Callable[[Arrays], None]) -> Path:
    with np.load(default_bundle() / "golden.npz", allow_pickle=False) as stored:
        arrays = dict(stored)
    change(arrays)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return bundle_with_golden(folder, buffer.getvalue())


@pytest.mark.parametrize("arguments", [["--version"], ["--version", "info"]])
def test_version(avfeat_command, arguments: list[str]) -> None:
    ran = avfeat_command(*arguments)
    assert (ran.status, ran.out, ran.err) == (0, f"avfeat {avfeat.__version__}\n", "")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_the_commands(avfeat_command, flag: str) -> None:
    ran = avfeat_command(flag)
    assert (ran.status, ran.err) == (0, "")
    for command in ("embed", "info", "verify", "doctor", "bench", "search", "duplicates"):
        assert command in ran.out


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (
            "embed",
            "--out --format --model --backend --hop --device --workers --list --on-error --overwrite --shard "
            "--strict --dry-run",
        ),
        ("info", "--json"),
        ("verify", "--device --backend --json"),
        ("doctor", "--json"),
    ],
)
def test_help_of_a_command_names_its_options(avfeat_command, command: str, options: str) -> None:
    ran = avfeat_command(command, "--help")
    assert (ran.status, ran.err) == (0, "")
    for option in options.split():
        assert option in ran.out


def test_nothing_to_do_shows_help(avfeat_command) -> None:
    ran = avfeat_command()
    assert "embed" in ran.out + ran.err and "Traceback" not in ran.err


def test_info_describes_the_default_bundle(avfeat_command) -> None:
    ran = avfeat_command("info")
    assert (ran.status, ran.err) == (0, "")
    bundle = avfeat.Bundle.open(default_bundle())
    size, rate = bundle.video.size, bundle.audio.rate
    for word in (bundle.name, bundle.licence, f"{bundle.seconds:g} s", f"{size}x{size}", f"{rate} Hz", "fp32"):
        assert word in ran.out


def test_info_json_has_stable_keys(avfeat_command) -> None:
    ran = avfeat_command("info", "--json", "-")
    found = strict_json(ran.out)
    assert ran.status == 0
    assert list(found) == [
        "path",
        "format",
        "version",
        "name",
        "licence",
        "trained",
        "sha256",
        "seconds",
        "precision",
        "formats",
        "video",
        "audio",
        "text",
        "provenance",
        "parity",
    ]
    assert set(found["video"]) >= {"fps", "frames", "size", "files", "bytes", "input", "features", "shared"}
    assert set(found["audio"]) >= {"rate", "samples", "files", "bytes", "input", "features", "shared"}
    assert found["trained"] is True and found["formats"] == ["onnx"]
    assert found["sha256"] == avfeat.Bundle.open(default_bundle()).sha256
    assert found["video"]["bytes"] == {"video.onnx": (default_bundle() / "video.onnx").stat().st_size}


def test_info_of_a_bundle_anywhere(avfeat_command, tmp_path: Path) -> None:
    shutil.copytree(default_bundle(), tmp_path / "[b]my bundle")
    ran = avfeat_command("info", "[b]my bundle")
    assert ran.status == 0 and "[b]my bundle" in ran.out


def test_info_needs_no_onnxruntime(avfeat_command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert avfeat_command("info").status == 0


@pytest.mark.parametrize("command", ["info", "verify"])
def test_broken_bundle_is_one_sentence(avfeat_command, tmp_path: Path, command: str) -> None:
    shutil.copytree(default_bundle(), tmp_path / "broken")
    content = bytearray((tmp_path / "broken" / "audio.onnx").read_bytes())
    content[-1] ^= 1
    (tmp_path / "broken" / "audio.onnx").write_bytes(content)
    ran = avfeat_command(command, "broken")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("error: broken/audio.onnx: differs from its checksum") and ran.err.count("\n") == 1


@pytest.mark.parametrize("command", ["info", "verify"])
def test_missing_bundle_is_one_sentence(avfeat_command, command: str) -> None:
    ran = avfeat_command(command, "nowhere")
    assert (ran.status, ran.out) == (1, "")
    said = "nowhere: no such bundle; give the folder that holds bundle.json, or base or base-int8, which ship."
    assert ran.err == f"error: {said}\n"


@pytest.mark.parametrize("command", ["info", "verify", "doctor"])
def test_json_to_a_file_keeps_the_text_on_stdout(avfeat_command, tmp_path: Path, command: str) -> None:
    shown = avfeat_command(command, "--json", "deep/found.json")
    assert shown.status == 0 and len(shown.out.splitlines()) > 2 and not shown.out.startswith("{")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["found.json"]
    found = strict_json((tmp_path / "deep" / "found.json").read_text("utf-8"))
    assert list(found) == list(strict_json(avfeat_command(command, "--json", "-").out))


@pytest.mark.parametrize("command", ["info", "verify", "doctor"])
def test_json_that_cannot_be_written_is_one_sentence(avfeat_command, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    ran = avfeat_command(command, "--json", "file/found.json")
    assert ran.status == 1
    assert ran.err.startswith("error: file/found.json: cannot be written") and ran.err.count("\n") == 1


def test_verify_the_default_bundle(avfeat_command) -> None:
    ran = avfeat_command("verify", "--device", "cpu")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.count("ok") == 4 and "FAIL" not in ran.out


def test_verify_json_has_stable_keys(avfeat_command) -> None:
    ran = avfeat_command("verify", "--device", "cpu", "--json", "-")
    found = strict_json(ran.out)
    assert ran.status == 0
    assert list(found) == ["bundle", "name", "ok", "checks"]
    assert found["ok"] is True and found["name"] == avfeat.Bundle.open(default_bundle()).name
    assert found["bundle"] == avfeat.Bundle.open(default_bundle()).sha256
    assert [f"{check['modality']}_{check['output']}" for check in found["checks"]] == list(OUTPUTS)
    for check in found["checks"]:
        keys = {"modality", "output", "device", "error", "cosine", "limit", "ok", "distance", "distance_limit"}
        assert set(check) == keys
        assert check["ok"] is True and check["device"] == "cpu" and check["cosine"] > 0.9999
        assert 0 <= check["error"] < check["limit"]


@pytest.mark.parametrize("name", OUTPUTS)
def test_verify_finds_other_values(avfeat_command, tmp_path: Path, name: str) -> None:
    def change(golden: Arrays) -> None:
        golden[name] = golden[name] + 0.01 * np.abs(golden[name]).max()

    ran = avfeat_command("verify", altered_golden(tmp_path, change), "--json", "found.json")
    assert ran.status == 1 and ran.out.count("FAIL") == 1
    assert "outputs exceed tolerance" in ran.err and ran.err.count("\n") == 1
    found = strict_json((tmp_path / "found.json").read_text("utf-8"))
    assert found["ok"] is False
    assert [check["ok"] for check in found["checks"]] == [output != name for output in OUTPUTS]


def nan(golden: Arrays) -> None:
    golden["video_shared"] = golden["video_shared"] * np.nan


def rows_missing(golden: Arrays) -> None:
    golden["audio_features"] = golden["audio_features"][:1]


@pytest.mark.parametrize("change", [nan, rows_missing])
def test_verify_json_is_strict_whatever_is_found(
    avfeat_command, tmp_path: Path, change: Callable[[Arrays], None]
) -> None:
    ran = avfeat_command("verify", altered_golden(tmp_path, change), "--json", "-")
    assert ran.status == 1
    found = strict_json(ran.out)
    assert found["ok"] is False and [check["ok"] for check in found["checks"]].count(False) == 1


def without_frames(golden: Arrays) -> None:
    del golden["frames"]


def too_few_frames(golden: Arrays) -> None:
    golden["frames"] = golden["frames"][:, :3]


def wide_waveform(golden: Arrays) -> None:
    golden["waveform"] = golden["waveform"].astype(np.float64)


@pytest.mark.parametrize("change", [without_frames, too_few_frames, wide_waveform])
def test_verify_with_golden_inputs_that_do_not_fit(
    avfeat_command, tmp_path: Path, change: Callable[[Arrays], None]
) -> None:
    ran = avfeat_command("verify", altered_golden(tmp_path, change))
    assert ran.status == 1
    assert ran.err.startswith("error: ") and "golden.npz" in ran.err and ran.err.count("\n") == 1


@pytest.mark.parametrize("golden", [b"", b"text", b"PK\x03\x04" + bytes(100)], ids=["empty", "text", "cut"])
def test_verify_with_golden_arrays_that_are_no_archive(avfeat_command, tmp_path: Path, golden: bytes) -> None:
    ran = avfeat_command("verify", bundle_with_golden(tmp_path, golden))
    assert ran.status == 1
    assert ran.err.startswith("error: ") and "golden.npz" in ran.err and ran.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--device", "tpu"], ["--backend", "tensorflow"], ["a", "b"]])
def test_verify_wrong_usage(avfeat_command, arguments: list[str]) -> None:
    ran = avfeat_command("verify", *arguments)
    assert (ran.status, ran.out) == (2, "") and "Traceback" not in ran.err


def test_verify_without_onnxruntime_names_the_extra(avfeat_command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    ran = avfeat_command("verify")
    assert ran.status == 1 and "pip install 'avfeat[cpu]'" in ran.err and ran.err.count("\n") == 1


def test_doctor_finds_a_healthy_machine(avfeat_command) -> None:
    ran = avfeat_command("doctor")
    assert (ran.status, ran.err) == (0, "")
    for word in (
        f"avfeat     {avfeat.__version__}",
        "CPUExecutionProvider",
        avfeat.Bundle.open(default_bundle()).name,
        "cpu ok",
        "libavcodec",
    ):
        assert word in ran.out


def test_doctor_json_has_stable_keys(avfeat_command) -> None:
    ran = avfeat_command("doctor", "--json", "-")
    found = strict_json(ran.out)
    assert ran.status == 0
    assert list(found) == [
        "avfeat",
        "python",
        "platform",
        "processors",
        "packages",
        "ffmpeg",
        "providers",
        "bundle",
        "trained",
        "verified",
        "problems",
    ]
    assert found["avfeat"] == avfeat.__version__ and found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["verified"]["cpu"] is True and found["problems"] == []
    assert found["packages"]["numpy"] == np.__version__ and found["trained"] is True
    assert 1 <= found["processors"] <= (os.cpu_count() or 1)


def test_doctor_says_what_is_missing(avfeat_command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    ran = avfeat_command("doctor", "--json", "-")
    found = strict_json(ran.out)
    assert ran.status == 1 and found["verified"] == {} and found["providers"] == []
    assert len(found["problems"]) == 1 and "pip install 'avfeat[cpu]'" in found["problems"][0]
    assert ran.err == f"problem: {found['problems'][0]}\n"


def test_doctor_names_both_distributions(avfeat_command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("onnxruntime", "onnxruntime-gpu"):
        info = tmp_path / "site" / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    ran = avfeat_command("doctor")
    assert ran.status == 1
    assert ran.err.startswith("problem: Both onnxruntime and onnxruntime-gpu are installed")


def test_an_interruption_is_one_sentence_and_status_130(
    avfeat_command, monkeypatch: pytest.MonkeyPatch, clip: Path
) -> None:
    def interrupt(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("avfeat.cli.embed.job.make_plan", interrupt)
    ran = avfeat_command("embed", clip)
    assert (ran.status, ran.out) == (130, "")
    assert ran.err.startswith("interrupted; files that are finished are kept")
