"""What a collector is, and the thread that keeps emptying all of them.

Kernel buffers are small and packets do not wait, so draining means copying, nothing else: what
was copied is read when the observation is over, or when someone takes it meanwhile.
"""

from __future__ import annotations

import os
import select
import threading
import time
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from netlab.capture.evidence import Gap

T = TypeVar("T")


REST = 0.02
"""Seconds between two rounds of reading."""

RECORDS = 1 << 19
"""Records of one kind that are kept for one node; what comes beyond is counted, not kept."""


class RunInNetns(Protocol):
    """Runs an action in the network namespace of a node and returns its result."""

    def __call__(self, node: str, action: Callable[[], T], /) -> T:
        """The result of ``action``."""


class Collector(Protocol):
    """One kind of evidence, from all nodes.

    ``start`` raises ``OSError`` if this machine or user does not allow it; ``stop`` never raises
    and releases everything. ``gaps`` is what was lost between the two.
    """

    gaps: list[Gap]

    def discard(self) -> None:
        """Forget what was copied and not yet taken."""

    def start(self) -> None:
        """Begin to collect."""

    def buffers(self) -> Iterable[tuple[int, Callable[[], None]]]:
        """File descriptors that become readable, each with what empties its buffer."""

    def stop(self) -> None:
        """Take what is still there and let go."""


class Reader:
    """A thread that empties buffers as they fill, every ``rest`` seconds."""

    def __init__(
        self, buffers: Iterable[tuple[int, Callable[[], None]]], rest: float = REST
    ) -> None:
        self._rest = rest
        self._poll = select.epoll()
        self._drain = dict(buffers)
        self._wake, self._alarm = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.lock = threading.Lock()
        """Held while buffers are emptied: who takes what was copied holds it, too."""
        for fd in (*self._drain, self._wake):
            self._poll.register(fd, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="netlab-observe", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            ready = self._poll.poll()
            with self.lock:
                for fd, _ in ready:
                    if fd == self._wake:
                        return
                    self._drain[fd]()
            # Buffers hold far more than this; to wake up for each packet would cost the lab dear.
            time.sleep(self._rest)

    def read_now(self) -> None:
        """Empty the buffers in the calling thread, which holds the lock."""
        for fd, _ in self._poll.poll(0):
            if fd != self._wake:
                self._drain[fd]()

    def stop(self) -> None:
        """End the thread; what is still in the buffers stays there."""
        os.write(self._alarm, b"x")
        self._thread.join()
        self._poll.close()
        os.close(self._wake)
        os.close(self._alarm)
