"""Image and audio networks of transformers, from a folder or a repository: safetensors, and no foreign code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from numpy.typing import NDArray
from PIL.Image import Resampling
from torch import Tensor, nn
from transformers import AutoConfig, AutoFeatureExtractor, AutoImageProcessor, AutoModel, AutoVideoProcessor

from avfeat.errors import ArgumentError
from avfeat.training.backbones.backbone import AudioBackbone, Kernel, Look, Origin, Steps, VideoBackbone
from avfeat.training.backbones.loaded import built, origin_of, readable, to_pictures
from avfeat.training.backbones.spectrum import KaldiFilterBank, WhisperLogMel, length_of
from avfeat.training.backbones.transformers_clap import clap
from avfeat.training.backbones.transformers_pe import FPS, FRAMES, pe_frames, pe_sound
from avfeat.training.backbones.transformers_text import pair_text, pe_text
from avfeat.training.data.sources.address import Address

_KERNELS: dict[int, Kernel] = {
    Resampling.BILINEAR: "bilinear",
    Resampling.BICUBIC: "bicubic",
    Resampling.LANCZOS: "lanczos",
}
_PAIRS = ("clip", "siglip", "siglip2", "chinese_clip", "metaclip_2")
"""Networks of images and text with one space for both."""
_IMAGES = ("dinov2", "dinov2_with_registers", "dinov3_vit", "vit", "deit", "beit", "ijepa", "vit_mae")
_PE_VIDEO, _PE_AUDIO = ("pe_audio_video", "pe_video"), ("pe_audio_video", "pe_audio")
"""PE-AV, and its towers that come alone."""
_LICENCE = "as its repository states"
_SAFE = {"trust_remote_code": False}


def transformers_images(name: str, address: Address) -> VideoBackbone:
    """An image network: the image tower of CLIP or SigLIP, whose space is ``shared``, or a transformer of its own.

    Of video, PE-AV, whose space is ``shared``, too. Features are what the tower pools: its class token, or what its
    attention pooling gives.

    Raises:
        ArgumentError: a network of another kind, or one whose processor cannot be built into a graph.
        WeightsError: it cannot be fetched or read.
    """
    model = _model(name, address, (*_PAIRS, *_IMAGES, *_PE_VIDEO), "network of images or video")
    origin = origin_of(address, _LICENCE, model, "transformers")
    if model.config.model_type in _PE_VIDEO:
        return _pe_video(name, address, model, origin)
    with readable(address):
        processor: Any = AutoImageProcessor.from_pretrained(name, **_SAFE)
    network: nn.Module = _PairTower(model) if model.config.model_type in _PAIRS else _ImageTower(model)

    def pipeline(frames: NDArray[np.uint8]) -> Tensor:
        pixels: Tensor = processor(images=to_pictures(frames), return_tensors="pt")["pixel_values"]
        return pixels

    text = partial(pair_text, name, address, model) if model.config.model_type in _PAIRS else None
    return VideoBackbone(network.eval(), _look(processor, address), pipeline, origin, text=text)


def _pe_video(name: str, address: Address, model: Any, origin: Origin) -> VideoBackbone:
    with readable(address):
        processor: Any = AutoVideoProcessor.from_pretrained(name, **_SAFE)
    network, pipeline = pe_frames(model, processor)
    count = int(getattr(processor, "num_frames", None) or FRAMES)
    return VideoBackbone(
        network.eval(),
        _look(processor, address),
        pipeline,
        origin,
        count,
        FPS,
        text=partial(pe_text, name, address, model, "video"),
        any_count=True,
        rows=(0.0, 1.0),
    )


class _PairTower(nn.Module):
    """Images to what the tower pools, and to the space that images and text share."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.vision_model = model.vision_model
        self.visual_projection = getattr(model, "visual_projection", nn.Identity())

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        features = self.vision_model(pixel_values=pixels).pooler_output
        return features, nn.functional.normalize(self.visual_projection(features), dim=1)


