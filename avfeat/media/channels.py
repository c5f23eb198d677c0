"""One channel of sound that FFmpeg's mixer has no matrix for."""

from __future__ import annotations

import re

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

# What stands for silence, and for full scale, in each sample format.
_SCALES = {"u8": (128.0, 128.0), "s16": (0.0, 2.0**15), "s32": (0.0, 2.0**31), "flt": (0.0, 1.0), "dbl": (0.0, 1.0)}
_LARGEST = 2**31 - 1


def one_channel(frame: AudioFrame) -> AudioFrame:
    """What ``frame`` sounds like from the middle: the first channel (W) of ambisonics, else the channels' mean."""
    silence, full = _SCALES[frame.format.name.removesuffix("p")]
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    heard = samples[:1] if frame.layout.name.startswith("ambisonic") else samples
    mixed = (heard.mean(axis=0, keepdims=True, dtype=np.float64) - silence) / full
    whole = np.clip(np.rint(mixed * 2.0**31), -_LARGEST - 1, _LARGEST).astype(np.int32)
    mono = AudioFrame.from_ndarray(whole, format="s32p", layout="mono")
    mono.sample_rate = frame.sample_rate
    return mono


def channels_are_plausible(stream: AudioStream) -> bool:
    """Whether the header does not contradict itself: plain samples take a known number of bits a second."""
    context = stream.codec_context
    bits = re.fullmatch(r"pcm_(?:[a-z]?)(8|16|24|32|64)(?:le|be)?(?:_planar)?", context.name)
    if bits is None or not context.bit_rate:
        return True
    return context.bit_rate == context.sample_rate * context.layout.nb_channels * int(bits[1])
