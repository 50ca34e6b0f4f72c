"""Run a command to its end, and no longer: what it leaves behind is not waited for.

Its output goes to files: the end of a pipe is the end of the last process that holds it, be it a
server that the command started and left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

LAST_WAIT = 5.0
"""Seconds for which the end of a killed command is waited for."""

MOST = 64 << 20
"""Octets of each of its outputs that are read; of more, the last."""


class Ended(NamedTuple):
    """What a command printed, and its exit code; ``None`` if it took too long and was killed."""

    output: str
    errors: str
    code: int | None


def run(start: Callable[..., subprocess.Popen[str]], given: str | None, timeout: float) -> Ended:
    """The end of what ``start`` starts with the options of ``subprocess.Popen`` that it is given.

    It must lead a session of its own: after ``timeout`` seconds, and if this is interrupted, that
    is killed.
    """
    with _file() as output, _file() as errors, _file() as stdin:
        if given is not None:
            stdin.write(given)
            stdin.seek(0)
        source = subprocess.DEVNULL if given is None else stdin
        process = start(stdin=source, stdout=output, stderr=errors)
        code: int | None
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
            _kill(process)
        except BaseException:
            _kill(process)
            raise
        return Ended(_read(output), _read(errors), code)


def _file() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace", prefix="netlab-")


def _read(file: IO[str]) -> str:
    size = os.fstat(file.fileno()).st_size
    file.seek(max(size - MOST, 0))
    return file.read(MOST)


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(LAST_WAIT)
