"""``avfeat doctor``."""

from __future__ import annotations

from dataclasses import asdict

import typer

from avfeat.cli.printing import JsonOption, facts, note, write_json
from avfeat.doctor import Report, examine


def doctor(json: JsonOption = None) -> None:
    """Describe this machine and say what would keep avfeat from working on it."""
    report = examine()
    if json is not None:
        write_json(asdict(report), json)
    if json != "-":
        facts(_lines(report))
    for problem in report.problems:
        note(f"problem: {problem}")
    if report.problems:
        raise typer.Exit(1)


def _lines(report: Report) -> dict[str, str]:
    there = {name: version for name, version in report.packages.items() if version is not None}
    verified = ", ".join(f"{device} {'ok' if ok else 'FAIL'}" for device, ok in report.verified.items())
    weights = {True: "trained", False: "untrained", None: "not read"}[report.trained]
    return {
        "avfeat": report.avfeat,
        "python": report.python,
        "platform": f"{report.platform}, {report.processors} processors",
        "packages": ", ".join(f"{name} {version}" for name, version in there.items()),
        "ffmpeg": ", ".join(f"{name} {version}" for name, version in report.ffmpeg.items()),
        "providers": ", ".join(report.providers) or "none",
        "bundle": f"{report.bundle or 'none'} ({weights})",
        "verified": verified or "no",
        "problems": str(len(report.problems)),
    }
