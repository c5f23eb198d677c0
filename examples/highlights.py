"""Highlights of a long video: what is unlike the rest of it, and where audio and video go together.

    python examples/highlights.py match.mp4 --seconds 30 --cut highlights.mp4
    python examples/highlights.py match.mp4 --text 'a crowd cheers' --model BUNDLE_WITH_TEXT

Prints the best moments in order of time, as CSV. --cut copies them into one file without encoding again, so each
begins at the key frame before it. With --text, they are the moments most like the words, by a bundle that has text.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import av
import numpy as np

import avfeat

Moment = tuple[float, float, float]
"""Start and end in seconds, and the score."""


def scores(found: avfeat.Embedding, words: np.ndarray | None = None) -> np.ndarray:
    """How much each window stands out, in standard deviations: float64 ``(n,)``."""
    video, audio = found.video_shared.astype(float), found.audio_shared.astype(float)
    if words is not None:
        return standard(np.maximum(video @ words, audio @ words))
    # How unlike the mean of the file a window is, and how alike its picture and its sound are, where it has both.
    score = sum(standard(1 - rows @ rows.mean(axis=0)) for rows in (video, audio))
    both = found.has_video & found.has_audio
    agree = (video * audio).sum(axis=1)
    return score + standard(np.where(both, agree, agree[both].mean() if both.any() else 0.0))


def standard(values: np.ndarray) -> np.ndarray:
    """The values with mean 0 and deviation 1; zeros where all are equal."""
    return (values - values.mean()) / max(float(values.std()), 1e-6)


def pick(found: avfeat.Embedding, score: np.ndarray, seconds: float) -> list[Moment]:
    """The best windows that take ``seconds`` together, neighbours joined, in order of time."""
    rows = np.sort(np.argsort(-score, kind="stable")[: max(1, round(seconds / found.hop))])
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    ends = np.minimum(found.end, found.duration)
    return [(float(found.start[run[0]]), float(ends[run[-1]]), float(score[run].max())) for run in runs]


def cut(source: Path, moments: list[Moment], out: Path) -> None:
    """Copy the packets of the moments into one file."""
    with av.open(str(source)) as media, av.open(str(out), "w") as made:
        taken = [*media.streams.video[:1], *media.streams.audio[:1]]
        copies = {stream.index: made.add_stream_from_template(stream) for stream in taken}
        origin, at = (media.start_time or 0) / av.time_base, 0.0
        for start, end, _ in moments:
            media.seek(round((start + origin) * av.time_base))
            first, last, going = None, 0.0, set(copies)
            for packet in media.demux(taken):
                if packet.pts is None or packet.dts is None:
                    continue
                begin, base = float(packet.pts * packet.time_base), packet.time_base
                if packet.dts * base > end + origin:
                    going.discard(packet.stream.index)
                    if not going:
                        break
                    continue
                if first is None and packet.is_keyframe and packet.stream is taken[0]:
                    first = begin
                if first is not None and begin >= first:
                    shift = round((at - first) / base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    last = max(last, begin + float((packet.duration or 0) * base) - first)
                    packet.stream = copies[packet.stream.index]
                    made.mux(packet)
            at += last


def main() -> None:
    """Print the moments of a video, and cut them out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long they are together")
    parser.add_argument("--text", help="words that they should be like")
    parser.add_argument("--model", help="a bundle; default: the one that ships")
    parser.add_argument("--cut", type=Path, metavar="FILE", help="copy the moments into FILE")
    asked = parser.parse_args()
    with avfeat.load(asked.model) as encoder:
        words = None if asked.text is None else encoder.embed_text([asked.text])[0]
        found = encoder.embed(asked.video)
    moments = pick(found, scores(found, words), asked.seconds)
    print("start,end,score")
    for start, end, score in moments:
        print(f"{start:.2f},{end:.2f},{score:.2f}")
    if asked.cut is not None:
        cut(asked.video, moments, asked.cut)


if __name__ == "__main__":
    try:
        main()
    except avfeat.AvfeatError as error:
        sys.exit(f"error: {error}")
