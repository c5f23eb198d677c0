"""A bundle as an encoder for ``mteb`` (extra ``mteb``), so that its audiovisual tasks run on it.

>>> import mteb
>>> from avfeat.evaluation.mteb import MtebEncoder
>>> tasks = mteb.get_tasks(tasks=["AVEDatasetClassification"])  # doctest: +SKIP
>>> mteb.evaluate(MtebEncoder(), tasks)  # doctest: +SKIP

``mteb`` needs torch, and torchcodec to decode; the bundle runs without them, as always.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.encoder import load
from avfeat.errors import ArgumentError
from avfeat.evaluation.features import Features, of_file
from avfeat.extras import extra_packages

MODALITIES = ("video", "audio")


class MtebEncoder:
    """Embeds the rows of mteb's data sets: one vector a row, the masked mean of its windows.

    Queries and documents, which have to be compared, are embedded in the shared space (of a row with video and
    audio, the mean of both); everything else as backbone features, of both modalities side by side.

    Attributes:
        mteb_model_meta: what mteb writes into its results.
    """

    def __init__(self, bundle: str | Path | None = None, *, device: str = "auto", backend: str = "onnx") -> None:
        """Load a bundle; arguments and errors as of ``avfeat.load``.

        Raises:
            BackendError: mteb is not installed.
        """
        with extra_packages("mteb"):
            from mteb.models import ModelMeta
        self._encoder = load(bundle, device=device, backend=backend)
        opened = self._encoder.bundle
        self.mteb_model_meta = ModelMeta.create_empty(
            {
                "name": f"avfeat/{opened.name}",
                "revision": opened.sha256,
                "modalities": list(MODALITIES),
                "similarity_fn_name": "cosine",
                "n_parameters": None,
            }
        )

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **settings: Any,  # of other encoders: mteb gives all of them the same (batch size, progress bar, ...)
    ) -> NDArray[np.float32]:
        """Embed the rows of a data loader: float32 ``(rows, d)``.

        Args:
            inputs: a data loader over a data set with ``video`` (torchcodec's decoders), ``audio`` (``array`` and
                ``sampling_rate``), or both.
            task_metadata: of the task.
            hf_split: of the data set.
            hf_subset: of the data set.
            prompt_type: whether the rows are queries or documents; None if neither.
            settings: batch size and the like, which change nothing here.

        Raises:
            ArgumentError: rows of text or of still pictures.
        """
        columns = [name for name in ("text", "image", *MODALITIES) if name in inputs.dataset.features]
        if not columns or set(columns) - set(MODALITIES):
            raise ArgumentError(
                f"avfeat embeds video and audio, not {', '.join(columns) or 'other columns'}; "
                "choose tasks of these modalities, such as AVEDatasetClassification."
            )
        # Rows stay undecoded until it is their turn: a batch of decoded videos could take gigabytes.
        inputs.collate_fn = list
        found = [
            _vector(self._features(row), columns, prompt_type is not None) for batch in inputs for row in batch
        ]
        return np.stack(found)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosine of each of the first with each of the second, as a torch tensor."""
        from mteb.similarity_functions import cos_sim

        return cos_sim(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosine of pairs, as a torch tensor."""
        from mteb.similarity_functions import pairwise_cos_sim

        return pairwise_cos_sim(embeddings1, embeddings2)

    def _features(self, row: Mapping[str, Any]) -> Features:
        video, audio = row.get("video"), row.get("audio")
        frames = fps = waveform = rate = None
        spec = self._encoder.bundle.video
        if video is not None and spec is not None:
            fps = spec.fps
            frames = _frames(video, fps)
        if audio is not None:
            waveform, rate = _mono(np.asarray(audio["array"])), float(audio["sampling_rate"])
        return of_file(self._encoder.embed_arrays(frames, fps, waveform, rate))


def _frames(video: Any, fps: float) -> NDArray[np.uint8]:
    """The frames on screen at ``(i + 0.5) / fps``: uint8 ``(n, height, width, 3)``."""
    begin, end = video.metadata.begin_stream_seconds, video.metadata.end_stream_seconds
    count = max(1, round((end - begin) * fps))
    instants = begin + (np.arange(count) + 0.5) / fps
    shown = video.get_frames_played_at(np.minimum(instants, np.nextafter(end, begin)).tolist())
    frames: NDArray[np.uint8] = np.ascontiguousarray(shown.data.permute(0, 2, 3, 1).numpy())
    return frames


def _mono(samples: NDArray[Any]) -> NDArray[np.float32]:
    mixed = samples.mean(axis=0) if samples.ndim > 1 else samples
    mono: NDArray[np.float32] = np.asarray(mixed, dtype=np.float32)
    return mono


def _vector(features: Features, columns: list[str], shared: bool) -> NDArray[np.float32]:
    """One vector of what a row has."""
    if not shared:
        row: NDArray[np.float32] = features.rows("av" if len(columns) > 1 else columns[0])[0]
        return row
    found = [getattr(features, f"{name}_shared")[0] for name in columns]
    mean: NDArray[np.float64] = np.mean(found, axis=0, dtype=np.float64)
    return (mean / max(float(np.linalg.norm(mean)), np.finfo(np.float64).tiny)).astype(np.float32)
