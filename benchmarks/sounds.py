"""A corpus of sounds from packages of Debian, each with its licence, to train an audio network on.

    python benchmarks/sounds.py fetch FOLDER                                    # downloads and unpacks; resumes
    python benchmarks/sounds.py select FOLDER -o sounds.csv --avoid CLIPS       # which files, without duplicates
    python benchmarks/sounds.py table FOLDER sounds.csv --teacher mn04.pt --labels labels.csv

``select`` keeps one of every recording, and none that is in a folder of ``--avoid``: recordings are compared by a
fingerprint that stays the same under another codec, gain or beginning. Needs Debian's ``apt-get`` and ``dpkg-deb``
for ``fetch``, and the package ``python-debian``.
"""

from __future__ import annotations

import csv
import hashlib
import os
import pickle
import random
import re
import subprocess
import tempfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise, repeat
from pathlib import Path
from typing import Annotated

import av
import numpy as np
import scipy.fft
import typer
from debian.copyright import Copyright, NotMachineReadableError
from numpy.typing import NDArray

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)

PACKAGES = [
    "scratch",
    "sonic-pi-samples",
    "gcompris-qt-data",
    "tuxpaint-stamps-default",
    "wesnoth-1.16-data",
    "hedgewars-data",
    "lincity-ng-data",
    "megaglest-data",
    "freedroidrpg-data",
    "openclonk-data",
    "colobot-common-sounds",
    "warmux-data",
    "lmms-common",
    "hydrogen-drumkits",
    "supertux-data",
    "extremetuxracer-data",
    "neverball-data",
    "frozen-bubble-data",
    "ri-li-data",
    "pingus-data",
    "fillets-ng-data",
    "boswars-data",
    "unknown-horizons",
    "trigger-rally-data",
    "ufoai-sound",
    "asterisk-moh-opsound-wav",
    "asc-music",
    "openarena-data",
    "supertuxkart-data",
    "widelands-data",
    "naev-data",
    "torcs-data",
    "freeorion-data",
    "ufoai-music",
    "warzone2100-music",
    "wesnoth-1.16-music",
    "endless-sky-data",
    "marsshooter-data",
    "planetblupi-common",
    "planetblupi-music-ogg",
    "pysiogame",
    "tuxtype-data",
    "tuxmath-data",
    "bzflag-data",
    "scorched3d-data",
    "xmoto-data",
    "trackballs-data",
    "enigma-data",
    "mixxx-data",
    "stk",
    "teeworlds-data",
    "redeclipse-data",
    "0ad-data",
]

MEDIA = {".ogg", ".oga", ".opus", ".wav", ".flac", ".mp3", ".aiff", ".aif", ".au"}
ZIPPED = {".zip", ".pk3", ".sb2"}
RESOURCES = ".rcc"

SHORTEST = 0.2
LONGEST = 180.0
"""Seconds of a file that are counted, and looked at."""
SPEECH = 3600.0
"""Seconds of voices that are kept: some of them may be made by a machine."""

SEED = 0


# --- fetch


@app.command()
def fetch(folder: Path) -> None:
    """Download the packages, and keep their sounds and their licences."""
    for package in PACKAGES:
        own = folder / package
        if not (own / ".done").exists() and not _download(package, own):
            typer.echo(f"{package}: cannot be downloaded", err=True)
            continue
        if not (own / ".unpacked").exists():
            _unpack(own)
            (own / ".unpacked").touch()
        typer.echo(f"{package}: {sum(1 for _ in _media(own))} files")


def _download(package: str, own: Path) -> bool:
    own.mkdir(parents=True, exist_ok=True)
    names = [f"*{suffix}" for suffix in sorted(MEDIA | ZIPPED | {RESOURCES})]
    with tempfile.TemporaryDirectory(dir=own) as scratch:
        got = subprocess.run(["apt-get", "download", "-q", package], cwd=scratch, capture_output=True)
        archives = list(Path(scratch).glob("*.deb"))
        if got.returncode or not archives:
            return False
        unpacker = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archives[0]], stdout=subprocess.PIPE)
        options = ["--wildcards", "--no-anchored", "--ignore-case"]
        # It fails where a pattern matches nothing.
        subprocess.run(
            ["tar", "x", "-C", own, *options, *names, "copyright"], stdin=unpacker.stdout, stderr=subprocess.DEVNULL
        )
        if unpacker.wait():
            return False
    (own / ".done").touch()
    return True


