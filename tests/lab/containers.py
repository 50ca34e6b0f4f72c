"""Containers in small: the confinement that container runtimes put on a process, without one.

What is confined is what the kernel looks at: the bounding set of capabilities, a seccomp filter
that answers system calls with an error (Docker's own refuses them with EPERM; AppArmor's rule
against mounting looks the same to a process, with EACCES), and mounts that are read-only.
"""

import ctypes
import errno
import os
import platform
import shlex
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from netlab.linux import namespaces

# <linux/capability.h>
CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL = 0, 1, 3, 4, 5
SETGID, SETUID, SETPCAP, NET_BIND_SERVICE = 6, 7, 8, 10
NET_ADMIN, NET_RAW, SYS_CHROOT, SYS_ADMIN, MKNOD, AUDIT_WRITE, SETFCAP = 12, 13, 18, 21, 27, 29, 31
SYSLOG = 34
DOCKER = frozenset({
    CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW,
    SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP,
})  # fmt: skip
"""What Docker and containerd leave to a container's root."""

# <linux/prctl.h>, <linux/seccomp.h>, <linux/filter.h>
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 24, 38, 22, 2
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
LOAD, EQUAL, ANY_BIT, ANSWER = 0x20, 0x15, 0x45, 0x06
LAST_CAPABILITY = 40

NUMBERS = {
    "x86_64": {"unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "bpf": 321},
    "aarch64": {"unshare": 97, "setns": 268, "mount": 40, "umount2": 39, "bpf": 280},
}.get(platform.machine(), {}) | {"fsopen": 430, "fsconfig": 431, "fsmount": 432}


class Refusal(NamedTuple):
    """A system call that fails; with ``bits``, only if its first argument has one of them."""

    call: str
    errno: int = errno.EPERM
    bits: int = 0


NO_NAMESPACES = (Refusal("unshare"), Refusal("setns"), Refusal("mount"), Refusal("umount2"))
"""Docker's seccomp profile for a process without SYS_ADMIN."""
NO_MOUNTS = (Refusal("mount", errno.EACCES),)
"""AppArmor's profile docker-default."""
NO_NETWORK_NAMESPACES = (Refusal("unshare", errno.EPERM, namespaces.CLONE_NEWNET),)
"""About what Ubuntu 24.04 does to ordinary users: the user namespace alone is given."""


def run(
    script: str,
    keep: frozenset[int] | None = None,
    refuse: Iterable[Refusal] = (),
    read_only: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a script of sh confined: capabilities that are left, refused calls, mounts.

    The word ``netlab`` is this netlab. One script is one container: its mounts are its own.
    """
    function = f'netlab() {{ {shlex.quote(sys.executable)} -m netlab "$@"; }}\n'
    return subprocess.run(
        ["sh", "-ec", function + script],
        preexec_fn=_confine(keep, tuple(refuse), tuple(read_only)),
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _confine(
    keep: frozenset[int] | None, refuse: tuple[Refusal, ...], read_only: tuple[str, ...]
) -> Callable[[], None]:
    def confine() -> None:
        namespaces.unshare(namespaces.CLONE_NEWNS)
        namespaces.propagation("/", namespaces.MS_PRIVATE | namespaces.MS_REC)
        for path in read_only:
            namespaces.bind(path, path, recursive=True)
            namespaces.mount("none", path, "", namespaces.MS_BIND | MS_REMOUNT | MS_RDONLY)
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in range(LAST_CAPABILITY + 1):
            if keep is not None and capability not in keep:
                libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        if refuse:
            _filter(libc, refuse)

    return confine


MS_RDONLY, MS_REMOUNT = 0x1, 0x20


def _filter(libc: ctypes.CDLL, refuse: tuple[Refusal, ...]) -> None:
    """Install a seccomp filter; what it says holds for all that the process starts."""
    program = [struct.pack("=HBBI", LOAD, 0, 0, 0)]  # seccomp_data.nr
    for call, number, bits in refuse:
        if bits:  # look at the low half of the first argument, and load the number again
            program.append(struct.pack("=HBBI", EQUAL, 0, 4, NUMBERS[call]))
            program.append(struct.pack("=HBBI", LOAD, 0, 0, 16))
            program.append(struct.pack("=HBBI", ANY_BIT, 0, 1, bits))
            program.append(struct.pack("=HBBI", ANSWER, 0, 0, ERRNO | number))
            program.append(struct.pack("=HBBI", LOAD, 0, 0, 0))
        else:
            program.append(struct.pack("=HBBI", EQUAL, 0, 1, NUMBERS[call]))
            program.append(struct.pack("=HBBI", ANSWER, 0, 0, ERRNO | number))
    program.append(struct.pack("=HBBI", ANSWER, 0, 0, ALLOW))
    code = ctypes.create_string_buffer(b"".join(program))
    header = struct.pack("=HxxxxxxQ", len(program), ctypes.addressof(code))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(header), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")
