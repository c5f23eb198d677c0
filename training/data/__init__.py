"""Training data: sources, the prepared cache, and the sampler of views.

``sources`` says which clips there are; ``prepare`` decodes each once (``record``, ``clip_writer``) in worker
processes (``worker_pool``) and writes the ``index``; ``clip`` reads video and audio of any time;
``sampling`` draws the times of views; ``loader`` makes batches of them, in an order and with a ``randomness`` that
depend on seed and place alone. Only ``loader`` imports torch; import it from there.
"""

from avfeat.training.data.cache import Cache, Needs, open_or_prepare
from avfeat.training.data.clip import Clip
from avfeat.training.data.prepare import (
    Event,
    ItemFailed,
    ItemStored,
    PreparationFinished,
    PreparationStarted,
    prepare,
)
from avfeat.training.data.sampling import Sampling, ViewTimes, draw
from avfeat.training.data.settings import CacheError, CacheSettings
from avfeat.training.data.sources import Listing, SourceItem, open_source

__all__ = [
    "Cache",
    "CacheError",
    "CacheSettings",
    "Clip",
    "Event",
    "ItemFailed",
    "ItemStored",
    "Listing",
    "Needs",
    "PreparationFinished",
    "PreparationStarted",
    "Sampling",
    "SourceItem",
    "ViewTimes",
    "draw",
    "open_or_prepare",
    "open_source",
    "prepare",
]
