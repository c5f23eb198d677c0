"""Recipes from anybody: settings or one sentence, in bounded time and memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from avfeat.errors import ArgumentError
from avfeat.training.schema import parse_yaml, read_yaml

BOMB = "a0: &a0 [0,0,0,0,0,0,0,0,0,0]\n" + "".join(
    f"a{k}: &a{k} [{','.join([f'*a{k - 1}'] * 10)}]\n" for k in range(1, 12)
)
MERGES = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{k}: &a{k} {{<<: [{','.join([f'*a{k - 1}'] * 10)}]}}\n" for k in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 3000 + "]" * 3000, "nested too deeply"),
        ("- " * 3000, "nested too deeply"),
        (BOMB, "stands for more than"),
        (MERGES, "stands for more than"),
        ("&a [*a]", "holds itself"),
        ("x: " + "9" * 5000, "digits"),
        ("x: 2026-99-99", "month"),
    ],
    ids=["brackets", "dashes", "aliases", "merges", "circle", "digits", "date"],
)
def test_what_is_no_recipe(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ArgumentError, match=why) as raised:
        read_yaml(path)
    assert str(path) in str(raised.value) and len(str(raised.value)) < 1000


def test_aliases_in_reason_are_settings() -> None:
    assert parse_yaml("a: &x {lr: 1}\nb: *x\nc: {<<: *x, more: 2}") == {
        "a": {"lr": 1},
        "b": {"lr": 1},
        "c": {"lr": 1, "more": 2},
    }


def test_many_names_take_no_square_of_time() -> None:
    text = "\n".join(f"n{k}: 1" for k in range(20_000))
    assert len(parse_yaml(text)) == 20_000


def test_files_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(ArgumentError, match="not UTF-8"):
        read_yaml(path)
    path.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(ArgumentError, match="larger than"):
        read_yaml(path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.yaml")
        with pytest.raises(ArgumentError, match="not an ordinary file"):
            read_yaml(tmp_path / "pipe.yaml")


@given(st.text(alphabet="ab01:-[]{}&*<>!?|'\"#%@, \n\t\0\x1b\ud800e.", max_size=60))
def test_any_text_is_a_value_or_no_yaml(text: str) -> None:
    try:
        parse_yaml(text)
    except yaml.YAMLError as error:
        assert str(error)
