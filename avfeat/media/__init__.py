"""Media files as frames and samples on one presentation timeline (PyAV only).

The way of the data is a chain of small steps, each at constant memory: ``source`` opens what the caller named, by
the caller's ``rules``, if it is one of the ``containers``; ``timeline`` demuxes and decodes it and puts every frame
and sample at its presentation time, as far as the stream's ``track`` believes it; ``scaler`` turns frames into
upright RGB of the wanted size, ``audio`` turns samples into mono float32 at the wanted rate, ``items`` puts both in
one sequence, ``assembler`` cuts that by one grid, and ``windows`` is the way in.
"""

from avfeat.media.decode import Decoded, decode
from avfeat.media.probe import AudioInfo, MediaInfo, VideoInfo, probe
from avfeat.media.rules import Rules
from avfeat.media.scaler import Aspect, FrameLimits
from avfeat.media.source import Source
from avfeat.media.spec import AudioSpec, MediaSummary, VideoSpec, Window
from avfeat.media.windows import Windows, array_windows, media_windows

__all__ = [
    "Aspect",
    "AudioInfo",
    "AudioSpec",
    "Decoded",
    "FrameLimits",
    "MediaInfo",
    "MediaSummary",
    "Rules",
    "Source",
    "VideoInfo",
    "VideoSpec",
    "Window",
    "Windows",
    "array_windows",
    "decode",
    "media_windows",
    "probe",
]
