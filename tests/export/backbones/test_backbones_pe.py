"""PE-AV: towers of video and of sound in one space, and text with a head for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from foreign import save_network

import avfeat
from avfeat.export.backbones import export_backbones, left_out, open_audio, open_video
from avfeat.export.backbones.text import write_text
from avfeat.export.bundle import ExportedBundle
from avfeat.media import decode
from avfeat.verify import verify

TEXTS = ["a photo of a dog", "", "Straße 犬 🐕"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network("pe_av", tmp_path_factory.mktemp("pe") / "pe_av")


@pytest.fixture(scope="module")
def both(folder: Path, media: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportedBundle:
    """A bundle of both towers, with the text of video."""
    video, audio = open_video(f"transformers:{folder}"), open_audio(f"transformers:{folder}")
    assert left_out(video, audio, "video") is None
    path = tmp_path_factory.mktemp("both") / "bundle"
    return export_backbones(path, video, audio, frames=8, seconds=1.0, pool="none", text="video", media=media)


@pytest.mark.nightly
def test_both_towers_are_in_one_space(both: ExportedBundle) -> None:
    bundle = both.bundle
    assert bundle.graph("video").widths == bundle.graph("audio").widths == (32, 32)
    assert bundle.text is not None and bundle.text.compares == ("video",)
    assert all(check.ok for check in verify(bundle, "cpu"))
    rows = bundle.graph("audio").frames
    assert rows is not None and (rows.rows, rows.first, rows.period) == (100, 0.005, 0.01)
    rows = bundle.graph("video").frames
    assert rows is not None and (rows.rows, rows.first, rows.period) == (8, 0.0625, 0.125)


@pytest.mark.nightly
def test_a_file_is_embedded_as_the_library_does_it(both: ExportedBundle, folder: Path, media: Path) -> None:
    model = hf.AutoModel.from_pretrained(folder).eval()
    processor = hf.AutoVideoProcessor.from_pretrained(folder)
    extractor = hf.AutoFeatureExtractor.from_pretrained(folder)
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    file = sorted(media.iterdir())[1]
    decoded = decode(file, fps=8, size=None)
    assert decoded.frames is not None and decoded.waveform is not None
    clip = torch.from_numpy(decoded.frames[:8]).permute(0, 3, 1, 2)
    sound = decoded.waveform[:16_000]
    with torch.inference_mode():
        # All three at once, which is the library's own way.
        found = model(
            **processor(videos=[clip] * len(TEXTS), return_tensors="pt", do_sample_frames=False),
            **extractor([sound] * len(TEXTS), sampling_rate=16_000, return_tensors="pt"),
            **tokenizer(TEXTS, padding=True, truncation=True, max_length=24, return_tensors="pt"),
        )
    wanted = {
        name: torch.nn.functional.normalize(rows, dim=1).numpy()
        for name, rows in (
            ("video", found.video_embeds),
            ("audio", found.audio_embeds),
            ("text", found.text_video_embeds),
        )
    }
    with avfeat.load(both.bundle.path, device="cpu", threads=1) as encoder:
        e = encoder.embed(file)
        texts = encoder.embed_text(TEXTS)
    # The library's own call takes 8 frames a second, and avfeat eight frames of a second.
    np.testing.assert_allclose(e.video_shared[0], wanted["video"][0], atol=2e-3)
    np.testing.assert_allclose(e.audio_shared[0], wanted["audio"][0], atol=1e-4)
    np.testing.assert_allclose(texts, wanted["text"], atol=1e-5)
    assert e.audio_frames is not None and e.audio_frames.shape[1:] == (100, 32)


@pytest.mark.nightly
def test_text_of_sound_has_a_head_of_its_own(folder: Path) -> None:
    tower = open_audio(f"transformers:{folder}").text
    assert tower is not None
    written = write_text(tower(), "audio", {})
    assert written.rows[0].ok and written.said["with"] == ["audio"]
    with torch.inference_mode():
        _, rows = tower().pipeline(TEXTS)
        model = hf.AutoModel.from_pretrained(folder).eval()
        tokens = hf.AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
        found = model.audio_model(**tokens, input_values=torch.zeros(1, 1, 160)).text_audio_embeds
    torch.testing.assert_close(rows, torch.nn.functional.normalize(found, dim=1), atol=1e-6, rtol=1e-5)


def test_towers_give_what_the_library_gives(folder: Path) -> None:
    video, audio = open_video(f"transformers:{folder}"), open_audio(f"transformers:{folder}")
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (5, 32, 32, 3), np.uint8)
    assert audio.text is not None and left_out(video, audio, "video") is None
    tower = audio.text()
    with torch.inference_mode():
        shown = torch.from_numpy(frames).permute(0, 3, 1, 2) / 255 * 2 - 1
        torch.testing.assert_close(video.pipeline(frames), shown.transpose(0, 1), atol=1e-5, rtol=0)
        features, shared, rows = video.network(video.pipeline(frames)[None])
        assert features.shape == shared.shape == (1, 32) and rows.shape == (1, 5, 32)
        for samples in (1600, 1601, 16_123):
            waveform = rng.normal(0, 0.1, (2, samples)).astype(np.float32)
            found = audio.network(torch.from_numpy(waveform))
            wanted = [torch.cat(parts) for parts in zip(*map(audio.pipeline, waveform), strict=True)]
            for one, other in zip(found, wanted, strict=True):
                # The library masks nothing away, and adds up otherwise.
                torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-4)
            assert found[2].shape == (2, -(-samples // 160), 32)
        (ids, mask), rows = tower.pipeline(TEXTS)
        torch.testing.assert_close(tower.network(ids, mask), rows, atol=1e-6, rtol=1e-5)
    assert (video.frames, video.fps, video.any_count) == (16, 8.0, True)
