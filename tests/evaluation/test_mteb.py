from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square

from avfeat import Encoder
from avfeat.errors import ArgumentError
from avfeat.evaluation.features import of_file

mteb = pytest.importorskip("mteb")
pytest.importorskip("torchcodec")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Clips of two classes, which differ in video and audio."""
    folder = tmp_path_factory.mktemp("mteb")
    paths = []
    for number in range(8):
        video = VideoTrack(2.0, picture=moving_square(seed=number % 2 * 5))
        sound = AudioTrack(2.0, sound=chirps(number % 2 * 6), rate=16_000)
        paths.append(make_media(folder / f"{number}.mp4", video, sound))
    return paths


def rows(clips: list[Path]):
    """The clips as a data set in memory."""
    import datasets

    given = {
        "video": [str(path) for path in clips],
        "audio": [str(path) for path in clips],
        "label": [number % 2 for number in range(len(clips))],
    }
    made = datasets.Dataset.from_dict(given)
    return made.cast_column("video", datasets.Video()).cast_column("audio", datasets.Audio())


def task(clips: list[Path]):
    from mteb.abstasks.classification import AbsTaskClassification
    from mteb.abstasks.task_metadata import TaskMetadata

    class Tiny(AbsTaskClassification):
        metadata = TaskMetadata(
            name="AvfeatTiny",
            description="Two made classes.",
            reference=None,
            dataset={"path": "made/in-memory", "revision": "1"},
            type="VideoClassification",
            category="va2c",
            modalities=["video", "audio"],
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="accuracy",
            date=None,
            domains=None,
            task_subtypes=None,
            license=None,
            annotations_creators=None,
            dialect=None,
            sample_creation=None,
            bibtex_citation="",
        )
        input_column_name = ("video", "audio")
        samples_per_label = 2
        n_experiments = 2

        def load_data(self, **settings) -> None:
            import datasets

            self.dataset = datasets.DatasetDict({"train": rows(clips[:4]), "test": rows(clips[4:])})
            self.data_loaded = True

    return Tiny()


def test_a_tiny_task_runs_and_tells_the_classes_apart(clips: list[Path], encoder: Encoder) -> None:
    from avfeat.evaluation.mteb import MtebEncoder

    found = mteb.evaluate(MtebEncoder(device="cpu"), task(clips), cache=None)
    scores = found.task_results[0].scores["test"][0]
    assert scores["main_score"] == 1.0
    assert found.model_name == f"avfeat/{encoder.bundle.name}"


def test_a_vector_is_that_of_the_file(clips: list[Path], encoder: Encoder) -> None:
    from torch.utils.data import DataLoader

    from avfeat.evaluation.mteb import MtebEncoder

    ours = MtebEncoder(device="cpu")
    place = {"task_metadata": None, "hf_split": "test", "hf_subset": "default"}
    expected = [of_file(encoder.embed(path)) for path in clips[:2]]
    found = ours.encode(DataLoader(rows(clips[:2]), batch_size=2), **place)
    for row, features in zip(found, expected, strict=True):
        # mteb's decoder resamples sound and converts colours by itself.
        np.testing.assert_allclose(row, features.rows("av")[0], atol=0.1 * np.abs(row).max())
    queries = ours.encode(
        DataLoader(rows(clips[:2]).remove_columns("audio"), batch_size=1), **place, prompt_type="query"
    )
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, rtol=1e-5)
    assert queries.shape[1] == encoder.bundle.video_graph.shared.shape[1]
    assert float(ours.similarity(queries, queries)[0, 0]) == pytest.approx(1, abs=1e-5)


def test_text_is_refused_in_a_sentence() -> None:
    import datasets
    from torch.utils.data import DataLoader

    from avfeat.evaluation.mteb import MtebEncoder

    texts = DataLoader(datasets.Dataset.from_dict({"text": ["a dog"]}))
    with pytest.raises(ArgumentError, match="avfeat embeds video and audio, not text"):
        MtebEncoder(device="cpu").encode(texts, task_metadata=None, hf_split="test", hf_subset="default")
