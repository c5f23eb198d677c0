"""The command line: options and printing. What commands do lives in plain modules beside this folder."""

from __future__ import annotations

import sys

from avfeat.version import __version__


def main() -> None:
    """Run the command line and exit: 0 all done, 1 an input or the work failed, 2 wrong usage."""
    if sys.argv[1:] == ["--version"]:
        # Answered before anything heavy is imported.
        print(f"avfeat {__version__}")
        return
    from avfeat.cli.app import run

    run()
