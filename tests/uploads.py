"""The service of ``examples`` as a process, and what it opens and takes while it is attacked."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

EXAMPLES = Path(__file__).parent.parent / "examples"
_CALL = re.compile(r'\b(openat|socket|connect|bind)\(([^"\n]*(?:"([^"\n]*)")?[^\n]*)')

_MALLOC = "/proc/sys/vm/overcommit_memory"
"""What glibc's allocator looks at when it gives memory back."""


def hostile(port: int) -> dict[str, bytes]:
    """Texts that have FFmpeg open something else: other files, and a socket of this machine."""
    url = f"http://127.0.0.1:{port}/bait"
    dash = (
        f'<?xml version="1.0"?><MPD><Period><AdaptationSet><BaseURL>{url}</BaseURL></AdaptationSet></Period></MPD>'
    )
    texts = {
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n",
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}.ts\n#EXTINF:1,\nfile:///etc/hostname\n",
        "ffconcat": "ffconcat version 1.0\nfile /etc/hostname\n",
        "concatf": f"concat:/etc/hostname|{url}",
        "dash": f"{dash}</MPD>",
        "rtsp": f"[Reference]\nRef1={url}\n",
        "html": f'<html><meta http-equiv="refresh" content="0; url={url}"></html>',
    }
    return {name: text.encode() for name, text in texts.items()} | {
        "empty": b"",
        "zeros": bytes(10_000),
        "elf": Path(sys.executable).read_bytes()[:20_000],
    }


@dataclass
class Service:
    """The service that runs.

    Attributes:
        url: where it listens.
        peak: the most bytes that it and its decoders had in memory, all together.
        slowest: seconds of the slowest answer.
        log: what strace writes; None without it.
    """

    url: str
    pid: int
    log: Path | None
    peak: int = 0
    slowest: float = 0.0
    answers: dict[str, int] = field(default_factory=dict)

    def post(self, data: bytes) -> str:
        """The reason of a refusal, or ``damaged`` or ``embedded``."""
        begun = time.monotonic()
        try:
            with urlopen(Request(f"{self.url}/embed", data, method="POST"), timeout=60) as answer:
                found = "damaged" if json.load(answer)["damaged"] else "embedded"
        except HTTPError as error:
            detail = json.load(error)["detail"]
            found = f"{error.code} {detail['reason'] if isinstance(detail, dict) else detail}"
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self.answers[found] = self.answers.get(found, 0) + 1
        return found

    def calls(self) -> list[tuple[str, str]]:
        """The system calls so far that open a file or a socket, with the path or what it is."""
        if self.log is None:
            return []
        found = _CALL.findall(self.log.read_text(errors="replace"))
        return [(name, path or what) for name, what, path in found]


def foreign(before: list[tuple[str, str]], after: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What was opened since, that intact uploads do not open, and that is neither an upload nor of Python."""
    roots = {sys.prefix, sys.base_prefix, str(EXAMPLES.parent), *map(os.path.realpath, filter(None, sys.path))}
    known, own = set(before), (*roots, _MALLOC)
    return [
        (name, what)
        for name, what in after[len(before) :]
        if name != "openat" or ((name, what) not in known and "/upload-" not in what and not what.startswith(own))
    ]


@contextmanager
def served(folder: Path, traced: bool) -> Iterator[Service]:
    """The service on a free port, under strace if ``traced``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "--port", str(port), "service:app"]
    log = folder / "strace" if traced else None
    if log is not None:
        calls = "trace=openat,socket,connect,bind"
        command = ["strace", "-f", "--seccomp-bpf", "-s", "4096", "-e", calls, "-o", str(log), *command]
    uploads = folder / "uploads"
    uploads.mkdir()
    environment = {**os.environ, "TMPDIR": str(uploads), "OMP_NUM_THREADS": "1"}
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            command, env=environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
    service = Service(f"http://127.0.0.1:{port}", process.pid, log)
    over = threading.Event()
    watch = threading.Thread(target=_measure, args=(service, over), daemon=True)
    try:
        _until_it_listens(port, process, folder / "said")
        watch.start()
        yield service
        assert process.poll() is None, (folder / "said").read_text()
        assert list(uploads.glob("upload-*")) == []
    finally:
        over.set()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if watch.is_alive():
            watch.join()


def has_strace() -> bool:
    return shutil.which("strace") is not None


def _until_it_listens(port: int, process: subprocess.Popen[bytes], said: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < end, said.read_text()
            time.sleep(0.05)


def _measure(service: Service, over: threading.Event) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    while not over.wait(0.05):
        total = 0
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "stat").read_text()
                name, fields = words.partition("(")[2].rpartition(")")[0], words.rpartition(")")[2].split()
                if int(fields[3]) == service.pid and name != "strace":
                    total += int((folder / "statm").read_text().split()[1]) * page
            except (OSError, IndexError):
                continue
        service.peak = max(service.peak, total)
