"""Zero-shot accuracy: which class's sentences are nearest to a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square

import avfeat
from avfeat import ArgumentError
from avfeat.evaluation.prompts import read_prompts


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five files of two classes, one of which has no picture."""
    root = tmp_path_factory.mktemp("labelled")
    for number in range(5):
        folder = root / ("red_dog" if number % 2 else "blue_cat")
        folder.mkdir(exist_ok=True)
        video = None if number == 4 else VideoTrack(2.5, picture=moving_square(48, 32, number))
        make_media(folder / f"{number}.mkv", video, AudioTrack(2.5, 16_000, chirps(3 * number)))
    return root


def test_accuracy_is_that_of_the_nearest_class(
    labelled: Path, spoken: Path, tmp_path: Path, avfeat_command: Any
) -> None:
    prompts = tmp_path / "prompts.tsv"
    prompts.write_text("blue_cat\ta blue cat\nblue_cat\tthe cat\n\nred_dog\ta red dog\nother\tx\n", "utf-8")
    ran = avfeat_command(
        "eval", "knn", labelled, "--model", spoken, "--prompts", prompts, "--json", "out.json", "--cache", tmp_path
    )
    assert ran.status == 0, ran.err
    found = json.loads(Path("out.json").read_text("utf-8"))["zero_shot"]
    assert found["prompts"] == {"blue_cat": ["a blue cat", "the cat"], "red_dog": ["a red dog"]}
    assert (found["chance"], found["tested"]) == (0.5, 5)
    assert "zero-shot, %, of 5 files: video" in ran.out

    def unit(rows: np.ndarray) -> np.ndarray:
        return rows.mean(0) / np.linalg.norm(rows.mean(0))

    with avfeat.load(spoken, device="cpu") as encoder:
        classes = [unit(encoder.embed_text(texts)) for texts in found["prompts"].values()]
        right: dict[str, list[bool]] = {"video": [], "audio": []}
        for file in sorted(labelled.rglob("*.mkv")):
            e = encoder.embed(file)
            for name, rows, there in (
                ("video", e.video_shared, e.has_video),
                ("audio", e.audio_shared, e.has_audio),
            ):
                best = there.any() and int(np.argmax([one @ unit(rows[there]) for one in classes]))
                right[name].append(bool(there.any()) and best == list(found["prompts"]).index(file.parent.name))
    assert found["accuracy"] == {name: pytest.approx(np.mean(values)) for name, values in right.items()}
    for name, (low, high) in found["interval"].items():
        assert 0 <= low <= found["accuracy"][name] <= high <= 1


def test_a_bundle_without_text_is_refused_before_any_work(labelled: Path, avfeat_command: Any) -> None:
    ran = avfeat_command("eval", "knn", labelled, "--prompts", "a photo of {}")
    assert ran.status == 1 and "has no text encoder" in ran.err
    ran = avfeat_command("eval", "ave", labelled, "--protocol", "segment", "--prompts", "a photo of {}")
    assert ran.status == 2 and "--prompts goes with --protocol video" in ran.err


def test_a_template_is_filled_with_the_names_of_classes() -> None:
    found = read_prompts("a photo of {}, a {}", ("red_dog", "cat"))
    assert found == {"red_dog": ("a photo of red dog, a red dog",), "cat": ("a photo of cat, a cat",)}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("dog\ta dog\n", r"has no prompt for 1 of 2 classes: 'cat' first"),
        ("dog a dog\ncat\ta cat", r"line 1 must be a class, a tab and a prompt, not 'dog a dog'"),
        ("dog\t\ncat\ta cat", "line 1 must be"),
    ],
)
def test_files_of_prompts_that_are_none(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "prompts.tsv"
    path.write_text(content, "utf-8")
    with pytest.raises(ArgumentError, match=said):
        read_prompts(str(path), ("dog", "cat"))


def test_a_file_that_cannot_be_read_names_both_forms(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"--prompts takes a text with {} in it"):
        read_prompts(str(tmp_path / "nowhere.tsv"), ("dog",))
    (tmp_path / "latin.tsv").write_bytes(b"dog\t\xff\n")
    with pytest.raises(ArgumentError, match="no UTF-8"):
        read_prompts(str(tmp_path / "latin.tsv"), ("dog",))
