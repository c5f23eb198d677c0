"""Media files as frames and samples on one presentation timeline (PyAV only).

The way of the data is a chain of small steps, each at constant memory: ``source`` opens what the caller named,
``timeline`` demuxes and decodes it and puts every frame and sample at its presentation time, ``pictures`` turns
frames into upright RGB of the wanted size, ``sound`` turns samples into mono float32 at the wanted rate, and
``windows`` cuts both by one grid.
"""

from avfeat.media.decode import Decoded, decode
from avfeat.media.pictures import Aspect
from avfeat.media.probe import AudioInfo, MediaInfo, VideoInfo, probe
from avfeat.media.source import Source
from avfeat.media.windows import AudioSpec, VideoSpec, Window, array_windows, media_windows

__all__ = [
    "Aspect",
    "AudioInfo",
    "AudioSpec",
    "Decoded",
    "MediaInfo",
    "Source",
    "VideoInfo",
    "VideoSpec",
    "Window",
    "array_windows",
    "decode",
    "media_windows",
    "probe",
]
