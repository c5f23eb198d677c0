from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avfeat.plain import check_depth, read_arrays, read_plain, sha256_of, visible


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        for read in (sha256_of, lambda path: read_plain(path, 10)):
            with pytest.raises(OSError, match="not an ordinary file"):
                read(tmp_path / name)


def test_more_bytes_than_allowed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(10))
    assert read_plain(path, 10) == bytes(10)
    with pytest.raises(OSError, match="larger than 9 bytes"):
        read_plain(path, 9)


def test_no_file_can_have_a_nul_in_its_name() -> None:
    with pytest.raises(OSError):
        read_plain(Path("a\0b"), 1)


@pytest.mark.parametrize(("depth", "fits"), [(3, True), (4, False)])
def test_depth(depth: int, fits: bool) -> None:
    value: object = 0
    for _ in range(depth):
        value = {"a": [1], "b": value}
    if fits:
        check_depth(value, 4)
    else:
        with pytest.raises(ValueError, match="more than 4 deep"):
            check_depth(value, 4)


@given(st.text())
def test_shown_text_is_one_line_that_no_terminal_obeys(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable() or all(sign.isprintable() or ord(sign) > 0x9F for sign in shown)
    assert len(shown.splitlines()) <= 1
    shown.encode()


def test_what_is_escaped_stays_json() -> None:
    said = json.dumps({"name": "a\x9b31m\u202e\ud800é"}, ensure_ascii=False)
    assert json.loads(visible(said)) == json.loads(said) and "é" in visible(said)
    assert visible("\x1b[31mred\n") == "\\u001b[31mred\\n"


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_arrays_read_back(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", x=npy(np.arange(5)), y=npy(np.zeros((2, 0))))
    found = read_arrays(path, 10_000)
    assert found["x"].tolist() == [0, 1, 2, 3, 4] and found["y"].shape == (2, 0)


def test_an_array_that_states_more_than_it_holds_is_never_made(tmp_path: Path) -> None:
    whole = npy(np.zeros(100, np.uint8))
    lying = whole.replace(b"(100,)", b"(10000000000000,)".ljust(6))
    lying = lying[:8] + (len(lying) - 110).to_bytes(2, "little") + lying[10:]
    with pytest.raises(ValueError, match="states more than it holds"):
        read_arrays(archive(tmp_path / "a.npz", x=lying), 10_000)


def test_packed_zeros_are_not_unpacked(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", x=npy(np.zeros(2**20, np.uint8)))
    assert path.stat().st_size < 5000
    with pytest.raises(ValueError, match="holds more than"):
        read_arrays(path, 2**19)


@given(st.binary(max_size=40), st.integers(0, 400))
def test_mutated_archives_are_arrays_or_a_value_error(tmp_path_factory, patch: bytes, at: int) -> None:
    folder = tmp_path_factory.getbasetemp()
    whole = archive(folder / "whole.npz", x=npy(np.arange(9))).read_bytes()
    path = folder / "mutated.npz"
    path.write_bytes(whole[:at] + patch + whole[at + len(patch) :])
    try:
        read_arrays(path, 10_000)
    except ValueError as error:
        assert str(error)
