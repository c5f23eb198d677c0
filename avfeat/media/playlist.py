"""HLS playlists of local files, where the caller asks for them.

FFmpeg opens what an HLS playlist names through a function of ours, so it is said here what is opened: ordinary
files in the playlist's own folder or below it, links followed first, and nothing else. No protocol but ``file`` is
known. ffconcat is not to be had so: FFmpeg opens the files that it names by itself.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO

from avfeat.errors import MediaError
from avfeat.plain import open_plain, visible

HEAD = b"#EXTM3U"
"""With what an HLS playlist begins."""

_FILE = "file:"


class PlaylistFiles:
    """Opens a playlist and what it names."""

    def __init__(self, path: str, name: str) -> None:
        """Be ready for the playlist at ``path``, which messages call ``name``."""
        self._path = Path(path).resolve()
        self._name = name
        self._lists: set[Path] = set()
        self._refusal: MediaError | None = None
        self.url = f"{_FILE}{self._path}"

    def open(self, url: str, flags: int, options: dict[str, str]) -> IO[bytes]:
        """What FFmpeg asks for; nothing in place of what it may not have, and ``check`` says why."""
        try:
            return self._open(url)
        except MediaError as error:
            # Not raised: PyAV keeps one error only, for whatever is called next.
            self._refusal = self._refusal or error
            return io.BytesIO()

    def check(self) -> None:
        """Raise what has been refused.

        Raises:
            MediaError: ``unreadable``.
        """
        if self._refusal is not None:
            raise self._refusal

    def _open(self, url: str) -> IO[bytes]:
        try:
            path = Path(url.removeprefix(_FILE)).resolve()
            if not url.startswith(_FILE) or not path.is_relative_to(self._path.parent):
                raise self._refused(
                    f"names {visible(url)}, which is no file in its own folder or below; copy it there."
                )
            file = open_plain(path)
        except (OSError, ValueError, RuntimeError) as error:
            why = getattr(error, "strerror", None) or error
            raise self._refused(f"names {visible(url)}, which cannot be read ({why}).") from error
        if file.peek(len(HEAD)).startswith(HEAD):
            if path in self._lists:
                # FFmpeg looks again and again whether a live one has grown.
                raise self._refused("has no end (EXT-X-ENDLIST), as live playlists have none; record it first.")
            self._lists.add(path)
        return file

    def _refused(self, message: str) -> MediaError:
        return MediaError(self._name, "unreadable", message)
