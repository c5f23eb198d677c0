"""Memory of big tensors is kept instead of given back and fetched again, page by page, in every step."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Parameters of glibc's ``mallopt`` (malloc.h)."""


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep what is freed; for a process that trains on the CPU.

    torch allocates the tensors of a step anew every time, and glibc maps and unmaps each: the kernel then clears
    every page again, a third of a step's time with small networks. It holds for the rest of the process, whose
    memory stays at its peak.

    Returns:
        Whether it could be done; it cannot where the C library is another one.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, -1))
