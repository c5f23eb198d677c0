"""A classifier from labelled clips: what is measured, and what the file then says of others."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from labelled_clips import LABELS, Made, make_clip

import avfeat
from avfeat import ArgumentError, Encoder, fit_classifier, load_classifier
from avfeat.classify.model import Classifier
from avfeat.errors import DatasetError
from avfeat.evaluation import Store


@pytest.fixture(scope="module")
def classifier(made: Made, encoder: Encoder) -> Classifier:
    return load_classifier(made.fitted.path, encoder=encoder)


def test_it_is_measured_by_what_each_file_has(made: Made) -> None:
    found = made.fitted
    assert found.labels == LABELS and found.accuracy == 1.0 and found.interval == (1.0, 1.0)
    assert found.confusion.tolist() == [[6, 0], [0, 6]] and set(found.recall.values()) == {1.0}
    assert found.counts == {"files": 12, "groups": 6, "folds": 5, "left_out": 0}
    assert found.used == {"video": 1, "audio": 1, "av": 10}
    (model,) = found.measured.entries
    # What lacks a modality is left out where that is measured.
    assert {name: len(score.tested) for name, score in model.scores.items()} == {"video": 11, "audio": 11, "av": 10}
    assert found.measured.majority == 0.5
    assert found.calibration_error[0] < 0.3 and found.log_loss[0] < 0.4


def test_it_says_so_in_its_file(made: Made, classifier: Classifier, encoder: Encoder) -> None:
    assert classifier.labels == LABELS and classifier.bundle == encoder.bundle.sha256
    assert classifier.card.figures == json.loads(json.dumps(made.fitted.figures()))
    assert classifier.card.avfeat == avfeat.__version__ and classifier.card.bundle_name == encoder.bundle.name
    assert made.fitted.path.stat().st_size < 100_000


def test_it_predicts_as_a_whole_and_over_time(classifier: Classifier, encoder: Encoder, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "new.mkv", 1, 1)
    found = classifier.predict(clip, hop=0.2)
    assert (found.label, found.used) == ("Cat", "av") and 0.6 < found.probability < 1
    assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert next(iter(found.probabilities)) == "Cat", "the likeliest first"
    assert found.windows.shape == (len(found.start), 2) and set(found.windows_used) == {"av"}
    assert [moment.label for moment in found.moments()] == ["Cat"]
    again = classifier.predict(encoder.embed(clip, hop=0.2))
    np.testing.assert_array_equal(again.windows, found.windows)
    values = json.loads(json.dumps(found.to_json()))
    assert set(values) == {"file", "label", "probability", "probabilities", "used", "damaged", "windows"}
    assert set(values["windows"][0]) == {"start", "end", "label", "probability", "probabilities", "used"}


@pytest.mark.parametrize(("seen", "heard", "used"), [(True, False, "video"), (False, True, "audio")])
@pytest.mark.parametrize("kind", [0, 1])
def test_what_lacks_a_modality_is_classified_by_the_other(
    classifier: Classifier, tmp_path: Path, seen: bool, heard: bool, used: str, kind: int
) -> None:
    found = classifier.predict(make_clip(tmp_path / "one.mkv", kind, 0, seen=seen, heard=heard))
    assert (found.label, found.used, set(found.windows_used)) == (LABELS[kind], used, {used})


def test_windows_go_by_what_each_has(classifier: Classifier, encoder: Encoder, clip: Path) -> None:
    whole = encoder.embed(clip)
    heard = np.array([True, False, False])
    some = avfeat.Embedding(**{**vars(whole), "has_audio": heard, "audio": whole.audio * heard[:, None]})
    found = classifier.predict(some)
    assert found.windows_used == ("av", "video", "video") and found.used == "av"
    nothing = avfeat.Embedding(**{**vars(some), "has_video": np.zeros(3, bool), "has_audio": np.zeros(3, bool)})
    with pytest.raises(avfeat.MediaError, match=r"has nothing that model\.onnx goes by") as caught:
        classifier.predict(nothing)
    assert caught.value.reason == "no_streams"
    part = avfeat.Embedding(**{**vars(some), "has_video": np.zeros(3, bool)})
    said = classifier.predict(part)
    assert said.windows_used == ("audio", None, None) and said.to_json()["windows"][1]["label"] is None
    assert [(moment.start, moment.end) for moment in said.moments()] == [(0.0, 2.0)]


def test_moments_of_windows_that_overlap_do_not(classifier: Classifier, encoder: Encoder, clip: Path) -> None:
    found = classifier.predict(encoder.embed(clip, hop=0.5))
    moments = list(found.moments())
    assert moments[0].start == 0 and moments[-1].end == found.end[-1]
    assert all(a.end == b.start for a, b in itertools.pairwise(moments))


def test_many_are_predicted_and_failures_are_values(classifier: Classifier, made: Made, tmp_path: Path) -> None:
    clips = sorted((made.table.parent / "clips").iterdir())[:2]
    found = list(classifier.predict_many([*clips, tmp_path / "none.mp4"]))
    assert [one.label for one in found[:2]] == list(LABELS)
    assert isinstance(found[2], avfeat.Failure) and found[2].reason == "not_found"


def test_another_bundle_and_odd_features_are_refused(
    classifier: Classifier, encoder: Encoder, clip: Path, video_alone: Path, made: Made
) -> None:
    whole = encoder.embed(clip)
    with pytest.raises(ArgumentError, match=r"model\.onnx: was made with the bundle .* do not compare"):
        classifier.predict(avfeat.Embedding(**{**vars(whole), "bundle": "0" * 64}))
    with pytest.raises(avfeat.OutputError, match="NaN or infinite; embed it again"):
        classifier.predict(avfeat.Embedding(**{**vars(whole), "video": whole.video * np.nan}))
    with pytest.raises(avfeat.OutputError, match="takes 1408 numbers of video"):
        classifier.predict(avfeat.Embedding(**{**vars(whole), "video": whole.video[:, 1:]}))
    with avfeat.load(video_alone) as other, pytest.raises(ArgumentError, match="do not compare"):
        load_classifier(made.fitted.path, encoder=other)


def test_of_a_bundle_of_one_modality_there_is_one_probe(made: Made, audio_alone: Path, tmp_path: Path) -> None:
    with avfeat.load(audio_alone) as encoder:
        found = fit_classifier(made.table, tmp_path / "model", encoder=encoder, store=made.store, baselines=False)
        assert found.used == {"audio": 11} and [file.name for file in found.missing] == ["seen.mkv"]
        with load_classifier(tmp_path / "model", encoder=encoder) as classifier:
            said = list(
                classifier.predict_many([made.table.parent / "clips" / name for name in ("seen.mkv", "01.mkv")])
            )
    assert isinstance(said[0], avfeat.Failure) and said[1].label == "Cat"


ONE_CLASS = "file,label,group\na.mp4,Cat,1\nb.mp4,Cat,2\nc.mp4,Cat,3\n"
ONE_GROUP = "file,label,group\na.mp4,Cat,1\nb.mp4,Cat,2\nc.mp4,Dog,3\nd.mp4,Dog,3\n"
TWO_GROUPS = "file,label,group\na.mp4,Cat,1\nb.mp4,Cat,2\nc.mp4,Dog,1\nd.mp4,Dog,2\n"
NOT_THERE = "file,label,group\n" + "".join(f"{n}.mp4,{'Cat' if n % 2 else 'Dog'},{n}\n" for n in range(8))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ONE_CLASS, "has one class, 'Cat'; add files of another"),
        (ONE_GROUP, "all files of the class 'Dog' are of one group, .*; add files of another source, or leave"),
        (TWO_GROUPS, "has 2 groups; add files of other sources"),
        (NOT_THERE, r"none of the 8 files of its 8 rows can be embedded \(8 not found\)"),
    ],
    ids=["class", "group", "two", "missing"],
)
def test_too_little_to_learn_from_is_said(text: str, words: str, tmp_path: Path, encoder: Encoder) -> None:
    table = tmp_path / "clips.csv"
    table.write_text(text)
    with pytest.raises(DatasetError, match=rf"^clips\.csv: {words}"):
        fit_classifier(table, tmp_path / "model.onnx", encoder=encoder, store=Store(tmp_path / "store"))
    assert not (tmp_path / "model.onnx").exists()


def test_another_kind_of_file_is_no_classifier(tmp_path: Path, made: Made) -> None:
    with pytest.raises(ArgumentError, match=r"model\.pkl: a classifier is an ONNX file; give it a name that ends"):
        fit_classifier(made.table, tmp_path / "model.pkl")


def test_predicting_needs_neither_torch_nor_scikit_learn(made: Made, tmp_path: Path) -> None:
    clip = made.table.parent / "clips" / "01.mkv"
    script = (
        "import sys, avfeat\n"
        "with avfeat.load_classifier(sys.argv[1]) as classifier:\n"
        "    print(classifier.predict(sys.argv[2]).label)\n"
        "print([name for name in ('torch', 'sklearn', 'onnx', 'scipy', 'matplotlib') if name in sys.modules])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, made.fitted.path, clip], capture_output=True, text=True, timeout=120
    )
    assert ran.stdout.splitlines() == ["Cat", "[]"], ran.stderr
