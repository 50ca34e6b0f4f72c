"""When namespaces are really gone: the kernel frees them some time after they were released.

/proc/slabinfo (root only) counts the objects; processors keep a few spare ones, hence a margin.
"""

from __future__ import annotations

import time
from pathlib import Path

SLABINFO = Path("/proc/slabinfo")
MARGIN = 16
LONGEST = 60.0
QUIET = 0.15
"""Seconds without any change after which the kernel is taken to have finished."""


def namespaces() -> int | None:
    """How many network namespaces the kernel holds in memory, or None if it does not tell us."""
    try:
        lines = SLABINFO.read_text(encoding="ascii").splitlines()
    except PermissionError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("net_namespace ")), None)


def wait_until_freed(baseline: int | None = None) -> None:
    """Wait until at most ``baseline`` are left, or without one until nothing changes any more."""
    deadline = time.monotonic() + LONGEST
    last, since = namespaces(), time.monotonic()
    if last is None:
        time.sleep(0.5)
        return
    while time.monotonic() < deadline:
        count = namespaces()
        if count is None or (baseline is not None and count <= baseline + MARGIN):
            return
        if count != last:
            last, since = count, time.monotonic()
        elif baseline is None and time.monotonic() - since > QUIET:
            return
        time.sleep(0.002)
