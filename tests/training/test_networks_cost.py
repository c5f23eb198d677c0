from __future__ import annotations

import torch
from torch import nn

from avfeat.training.networks import build_pair
from avfeat.training.networks.channels_last import to_channels_last
from avfeat.training.networks.flops import flops


def test_flops_of_convolutions_and_layers_are_those_of_hand() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 6 * 4, 10)
    )
    convolution = 2 * (3 * 5 * 5) * (8 * 6 * 4)
    assert flops(network, torch.zeros(7, 3, 12, 8)) == 7 * (convolution + 2 * 8 * 6 * 4 * 10)
    assert flops(nn.Conv3d(2, 4, 3, bias=False), torch.zeros(1, 2, 5, 6, 7)) == 2 * (2 * 27) * (4 * 3 * 4 * 5)


def test_counting_leaves_the_network_as_it_is() -> None:
    pair = build_pair("mini")
    network = pair.audio.backbone.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert flops(network, torch.randn(1, 1, 64, 101)) > 10_000_000
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_channels_last_is_for_all_convolutions_and_changes_no_value() -> None:
    torch.manual_seed(0)
    network = nn.ModuleList([nn.Conv2d(4, 8, 3), nn.Conv3d(4, 8, 3), nn.Conv1d(4, 8, 3), nn.Linear(4, 8)])
    inputs = [torch.randn(2, 4, 9, 9), torch.randn(2, 4, 9, 9, 9), torch.randn(2, 4, 9), torch.randn(2, 4)]
    before = [layer(x) for layer, x in zip(network, inputs, strict=True)]
    parameters = list(network.parameters())
    assert to_channels_last(network) is network
    assert all(a is b for a, b in zip(parameters, network.parameters(), strict=True))
    after = [layer(x) for layer, x in zip(network, inputs, strict=True)]
    torch.testing.assert_close(after, before)
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert network[1].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert after[0].is_contiguous(memory_format=torch.channels_last)
    assert after[1].is_contiguous(memory_format=torch.channels_last_3d)