def _unpack(own: Path) -> None:
    """Write the sounds that archives hold beside them."""
    for path in sorted(own.rglob("*")):
        if path.suffix.lower() in ZIPPED:
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if Path(name).suffix.lower() in MEDIA:
                        archive.extract(name, path.parent)
        elif path.suffix.lower() == RESOURCES and "voices" not in path.name:
            for number, stream in enumerate(ogg_streams(path.read_bytes())):
                path.with_name(f"{path.stem}-{number}.ogg").write_bytes(stream)


def ogg_streams(data: bytes) -> Iterator[bytes]:
    """Every whole Ogg stream of one track in ``data``, from the page that begins it to the one that ends it.

    Args:
        data: any bytes, such as a file of Qt resources.

    Yields:
        The bytes of each stream.
    """
    at = 0
    while (at := data.find(b"OggS\0", at)) >= 0:
        end, begun, serial = at, False, data[at + 14 : at + 18]
        while data[end : end + 5] == b"OggS\0" and data[end + 14 : end + 18] == serial and end + 27 <= len(data):
            flags, segments = data[end + 5], data[end + 26]
            if not begun and not flags & 2:
                break
            begun = True
            end += 27 + segments + sum(data[end + 27 : end + 27 + segments])
            if flags & 4:
                yield data[at:end]
                break
        at = max(end, at + 5)


def _media(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in MEDIA and path.is_file())


# --- licences

_FREE = re.compile(
    r"cc0([-_ ]?1(\.0)?)?([-_ ]universal)?|public[-_ ]domain|pd|cc[-_ ]by([-_ ]v?\d(\.\d)?)?([-_ ]\w\w)?"
    r"|mit|expat|x11|bsd([-_ ].*)?|apache([-_ ].*)?|zlib(/libpng)?|isc"
)
_NOT_FREE = re.compile(r"cc[-_ ]by[-_ ](sa|nc|nd)")


def is_free(licence: str) -> bool:
    """Whether one alternative of a licence expression asks for a mention of the author at most."""
    options = re.split(r"\s+and/or\s+|\s+or\s+|\s*\|\s*", licence.strip().lower())
    return any(
        all(_FREE.fullmatch(part) and not _NOT_FREE.match(part) for part in re.split(r"\s*,\s*|\s+and\s+", option))
        for option in options
    )


@dataclass(frozen=True)
class Rule:
    """Files of a source package and what they are under."""

    patterns: tuple[re.Pattern[str], ...]
    licence: str


class Licences:
    """What the files of a binary package are under, of its ``copyright`` file where a program can read that.

    The patterns there are of the source package, whose folders are often installed under other names: a pattern
    counts where it matches an end of the installed path, or an end of the pattern does.
    """

    UNKNOWN = "see copyright"

    def __init__(self, package: Path) -> None:
        self.exact: list[Rule] = []
        self.loose: list[Rule] = []
        self.rest = self.UNKNOWN
        self.others: set[str] = set()
        for file in package.glob("usr/share/doc/*/copyright"):
            try:
                with file.open(encoding="utf-8", errors="replace") as lines:
                    paragraphs = list(Copyright(lines, strict=False).all_files_paragraphs())
            except (NotMachineReadableError, ValueError):
                continue
            for paragraph in paragraphs:
                licence = paragraph.license.synopsis if paragraph.license else self.UNKNOWN
                names = [name for name in paragraph.files if not name.startswith("debian/")]
                if "*" in names or "./*" in names:
                    self.rest = licence
                # An archive that is named stands for the folder that it is installed as.
                names = [re.sub(r"\.h2drumkit$", "/*", name.removeprefix("./")) for name in names]
                names = [name for name in names if name != "*"]
                if not names:
                    continue
                self.others.add(licence)
                self.exact.append(Rule(tuple(map(_pattern, names)), licence))
                ends = {end for name in names for end in _ends(name)}
                self.loose.append(Rule(tuple(map(_pattern, sorted(ends))), licence))

    def of(self, path: str) -> tuple[str, bool]:
        """The licence of an installed file, and whether it is free for sure."""
        ends = ["/".join(path.split("/")[start:]) for start in range(path.count("/") + 1)]
        for rules in (self.exact, self.loose):
            found = [rule for rule in rules if any(one.fullmatch(end) for one in rule.patterns for end in ends)]
            if found:
                sure = found[-1:] if rules is self.exact else found
                return found[-1].licence, all(is_free(rule.licence) for rule in sure)
        return self.rest, is_free(self.rest)


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in name), re.DOTALL)


