from __future__ import annotations

import pytest

from avfeat.classify.choice import choose, preferred


@pytest.mark.parametrize(
    ("validation", "first"),
    [
        ({"video": 0.5, "audio": 0.4, "av": 0.5}, "av"),
        ({"video": 0.53, "audio": 0.4, "av": 0.5}, "av"),  # a standard error is 0.05
        ({"video": 0.56, "audio": 0.4, "av": 0.5}, "video"),
        ({"video": 0.2, "audio": 0.4}, "audio"),
        ({"video": 0.4, "audio": 0.4}, "video"),
    ],
)
def test_both_speak_unless_one_alone_is_clearly_better(validation: dict[str, float], first: str) -> None:
    order = preferred(validation, 100)
    assert order[0] == first and set(order) == set(validation)


def test_what_lacks_a_modality_goes_by_the_other() -> None:
    order = ("audio", "av", "video")
    assert [choose(*has, order) for has in ((True, True), (True, False), (False, True), (False, False))] == [
        "audio",
        "video",
        "audio",
        None,
    ]
    assert choose(True, False, ("av", "audio")) is None and choose(True, True, ("av", "audio")) == "av"
