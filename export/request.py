"""What ``avfeat export`` was asked for, and who does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from avfeat.backends import Backend
from avfeat.bundle import Precision
from avfeat.cli.printing import note
from avfeat.errors import ArgumentError
from avfeat.export.backbones import (
    FRAME_SIZES,
    POOLS,
    FrameSize,
    Pool,
    choose_text,
    export_backbones,
    left_out,
    open_audio,
    open_video,
)
from avfeat.export.bundle import ExportedBundle, export_bundle
from avfeat.export.media import read_windows
from avfeat.export.model import check_words, open_model, spec_of

Follow = Callable[[str], object]


@dataclass(frozen=True)
class Request:
    """The options of ``avfeat export``, as its help describes them; ``notes`` are the Markdown itself."""

    out: Path
    run: str | None
    video: str | None
    audio: str | None
    frames: int | None
    pool: str
    text: str | None
    seconds: float | None
    frame_size: str
    formats: tuple[Backend, ...]
    precision: Precision
    calibration: str | None
    name: str | None
    licence: str | None
    data: str | None
    notes: str

    def check(self) -> None:
        """Refuse options that do not go together, before any work.

        Raises:
            ArgumentError: in a sentence.
        """
        networks = {"--video": self.video, "--audio": self.audio}
        given = [option for option, value in networks.items() if value is not None]
        if (self.run is None) == (not given):
            raise ArgumentError("Give a RUN to export, or networks of others by --video, --audio or both.")
        if self.run is None:
            if (self.formats, self.precision) != (("onnx",), "fp32"):
                raise ArgumentError(f"{' and '.join(given)}: networks of others are written as onnx in fp32.")
            for option, chosen, choices in (
                ("--pool", self.pool, POOLS),
                ("--frame-size", self.frame_size, FRAME_SIZES),
            ):
                if chosen not in choices:
                    raise ArgumentError(f"{option} must be one of {', '.join(choices)}, not {chosen!r}.")
            return
        # A run says itself what a window is.
        windows = {"--frames": self.frames, "--text": self.text, "--seconds": self.seconds}
        windows["--pool"] = None if self.pool == "mean" else self.pool
        windows["--frame-size"] = None if self.frame_size == "original" else self.frame_size
        for option, value in windows.items():
            if value is not None:
                raise ArgumentError(f"{option} goes with --video or --audio; a run has its own windows.")

    def carry_out(self, follow: Follow) -> ExportedBundle:
        """Write the bundle, after ``check``; ``follow`` is called with the name of each stage when it begins."""
        return self._networks(follow) if self.run is None else self._run(self.run, follow)

    def _run(self, run: str, follow: Follow) -> ExportedBundle:
        check_words(run, self.data)
        follow("reading clips")
        windows = read_windows(self.calibration, spec_of(run))
        follow("opening the networks")
        model = open_model(run, windows, self.name, self.licence, self.data)
        return export_bundle(self.out, model, windows, self.formats, self.precision, self.notes, follow)

    def _networks(self, follow: Follow) -> ExportedBundle:
        media = None if self.calibration is None else Path(self.calibration)
        if media is not None and not media.exists():
            raise ArgumentError(
                f"{media}: no such file or folder; --calibration of networks of others takes media."
            )
        follow("opening the networks")
        video = None if self.video is None else open_video(self.video)
        audio = None if self.audio is None else open_audio(self.audio)
        text = choose_text(video, audio, self.text)
        if (other := left_out(video, audio, text)) is not None:
            note(f"note: a bundle has one shared space; --{other}, which has another, gives its features alone.")
        return export_backbones(
            self.out,
            video,
            audio,
            frames=self.frames,
            seconds=self.seconds,
            size=cast(FrameSize, self.frame_size),
            pool=cast(Pool, self.pool),
            text=text,
            media=media,
            name=self.name,
            licence=self.licence,
            data=self.data,
            notes=self.notes,
            follow=follow,
        )
