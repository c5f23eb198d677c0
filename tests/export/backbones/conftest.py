from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from foreign import clips_of_waves


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of short clips that look and sound differently."""
    return clips_of_waves(tmp_path_factory.mktemp("clips") / "media")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks are slower with threads, and workers of the suite share the processors."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
