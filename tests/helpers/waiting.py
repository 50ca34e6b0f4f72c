"""Waiting for a condition, never for luck."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 60.0
"""Seconds for what takes a moment on a machine that has nothing else to do."""

_BETWEEN = 0.01


def wait_for(
    condition: Callable[[], object], what: str = "the condition", *, seconds: float = PATIENCE
) -> None:
    """Look until ``condition`` holds; fail if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true in {seconds:g} s"
        time.sleep(_BETWEEN)


async def eventually(
    condition: Callable[[], object], what: str = "the condition", *, seconds: float = PATIENCE
) -> None:
    """The same in an event loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true in {seconds:g} s"
        await asyncio.sleep(_BETWEEN)
