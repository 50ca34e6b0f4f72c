"""Who removes a lab when its process is killed before it could: SIGKILL asks nobody.

A shell waits at a pipe whose other end the process holds. It hears a word when all went well; if
the pipe falls silent without it, the shell becomes a Python that removes the lab. To wait costs
a millisecond to start and no Python.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from typing import Self

WAIT = 'read -r word || exec "$@"'
TIMEOUT = 60
"""Seconds for a killed process's files to be closed; a child that it forked may hold them."""


class Undertaker:
    """Watches over the lab ``name`` for as long as the context lasts, and longer if need be."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        import subprocess

        home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH", ""))))
        self._process = subprocess.Popen(
            ["sh", "-c", WAIT, "sh", sys.executable, "-m", __name__, self._name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # What is sent to the terminal's process group, Ctrl-C above all, is not meant for it.
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            with contextlib.suppress(BrokenPipeError):
                self._process.communicate(b"done\n")


def reap(name: str) -> None:
    """Remove what is left of the lab ``name`` and of others whose owner is dead."""
    import signal

    from netlab.lab import record, remove

    signal.alarm(TIMEOUT)
    # The kernel closes a dead process's files one after the other: the pipe may go before the lock.
    with contextlib.suppress(OSError):
        directory = os.open(f"{record.state_directory()}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(directory, fcntl.LOCK_EX)
        os.close(directory)
    remove.gc()


if __name__ == "__main__":
    reap(sys.argv[1])
