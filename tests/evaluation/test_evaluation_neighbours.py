from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square

from avfeat import ArgumentError, Embedding, Encoder
from avfeat.evaluation import BundleEmbedder, Dataset, DatasetError, Fold, Handcrafted, LabelledItem, Store
from avfeat.evaluation.neighbours import RANKS, RETRIEVAL, NeighbourResult, evaluate_knn, evaluate_retrieval


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Clips of three classes and six groups, one silent, one without picture, one missing."""
    folder = tmp_path_factory.mktemp("labelled")
    items = []
    for number in range(16):
        path = folder / f"{number}.mp4"
        video = VideoTrack(0.8, picture=moving_square(64, 48, number))
        sound = AudioTrack(0.8, 16_000, chirps(number))
        make_media(path, None if number == 4 else video, None if number == 9 else sound)
        items.append(LabelledItem(path.name, path, "abc"[number % 3], f"group {number // 3}"))
    items.append(LabelledItem("gone.mp4", folder / "gone.mp4", "a", "group 9"))
    return Dataset("made", tuple(items))


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows)


@pytest.fixture(scope="module")
def embeddings(labelled: Dataset, encoder: Encoder) -> list[Embedding]:
    """Of the files that are there, in order."""
    return [encoder.embed(item.file) for item in labelled.items[:-1]]


def plain(embeddings: list[Embedding], name: str) -> dict[int, np.ndarray]:
    """The unit vectors of the files that have what ``name`` is of."""
    found = {}
    for place, embedding in enumerate(embeddings):
        mask = embedding.has_video if name.startswith("video") else embedding.has_audio
        if mask.any():
            found[place] = unit(getattr(embedding, name)[mask].astype(np.float64).mean(axis=0))
    return found


@pytest.mark.parametrize("neighbours", [1, 3])
@pytest.mark.parametrize("modality", ["video", "audio", "av"])
def test_knn_is_that_of_the_definition(
    modality: str,
    neighbours: int,
    labelled: Dataset,
    embedder: BundleEmbedder,
    embeddings: list[Embedding],
    store: Store,
) -> None:
    if modality == "av":
        video, audio = plain(embeddings, "video"), plain(embeddings, "audio")
        vectors = {place: unit(np.concatenate([video[place], audio[place]])) for place in video if place in audio}
    else:
        vectors = plain(embeddings, modality)
    items, right, chance = labelled.items, [], []
    for query in vectors:
        others = [place for place in vectors if items[place].group != items[query].group]
        others.sort(key=lambda place: -float(vectors[query] @ vectors[place]))
        near = [items[place].label for place in others[:neighbours]]
        voted = max(dict.fromkeys(near), key=near.count)
        right.append(voted == items[query].label)
        chance.append(np.mean([items[place].label == items[query].label for place in others]))
    result = evaluate_knn(labelled, [embedder], store, neighbours)
    found = result.entries[0].measures[modality][neighbours]
    assert found.value == pytest.approx(np.mean(right))
    assert found.chance == pytest.approx(np.mean(chance))
    assert found.queries == len(vectors) == {"video": 15, "audio": 15, "av": 14}[modality]


@pytest.mark.parametrize("task", RETRIEVAL)
def test_recall_is_that_of_the_definition(
    task: str, labelled: Dataset, embedder: BundleEmbedder, embeddings: list[Embedding], store: Store
) -> None:
    asked, wanted = task.removesuffix(", shared").split(" to ")
    within = asked == wanted
    suffix = "" if within and not task.endswith("shared") else "_shared"
    queries, targets = plain(embeddings, asked + suffix), plain(embeddings, wanted + suffix)
    both = [place for place in queries if place in targets]
    items = labelled.items
    hits: dict[int, list[bool]] = {rank: [] for rank in RANKS}
    for query in both:
        others = [place for place in both if items[place].group != items[query].group]
        if not within:
            others.append(query)
        others.sort(key=lambda place: -float(queries[query] @ targets[place]))
        good = [items[place].label == items[query].label if within else place == query for place in others]
        for rank in RANKS:
            hits[rank].append(any(good[:rank]))
    result = evaluate_retrieval(labelled, [embedder], store)
    found = result.entries[0].measures[task]
    assert {rank: one.value for rank, one in found.items()} == pytest.approx(
        {rank: np.mean(one) for rank, one in hits.items()}
    )
    assert found[1].queries == len(both)


def test_chance_is_that_of_shuffling(labelled: Dataset, embedder: BundleEmbedder, store: Store) -> None:
    rng = np.random.default_rng(0)
    items = [item for place, item in enumerate(labelled.items[:-1]) if place != 4]
    found = {"video to video": [], "cross": []}
    for _ in range(1500):
        within, across = [], []
        for item in items:
            others = [one for one in items if one.group != item.group]
            drawn = rng.permutation(len(others))[:5]
            within.append(any(others[k].label == item.label for k in drawn))
            across.append(rng.permutation(len(others) + 1)[:5].min() == 0)
        found["video to video"].append(np.mean(within))
        found["cross"].append(np.mean(across))
    result = evaluate_retrieval(labelled, [embedder], store).entries[0].measures
    assert result["video to video"][5].chance == pytest.approx(np.mean(found["video to video"]), abs=0.01)
    # One more file is silent: 14 of 15 take part.
    assert result["audio to video"][5].chance == pytest.approx(np.mean(found["cross"]), abs=0.03)


class Fixed:
    """Gives each file the vectors that it is told."""

    name, key, seconds = "fixed", ("fixed",), 2.0

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self.vectors = vectors

    def embed_many(self, files: Iterable[Path], *, hop: float, start: float, workers: int | None):
        for file in files:
            row, one = np.array([self.vectors[file.name]], np.float32), np.ones(1)
            yield Embedding(
                *(one * 0, one * 2, row, row, row, row, one > 0, one > 0, str(file), "0", 2.0, 2.0, 2.0, False)
            )


def test_neighbours_never_share_an_origin(sounds: list[Path], tmp_path: Path) -> None:
    """Twins of one group lie closest, and do not count; the closest of another group is of another class."""
    vectors = {"0.wav": [1, 0.0], "1.wav": [1, 0.01], "2.wav": [1, 0.1], "3.wav": [1, 0.12]}
    labels = {"0.wav": "a", "1.wav": "a", "2.wav": "b", "3.wav": "b"}

    def result(groups: dict[str, str], name: str):
        items = tuple(LabelledItem(one.name, one, labels[one.name], groups[one.name]) for one in sounds[:4])
        return evaluate_knn(Dataset("twins", items), [Fixed(vectors)], Store(tmp_path / name))

    apart = {name: name for name in labels}
    assert result(apart, "apart").entries[0].measures["av"][1].value == 1.0
    twins = {"0.wav": "x", "1.wav": "x", "2.wav": "y", "3.wav": "y"}
    assert result(twins, "twins").entries[0].measures["av"][1].value == 0.0
    with pytest.raises(DatasetError, match="4 of its 4 files could be embedded, of 1"):
        result(dict.fromkeys(labels, "one"), "one")
    labels = dict.fromkeys(labels, "a")
    with pytest.raises(DatasetError, match="twins: all files are of the class 'a'; kNN needs two at least"):
        result(apart, "one class")


def test_with_a_fold_its_train_files_vote_on_its_test_files(sounds: list[Path], tmp_path: Path) -> None:
    """Nearest of all are a file of val and the other test file, of another class; the train files are right."""
    angles = np.deg2rad([0, 90, 40, 50, 44, 46])
    vectors = {one.name: [np.cos(angle), np.sin(angle)] for one, angle in zip(sounds, angles, strict=True)}
    items = tuple(LabelledItem(one.name, one, label, one.name) for one, label in zip(sounds, "ababba", strict=True))

    def knn(*folds: Fold) -> NeighbourResult:
        return evaluate_knn(Dataset("split", items, folds), [Fixed(vectors)], Store(tmp_path / "kept"))

    result = knn(Fold("", (0, 1), (4, 5), (2, 3)))
    found = result.entries[0].measures["audio"][1]
    assert (found.value, found.queries, found.chance) == (1.0, 2, 0.5)
    assert (result.used, result.annotated, result.asked) == (4, 4, 2)
    assert result.majority == 0.5
    assert knn(Fold("", (0, 1), (3, 5), (2, 4))).entries[0].measures["audio"][1].value == 0.5
    # Most of those who vote are "b", and none of those who ask is.
    assert knn(Fold("", (1, 3, 0), (4,), (2, 5))).majority == 0.0
    everyone = knn()
    assert everyone.entries[0].measures["audio"][1].value < 0.5
    assert (everyone.used, everyone.asked) == (6, 6)


def test_retrieval_with_a_fold_is_among_its_test_files(sounds: list[Path], tmp_path: Path) -> None:
    vectors = {one.name: [1.0, k / 10] for k, one in enumerate(sounds)}
    items = tuple(LabelledItem(one.name, one, "ab"[k % 2], one.name) for k, one in enumerate(sounds))
    split = Dataset("split", items, (Fold("", (0, 1), (2,), (3, 4, 5)),))
    result = evaluate_retrieval(split, [Fixed(vectors)], Store(tmp_path))
    assert (result.used, result.asked) == (3, 3)
    assert {one.queries for one in result.entries[0].measures["audio to video"].values()} == {3}


def test_a_part_that_is_not_there_and_several_splits_are_said(
    sounds: list[Path], embedder: BundleEmbedder, tmp_path: Path
) -> None:
    gone = [tmp_path / "gone.wav", tmp_path / "lost.wav"]
    items = tuple(LabelledItem(one.name, one, "ab"[k % 2], one.name) for k, one in enumerate([*sounds[:2], *gone]))
    for fold, part in ((Fold("", (0, 1), (), (2, 3)), "test"), (Fold("", (2, 3), (), (0, 1)), "train")):
        with pytest.raises(DatasetError, match=f"split: nothing is there of {part}, with 2 of its 4 files"):
            evaluate_knn(Dataset("split", items, (fold,)), [embedder], Store(tmp_path / part))
    for fold, part in ((Fold("", (), (), (0, 1)), "train"), (Fold("", (0, 1), (), ()), "test")):
        with pytest.raises(DatasetError, match=f"split: its list of {part} is empty"):
            evaluate_knn(Dataset("split", items, (fold,)), [embedder], Store(tmp_path / part))
    with pytest.raises(ArgumentError, match="split: has 2 splits; neighbours need one, or none"):
        evaluate_knn(Dataset("split", items, (fold, fold)), [embedder], Store(tmp_path / "two"))


def test_no_file_is_said_with_the_reason(embedder: BundleEmbedder, store: Store, tmp_path: Path) -> None:
    items = tuple(LabelledItem(name, tmp_path / name, name[0], name) for name in ("a.mp4", "b.mp4"))
    for evaluate in (evaluate_knn, evaluate_retrieval):
        with pytest.raises(DatasetError, match=r"none of the 2 files of its 2 rows .*\(2 not found\).*a\.mp4"):
            evaluate(Dataset("gone", items), [embedder], store)


def test_equal_vectors_find_nothing(sounds: list[Path], tmp_path: Path) -> None:
    items = tuple(LabelledItem(one.name, one, "ab"[k % 2], one.name) for k, one in enumerate(sounds))
    store = Store(tmp_path)
    fixed = Fixed({one.name: [1.0, 1.0] for one in sounds})
    found = evaluate_retrieval(Dataset("equal", items), [fixed], store).entries[0].measures
    assert found["audio to video"][1].value == 0
    assert found["video to video"][1].value == 0
    assert found["audio to video"][20].value == 1, "there are but six"


def test_baselines_have_no_shared_space(labelled: Dataset, embedder: BundleEmbedder, store: Store) -> None:
    result = evaluate_retrieval(labelled, [embedder, Handcrafted(2.0)], store)
    assert [entry.name for entry in result.entries] == [embedder.name, "colours + MFCC"]
    assert set(result.entries[0].measures) == set(RETRIEVAL)
    assert set(result.entries[1].measures) == {"video to video", "audio to audio"}
    assert result.used == 16
    assert result.annotated == 17
    assert [path.name for path in result.missing] == ["gone.mp4"]
    assert (result.classes, result.groups) == (3, 6)
