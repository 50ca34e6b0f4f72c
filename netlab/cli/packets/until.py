"""When a command that watches ends: after some seconds, or by a signal."""

from __future__ import annotations

import argparse
import signal
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self


def seconds(text: str) -> float:
    """An ``argparse`` type: how long, not less than 0."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1e9")
    return value


class Until:
    """The end of a command: ``limit`` seconds from now (0 is at once), or SIGINT, SIGTERM, SIGHUP.

    SIGINT ends it even where it was ignored: a shell without job control starts its background
    jobs so, and ``kill -INT`` should end them. SIGHUP stays ignored where it was (``nohup``).
    """

    def __init__(self, limit: float | None = None) -> None:
        self._end = time.monotonic() + (float("inf") if limit is None else limit)
        self._before: dict[int, Any] = {}
        self.signals: list[int] = []
        """The signals that came."""

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            self._before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, _: object) -> None:
        self.signals.append(number)

    def is_over(self) -> bool:
        """Whether it is time to end."""
        return bool(self.signals) or time.monotonic() >= self._end

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
