"""Whether a process may look into itself after it has given up being root (prctl(2))."""

from __future__ import annotations

import ctypes

_PR_SET_DUMPABLE = 4


def set_dumpable() -> None:
    """Let this process open its own files below /proc, as before it changed its user (proc(5))."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1)
