"""Look for a regular expression in a text, for a limited time.

Python's engine backtracks, so a pattern such as ``(a+)+$`` may take longer than the universe lasts.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time

IN_A_PROCESS = """
import re, sys
sys.exit(0 if re.search(sys.argv[1], sys.stdin.buffer.read().decode(), re.MULTILINE) else 1)
"""


class TookTooLong(Exception):
    """The pattern was looked for until the time was over."""


def found(pattern: str, text: str, seconds: float) -> bool:
    """Whether a line or lines of ``text`` match.

    Raises:
        TookTooLong: it is not known after that time.
    """
    if seconds <= 0:
        raise TookTooLong
    try:
        # The engine looks at signals from time to time.
        before = signal.signal(signal.SIGALRM, _alarm)
    except ValueError:  # only the main thread has handlers
        return _in_a_process(pattern, text, seconds)
    others = signal.setitimer(signal.ITIMER_REAL, seconds)
    began = time.monotonic()
    try:
        return re.search(pattern, text, re.MULTILINE) is not None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if others[0]:
            left = max(others[0] - (time.monotonic() - began), 0.001)
            signal.setitimer(signal.ITIMER_REAL, left, others[1])


def _alarm(*_: object) -> None:
    raise TookTooLong


def _in_a_process(pattern: str, text: str, seconds: float) -> bool:
    import subprocess

    argv = [sys.executable, "-S", "-E", "-c", IN_A_PROCESS, pattern]
    try:
        ran = subprocess.run(
            argv,
            input=text.encode(errors="replace"),
            timeout=seconds,
            check=False,
            capture_output=True,
            cwd=os.sep,
        )
    except subprocess.TimeoutExpired:
        raise TookTooLong from None
    return ran.returncode == 0
