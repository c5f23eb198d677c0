"""Small networks of others, saved as their libraries save them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import transformers as hf
from making import AudioTrack, VideoTrack, chirps, make_media
from numpy.typing import NDArray

_BODY = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
_VISION = {**_BODY, "image_size": 32, "patch_size": 16}
_SPEECH = {"conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
_SPECIAL = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
_LINES = ("a photo of a dog", "a cat sits on a mat", "the sound of a dog that barks", "Regen auf der Straße")
_WORDS = 300


def save_network(kind: str, folder: Path) -> Path:
    """A network of ``kind`` with seeded random weights, its processors and its tokenizer, in ``folder``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for part in KINDS[kind]():
            part.save_pretrained(folder)
    if kind in TOKENIZERS:
        TOKENIZERS[kind]().save_pretrained(folder)
    return folder


def _clip():
    text = {**_BODY, **_SPECIAL, "num_hidden_layers": 1, "vocab_size": _WORDS, "max_position_embeddings": 16}
    vision = {**_VISION, "num_hidden_layers": 1}
    config = hf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    crop = {"height": 32, "width": 32}
    return hf.CLIPModel(config), hf.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=crop)


def _siglip():
    text = {**_BODY, **_SPECIAL, "num_hidden_layers": 1, "vocab_size": _WORDS, "max_position_embeddings": 16}
    model = hf.SiglipModel(hf.SiglipConfig(text_config=text, vision_config=_VISION))
    return model, hf.SiglipImageProcessor(size={"height": 32, "width": 32})


def _dinov2():
    processor = hf.BitImageProcessor(
        size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}, do_center_crop=True, resample=3
    )
    return hf.Dinov2Model(hf.Dinov2Config(**_VISION)), processor


def _vit():
    return hf.ViTModel(hf.ViTConfig(**_VISION)), hf.ViTImageProcessor(size={"height": 32, "width": 32})


def _ast():
    return hf.ASTModel(hf.ASTConfig(**_BODY, max_length=128)), hf.ASTFeatureExtractor(max_length=128)


def _clap(fused: bool = False):
    text = {**_BODY, "num_hidden_layers": 1, "vocab_size": _WORDS, "max_position_embeddings": 24}
    sound = {
        "spec_size": 64,
        "num_mel_bins": 16,
        "patch_embeds_hidden_size": 16,
        "depths": (2, 1),
        "num_attention_heads": (2, 2),
        "num_hidden_layers": 2,
        "hidden_size": 32,
        "enable_fusion": fused,
    }
    if fused:
        sound |= {"fusion_type": "aff_2d"}
    model = hf.ClapModel(hf.ClapConfig(text_config=text, audio_config=sound, projection_dim=16))
    extractor = hf.ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=16_000,
        hop_length=160,
        max_length_s=2,
        fft_window_size=512,
        frequency_max=7000,
        truncation="fusion" if fused else "rand_trunc",
    )
    return model, extractor


def _whisper():
    config = hf.WhisperConfig(
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        vocab_size=50,
        max_source_positions=150,
        decoder_start_token_id=2,
        **_SPECIAL,
    )
    return hf.WhisperModel(config), hf.WhisperFeatureExtractor(chunk_length=3)


def _wav2vec2():
    model = hf.Wav2Vec2Model(hf.Wav2Vec2Config(**_BODY, **_SPEECH, vocab_size=32))
    return model, hf.Wav2Vec2FeatureExtractor(do_normalize=True)


def _hubert():
    model = hf.HubertModel(hf.HubertConfig(**_BODY, **_SPEECH, vocab_size=32))
    return model, hf.Wav2Vec2FeatureExtractor(do_normalize=True)


def _pe_av():
    # What is usual leaves all inputs nearly the same to a network this small.
    body = {**_BODY, "num_hidden_layers": 1, "head_dim": 16, "initializer_range": 0.2}
    text = {
        "model_type": "modernbert",
        **_BODY,
        "vocab_size": _WORDS,
        "max_position_embeddings": 24,
        "local_attention": 8,
        "global_attn_every_n_layers": 2,
        "initializer_range": 0.2,
        **dict.fromkeys(("bos_token_id", "cls_token_id"), 0),
        **dict.fromkeys(("eos_token_id", "sep_token_id", "pad_token_id"), 1),
    }
    sound = {"downsampling_ratios": [2, 4, 4, 5], "encoder_hidden_size": 8, "codebook_dim": 16, "hidden_size": 32}
    seen = {"architecture": "test_vit", "num_classes": 24, "global_pool": "avg", "model_args": {"img_size": 32}}
    config = hf.PeAudioVideoConfig(
        text_config=text,
        audio_video_config={
            **body,
            "audio_config": {"model_type": "pe_audio_encoder", **body, "dac_config": sound},
            "video_config": {"model_type": "pe_video_encoder", **body, "vision_config": seen},
        },
    )
    scale = {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
    shown = hf.PeVideoVideoProcessor(
        size={"height": 32, "width": 32}, do_resize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3, **scale
    )
    model = hf.PeAudioVideoModel(config)
    with torch.no_grad():
        for layer in model.audio_model.audio_encoder.embedder.modules():
            if isinstance(layer, torch.nn.Conv1d):
                layer.weight.mul_(10)
    return model, hf.PeAudioFeatureExtractor(sampling_rate=16_000, hop_length=160), shown


KINDS = {
    "clip": _clip,
    "siglip": _siglip,
    "dinov2": _dinov2,
    "vit": _vit,
    "ast": _ast,
    "whisper": _whisper,
    "clap": _clap,
    "clap_fused": lambda: _clap(fused=True),
    "wav2vec2": _wav2vec2,
    "hubert": _hubert,
    "pe_av": _pe_av,
}


def _byte_pairs():
    return hf.CLIPTokenizer(model_max_length=16).train_new_from_iterator(_LINES, _WORDS)


def _byte_pairs_of_siglip2():
    # Its repositories say that the network takes no mask.
    tokenizer = hf.Siglip2Tokenizer(padding_side="right", model_input_names=["input_ids"])
    return tokenizer.train_new_from_iterator(_LINES, _WORDS)


def _byte_pairs_of_clap():
    special = {
        "pad_token": "<pad>",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "cls_token": "<s>",
        "sep_token": "</s>",
    }
    return hf.RobertaTokenizer(**special).train_new_from_iterator(_LINES, _WORDS)


TOKENIZERS = {
    "clip": _byte_pairs,
    "siglip": _byte_pairs_of_siglip2,
    "clap": _byte_pairs_of_clap,
    "clap_fused": _byte_pairs_of_clap,
    "pe_av": _byte_pairs_of_clap,
}

SIGHTS = ("clip", "siglip", "dinov2", "vit", "pe_av")
SOUNDS = ("ast", "clap", "clap_fused", "whisper", "wav2vec2", "hubert", "pe_av")


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Waves with noise over them: edges, flat places and everything between."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [128 + 80 * np.sin(x / 7 + y / 11 + colour) + rng.normal(0, 10, (height, width)) for colour in range(3)]
    return np.stack(waves, -1).clip(0, 255).astype(np.uint8)


def clips_of_waves(folder: Path) -> Path:
    """Four short clips that look and sound differently."""
    folder.mkdir()
    for number in range(4):
        shown = picture(60, 80, number) // (number + 1) + np.uint8(20 * number)
        video = VideoTrack(1.2, picture=lambda time, shown=shown: np.roll(shown, int(8 * time), 1))
        make_media(folder / f"{number}.mkv", video, AudioTrack(1.2, sound=chirps(number)))
    return folder
