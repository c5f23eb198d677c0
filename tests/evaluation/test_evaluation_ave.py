"""AVE against a slow reference that knows nothing of this package but the files that ``avfeat embed`` writes."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from avfeat.evaluation import BundleEmbedder, Handcrafted, Store, evaluate_ave
from avfeat.evaluation.readers import read_ave

GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1, 10)


def embedded(root: Path, out: Path, *times: str) -> Path:
    """The files that the command ``avfeat embed`` writes for every video."""
    command = [sys.executable, "-m", "avfeat", "embed", str(root / "AVE_video"), "-o", str(out), *times]
    subprocess.run([*command, "--device", "cpu"], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def by_file(made_ave: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the default windows."""
    return embedded(made_ave, tmp_path_factory.mktemp("embedded"))


@pytest.fixture(scope="module")
def by_second(made_ave: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With windows of two seconds that are centred on the seconds."""
    return embedded(made_ave, tmp_path_factory.mktemp("seconds"), "--hop", "1", "--start", "-0.5")


def reference(root: Path, vectors: Path, segments: bool, official: bool, modality: str):
    """For each test video that is there, the label of each row and what it is taken for; and the accuracy."""
    lists = {}
    for part in ("train", "val", "test"):
        rows = [line.split("&") for line in (root / f"{part}Set.txt").read_text().splitlines()]
        lists[part] = [row for row in rows if (vectors / f"{row[1]}.mp4.npz").is_file()]
    if not official:
        held_out = {row[1] for row in lists["val"] + lists["test"]}
        lists["train"] = [row for row in lists["train"] if row[1] not in held_out]
    x, y = {}, {}
    for part, rows in lists.items():
        x[part] = [vector for row in rows for vector in rows_of(vectors / f"{row[1]}.mp4.npz", segments, modality)]
        y[part] = [label for row in rows for label in labels_of(row, segments)]
    scaler = StandardScaler().fit(x["train"])
    train, val, test = (scaler.transform(x[part]) for part in ("train", "val", "test"))
    best, chosen = -1.0, None
    for c in GRID:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = LogisticRegression(C=c, tol=1e-8, max_iter=50_000).fit(train, y["train"])
        accuracy = np.mean(model.predict(val) == y["val"])
        if accuracy > best:
            best, chosen = accuracy, (c, model.predict(test))
    c, predicted = chosen
    return c, list(predicted), y["test"], float(np.mean(predicted == y["test"]))


def rows_of(path: Path, segments: bool, modality: str) -> list[np.ndarray]:
    stored = np.load(path)
    parts = []
    for name in ("video", "audio"):
        if modality in (name, "av"):
            rows = stored[name].astype(np.float64)
            if segments:
                parts.append([rows[min(second, len(rows) - 1)] for second in range(10)])
            else:
                parts.append([rows[stored[f"has_{name}"]].mean(axis=0)])
    return [np.concatenate(row) for row in zip(*parts, strict=True)]


def labels_of(row: list[str], segments: bool) -> list[str]:
    if not segments:
        return [row[0]]
    return [row[0] if int(row[3]) <= second < int(row[4]) else "background" for second in range(10)]


@pytest.mark.parametrize(
    ("protocol", "split"),
    [
        ("video", "dedupe"),
        ("video", "official"),
        pytest.param("segment", "official", marks=pytest.mark.nightly),
    ],
)
def test_a_result_is_that_of_the_reference_to_the_last_row(
    protocol: str,
    split: str,
    made_ave: Path,
    by_file: Path,
    by_second: Path,
    embedder: BundleEmbedder,
    store: Store,
) -> None:
    segments = protocol == "segment"
    result = evaluate_ave(read_ave(made_ave), [embedder], store, protocol, split)
    for modality, score in result.entries[0].scores.items():
        vectors = by_second if segments else by_file
        c, predicted, truth, accuracy = reference(made_ave, vectors, segments, split == "official", modality)
        assert [label for row in score.predicted for label in row] == predicted, modality
        assert score.accuracy == pytest.approx(accuracy, abs=1e-12)
        assert list(score.c.values()) == [c]
        place = {name: index for index, name in enumerate(result.classes)}
        counts = np.zeros_like(score.confusion)
        for one, other in zip(truth, predicted, strict=True):
            counts[place[one], place[other]] += 1
        np.testing.assert_array_equal(score.confusion, counts)


def test_a_window_of_a_segment_is_that_of_avfeat_embed(
    made_ave: Path, by_second: Path, avfeat_command, tmp_path: Path
) -> None:
    video = next((made_ave / "AVE_video").glob("-*.mp4"))
    ran = avfeat_command("embed", video, "-o", tmp_path / "half.npz", "--hop", "0.5", "--device", "cpu")
    assert ran.status == 0
    half, seconds = np.load(tmp_path / "half.npz"), np.load(by_second / f"{video.name}.npz")
    np.testing.assert_array_equal(half["start"][1:17:2], seconds["start"][1:9])
    np.testing.assert_array_equal(half["video"][1:17:2], seconds["video"][1:9])
    np.testing.assert_array_equal(half["audio"][1:17:2], seconds["audio"][1:9])


def test_counts_are_true(made_ave: Path, embedder: BundleEmbedder, store: Store) -> None:
    ave = read_ave(made_ave)
    found = {split: evaluate_ave(ave, [embedder], store, "video", split) for split in ("dedupe", "official")}
    assert len(ave.annotations) == 28
    assert ave.counts("official") == {"train": 16, "val": 4, "test": 8}
    assert ave.counts("dedupe") == {"train": 15, "val": 4, "test": 8}
    assert found["official"].counts == {"train": 15, "val": 4, "test": 8}
    assert found["dedupe"].counts == {"train": 14, "val": 4, "test": 8}
    assert found["dedupe"].used == 26
    assert [failure.reason for failure in found["dedupe"].missing.values()] == ["not_found"]
    assert [path.name for path in found["dedupe"].missing] == ["-lostVideo1.mp4"]


def test_baselines_stand_beside_the_model(made_ave: Path, embedder: BundleEmbedder, store: Store) -> None:
    ave = read_ave(made_ave)
    result = evaluate_ave(ave, [embedder, Handcrafted(2.0)], store)
    model, handcrafted = result.entries
    assert model.scores["av"].predicted == evaluate_ave(ave, [embedder], store).entries[0].scores["av"].predicted
    assert handcrafted.name == "colours + MFCC"
    alone = evaluate_ave(ave, [Handcrafted(2.0)], store).entries[0]
    assert {kind: score.predicted for kind, score in handcrafted.scores.items()} == {
        kind: score.predicted for kind, score in alone.scores.items()
    }
    assert handcrafted.scores["audio"].accuracy > result.majority, "the voices of these classes differ"
    assert result.chance == 1 / 4
    # Of train's classes, the one with the most rows there has two of the eight test videos.
    assert result.majority == 2 / 8


def test_an_interval_holds_the_accuracy(made_ave: Path, embedder: BundleEmbedder, store: Store) -> None:
    result = evaluate_ave(read_ave(made_ave), [embedder], store, "segment")
    for score in result.entries[0].scores.values():
        low, high = score.interval
        assert low <= score.accuracy <= high
        assert high - low > 0.02, "eight videos tell little"
