"""What comes from anybody: files are read if they are ordinary and of a bounded size, text is shown as it is."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import unicodedata
import zipfile
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Marks that turn the direction of text: what is shown would not be what is there.
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def open_plain(path: Path) -> BufferedReader:
    """An ordinary file, open for reading; a pipe or a device is refused, not waited for.

    Raises:
        OSError: it is not there, cannot be read, or is no ordinary file.
    """
    try:
        # A pipe that nobody writes to would stop us here.
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:
        raise OSError(errno.EINVAL, "no file can have this name", str(path)) from error
    file = os.fdopen(number, "rb") if stat.S_ISREG(os.fstat(number).st_mode) else None
    if file is None:
        os.close(number)
        raise OSError(errno.EINVAL, "not an ordinary file", str(path))
    return file


def read_plain(path: Path, most: int) -> bytes:
    """All of an ordinary file of at most ``most`` bytes.

    Raises:
        OSError: as ``open_plain``, or it is larger.
    """
    with open_plain(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most:,} bytes", str(path))
    return content


def sha256_of(path: Path) -> str:
    """The checksum of an ordinary file, read in pieces; errors as ``open_plain``."""
    with open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_depth(value: Any, most: int) -> None:
    """Raise ``ValueError`` if lists and mappings lie more than ``most`` deep in a JSON value."""
    layer, depth = [value], 0
    while layer:
        if depth > most:
            raise ValueError(f"nested more than {most} deep")
        inner = [one.values() if isinstance(one, dict) else one for one in layer if isinstance(one, dict | list)]
        layer, depth = [child for children in inner for child in children], depth + 1


def visible(text: str) -> str:
    """Text from anywhere, on one line and without what a terminal would obey: escape codes, turns of direction."""
    return "".join(_escaped(sign) if _obeyed(sign) else sign for sign in text)


def _obeyed(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or sign in _TURNS


def _escaped(sign: str) -> str:
    return _SHORT.get(sign, f"\\u{ord(sign):04x}")


def read_arrays(path: Path, most: int) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file that hold at most ``most`` bytes together.

    Raises:
        OSError: as ``open_plain``.
        ValueError: it is no archive of plain arrays, or they are larger.
    """
    with open_plain(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                _check_sizes(archive, most)
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
        except Exception as error:  # NumPy, zipfile and its decoders have no common base
            raise ValueError(str(error) or type(error).__name__) from error


def _check_sizes(archive: zipfile.ZipFile, most: int) -> None:
    """What is stated in the archive is small, and what each array states of itself is there."""
    entries = archive.infolist()
    if sum(entry.file_size for entry in entries) > most:
        raise ValueError(f"holds more than {most:,} bytes")
    for entry in entries:
        with archive.open(entry) as member:
            version = np.lib.format.read_magic(member)
            header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, _, dtype = header(member)
        # NumPy makes the array before it reads it.
        count = 1
        for side in shape:
            count *= side
        if not 0 <= count * dtype.itemsize <= entry.file_size:
            raise ValueError(f"{entry.filename} states more than it holds")
