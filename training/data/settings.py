"""How clips are prepared: what a cache holds depends on this and on the media, on nothing else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from typing import Annotated, Any

from pydantic import Field

from avfeat.errors import AvfeatError
from avfeat.media import Aspect
from avfeat.training.schema import settings

FORMAT = 1
"""Version of the clip file; part of every clip's name, so that versions never mix."""


class CacheError(AvfeatError):
    """A prepared cache, or a clip in it, that is missing, broken, or made otherwise than asked for."""


@settings
class CacheSettings:
    """What a prepared clip holds.

    Attributes:
        fps: frames a second, at the instants ``(i + 0.5) / fps``.
        size: height and width of the frames in pixels.
        sample_rate: samples a second, mono.
        aspect: what happens to frames that are not square.
        quality: of the JPEG images, 1 to 100.

    Raises:
        ArgumentError: a value that no cache can have.
    """

    fps: Annotated[int, Field(ge=1, le=240)] = 8
    size: Annotated[int, Field(ge=16, le=4320)] = 112
    sample_rate: Annotated[int, Field(ge=1000, le=192_000)] = 16_000
    aspect: Aspect = "stretch"
    quality: Annotated[int, Field(ge=1, le=100)] = 95

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
