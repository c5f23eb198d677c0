"""Text towers of CLIP, SigLIP and CLAP, and CLAP's audio tower, against their own library."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from foreign import save_network
from numpy.typing import NDArray

import avfeat
from avfeat.errors import ArgumentError
from avfeat.export.backbones import choose_text, export_backbones, left_out, open_audio, open_video
from avfeat.export.backbones.sentences import SENTENCES
from avfeat.export.backbones.text import write_text
from avfeat.export.bundle import ExportedBundle
from avfeat.export.errors import ExportError, ParityError
from avfeat.training.backbones.backbone import TextBackbone
from avfeat.training.backbones.spectrum import ClapLogMel
from avfeat.verify import verify

TEXTS = ["a photo of a dog", "", "Straße 犬 🐕", "the sound of a dog that barks " * 30]


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each network with text."""
    folder = tmp_path_factory.mktemp("networks")
    return {kind: save_network(kind, folder / kind) for kind in ("clip", "siglip", "clap", "clap_fused")}


@pytest.fixture(scope="module")
def both(networks: dict[str, Path], media: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportedBundle:
    """A bundle of CLIP and CLAP with CLIP's text."""
    video, audio = (open_video(f"transformers:{networks['clip']}"), open_audio(f"transformers:{networks['clap']}"))
    path = tmp_path_factory.mktemp("both") / "bundle"
    return export_backbones(path, video, audio, frames=1, seconds=0.5, text="video", media=media)


def text_of(kind: str, networks: dict[str, Path]) -> TextBackbone:
    opened = (open_audio if kind.startswith("clap") else open_video)(f"transformers:{networks[kind]}")
    assert opened.text is not None
    return opened.text()


def of_library(folder: Path, texts: list[str], **settings: object) -> NDArray[np.float32]:
    """What somebody who uses the library alone gets."""
    model, tokenizer = hf.AutoModel.from_pretrained(folder), hf.AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        taken = tokenizer(texts, truncation=True, return_tensors="pt", **settings)
        rows = model.eval().get_text_features(**taken).pooler_output
        return torch.nn.functional.normalize(rows, dim=1).numpy()


def test_a_bundle_of_clip_embeds_text_as_the_library_does(both: ExportedBundle, networks: dict[str, Path]) -> None:
    assert all(check.ok for check in verify(both.bundle, "cpu"))
    with avfeat.load(both.bundle.path, device="cpu") as encoder:
        rows = encoder.embed_text(TEXTS)
        alone = np.concatenate([encoder.embed_text([text]) for text in TEXTS])
    np.testing.assert_allclose(rows, of_library(networks["clip"], TEXTS, padding=True), atol=1e-5)
    np.testing.assert_allclose(rows, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)


def test_what_is_said_of_the_text(both: ExportedBundle) -> None:
    said = json.loads((both.bundle.path / "bundle.json").read_text("utf-8"))
    assert said["text"]["with"] == ["video"] and {"text.onnx", "tokenizer.json"} < set(said["sha256"])
    (row,) = (row for row in said["parity"]["rows"] if row["modality"] == "text")
    assert row["inputs"] == "sentences" and row["count"] == 2 * len(SENTENCES) and row["distance"] < 1e-4
    assert said["parity"]["distances"]["text_shared"] > 0
    card = (both.bundle.path / "MODEL_CARD.md").read_text("utf-8")
    assert "| that of video |" in card and "| shared | 16 |  | 16 |" in card


def test_two_spaces_are_not_one(both: ExportedBundle, networks: dict[str, Path]) -> None:
    assert both.bundle.graph("video").widths == (32, 16)
    assert both.bundle.graph("audio").widths == (32, 0)
    video, audio = (open_video(f"transformers:{networks['clip']}"), open_audio(f"transformers:{networks['clap']}"))
    assert [left_out(video, audio, text) for text in ("video", "audio", None)] == ["audio", "video", "audio"]
    assert left_out(video, replace(audio, text=None), "video") is None
    chosen = [choose_text(video, audio, wanted) for wanted in (None, "video", "audio", "none")]
    assert chosen == ["video", "video", "audio", None]
    assert choose_text(None, audio, None) == "audio" and choose_text(replace(video, text=None), None, None) is None


@pytest.mark.parametrize("kind", ["siglip", "clap"])
def test_towers_are_written_as_the_library_has_them(kind: str, networks: dict[str, Path], tmp_path: Path) -> None:
    tower = text_of(kind, networks)
    written = write_text(tower, "audio" if kind == "clap" else "video", {})
    assert written.rows[0].ok and written.said["with"] == ["audio" if kind == "clap" else "video"]
    assert list(written.said["inputs"]) == (["ids", "mask"] if kind == "clap" else ["ids"])
    settings = {"padding": True} if kind == "clap" else {"padding": "max_length", "max_length": 16}
    assert tower.longest == (24 - 2 if kind == "clap" else 16)
    with torch.inference_mode():
        _, rows = tower.pipeline(TEXTS)
    if kind == "clap":
        settings["max_length"] = 22
    np.testing.assert_allclose(rows.numpy(), of_library(networks[kind], TEXTS, **settings), atol=1e-6)


class Off(torch.nn.Module):
    """A network of sentences that is another one."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(300, 32)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(self.table(input_ids).mean(1), dim=1)


def test_a_tower_that_differs_is_not_written(networks: dict[str, Path]) -> None:
    tower = replace(text_of("siglip", networks), network=Off())
    with pytest.raises(ParityError, match=r"text onnx: parity check failed; nothing was written\."):
        write_text(tower, "video", {})


def test_a_tokenizer_that_differs_is_not_written(networks: dict[str, Path]) -> None:
    tower = text_of("siglip", networks)
    stored = json.loads(tower.tokenizer)
    stored["normalizer"] = None
    with pytest.raises(ExportError, match=r"tokenizer\.json makes other tokens of .* than the library's tokenizer"):
        write_text(replace(tower, tokenizer=json.dumps(stored)), "video", {})


def test_networks_without_a_tokenizer_that_fits(networks: dict[str, Path], tmp_path: Path) -> None:
    hf.CLIPModel.from_pretrained(networks["clip"]).save_pretrained(tmp_path / "none")
    hf.CLIPImageProcessor.from_pretrained(networks["clip"]).save_pretrained(tmp_path / "none")
    with pytest.raises(ArgumentError, match=r"has no tokenizer; add its tokenizer\.json, or take --text none"):
        text_of("none", {"none": tmp_path / "none"})
    tokenizer = hf.AutoTokenizer.from_pretrained(networks["clip"])
    tokenizer.add_tokens([f"more{number}" for number in range(50)])
    tokenizer.save_pretrained(tmp_path / "none")
    with pytest.raises(ArgumentError, match=r"its tokenizer has \d+ tokens, its network 300"):
        text_of("none", {"none": tmp_path / "none"})


@pytest.mark.parametrize("kind", ["clap", "clap_fused"])
def test_the_audio_tower_of_clap_gives_what_the_library_gives(kind: str, networks: dict[str, Path]) -> None:
    opened = open_audio(f"transformers:{networks[kind]}")
    rng = np.random.default_rng(0)
    for samples in (1600, 13_000, 32_000):
        waveform = rng.normal(0, 0.1, (3, samples)).astype(np.float32)
        with torch.inference_mode():
            found = opened.network(torch.from_numpy(waveform))
            wanted = [torch.cat(parts) for parts in zip(*map(opened.pipeline, waveform), strict=True)]
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    with pytest.raises(ArgumentError, match=r"takes 2 s of sound at most, not 3 s"):
        export_backbones(networks[kind] / "bundle", None, opened, seconds=3)


@pytest.mark.parametrize("padding", ["repeatpad", "repeat", "pad"])
def test_the_spectrogram_of_clap(padding: str) -> None:
    extractor = hf.ClapFeatureExtractor(max_length_s=1, truncation="rand_trunc", padding=padding)
    front = ClapLogMel(extractor.mel_filters_slaney, 48_000, 1024, 480, padding)
    rng = np.random.default_rng(1)
    for samples in (4800, 16_000, 16_001, 47_999, 48_000):
        waveform = rng.normal(0, 0.1, samples).astype(np.float32)
        wanted = extractor(waveform, sampling_rate=48_000, return_tensors="pt")["input_features"][0]
        torch.testing.assert_close(front(torch.from_numpy(waveform)[None]), wanted, atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--text", "audio"), "--text audio: --audio brings no text; CLIP, SigLIP (--video), CLAP"),
        (("--text", "both"), "--text both: must be video, audio or none"),
    ],
)
def test_text_that_is_not_there(
    arguments: tuple[str, ...], said: str, networks: dict[str, Path], tmp_path: Path, avfeat_command
) -> None:
    spec = f"transformers:{networks['clip']}"
    ran = avfeat_command("export", "--video", spec, *arguments, "-o", str(tmp_path / "bundle"))
    assert ran.status == 2 and said in " ".join(ran.err.split())
    ran = avfeat_command("export", "run", "--text", "video", "-o", str(tmp_path / "bundle"))
    assert ran.status == 2 and "--text goes with --video or --audio" in ran.err
