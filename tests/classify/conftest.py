from __future__ import annotations

import pytest
from labelled_clips import LABELS, Made, make_clip

from avfeat import Encoder, fit_classifier
from avfeat.evaluation import Store


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Made:
    folder = tmp_path_factory.mktemp("classify")
    lines = ["file,label,group"]
    for number in range(12):
        kind = number % 2
        name = {4: "seen.mkv", 7: "heard.mkv"}.get(number, f"{number:02d}.mkv")
        make_clip(folder / "clips" / name, kind, number // 2, seen=number != 7, heard=number != 4)
        lines.append(f"clips/{name},{LABELS[kind]},g{number % 6}")
    table = folder / "clips.csv"
    table.write_text("\n".join(lines))
    store = Store(folder / "store")
    fitted = fit_classifier(table, folder / "model.onnx", encoder=encoder, store=store, baselines=False)
    return Made(table, fitted, store)
