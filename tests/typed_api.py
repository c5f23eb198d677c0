"""Only calls the public API; checked by mypy against the installed build, never run."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO, assert_type

import numpy as np
from numpy.typing import NDArray

import avfeat
from avfeat import (
    Bundle,
    Classifier,
    Embedding,
    Encoder,
    Failure,
    FittedClassifier,
    Prediction,
    WindowEmbedding,
)
from avfeat.media import Decoded, decode, probe


def everything(path: Path, file: BinaryIO, data: bytes, frames: NDArray[np.uint8]) -> None:
    encoder = avfeat.load()
    assert_type(encoder, Encoder)
    assert_type(avfeat.load(path, device="cpu", backend="onnx", threads=2), Encoder)
    assert_type(encoder.bundle, Bundle)
    for source in (path, str(path), data, file):
        assert_type(encoder.embed(source, hop=0.5, start=-1.0, end=9.0, strict=True), Embedding)
    e = encoder.embed(path, max_duration=600.0, timeout=30, max_pixels=3840 * 2160, audio_track=1, still=True)
    assert_type(e.start, NDArray[np.float64])
    assert_type(e.video, NDArray[np.float32])
    assert_type(e.audio_shared, NDArray[np.float32])
    assert_type(e.has_video, NDArray[np.bool_])
    assert_type(e.video_frames, NDArray[np.float32] | None)
    assert_type(e.audio_frame_times, NDArray[np.float64] | None)
    assert_type(e.pooled(), NDArray[np.float32])
    assert_type(e.damaged, bool)
    e.save(path)
    assert_type(avfeat.read(path, source="a.mp4"), Embedding)
    assert_type(avfeat.read_many(str(path)), Iterator[Embedding])
    assert_type(encoder.embed_many([path, data], workers=2), Iterator[Embedding | Failure])
    for result in encoder.embed_many([path]):
        if isinstance(result, Failure):
            assert_type(result.message, str)
        else:
            assert_type(result, Embedding)
    for window in encoder.stream(file, hop=1.0):
        assert_type(window, WindowEmbedding)
    assert_type(encoder.embed_arrays(frames, 25.0, None, None), Embedding)
    assert_type(encoder.embed_arrays(None, None, np.zeros(16_000, np.float32), 16_000), Embedding)
    assert_type(encoder.embed_text(["a dog barks"]), NDArray[np.float32])
    assert_type(avfeat.search(path, "query.mp4", by="across", top=3)[0].start, float)
    found = avfeat.duplicates(path, threshold=0.7)
    assert_type(found.pairs[0].a_start, float)
    assert_type(found.groups, list[list[str]])
    decoded = decode(path)
    assert_type(decoded, Decoded)
    encoder.embed_arrays(decoded.frames, decoded.fps, decoded.waveform, decoded.sample_rate)
    assert_type(probe(path).duration, float | None)
    report = avfeat.fit_classifier(path, "model.onnx", encoder=encoder)
    assert_type(report, FittedClassifier)
    assert_type(report.accuracy, float)
    with avfeat.load_classifier("model.onnx", encoder=encoder) as classifier:
        assert_type(classifier, Classifier)
        for anything in (path, data, file, e):
            assert_type(classifier.predict(anything, hop=0.5, timeout=30), Prediction)
        assert_type(classifier.predict_many([path]), Generator[Prediction | Failure, None, None])
        assert_type(classifier.predict(path).probabilities, dict[str, float])
    with avfeat.load() as other:
        assert_type(other, Encoder)
    try:
        encoder.embed(path)
    except avfeat.MediaError as error:
        print(error.source, error.reason)
    except (avfeat.ArgumentError, avfeat.BackendError, avfeat.BundleError, avfeat.OutputError) as error:
        assert isinstance(error, avfeat.AvfeatError)