class _ImageTower(nn.Module):
    """Images to the class token behind the last normalisation, or to the mean over patches without such a token."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.token = model.config.model_type != "ijepa"

    def forward(self, pixels: Tensor) -> Tensor:
        rows: Tensor = self.model(pixel_values=pixels).last_hidden_state
        return rows[:, 0] if self.token else rows.mean(1)


def _look(processor: Any, address: Address) -> Look:
    size, crop = _sides(processor.size), None
    if getattr(processor, "do_center_crop", False):
        crop = _sides(processor.crop_size)
    kernel = _KERNELS.get(int(processor.resample))
    scale = abs(processor.rescale_factor * 255 - 1) < 1e-6
    known = processor.do_resize and processor.do_rescale and processor.do_normalize and scale
    if not known or kernel is None or size is None or (isinstance(size, int) and not isinstance(crop, tuple)):
        raise ArgumentError(
            f"{address.text}: its image processor ({type(processor).__name__}) cannot be built into a graph; "
            "give a function of your own for it."
        )
    seen = crop if isinstance(crop, tuple) else cast("tuple[int, int]", size)
    return Look(size, seen, kernel, processor.image_mean, processor.image_std, half_down=True)


def _sides(size: Any) -> int | tuple[int, int] | None:
    """A processor's size: of the shorter side, of both, or of another kind."""
    # Of flexible resolution, as SigLIP 2's, there is none.
    values = dict(size or {})
    if values.get("height") and values.get("width"):
        return values["height"], values["width"]
    return values.get("shortest_edge") if not values.get("longest_edge") else None


def transformers_audio(name: str, address: Address) -> AudioBackbone:
    """An audio network: AST, CLAP and PE-AV, whose spaces are ``shared``, Whisper's encoder, wav2vec 2.0 and kin.

    Features are what AST, CLAP and PE-AV pool, and means over the time that the sound covers of the others.

    Raises:
        ArgumentError: a network of another kind.
        WeightsError: it cannot be fetched or read.
    """
    model = _model(name, address, tuple(_AUDIO), "audio network")
    with readable(address):
        extractor: Any = AutoFeatureExtractor.from_pretrained(name, **_SAFE)
    network, pipeline, note, steps = _AUDIO[model.config.model_type](model, extractor)
    origin, rate = origin_of(address, _LICENCE, model, "transformers"), int(extractor.sampling_rate)
    found = AudioBackbone(network.eval(), rate, pipeline, origin, note=note, steps=steps)
    if model.config.model_type in _PE_AUDIO:
        return replace(found, text=partial(pe_text, name, address, model, "audio"))
    if model.config.model_type != "clap":
        return found
    return replace(found, longest=float(extractor.max_length_s), text=partial(pair_text, name, address, model))


Pipeline = Callable[[NDArray[np.float32]], tuple[Tensor, ...]]
_Built = tuple[nn.Module, Pipeline, str, Steps | None]


