"""How clips are prepared: what a cache holds depends on this and on the media, on nothing else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

from avfeat.errors import ArgumentError, AvfeatError
from avfeat.media import Aspect

FORMAT = 1
"""Version of the clip file; part of every clip's name, so that versions never mix."""

_LIMITS = {"fps": (1, 240), "size": (16, 4320), "sample_rate": (1000, 192_000), "quality": (1, 100)}


class CacheError(AvfeatError):
    """A prepared cache, or a clip in it, that is missing, broken, or made otherwise than asked for."""


@dataclass(frozen=True)
class CacheSettings:
    """What a prepared clip holds.

    Attributes:
        fps: pictures a second, at the instants ``(i + 0.5) / fps``.
        size: height and width of the pictures in pixels.
        sample_rate: samples a second, mono.
        aspect: what happens to pictures that are not square.
        quality: of the JPEG pictures, 1 to 100.

    Raises:
        ArgumentError: a value that no cache can have.
    """

    fps: int = 8
    size: int = 112
    sample_rate: int = 16_000
    aspect: Aspect = "stretch"
    quality: int = 95

    def __post_init__(self) -> None:
        for name, (least, most) in _LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ArgumentError(f"{name} must be a whole number from {least} to {most}, not {value!r}.")
        if self.aspect not in get_args(Aspect):
            raise ArgumentError(f"aspect must be one of {', '.join(get_args(Aspect))}, not {self.aspect!r}.")

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> CacheSettings:
        """From JSON values; raises KeyError where one is missing."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})

    def clip_id(self, digest: bytes) -> str:
        """The name of the clip made of the media with this content hash: BLAKE2b of 128 bits, in hex."""
        text = f"avfeat clip {FORMAT} {json.dumps(self.to_json(), sort_keys=True)} "
        return hashlib.blake2b(text.encode() + digest, digest_size=16).hexdigest()
