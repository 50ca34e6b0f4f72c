"""A tap read to its end."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlab.linux import raw_socket

QUIET = 0.3
"""Seconds without a packet after which none is under way: a softirq may be late, not that late."""


def everything(tap: raw_socket.Tap) -> list[raw_socket.Frame]:
    """All frames up to the first silence."""
    frames = list(tap.frames())
    while select.select([tap], [], [], QUIET)[0]:
        frames += tap.frames()
    return frames
