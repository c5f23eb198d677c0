"""AVE linear evaluation: one label a video, or one label a second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from avfeat.errors import ArgumentError, DatasetError
from avfeat.evaluation.classification import VIDEO, ClassificationResult, View, classify
from avfeat.evaluation.embedders import Embedder
from avfeat.evaluation.features import of_seconds
from avfeat.evaluation.readers.ave import Ave, Split, second_labels
from avfeat.evaluation.store import Store, Tell, silent

Protocol = Literal["video", "segment"]
BACKGROUND = "background"
"""The 29th class of the segment protocol."""

SEGMENT = View(
    "segment",
    lambda item: second_labels(item, BACKGROUND),
    of_seconds,
    hop=1.0,
    centred=True,
    classes=(BACKGROUND,),
)
"""Ten rows a video, each from the window centred on its second; accuracy over all of them (Tian et al.)."""


def check_videos(ave: Ave) -> None:
    """Raise before any work if there is nothing to work on.

    Raises:
        DatasetError: there is no annotation, or none of the videos is there.
    """
    if not ave.annotations:
        raise DatasetError("AVE: its Annotations.txt has no row; take all text files from one copy of AVE.")
    if not any(path.is_file() for path in ave.videos.values()):
        example = next(iter(ave.videos.values()))
        raise DatasetError(
            f"AVE: none of the {len(ave.videos):,} videos of its {len(ave.annotations):,} annotated rows is there; "
            f"the first would be {example}."
        )


def evaluate_ave(
    ave: Ave,
    embedders: Sequence[Embedder],
    store: Store,
    protocol: Protocol = "video",
    split: Split = "dedupe",
    *,
    workers: int | None = None,
    progress: Tell = silent,
) -> ClassificationResult:
    """Measure embedders on AVE; arguments and errors as of ``classify``.

    Args:
        ave: the data set as read.
        embedders: the model, then baselines.
        store: where embeddings are kept.
        protocol: ``video`` (28 classes) or ``segment`` (and background).
        split: ``dedupe`` (no video of val or test in train) or ``official``.
        workers: files at a time; None for one a processor.
        progress: shows progress.
    """
    views = {"video": VIDEO, "segment": SEGMENT}
    if protocol not in views:
        raise ArgumentError(f"The protocol is video or segment, not {protocol!r}.")
    check_videos(ave)
    return classify(ave.dataset(split), embedders, store, views[protocol], workers=workers, progress=progress)