def _ends(name: str) -> Iterator[str]:
    """The pattern without its first folders, as long as a name remains that says something."""
    parts = name.split("/")
    for start in range(1, len(parts)):
        if len(re.sub(r"[*?]|\.\w+$", "", "".join(parts[start:]))) >= 4:
            yield "/".join(parts[start:])


# --- fingerprints

RATE = 6400
FRAME = 2400
HOP = FRAME // 16
BANDS = 33
BLOCK = 128
"""Frames that are compared: about 3 s."""
FEWEST = 12
WEAK = 3
AVOIDED_WEAK = 4
"""Bits of a word that are looked up both ways, as a codec may turn them: of a recording, and of one to avoid."""


@dataclass(frozen=True)
class Print:
    """A recording's fingerprint (Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System", ISMIR 2002).

    Attributes:
        seconds: length of the recording.
        peak: largest sample.
        digest: hash of its samples.
        words: uint32 ``(n,)``, one every 23 ms: whether differences of neighbouring bands grow.
        weak: uint8 ``(n, bits)``, the bits that are least sure.
        loud: bool ``(n,)``, whether there is anything to hear.
    """

    seconds: float
    peak: float
    digest: bytes
    words: NDArray[np.uint32]
    weak: NDArray[np.uint8]
    loud: NDArray[np.bool_]

    def covers(self, most: float) -> bool:
        """Whether the first ``most`` seconds were looked at."""
        return (len(self.words) + 3) * HOP >= min(self.seconds, most) * RATE


@cache
def _bank() -> NDArray[np.float32]:
    edges = np.geomspace(300.0, 3000.0, BANDS + 1)
    bins = np.fft.rfftfreq(FRAME, 1 / RATE)
    return np.array([(bins >= low) & (bins < high) for low, high in pairwise(edges)], np.float32).T


