from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path
from avfeat.training.data import CacheSettings, open_or_prepare

open_or_prepare("synthetic:ave?videos=3", CacheSettings(size=32), Path(sys.argv[1]), workers=2)
"""


def test_a_script_without_a_guard_ends_with_a_sentence(tmp_path: Path) -> None:
    """Workers run it again: each would wait for its own parent, for ever."""
    (tmp_path / "script.py").write_text(SCRIPT)
    ran = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "caches")],
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 1
    assert "A script must do its work under: if __name__ == '__main__'." in ran.stderr
    assert not list((tmp_path / "caches").rglob("index.json"))
