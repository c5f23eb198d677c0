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
from dataclasses import dataclass
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

_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_TENSOR_DIMS, _TENSOR_NAME = 1, 8
_ENTRY, _ELSEWHERE = 13, 14
"""Of TensorProto: external_data (entries of key and value), and data_location, 0 for values that are inside."""

UNNAMED = ""
"""Stands for a tensor whose values lie elsewhere, and which does not say where: no file has this name."""
_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_DEEPEST = 64


@dataclass(frozen=True)
class Node:
    """A node of a graph: its operator, and the names of what it takes and gives."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


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


def read_graph(path: Path) -> tuple[tuple[Node, ...], dict[str, tuple[int, ...]]]:
    """The nodes of a plain graph in order, and the shapes of its own values by their names.

    Raises:
        OSError: it cannot be read, or is no ordinary file.
        ValueError: it is no protobuf message, or has what is not plain: functions, training steps, graphs or
            tensors within nodes, operators of other domains, sparse values.
    """
    nodes: list[Node] = []
    shapes: dict[str, tuple[int, ...]] = {}
    with _mapped(path) as view:
        for number, _, begin, end in _fields(view, 0, len(view)):
            kind = _MODEL.get(number)
            if kind in ("function", "training"):
                raise ValueError(f"it has a {kind}")
            for part, _, start, stop in _fields(view, begin, end) if kind == "graph" else ():
                inner = _GRAPH.get(part)
                if inner == "node":
                    nodes.append(_node(view, start, stop))
                elif inner == "tensor":
                    name, shape = _shape(view, start, stop)
                    shapes[name] = shape
                elif inner is not None:
                    raise ValueError(f"it has {inner} values")
    return tuple(nodes), shapes


def _node(data: memoryview, begin: int, end: int) -> Node:
    operator, names = "", dict[int, list[str]]({_NODE_INPUT: [], _NODE_OUTPUT: []})
    for number, wire, start, stop in _fields(data, begin, end):
        if wire != _LENGTH:
            continue
        if number == _NODE_ATTRIBUTE:
            if any(part in _ATTRIBUTE for part, *_ in _fields(data, start, stop)):
                raise ValueError("it has graphs or tensors within nodes")
        elif number == _NODE_DOMAIN and stop > start:
            raise ValueError("it has operators of other domains")
        elif number == _NODE_OPERATOR:
            operator = bytes(data[start:stop]).decode()
        elif number in names:
            names[number].append(bytes(data[start:stop]).decode())
    return Node(operator, tuple(names[_NODE_INPUT]), tuple(names[_NODE_OUTPUT]))


def _shape(data: memoryview, begin: int, end: int) -> tuple[str, tuple[int, ...]]:
    """Name and dimensions of a tensor; these may be written one by one, or packed."""
    name, dims = "", []
    for number, wire, start, stop in _fields(data, begin, end):
        if number == _TENSOR_NAME and wire == _LENGTH:
            name = bytes(data[start:stop]).decode()
        elif number == _TENSOR_DIMS:
            at = start
            while at < stop:
                value, at = _varint(data, at, stop)
                dims.append(value)
    return name, tuple(dims)


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
