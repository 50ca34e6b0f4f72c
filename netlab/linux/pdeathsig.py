"""A process that ends when the one that started it does, however that ended (prctl(2))."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def kill_with_parent() -> None:
    """Have SIGKILL sent to this process when its parent is no more.

    For the first process of a process namespace, which ignores every other signal. Its parent has
    no number there: whoever forked has to be asked in another way whether it died before.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def set_pdeathsig(parent: int) -> None:
    """Have SIGTERM sent to this process when ``parent``, who started it, is gone.

    It is the thread of the parent that counts: the one that started this process must live as long
    as the parent. A change of credentials, such as a user namespace, undoes it.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before
        sys.exit(1)
