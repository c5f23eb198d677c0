"""What an ONNX file says of other files and of itself, read without the package ``onnx``.

ONNX Runtime follows a tensor's ``external_data`` to whatever is named there. Bundles allow that for files of theirs
that have a checksum (``docs/bundle.md``); whatever else is named, or not named at all, is refused.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avfeat.plain import open_plain

# Fields of onnx.proto through which a TensorProto is reached, by the message that has them.
_MODEL = {7: "graph", 20: "training", 25: "function"}
_GRAPH = {1: "node", 5: "tensor", 15: "sparse"}
_NODE = {5: "attribute"}
_ATTRIBUTE = {5: "tensor", 10: "tensor", 6: "graph", 11: "graph", 22: "sparse", 23: "sparse"}
_INNER = {
    "model": _MODEL,
    "training": {1: "graph", 2: "graph"},
    "graph": _GRAPH,
    "function": {7: "node", 11: "attribute"},
    "node": _NODE,
    "attribute": _ATTRIBUTE,
    "sparse": {1: "tensor", 2: "tensor"},
}
_METADATA = 14
"""Of ModelProto: entries of key and value."""

_NODE_OPERATOR, _NODE_DOMAIN = 4, 7
_ENTRY, _ELSEWHERE = 13, 14
"""Of TensorProto: external_data (entries of key and value), and data_location, 0 for values that are inside."""

UNNAMED = ""
"""Stands for a tensor whose values lie elsewhere, and which does not say where: no file has this name."""
_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_DEEPEST = 64


def external_files(path: Path) -> frozenset[str]:
    """The files that tensors in the ONNX file have their values in, as they are named; ``UNNAMED`` for no name.

    Raises:
        OSError: it cannot be read, or is no ordinary file.
        ValueError: it is no protobuf message.
    """
    with _mapped(path) as view:
        return frozenset(_external(view, 0, len(view), "model", 0))


def read_metadata(path: Path, most: int) -> dict[str, str]:
    """The metadata of the ONNX file: texts by their names.

    Raises:
        OSError: it cannot be read, is no ordinary file, or has more than ``most`` bytes.
        ValueError: it is no protobuf message, or the texts are no UTF-8.
    """
    with _mapped(path, most) as view:
        found = {}
        for number, wire, start, stop in _fields(view, 0, len(view)):
            if number == _METADATA and wire == _LENGTH:
                texts = _entry(view, start, stop)
                found[texts[1].decode()] = texts[2].decode()
        return found


def operators(path: Path) -> frozenset[str]:
    """The operators of the ONNX file's graph, those of other domains as ``domain.name``.

    Raises:
        OSError: it cannot be read, or is no ordinary file.
        ValueError: it is no protobuf message, or has functions, training steps or graphs within nodes, which
            do what no name says.
    """
    with _mapped(path) as view:
        return frozenset(_operators(view, 0, len(view), "model"))


def _operators(data: memoryview, begin: int, end: int, kind: str) -> Iterator[str]:
    texts = {_NODE_OPERATOR: b"", _NODE_DOMAIN: b""}
    for number, wire, start, stop in _fields(data, begin, end):
        inner = _INNER[kind].get(number)
        if inner in ("function", "training") or (kind == "attribute" and inner == "graph"):
            raise ValueError("it has functions, training steps or graphs within nodes")
        if wire == _LENGTH and kind == "node" and number in texts:
            texts[number] = bytes(data[start:stop])
        elif wire == _LENGTH and inner in ("graph", "node", "attribute"):
            yield from _operators(data, start, stop, inner)
    if kind == "node":
        domain, name = texts[_NODE_DOMAIN].decode(), texts[_NODE_OPERATOR].decode()
        yield f"{domain}.{name}" if domain else name


@contextmanager
def _mapped(path: Path, most: int | None = None) -> Iterator[memoryview]:
    """The bytes of a file that is not read as a whole; of an empty one none."""
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise OSError(errno.EFBIG, f"larger than {most:,} bytes", str(path))
        if size == 0:
            yield memoryview(b"")
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
            yield view


def _external(data: memoryview, begin: int, end: int, kind: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ValueError("graphs are nested too deeply")
    if kind == "tensor":
        yield from _locations(data, begin, end)
        return
    for number, wire, start, stop in _fields(data, begin, end):
        inner = _INNER[kind].get(number)
        if inner is not None and wire == _LENGTH:
            yield from _external(data, start, stop, inner, depth + 1)


def _locations(data: memoryview, begin: int, end: int) -> Iterator[str]:
    """Every file that a tensor names, also where a reader would take the last one alone."""
    elsewhere, named = False, False
    for number, wire, start, stop in _fields(data, begin, end):
        if number == _ENTRY:
            elsewhere = True
            texts = _entry(data, start, stop) if wire == _LENGTH else {1: b"", 2: b""}
            if texts[1] == b"location":
                named = True
                yield texts[2].decode("utf-8", "surrogateescape")
        elif number == _ELSEWHERE:
            elsewhere = elsewhere or wire == _LENGTH or bytes(data[start:stop]) != b"\0"
    if elsewhere and not named:
        yield UNNAMED


def _entry(data: memoryview, begin: int, end: int) -> dict[int, bytes]:
    """Key (1) and value (2) of a message that has two texts; empty for what is not there."""
    texts = {1: b"", 2: b""}
    for part, kind, first, last in _fields(data, begin, end):
        if kind == _LENGTH and part in texts:
            texts[part] = bytes(data[first:last])
    return texts


def _fields(data: memoryview, begin: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, and where the value begins and ends, of each field of a message."""
    at = begin
    while at < end:
        key, at = _varint(data, at, end)
        number, wire = key >> 3, key & 7
        start = at
        if wire == _VARINT:
            _, at = _varint(data, at, end)
        elif wire == _LENGTH:
            length, start = _varint(data, at, end)
            at = start + length
        elif wire in (_EIGHT, _FOUR):
            at += 8 if wire == _EIGHT else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at > end:
            raise ValueError("a field ends beyond its message")
        yield number, wire, start, at


def _varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise ValueError("ends inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")
