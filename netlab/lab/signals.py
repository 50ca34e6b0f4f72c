"""What a build must not be hurt by: a signal at a bad moment, and too few file descriptors."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from netlab.errors import Diagnostic, LabError, Unavailable

if TYPE_CHECKING:
    from typing import Self

SPARE_DESCRIPTORS = 64
"""What the process may need beside one descriptor per node."""

ALWAYS_THERE = 200
"""So many may be counted on without asking: the usual soft limit is 1024."""


class Signals:
    """SIGINT, SIGTERM and SIGHUP wait: they are noticed between visits, and answered at the end.

    An exception thrown at an arbitrary moment could hit the undoing itself. Python runs handlers
    in the main thread only; in others there is nothing to do.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._arrived = 0

    def __enter__(self) -> Self:
        try:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                handler = signal.getsignal(number)
                if handler not in {signal.SIG_IGN, None}:  # nohup, or a shell's background job
                    self._before[number] = signal.signal(number, self._note)
        except ValueError:
            pass  # not the main thread
        return self

    def _note(self, number: int, _: object) -> None:
        self._arrived = number

    def arrived(self) -> bool:
        """Whether somebody wants us to stop."""
        return self._arrived != 0

    def check(self) -> None:
        """Raise if somebody wants us to stop.

        Raises:
            LabError: a signal came.
        """
        if self._arrived:
            name = signal.Signals(self._arrived).name
            raise LabError(Diagnostic("E412", f"{name} arrived while the lab was being built"))

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._arrived:
            os.kill(os.getpid(), self._arrived)


class Descriptors:
    """Room for one open file per node, as far as this process may have it."""

    def __init__(self, nodes: int) -> None:
        self._needed = nodes + SPARE_DESCRIPTORS
        self._before: tuple[int, int] | None = None

    def __enter__(self) -> None:
        if self._needed < ALWAYS_THERE:
            return
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = len(os.listdir("/proc/self/fd"))
        if soft != resource.RLIM_INFINITY and soft < used + self._needed:
            wanted = used + self._needed
            if hard != resource.RLIM_INFINITY and hard < wanted:
                message = f"the lab needs {wanted} open files, {hard} are allowed"
                raise Unavailable(Diagnostic("E413", message, hint="raise `ulimit -Hn`"))
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            self._before = (soft, hard)

    def __exit__(self, *_: object) -> None:
        if self._before:
            import resource

            resource.setrlimit(resource.RLIMIT_NOFILE, self._before)
