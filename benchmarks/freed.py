"""When namespaces are really gone: the kernel frees them some time after they were released.

/proc/slabinfo (root only) counts the objects. Processors keep spare ones of them, which count as
used, so the count need not come back to where it was: what can be seen is its last change.
"""

from __future__ import annotations

import time
from pathlib import Path

SLABINFO = Path("/proc/slabinfo")
SMALLEST = 64
"""Labs with fewer nodes can go without the count telling."""
QUIET = 0.25
"""Seconds without any change after which the kernel is taken to have finished."""
LONGEST = 10.0
"""Seconds to wait where something else keeps making and freeing namespaces."""
PAUSE = 0.002


def _namespaces() -> int | None:
    """How many network namespaces the kernel holds in memory, or None if it does not tell us."""
    try:
        lines = SLABINFO.read_text(encoding="ascii").splitlines()
    except PermissionError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("net_namespace ")), None)


def wait() -> float:
    """Wait until the kernel has freed what was released; when (``perf_counter``) that was."""
    began = changed = time.perf_counter()
    last = _namespaces()
    while (now := time.perf_counter()) - changed < QUIET and now - began < LONGEST:
        if (count := _namespaces()) != last:
            last, changed = count, now
        time.sleep(PAUSE)
    return changed
