"""Sentences to rows of a bundle's shared space: its tokenizer, then its graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avfeat.arguments import shown
from avfeat.backends import wrong_rows
from avfeat.backends.onnx import OnnxFile
from avfeat.bundle import Bundle, TextGraph
from avfeat.embedding import FloatRows
from avfeat.errors import ArgumentError, BundleError
from avfeat.extras import extra_packages
from avfeat.plain import read_plain

Tokens = list[NDArray[np.int64]]
"""Of a batch of sentences: ids and, where the network takes one, the mask, each ``(batch, length)``."""

_AT_ONCE = 64
_TOKENIZER_BYTES = 2**28
_PANIC = "PanicException"
_LONGEST = 2**16
"""Tokens of a sentence: more than any network takes, and few enough to hold."""


class Tokenizer:
    """A file of the package ``tokenizers``; it says itself where sentences are cut, and how they are padded.

    Attributes:
        name: of the file.
    """

    def __init__(self, path: Path, masked: bool) -> None:
        """Load the file.

        Args:
            path: of it.
            masked: whether the graph takes a mask, too.

        Raises:
            BackendError: tokenizers is not installed.
            BundleError: it is no such file.
        """
        with extra_packages("text"):
            import tokenizers
        self.name, self._path, self._masked = path.name, path, masked
        with self._readable("is no tokenizer that tokenizers reads"):
            self._tokenizer = tokenizers.Tokenizer.from_str(read_plain(path, _TOKENIZER_BYTES).decode())
        self._check_lengths(self._tokenizer.truncation, self._tokenizer.padding)

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Sentences as tokens.

        Raises:
            ArgumentError: half of a surrogate pair, which no UTF-8 has.
            BundleError: the tokenizer cannot take a sentence, or gives too many tokens.
        """
        try:
            with self._readable("cannot make tokens of a sentence"):
                found = self._tokenizer.encode_batch(list(texts))
        except (TypeError, UnicodeError) as error:
            raise ArgumentError(f"texts hold what no UTF-8 can hold ({error}); replace lone surrogates.") from error
        lengths = {len(one) for one in found}
        if len(lengths) > 1 or max(lengths) > _LONGEST:
            raise self._wrong(f"makes sentences of {max(lengths):,} tokens, or of different lengths")
        ids = np.array([one.ids for one in found], np.int64)
        return [ids, np.array([one.attention_mask for one in found], np.int64)] if self._masked else [ids]

    def _check_lengths(self, cut: Mapping[str, Any] | None, filled: Mapping[str, Any] | None) -> None:
        """It cuts and pads, to lengths that can be held: what pads to billions would end the process."""
        if cut is None or filled is None:
            raise self._wrong("does not say where sentences are cut (truncation) and how they are padded (padding)")
        longest = max(cut["max_length"], filled["length"] or 0, filled["pad_to_multiple_of"] or 0)
        if longest > _LONGEST:
            raise self._wrong(f"cuts or pads at {longest:,} tokens, more than {_LONGEST:,}")

    @contextmanager
    def _readable(self, what: str) -> Iterator[None]:
        """Raise one sentence for what tokenizers raises: bare Exception, and panics, which are none."""
        try:
            yield
        except (TypeError, UnicodeEncodeError):
            raise
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
                raise
            raise self._wrong(f"{what} ({error})") from error

    def _wrong(self, what: str) -> BundleError:
        return BundleError(f"{self._path}: {what}; export the bundle again.")


class TextTower:
    """Embeds sentences; safe to share between threads.

    Attributes:
        device: where it really runs: ``cpu`` or ``cuda``.
    """

    def __init__(
        self, folder: Path, graph: TextGraph, device: str, threads: int, listed: Set[str] = frozenset()
    ) -> None:
        """Load the tokenizer and the graph of a bundle that lies in ``folder``.

        ``listed`` are the names of files there that the graph may have values in.

        Raises:
            BackendError: tokenizers or onnxruntime is not installed, or CUDA asked for and not there.
            BundleError: a file cannot be loaded, or is not what is said of it.
        """
        if "onnx" not in graph.files:
            raise BundleError(f"{folder}: has no onnx file for text; export the bundle again.")
        self._graph = graph
        self._tokenizer = Tokenizer(folder / graph.tokenizer, graph.mask is not None)
        path = folder / graph.files["onnx"]
        self._file = OnnxFile(path, graph.inputs, [graph.shared], device, threads, listed)
        self.device = self._file.device

    @classmethod
    def of(cls, bundle: Bundle, device: str, threads: int) -> TextTower:
        """That of a bundle; errors as of ``TextTower``, and ``BundleError`` for a bundle without one."""
        return cls(bundle.path, bundle.text_graph(), device, threads, bundle.listed)

    def embed(self, texts: Sequence[str]) -> FloatRows:
        """Sentences to float32 ``(n, d)``, each row of length 1.

        Raises:
            ArgumentError: something else than a list of texts.
        """
        rows = [self.run(self.tokens(part)) for part in _parts(checked_texts(texts))]
        return np.concatenate(rows) if rows else np.zeros((0, int(self._graph.shared.shape[1])), np.float32)

    def tokens(self, texts: Sequence[str]) -> Tokens:
        """What the graph takes for sentences."""
        return self._tokenizer(texts)

    def run(self, tokens: Tokens) -> FloatRows:
        """Tokens to float32 ``(batch, d)``.

        Raises:
            BundleError: an output of another shape than ``bundle.json`` says.
        """
        (rows,) = self._file.run(tokens)
        wanted = len(tokens[0]), self._graph.shared.shape[1]
        if rows.shape != wanted:
            raise BundleError(wrong_rows(self._file.name, self._graph.shared, rows.shape, len(tokens[0])))
        return rows


def checked_texts(texts: Any) -> list[str]:
    """A list of texts; one alone, whose letters they would be, is a mistake.

    Raises:
        ArgumentError: something else.
    """
    if isinstance(texts, str | bytes):
        raise ArgumentError("embed_text takes many texts; put one into a list: embed_text([text]).")
    try:
        found = list(texts)
    except TypeError as error:
        raise ArgumentError(f"texts must be a list of texts, not {shown(texts)}.") from error
    for text in found:
        if not isinstance(text, str):
            raise ArgumentError(f"texts must be a list of texts, and holds {shown(text)}.")
    return found


def _parts(texts: list[str]) -> Iterator[list[str]]:
    for begin in range(0, len(texts), _AT_ONCE):
        yield texts[begin : begin + _AT_ONCE]
