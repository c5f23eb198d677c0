"""``avfeat verify``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from avfeat import verify as verification
from avfeat.bundle import Bundle, find_bundle
from avfeat.cli.options import BackendOption, BundleArgument, DeviceOption
from avfeat.cli.printing import JsonOption, note, table, write_json


def verify(
    bundle: BundleArgument = None,
    device: DeviceOption = "auto",
    backend: BackendOption = "onnx",
    json: JsonOption = None,
) -> None:
    """Check that a bundle gives its golden outputs on this machine, within its tolerances."""
    opened = Bundle.open(find_bundle(bundle))
    checks = verification.verify(opened, device, backend)
    right = all(check.ok for check in checks)
    if json is not None:
        rows = [{**_to_json(check), "ok": check.ok} for check in checks]
        write_json({"bundle": opened.sha256, "name": opened.name, "ok": right, "checks": rows}, json)
    if json != "-":
        table(
            ("graph", "output", "device", "error", "limit", "distance", "limit", "cosine", ""),
            [
                (
                    check.modality,
                    check.output,
                    check.device,
                    f"{check.error:.1e}",
                    f"{check.limit:.0e}",
                    "-" if check.distance is None else f"{check.distance:.1e}",
                    "-" if check.distance_limit is None else f"{check.distance_limit:g}",
                    f"{check.cosine:.6f}",
                    "ok" if check.ok else "FAIL",
                )
                for check in checks
            ],
        )
    if not right:
        note(f"error: {opened.path}: outputs exceed tolerance; see the table.")
        raise typer.Exit(1)


def _to_json(check: verification.Check) -> dict[str, Any]:
    """The values of a check; those on distance only for bundles that say how far clips are apart."""
    return {key: value for key, value in asdict(check).items() if value is not None}
