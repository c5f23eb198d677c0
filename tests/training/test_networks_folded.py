from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from avfeat.bundle import Bundle, Modality, default_bundle, find_bundle
from avfeat.export.precision.graphs import raw_networks
from avfeat.training.networks import PAIRS, PairSpec, build_pair
from avfeat.training.networks.folded import load_folded, unfold
from avfeat.training.networks.published import WeightsError


def test_a_network_with_a_bundles_weights_gives_the_bundles_outputs() -> None:
    bundle, spec = Bundle.open(default_bundle()), PAIRS["base"]
    pair, golden = build_pair(spec).eval(), bundle.golden()
    inputs: dict[Modality, str] = {"video": "frames", "audio": "waveform"}
    for modality in inputs:
        load_folded(getattr(pair, modality), bundle, modality)
    for network, (modality, name) in zip(raw_networks(pair, spec, "fp32"), inputs.items(), strict=True):
        with torch.inference_mode():
            features, shared = network(torch.from_numpy(golden[name]))
        for kind, found in (("features", features), ("shared", shared)):
            expected = torch.from_numpy(golden[f"{modality}_{kind}"])
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def folded() -> nn.Sequential:
    """Layers whose BatchNorm knows nothing of what it sees, as after folding."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, bias=False),
        nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 16, 6, bias=False), nn.BatchNorm1d(6),
    )  # fmt: skip
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -1, 1)
    return network


def test_unfolding_changes_nothing_but_gives_statistics_of_the_data() -> None:
    network = folded()
    batches = [3 * torch.randn(16, 3, 8, 8) + 1 for _ in range(3)]
    expected = [copy.deepcopy(network).eval()(batch) for batch in batches]
    unfold(network, batches)
    assert not network.training
    for batch, wanted in zip(batches, expected, strict=True):
        torch.testing.assert_close(network(batch), wanted, rtol=1e-3, atol=1e-3)
    # In training mode, too, where BatchNorm takes the statistics of what it gets.
    torch.testing.assert_close(network.train()(torch.cat(batches)), torch.cat(expected), rtol=1e-3, atol=1e-3)
    seen = network[0](torch.cat(batches)).transpose(0, 1).flatten(1)
    unfold(network, batches)
    torch.testing.assert_close(network[1].running_mean, seen.mean(1), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(network[1].running_var, seen.var(1, correction=0), rtol=1e-3, atol=1e-3)


def test_bundles_of_other_networks_or_precisions_are_refused() -> None:
    bundle = Bundle.open(default_bundle())
    tiny = build_pair(PairSpec("tiny_shift", "tiny_mel"))
    with pytest.raises(WeightsError, match=r"video\.onnx: holds the weights of another network \(no "):
        load_folded(tiny.video, bundle, "video")
    whole = Bundle.open(find_bundle("base-int8"))
    for other in (whole, replace(bundle, precision="fp16")):
        with pytest.raises(WeightsError, match="weights are taken from ONNX files in fp32; take a bundle that has"):
            load_folded(tiny.video, other, "video")
