"""What an ONNX file says of other files, read without the package ``onnx``.

ONNX Runtime follows a tensor's ``external_data`` to whatever lies beside the file: bytes that no checksum covers.
Bundles hold single files (``docs/export.md``), so a file that refers to another one is refused.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
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
    "tensor": {},
}
_EXTERNAL = frozenset({13, 14})
"""Of TensorProto: external_data and data_location; 0 there, the default, is not written."""
_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_DEEPEST = 64


def refers_to_others(path: Path) -> bool:
    """Whether a tensor in the ONNX file has its values in another file.

    Raises:
        OSError: it cannot be read, or is no ordinary file.
        ValueError: it is no protobuf message.
    """
    with open_plain(path) as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            return False  # empty: nothing to refer with
        with data, memoryview(data) as view:
            return _external(view, 0, len(view), "model", 0)


def _external(data: memoryview, begin: int, end: int, kind: str, depth: int) -> bool:
    if depth > _DEEPEST:
        raise ValueError("graphs are nested too deeply")
    for number, wire, start, stop in _fields(data, begin, end):
        if kind == "tensor" and number in _EXTERNAL and (wire == _LENGTH or bytes(data[start:stop]) != b"\0"):
            return True
        inner = _INNER[kind].get(number)
        if inner is not None and wire == _LENGTH and _external(data, start, stop, inner, depth + 1):
            return True
    return False


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
