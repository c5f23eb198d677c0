"""How good a bundle is, measured on the artifact that ships: no torch, any backend, any precision.

``readers`` turns the folder of a data set into labelled items and folds. ``store`` keeps embeddings on disk;
``features`` reduces them to rows. ``classification`` is the one engine of the linear probe (``probe``,
``logistic``) for every data set with a train list, ``ave`` its two protocols on AVE, ``neighbours`` (``nearest``)
the search without training, ``zero_shot`` (``prompts``) the one by sentences. ``embedders`` and ``handcrafted`` are
what is measured: bundles and baselines.
``random_init`` makes a bundle with random weights (``random_weights``, ``random_statistics``) for the latter.
``report`` and ``picture`` show what came out. Needs the extra ``eval``; ``nearest`` does not.
"""

from avfeat.errors import DatasetError
from avfeat.evaluation.ave import evaluate_ave
from avfeat.evaluation.classification import classify
from avfeat.evaluation.dataset import Dataset, Fold, LabelledItem
from avfeat.evaluation.embedders import BundleEmbedder, Embedder
from avfeat.evaluation.handcrafted import Handcrafted
from avfeat.evaluation.neighbours import evaluate_knn, evaluate_retrieval
from avfeat.evaluation.random_init import untrained_bundle
from avfeat.evaluation.store import Store
from avfeat.evaluation.zero_shot import ZeroShot, zero_shot

__all__ = [
    "BundleEmbedder",
    "Dataset",
    "DatasetError",
    "Embedder",
    "Fold",
    "Handcrafted",
    "LabelledItem",
    "Store",
    "ZeroShot",
    "classify",
    "evaluate_ave",
    "evaluate_knn",
    "evaluate_retrieval",
    "untrained_bundle",
    "zero_shot",
]
