"""One channel of audio that FFmpeg's mixer has no matrix for."""

from __future__ import annotations

import re

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.filter import Graph


class ChannelMixer:
    """Makes one channel of frames of one format: the first (W) of ambisonics, else the mean of all.

    FFmpeg's ``pan`` does the work: PyAV cannot reach the samples of more than eight planes.
    """

    def __init__(self, frame: AudioFrame) -> None:
        """Mix frames like this one."""
        count = frame.layout.nb_channels
        heard = 1 if frame.layout.name.startswith("ambisonic") else count
        gains = "+".join(f"{1 / heard:.9f}*c{channel}" for channel in range(heard))
        self._graph = Graph()
        self._graph.link_nodes(
            self._graph.add(
                "abuffer",
                sample_rate=str(frame.sample_rate),
                sample_fmt=frame.format.name,
                channel_layout=frame.layout.name,
                time_base=f"1/{frame.sample_rate}",
            ),
            self._graph.add("pan", f"mono|c0={gains}"),
            self._graph.add("abuffersink"),
        ).configure()

    def __call__(self, frame: AudioFrame) -> AudioFrame:
        """The one channel of ``frame``.

        Raises:
            av.error.FFmpegError: it is of another format, or has more channels than FFmpeg can mix.
        """
        self._graph.push(frame)
        mixed = self._graph.pull()
        assert isinstance(mixed, AudioFrame)
        mixed.pts = None
        return mixed


def channels_are_plausible(stream: AudioStream) -> bool:
    """Whether the header does not contradict itself: plain samples take a known number of bits a second."""
    context = stream.codec_context
    bits = re.fullmatch(r"pcm_(?:[a-z]?)(8|16|24|32|64)(?:le|be)?(?:_planar)?", context.name)
    if bits is None or not context.bit_rate:
        return True
    return context.bit_rate == context.sample_rate * context.layout.nb_channels * int(bits[1])
