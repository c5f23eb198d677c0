"""A classifier's file, opened: checked as anybody's, run by ONNX Runtime, without torch and scikit-learn."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Unpack, cast

import numpy as np
from numpy.typing import NDArray

from avfeat.arguments import check_path
from avfeat.classify.card import not_a_classifier, read_card
from avfeat.classify.choice import choose
from avfeat.classify.graph import open_graph, output_names
from avfeat.classify.prediction import Prediction
from avfeat.embedding import Embedding, Failure
from avfeat.encoder import Encoder
from avfeat.errors import BackendError, MediaError, OutputError
from avfeat.evaluation.features import of_file
from avfeat.made_with import check_bundle, encoder_of
from avfeat.media import Source
from avfeat.media.rules import RuleOptions

_LOOKS_AT = {"av": "video with sound", "video": "video", "audio": "sound"}


def load_classifier(
    path: str | os.PathLike[str], *, encoder: Encoder | None = None, device: str = "auto"
) -> Classifier:
    """Open a classifier that ``fit_classifier`` or ``avfeat classify fit`` has written.

    The file may come from anybody: its size is bounded, and its graph is the one that is written, or it is refused.

    Args:
        path: of the file.
        encoder: of the bundle that it was fitted on; None for the one of the bundles that ship with avfeat.
        device: where an encoder that is opened runs.

    Raises:
        OutputError: it is not there, or no classifier.
        ArgumentError: ``encoder`` has another bundle.
        BackendError: ONNX Runtime is not installed.
    """
    return Classifier(Path(check_path("path", path)), encoder, device)


class Classifier:
    """A fitted classifier; a context manager, which closes the encoder that it has opened.

    Attributes:
        path: of the file.
        card: what the file says of itself.
    """

    def __init__(self, path: Path, encoder: Encoder | None = None, device: str = "auto") -> None:
        """Open a file; arguments and errors as of ``load_classifier``."""
        self.path, self.card = path, read_card(path)
        if encoder is not None:
            check_bundle(self, encoder.bundle.sha256, encoder.bundle.name)
        self._file = open_graph(path, self.card)
        self._encoder, self._own, self._device = encoder, False, device
        self._check_numbers()

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes."""
        return self.card.labels

    @property
    def bundle(self) -> str:
        """The sha256 of the bundle that it was fitted on."""
        return self.card.bundle

    @property
    def encoder(self) -> Encoder:
        """What embeds for it, opened when it is first needed.

        Raises:
            ArgumentError: none was given, and no bundle that ships with avfeat is the one.
        """
        if self._encoder is None:
            self._encoder, self._own = encoder_of(self, None, self._device), True
        return self._encoder

    def __enter__(self) -> Classifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the encoder, if the classifier has opened it."""
        if self._own and self._encoder is not None:
            self._encoder.close()
            self._encoder, self._own = None, False

    def predict(
        self, source: Source | Embedding, *, hop: float | None = None, **rules: Unpack[RuleOptions]
    ) -> Prediction:
        """Classify one source.

        Args:
            source: a path, bytes or a file object, or an embedding of the same bundle.
            hop: seconds between windows; None for their length.
            **rules: as of ``Encoder.embed``.

        Raises:
            MediaError: it gives no embedding, or has nothing that the classifier looks at.
            ArgumentError: an embedding of another bundle.
        """
        embedding = source if isinstance(source, Embedding) else self.encoder.embed(source, hop=hop, **rules)
        found = self.predict_embedding(embedding)
        if isinstance(found, Failure):
            raise MediaError(found.source, found.reason, found.message.removeprefix(f"{found.source}: "))
        return found

    def predict_many(
        self,
        sources: Iterable[Source],
        *,
        hop: float | None = None,
        workers: int | None = None,
        isolate: bool = False,
        **rules: Unpack[RuleOptions],
    ) -> Generator[Prediction | Failure, None, None]:
        """Classify many sources in order, several at a time; arguments as of ``Encoder.embed_many``.

        Closing it stops the work.
        """
        results = self.encoder.embed_many(sources, hop=hop, workers=workers, isolate=isolate, **rules)
        with closing(cast("Generator[Embedding | Failure, None, None]", results)):
            for found in results:
                yield found if isinstance(found, Failure) else self.predict_embedding(found)

    def predict_embedding(self, embedding: Embedding) -> Prediction | Failure:
        """Classify what is embedded already; a failure if it has nothing that the classifier looks at.

        Raises:
            ArgumentError: it is of another bundle.
            OutputError: its features are of another length, NaN or infinite.
        """
        check_bundle(self, embedding.bundle, embedding.source)
        whole = of_file(embedding)
        used = choose(whole.has_video, whole.has_audio, self.card.probes)
        if used is None:
            needed = " or ".join(_LOOKS_AT[name] for name in self.card.probes)
            message = f"{embedding.source}: has nothing that {self.path.name} goes by, which is {needed}."
            return Failure(embedding.source, "no_streams", message)
        windows_used = tuple(
            choose(bool(seen), bool(heard), self.card.probes)
            for seen, heard in zip(embedding.has_video, embedding.has_audio, strict=True)
        )
        sides = {name: np.concatenate([getattr(whole, name), getattr(embedding, name)]) for name in self.card.dims}
        found = self._run(embedding.source, sides)
        windows = np.zeros((len(embedding), len(self.labels)), np.float32)
        for row, name in enumerate(windows_used):
            if name is not None:
                windows[row] = found[f"{name}_window"][row + 1]
        return Prediction(
            source=embedding.source,
            labels=self.labels,
            file=found[f"{used}_file"][0],
            used=used,
            start=embedding.start,
            end=embedding.end,
            windows=windows,
            windows_used=windows_used,
            damaged=embedding.damaged,
        )

    def _run(self, source: str, sides: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name for rows of features."""
        batches = []
        for name, dim in self.card.dims.items():
            rows = np.asarray(sides[name], np.float32)
            if rows.shape[1] == 0:  # a table without this modality
                rows = np.zeros((len(rows), dim), np.float32)
            if rows.shape[1] != dim:
                raise OutputError(
                    f"{self.path}: takes {dim} numbers of {name}, {source} has {rows.shape[1]}; fit it again."
                )
            batches.append(rows)
        found = dict(zip(output_names(self.card), self._file.run(batches), strict=True))
        if not all(np.isfinite(rows).all() for rows in found.values()):
            raise OutputError(f"{source}: its features are NaN or infinite; embed it again.")
        return found

    def _check_numbers(self) -> None:
        """Zeros give probabilities: so no weight is NaN, and no shape is other than the description says."""
        zeros = [np.zeros((2, dim), np.float32) for dim in self.card.dims.values()]
        try:
            found = self._file.run(zeros)
        except BackendError as error:
            raise not_a_classifier(self.path, "its graph cannot be run") from error
        for rows in found:
            if rows.shape != (2, len(self.labels)) or not np.allclose(rows.sum(axis=1), 1, atol=1e-3):
                raise not_a_classifier(self.path, "what it computes are no probabilities of its labels")
