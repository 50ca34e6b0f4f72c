"""The command as users start it: a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NETLAB = [sys.executable, "-m", "netlab"]


def ran(*argv: str, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
    """``netlab ARGV``, run to its end in the project's folder; a traceback is never right."""
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": ROOT}
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [*NETLAB, *argv], text=True, check=False, timeout=timeout, **(streams | options)
    )
    assert "Traceback" not in (done.stderr or "")
    return done


def printed(*argv: str, code: int = 0, **options: Any) -> str:
    """What ``netlab ARGV`` prints, which must end with ``code``; with stderr if that is not 0."""
    done = ran(*argv, **options)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stdout + done.stderr


def started(*argv: str, **options: Any) -> subprocess.Popen[str]:
    """``netlab ARGV``, running."""
    pipe = subprocess.PIPE
    return subprocess.Popen([*NETLAB, *argv], stdout=pipe, stderr=pipe, text=True, **options)