def fingerprint(samples: NDArray[np.float32], seconds: float | None = None, bits: int = WEAK) -> Print:
    """The fingerprint of mono samples at 6.4 kHz."""
    padded = np.pad(samples, FRAME // 2)
    padded = np.pad(padded, (0, max(0, FRAME + 2 * HOP - len(padded))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    window = np.hanning(FRAME).astype(np.float32)
    blocks = []
    for start in range(0, len(frames), 512):
        spectrum = scipy.fft.rfft(frames[start : start + 512] * window)
        blocks.append((spectrum.real**2 + spectrum.imag**2) @ _bank())
    energy = np.concatenate(blocks)
    total = energy.sum(1)
    slope = np.diff(np.log(energy + 1e-6), axis=1)
    change = np.diff(slope, axis=0)
    words = np.packbits(change > 0, axis=1).view(np.uint32)[:, 0]
    weak = np.argpartition(np.abs(change), bits, axis=1)[:, :bits].astype(np.uint8)
    loud = total > max(1e-2, 1e-4 * float(total.max()))
    return Print(
        len(samples) / RATE if seconds is None else seconds,
        float(np.abs(samples).max(initial=0.0)),
        hashlib.sha256(samples.tobytes()).digest(),
        words,
        weak,
        loud[1:] & loud[:-1],
    )


def read(path: Path, rate: int = RATE, most: float = LONGEST) -> tuple[NDArray[np.float32], float]:
    """Mono samples of a file's beginning, and the seconds that the whole file lasts."""
    parts: list[NDArray[np.float32]] = []
    count = 0
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise ValueError(f"{path}: no decoder")
        stream.codec_context.thread_count = 1
        told = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        resampler = av.AudioResampler("flt", "mono", rate)
        try:
            for frame in container.decode(stream):
                frame.pts = None
                for part in resampler.resample(frame):
                    parts.append(part.to_ndarray()[0])
                    count += part.samples
                if count >= most * rate:
                    break
            else:
                parts.extend(part.to_ndarray()[0] for part in resampler.resample(None))
        except av.FFmpegError:
            pass
    samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    whole = len(samples) < most * rate
    return samples[: round(most * rate)], len(samples) / rate if whole else max(told, most)


def _printed(path: Path, most: float) -> Print | None:
    try:
        samples, seconds = read(path, most=most)
    except (av.FFmpegError, IndexError, OSError, ValueError):
        return None
    return fingerprint(np.nan_to_num(samples), seconds) if len(samples) else None


def prints(folder: Path, names: Sequence[str], most: float = LONGEST) -> list[Print | None]:
    """The fingerprints of files in ``folder``, where they are kept; None for those that cannot be read."""
    store = folder / "prints.pickle"
    kept = pickle.loads(store.read_bytes()) if store.exists() else {}
    known = {name: None if fields is None else Print(*fields) for name, fields in kept.items()}
    missing = [name for name in names if name not in known or ((one := known[name]) and not one.covers(most))]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(_printed, [folder / name for name in missing], repeat(most), chunksize=4)
        for number, (name, found) in enumerate(zip(missing, done, strict=True), 1):
            known[name] = found
            if number % 100 == 0 or number == len(missing):
                typer.echo(f"{number} of {len(missing)} files", err=True)
                part = store.with_suffix(".part")
                kept = {name: one and tuple(vars(one).values()) for name, one in known.items()}
                part.write_bytes(pickle.dumps(kept))
                part.rename(store)
    return [known[name] for name in names]


@dataclass(frozen=True)
class Match:
    """Two recordings that share sound.

    Attributes:
        one: number of the recording that was asked about.
        other: number of the one that was found.
        errors: share of bits that differ.
        share: how much of the shorter one is compared.
    """

    one: int
    other: int
    errors: float
    share: float


class FingerprintIndex:
    """Recordings by the words of their fingerprints."""

    def __init__(self, found: Sequence[Print], weak: bool, common: int) -> None:
        """Take the recordings.

        Args:
            found: their fingerprints.
            weak: whether every bit that is not sure is looked up both ways.
            common: words that stand in more places are not looked up.
        """
        self.prints = found
        self.common = common
        words, places = zip(*(_variants(one, weak) for one in found), strict=True)
        owners = np.repeat(np.arange(len(found), dtype=np.int32), [len(part) for part in words])
        every = np.concatenate(words)
        order = np.argsort(every)
        self.words, self.places, self.owners = every[order], np.concatenate(places)[order], owners[order]

    def search(self, number: int, asked: Print, weak: bool, least: int = 1, most: int = 200) -> list[Match]:
        """Recordings that share sound with ``asked``, which is number ``number``.

        Args:
            number: what matches are to say that ``asked`` is.
            asked: a fingerprint.
            weak: whether every bit of it that is not sure is looked up both ways.
            least: how many words have to be found at one distance.
            most: distances that are compared, those with most words first.
        """
        every, position = _variants(asked, weak)
        low, high = np.searchsorted(self.words, every, "left"), np.searchsorted(self.words, every, "right")
        counts = high - low
        usable = (counts > 0) & (counts <= self.common)
        low, counts, position = low[usable], counts[usable], position[usable]
        if not len(low):
            return []
        hits = np.repeat(low, counts) + np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        offsets = np.repeat(position, counts) - self.places[hits]
        keys, votes = np.unique((self.owners[hits].astype(np.int64) << 32) + offsets, return_counts=True)
        best = np.argsort(-votes, kind="stable")
        best = best[votes[best] >= least][:most]
        matches: dict[int, Match] = {}
        for key in keys[best].tolist():
            # The distance may be below 0.
            other = (key + (1 << 31)) >> 32
            match = self.compare(number, asked, other, key - (other << 32))
            if match is not None and (other not in matches or match.errors < matches[other].errors):
                matches[other] = match
        return list(matches.values())

    def compare(self, number: int, asked: Print, other: int, offset: int) -> Match | None:
        """What recording ``other`` shares with ``asked``, if it begins ``offset`` steps after it."""
        found = self.prints[other]
        start, stop = max(0, offset), min(len(asked.words), len(found.words) + offset)
        one, two = slice(start, stop), slice(start - offset, stop - offset)
        both = asked.loud[one] & found.loud[two]
        wrong = np.bitwise_count(asked.words[one] ^ found.words[two])[both]
        if len(wrong) < FEWEST:
            return None
        length = min(len(wrong), BLOCK)
        sums = np.concatenate([[0], np.cumsum(wrong, dtype=np.int64)])
        errors = float((sums[length:] - sums[:-length]).min()) / (32 * length)
        if errors >= threshold(length):
            return None
        shorter = min(int(asked.loud.sum()), int(found.loud.sum()))
        alike = float(wrong.mean()) / 32 < threshold(length)
        return Match(number, other, errors, len(wrong) / shorter if alike else length / shorter)


def _variants(one: Print, weak: bool) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """The words where there is something to hear, with every setting of their weak bits, and where they are."""
    at = np.flatnonzero(one.loud).astype(np.int32)
    variants = [one.words[at]]
    for place in one.weak[at].T if weak else ():
        # Bits are packed from the highest of each byte.
        mask = np.uint32(1) << (place // 8 * 8 + 7 - place % 8).astype(np.uint32)
        variants += [variant ^ mask for variant in variants]
    return np.concatenate(variants), np.tile(at, len(variants))


def threshold(frames: int) -> float:
    """Share of bits below which two blocks are the same sound: 0.35 of 3 s, less where chance varies more."""
    return min(0.35, 0.5 - 7 * 0.0148 * (BLOCK / frames) ** 0.5)


# --- select

_DESCRIBED = re.compile(r"tuxpaint-stamps-default/.*_desc")
_LANGUAGE = re.compile(
    r"hedgewars-data/.*/voices/(Default_|Russian)|planetblupi-common/.*/sound/(it|he|fr|de|tr|pl|es)/"
    r"|fillets-ng-data/.*/(cs|nl|de|fr|pl|sv|eo)/|0ad-data/.*/voice/(?!english)|unknown-horizons/.*/voice/(?!en/)"
)
_VOICE = re.compile(
    r"voice|speech|speak|talk|dialog|announce|codriver|ingame_comments|fillets-ng-data/.*/en/|planetblupi.*/en_US/",
    re.I,
)
_MUSIC = re.compile(r"music|bgm|soundtrack|/tunes?/|-moh-|/songs?/|\btheme", re.I)


def kind(name: str, seconds: float) -> str:
    """A rough word for what a file holds, by its name and length."""
    if _VOICE.search(name) and seconds < 60:
        return "voice"
    return "music" if _MUSIC.search(name) or seconds > 60 else "effect"


@dataclass(frozen=True)
class Sound:
    """One row of the table."""

    file: str
    package: str
    licence: str
    free: bool
    seconds: float
    kind: str

    @classmethod
    def from_row(cls, row: dict[str, str]) -> Sound:
        """The sound of a row that was read."""
        free, seconds = row["free"] == "yes", float(row["seconds"])
        return cls(row["file"], row["package"], row["licence"], free, seconds, row["kind"])

    def row(self) -> tuple[str, str, str, str, str, str]:
        """The fields as they are written."""
        free = "yes" if self.free else "no"
        return self.file, self.package, self.licence, free, f"{self.seconds:.2f}", self.kind

    @property
    def counted(self) -> float:
        """Seconds that are counted."""
        return min(self.seconds, LONGEST)


@app.command()
def select(
    folder: Path,
    output: Annotated[Path, typer.Option("-o", "--output")],
    avoid: Annotated[
        list[Path] | None, typer.Option(help="Folder of recordings that must not be among them.")
    ] = None,
    most: Annotated[float, typer.Option(help="Seconds of a file that are compared.")] = LONGEST,
    duplicates: Annotated[bool, typer.Option(help="Compare all recordings with each other, too.")] = True,
) -> None:
    """Write a table of the recordings: one of each, none that is silent or in a folder of ``--avoid``."""
    names = [path.relative_to(folder).as_posix() for path in _media(folder)]
    dropped: Counter[str] = Counter()
    names = _without(names, "spoken description", [bool(_DESCRIBED.search(name)) for name in names], dropped)
    names = _without(names, "another language", [bool(_LANGUAGE.search(name)) for name in names], dropped)
    found = prints(folder, names, most)
    licences = {package: Licences(folder / package) for package in sorted({name.split("/")[0] for name in names})}
    sounds: dict[int, Sound] = {}
    marks: list[Print] = []
    for name, one in zip(names, found, strict=True):
        reason = _useless(one)
        if one is None or reason:
            dropped[reason] += 1
            continue
        package, _, inside = name.partition("/")
        licence, free = licences[package].of(inside)
        sounds[len(marks)] = Sound(name, package, licence, free, one.seconds, kind(name, one.seconds))
        marks.append(one)
    for avoided in map(Avoided, avoid or ()):
        for number, match in avoided.find(marks).items():
            there = f"{avoided.names[match.other]} ({match.errors:.2f}, {match.share:.2f})"
            typer.echo(f"to be avoided: {sounds[number].file} is in {there}", err=True)
            dropped["to be avoided"] += number in sounds
            sounds.pop(number, None)
    # The best of every recording comes first.
    order = sorted(sounds, key=lambda one: (not sounds[one].free, -sounds[one].counted, sounds[one].file))
    for one in _copies(order, sounds, marks):
        dropped["another file of the same recording"] += 1
        del sounds[one]
    if duplicates:
        order = [one for one in order if one in sounds]
        same = [(order[match.one], order[match.other], match) for match in _same([marks[one] for one in order])]
        for one, other, match in same:
            typer.echo(
                f"same: {sounds[one].file} as {sounds[other].file} ({match.errors:.2f}, {match.share:.2f})",
                err=True,
            )
        for one, _, _ in same:
            dropped["the same sound"] += 1
            del sounds[one]
    voices = [one for one in sorted(sounds, key=lambda one: sounds[one].file) if sounds[one].kind == "voice"]
    random.Random(SEED).shuffle(voices)
    spent = 0.0
    for one in voices:
        spent += sounds[one].counted
        if spent > SPEECH:
            dropped["more speech than is kept"] += 1
            del sounds[one]
    part = output.with_name(f"part-{output.name}")
    with part.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "package", "licence", "free", "seconds", "kind"])
        writer.writerows(sounds[one].row() for one in sorted(sounds, key=lambda one: sounds[one].file))
    part.rename(output)
    for reason, count in dropped.most_common():
        typer.echo(f"{count:6d} dropped: {reason}", err=True)
    kept = sum(sound.counted for sound in sounds.values()) / 3600
    free = sum(sound.counted for sound in sounds.values() if sound.free) / 3600
    typer.echo(f"{len(sounds)} files, {kept:.1f} hours, {free:.1f} of them free")


def _without(names: list[str], reason: str, drop: Iterable[bool], dropped: Counter[str]) -> list[str]:
    kept = [name for name, out in zip(names, drop, strict=True) if not out]
    dropped[reason] += len(names) - len(kept)
    return kept


def _useless(found: Print | None) -> str:
    if found is None:
        return "cannot be read"
    if found.seconds < SHORTEST:
        return "too short"
    return "silent" if found.peak < 1e-3 or found.loud.sum() < 2 else ""


class Avoided:
    """The recordings of a folder, to recognise them elsewhere.

    They are looked up by words, which may all be lost of a short sound: such a sound is compared with everything.
    """

    SHORT = 128
    PROBE = 12
    PROBES = 4
    NEAR = 0.3

    def __init__(self, folder: Path) -> None:
        self.names: list[str] = []
        self._prints: list[Print] = []
        for path in _media(folder):
            samples, _ = read(path)
            # Half a step between, too: the other recording need not begin at a whole one.
            for start in (0, HOP // 2):
                self._prints.append(fingerprint(samples[start:], bits=AVOIDED_WEAK))
                self.names.append(path.name)
        self._index = FingerprintIndex(self._prints, True, 500)

    def find(self, marks: Sequence[Print]) -> dict[int, Match]:
        """The best match of those of ``marks`` that are in the folder, by their number."""
        found: dict[int, Match] = {}
        looked = (match for number, one in enumerate(marks) for match in self._index.search(number, one, True))
        for match in chain(looked, self._short(marks)):
            if match.one not in found or match.errors < found[match.one].errors:
                found[match.one] = match
        return found

    def _short(self, marks: Sequence[Print]) -> Iterator[Match]:
        words = np.concatenate([one.words for one in marks])
        begins = np.cumsum([0, *(len(one.words) for one in marks)])
        for other, one in enumerate(self._prints):
            loud = np.flatnonzero(one.loud)
            if not FEWEST <= len(loud) < self.SHORT:
                continue
            last = max(loud[0], loud[-1] - self.PROBE)
            for start in np.unique(np.linspace(loud[0], last, self.PROBES).astype(int)):
                for place in self._near(words, one.words[start : start + self.PROBE]).tolist():
                    number = int(np.searchsorted(begins, place, "right")) - 1
                    if match := self._index.compare(number, marks[number], other, place - begins[number] - start):
                        yield match

    def _near(self, words: NDArray[np.uint32], probe: NDArray[np.uint32]) -> NDArray[np.intp]:
        """Where most bits are those of ``probe``."""
        places = []
        for begin in range(0, len(words) - len(probe), 1 << 16):
            part = words[begin : begin + (1 << 16) + len(probe)]
            wrong = np.zeros(len(part) - len(probe), np.uint16)
            for number, word in enumerate(probe):
                wrong += np.bitwise_count(part[number : number + len(wrong)] ^ word)
            places.append(begin + np.flatnonzero(wrong < self.NEAR * 32 * len(probe)))
        return np.concatenate(places)


def _copies(order: Sequence[int], sounds: dict[int, Sound], marks: Sequence[Print]) -> list[int]:
    """Second codecs of a recording: the same samples, or the same name and length in a package."""
    seen: set[bytes] = set()
    lengths: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    beside: set[tuple[str, str]] = set()
    copies = []
    for one in order:
        sound, digest = sounds[one], marks[one].digest
        path = Path(sound.file)
        same = lengths[sound.package, path.stem.lower()]
        place = (str(path.parent), path.stem.lower())
        if digest in seen or place in beside or any(abs(length - sound.seconds) < 0.03 for length in same):
            copies.append(one)
        seen.add(digest)
        beside.add(place)
        same.append(sound.seconds)
    return copies


def _same(marks: Sequence[Print], common: int = 20, least: int = 2, share: float = 0.8) -> Iterator[Match]:
    """Recordings most of which is in one that comes before them."""
    index = FingerprintIndex(marks, False, common)
    for number, one in enumerate(marks):
        matches = index.search(number, one, False, least, 50)
        matches = [match for match in matches if match.other < number and match.share >= share]
        if matches:
            yield min(matches, key=lambda match: match.errors)


# --- table

HEARD = 0.3
"""A class is heard from this score on."""
OFTEN = 3
WINDOW = 10
"""Seconds that the teacher hears at once."""


@app.command()
def table(
    folder: Path,
    sounds: Path,
    teacher: Annotated[Path | None, typer.Option(help="Weights of mn04_as, to say what is heard.")] = None,
    labels: Annotated[Path | None, typer.Option(help="AudioSet's table of classes.")] = None,
    seconds: Annotated[float, typer.Option(help="How much of every file the teacher hears.")] = 30.0,
    sample: Annotated[int | None, typer.Option(help="How many files it hears, drawn by chance.")] = None,
) -> None:
    """Print what the corpus holds of every package, and which classes a teacher hears in it, as Markdown."""
    with sounds.open(newline="") as file:
        rows = [Sound.from_row(row) for row in csv.DictReader(file)]
    packages: defaultdict[str, list[Sound]] = defaultdict(list)
    for row in rows:
        packages[row.package].append(row)
    typer.echo("| package | files | hours | free hours | licences |\n| --- | --- | --- | --- | --- |")
    for name, own in sorted(packages.items(), key=lambda item: -_hours(item[1])):
        _line(name, own)
    _line("all", rows)
    for name in sorted({row.kind for row in rows}):
        _line(f"all, {name}", [row for row in rows if row.kind == name])
    if teacher and labels:
        if sample is not None and sample < len(rows):
            rows = random.Random(SEED).sample(rows, sample)
        _heard(folder, rows, teacher, labels, seconds)


def _hours(rows: Iterable[Sound]) -> float:
    return sum(row.counted for row in rows) / 3600


def _line(name: str, rows: Sequence[Sound]) -> None:
    free = _hours(row for row in rows if row.free)
    most = Counter(row.licence for row in rows).most_common()
    licences = ", ".join(f"{licence or Licences.UNKNOWN} ({count})" for licence, count in most[:6])
    if len(most) > 6:
        licences += f", {len(most) - 6} more"
    typer.echo(f"| {name} | {len(rows)} | {_hours(rows):.2f} | {free:.2f} | {licences} |")


def _heard(folder: Path, rows: Sequence[Sound], teacher: Path, labels: Path, seconds: float) -> None:
    import torch

    from avfeat.training.backbones.mn04 import SAMPLE_RATE, load_mn04

    with labels.open(newline="") as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    network = load_mn04(teacher)
    counts = np.zeros(len(names), np.int64)
    listened = 0
    for number, row in enumerate(rows, 1):
        try:
            samples, _ = read(folder / row.file, SAMPLE_RATE, seconds)
        except (av.FFmpegError, OSError, ValueError) as error:
            typer.echo(f"{row.file}: {error}", err=True)
            continue
        parts = [samples[at : at + WINDOW * SAMPLE_RATE] for at in range(0, len(samples), WINDOW * SAMPLE_RATE)]
        scores = np.zeros(len(names), np.float32)
        for part in parts:
            if len(part) < SAMPLE_RATE and part is not parts[0]:
                continue
            # It takes no less than a second.
            wave = torch.from_numpy(np.pad(part, (0, max(0, SAMPLE_RATE - len(part)))))
            with torch.inference_mode():
                scores = np.maximum(scores, network(wave[None])[1][0].sigmoid().numpy())
        counts += scores > HEARD
        listened += 1
        if number % 500 == 0:
            typer.echo(f"{number} of {len(rows)} files heard", err=True)
    often = int((counts >= OFTEN).sum())
    typer.echo(
        f"\nThe teacher hears {often} of {len(names)} classes in {OFTEN} or more of {listened} recordings, and "
        f"{int((counts > 0).sum())} in one or more (first {seconds:.0f} s, score above {HEARD}). The commonest:\n"
    )
    typer.echo("| class | recordings |\n| --- | --- |")
    for one in np.argsort(-counts, kind="stable")[:40].tolist():
        typer.echo(f"| {names[one]} | {counts[one]} |")


if __name__ == "__main__":
    app()
