from __future__ import annotations

import pickle

import pytest

from avfeat.errors import AvfeatError, BundleError, MediaError, StoppedError


@pytest.mark.parametrize(
    "error", [MediaError("a.mp4", "empty", "is empty."), StoppedError("stopped", 130), BundleError("b: broken.")]
)
def test_errors_travel_between_processes(error: AvfeatError) -> None:
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is type(error) and str(found) == str(error) and vars(found) == vars(error)