def _ast(model: Any, extractor: Any) -> _Built:
    config, hop = model.config, 160 / extractor.sampling_rate
    front = KaldiFilterBank(extractor.num_mel_bins, extractor.max_length, extractor.mean, extractor.std)
    # Of mel filters, and of time: their order behind the class token and the distillation token.
    patches = (
        (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1,
        (config.max_length - config.patch_size) // config.time_stride + 1,
    )

    def pipeline(waveform: NDArray[np.float32]) -> tuple[Tensor, ...]:
        taken = extractor(waveform, sampling_rate=extractor.sampling_rate, return_tensors="pt")
        found = model(**taken)
        return found.pooler_output, found.last_hidden_state[:, 2:].unflatten(1, patches).mean(1)

    # A frame of the spectrogram hears 400 samples; patches hold frames, and begin every `time_stride` of them.
    steps = Steps(200 / extractor.sampling_rate + (config.patch_size - 1) / 2 * hop, config.time_stride * hop)
    return _Ast(model, front, patches), pipeline, _padded(extractor.max_length * hop), steps


class _Ast(nn.Module):
    """What AST pools, and the means of its patches over frequency: a row a step of time."""

    def __init__(self, model: Any, front: nn.Module, patches: tuple[int, int]) -> None:
        super().__init__()
        self.model, self.front, self.patches = model, front, patches

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        found = self.model(input_values=self.front(waveform))
        return found.pooler_output, torch.unflatten(found.last_hidden_state[:, 2:], 1, self.patches).mean(1)


def _whisper(model: Any, extractor: Any) -> _Built:
    front = WhisperLogMel(
        extractor.feature_size,
        extractor.n_samples,
        extractor.n_fft,
        extractor.hop_length,
        extractor.sampling_rate,
    )
    step = 2 * extractor.hop_length
    encoder = model.get_encoder()

    def pipeline(waveform: NDArray[np.float32]) -> tuple[Tensor, ...]:
        taken = extractor(waveform, sampling_rate=extractor.sampling_rate, return_tensors="pt")
        rows = encoder(taken["input_features"]).last_hidden_state
        return rows[:, : -(-len(waveform) // step)].mean(1), rows

    note = _padded(extractor.n_samples / extractor.sampling_rate)
    # Row i comes from the frames of the spectrogram around 2 i, which lie around their own instants.
    return _Whisper(encoder, front, step), pipeline, note, Steps(0.0, step / extractor.sampling_rate)


class _Whisper(nn.Module):
    """The mean of the encoder's rows over the time that the sound covers, and the rows, also those of padding."""

    places: Tensor

    def __init__(self, encoder: Any, front: WhisperLogMel, step: int) -> None:
        super().__init__()
        self.encoder, self.front = encoder, front
        self.register_buffer("places", torch.arange(0, front.samples, step).float())

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        rows = self.encoder(self.front(waveform)).last_hidden_state
        covered = (self.places < length_of(waveform)).float()
        return torch.matmul(covered, rows) / covered.sum(), rows


def _waveform(model: Any, extractor: Any) -> _Built:
    def pipeline(waveform: NDArray[np.float32]) -> tuple[Tensor, ...]:
        taken = extractor(waveform, sampling_rate=extractor.sampling_rate, return_tensors="pt")
        rows = model(taken["input_values"]).last_hidden_state
        return rows.mean(1), rows

    # Each convolution hears `kernel` steps of the one before it, and the next one begins `stride` steps later.
    heard, step = 1, 1
    for kernel, stride in zip(model.config.conv_kernel, model.config.conv_stride, strict=True):
        heard, step = heard + (kernel - 1) * step, step * stride
    if getattr(model.config, "add_adapter", False):
        # Convolutions over the rows, padded so that each lies in the middle of what it hears.
        step *= model.config.adapter_stride**model.config.num_adapter_layers
    steps = Steps(heard / 2 / extractor.sampling_rate, step / extractor.sampling_rate)
    return _Waveform(model, bool(extractor.do_normalize)), pipeline, "", steps


class _Waveform(nn.Module):
    """The mean of the rows that the sound gives, and the rows."""

    def __init__(self, model: Any, scaled: bool) -> None:
        super().__init__()
        self.model, self.scaled = model, scaled

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        if self.scaled:
            centred = waveform - waveform.mean(1, keepdim=True)
            waveform = centred / (centred.square().mean(1, keepdim=True) + 1e-7).sqrt()
        rows: Tensor = self.model(waveform).last_hidden_state
        return rows.mean(1), rows


_AUDIO: dict[str, Callable[[Any, Any], _Built]] = {
    "audio-spectrogram-transformer": _ast,
    "clap": clap,
    **dict.fromkeys(_PE_AUDIO, pe_sound),
    "whisper": _whisper,
    "wav2vec2": _waveform,
    "hubert": _waveform,
    "wavlm": _waveform,
}


def _padded(seconds: float) -> str:
    return (
        f"A window is padded to the {seconds:g} s that the network takes, and costs as much as one of that length."
    )


def _model(name: str, address: Address, kinds: tuple[str, ...], what: str) -> Any:
    with readable(address):
        try:
            config = AutoConfig.from_pretrained(name, **_SAFE)
        except StrictDataclassError as error:
            raise ValueError(f"its config.json: {' '.join(str(error).split())}") from error
    if config.model_type not in kinds:
        raise ArgumentError(
            f"{address.text}: is no {what} that is known here ({config.model_type}); known are {', '.join(kinds)}. "
            "Give a function of your own for it."
        )
    model: Any = built(
        lambda: AutoModel.from_pretrained(
            name, use_safetensors=True, attn_implementation="eager", dtype=torch.float32, **_SAFE
        ),
        address,
        random=False,
    )
    return model.eval()
