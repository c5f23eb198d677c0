from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from making import AudioTrack, VideoTrack, chirps, make_media, moving_square

import avfeat

ODD = "<img src=x onerror=alert(1)>&\"'$x.mp4"
"""In a folder that is called ``<``, a file's name with it is: </script... as no name can have a slash."""


@pytest.fixture(scope="session")
def odd_index(
    tmp_path_factory: pytest.TempPathFactory, clip: Path, other_clip: Path, encoder: avfeat.Encoder
) -> Path:
    """A table of four files, nine windows: one with a name that would be HTML, one that browsers do not play."""
    from avfeat.job import EmbedSettings, make_plan, run

    folder = tmp_path_factory.mktemp("explore")
    odd = folder / "clips" / "<" / "script>"
    odd.mkdir(parents=True)
    shutil.copy(clip, odd / ODD)
    shutil.copy(other_clip, folder / "clips" / "other.mkv")
    make_media(folder / "clips" / "sound.wav", audio=AudioTrack(3.0, 8000, chirps(9), codec="pcm_s16le"))
    make_media(folder / "clips" / "quiet.mp4", VideoTrack(4.0, picture=moving_square(80, 80, seed=3)))
    index = folder / "all.parquet"
    assert len(list(run(make_plan([str(folder / "clips")], str(index)), encoder, EmbedSettings()))) == 4
    return index
