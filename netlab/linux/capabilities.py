"""Give up capabilities, all but a few, for this process and all that it starts."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

# <linux/capability.h>
CAP_NET_BIND_SERVICE, CAP_NET_BROADCAST, CAP_NET_ADMIN, CAP_NET_RAW = 10, 11, 12, 13
NETWORK = frozenset({CAP_NET_BIND_SERVICE, CAP_NET_BROADCAST, CAP_NET_ADMIN, CAP_NET_RAW})
_VERSION_3 = 0x20080522
_LAST = 63

# <sys/prctl.h>
_PR_SET_KEEPCAPS, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _RAISE = 8, 24, 47, 2

_libc = ctypes.CDLL(None, use_errno=True)


def keep_only(kept: Collection[int], user: int | None = None) -> None:
    """Become ``user``, if one is given, with these capabilities and no others, whatever is run."""
    for number in range(_LAST + 1):
        if number not in kept:
            _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)  # EINVAL beyond the last one
    if user is not None:
        _check(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    mask = sum(1 << number for number in kept)
    header = struct.pack("=Ii", _VERSION_3, 0)
    # Effective, permitted, inheritable; the upper 32 in a second set.
    data = struct.pack("=6I", mask, mask, mask, 0, 0, 0)
    _check(_libc.capset(header, data))
    for number in kept:
        _check(_libc.prctl(_PR_CAP_AMBIENT, _RAISE, number, 0, 0))


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
