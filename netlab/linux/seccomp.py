"""A filter of system calls for a process and all that it starts (seccomp(2)).

Refused is what leads out of namespaces or changes the machine: mounts, namespaces, modules, BPF,
keys, clocks, tracing other processes, io_uring. Programs get EPERM, as from a missing right.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import NamedTuple

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_CLONE_NEW = 0x7E020080
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME (<sched.h>)."""
_AF_ALG, _AF_VSOCK = 38, 40

# Offsets in struct seccomp_data; arguments are 64 bits, their lower half comes first.
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06

_SINCE_5_1 = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "pidfd_getfd": 438, "mount_setattr": 442, "quotactl_fd": 443,
}  # fmt: skip
"""Numbers that all architectures share."""


class _Machine(NamedTuple):
    audit: int
    clone: int
    socket: int
    refused: dict[str, int]


_CLONE3 = 435

# arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h
_MACHINES = {
    "x86_64": _Machine(0xC000003E, 56, 41, {
        "ptrace": 101, "syslog": 103, "vhangup": 153, "modify_ldt": 154, "pivot_root": 155,
        "adjtimex": 159, "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165,
        "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169, "sethostname": 170,
        "setdomainname": 171, "iopl": 172, "ioperm": 173, "init_module": 175,
        "delete_module": 176, "quotactl": 179, "lookup_dcookie": 212, "clock_settime": 227,
        "mbind": 237, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250,
        "migrate_pages": 256, "unshare": 272, "move_pages": 279, "perf_event_open": 298,
        "fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304,
        "clock_adjtime": 305, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311,
        "kcmp": 312, "finit_module": 313, "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323,
    }),
    "aarch64": _Machine(0xC00000B7, 220, 198, {
        "lookup_dcookie": 18, "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51,
        "vhangup": 58, "quotactl": 60, "acct": 89, "unshare": 97, "kexec_load": 104,
        "init_module": 105, "delete_module": 106, "clock_settime": 112, "syslog": 116,
        "ptrace": 117, "reboot": 142, "sethostname": 161, "setdomainname": 162,
        "settimeofday": 170, "adjtimex": 171, "add_key": 217, "request_key": 218, "keyctl": 219,
        "swapon": 224, "swapoff": 225, "mbind": 235, "migrate_pages": 238, "move_pages": 239,
        "perf_event_open": 241, "fanotify_init": 262, "name_to_handle_at": 264,
        "open_by_handle_at": 265, "clock_adjtime": 266, "setns": 268, "process_vm_readv": 270,
        "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "bpf": 280,
        "userfaultfd": 282, "kexec_file_load": 294,
    }),
}  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def no_new_privileges() -> None:
    """From now on no program that is started gets rights by its file (setuid, capabilities)."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def refuse() -> None:
    """Refuse the system calls above to this process, for good. Needs ``no_new_privileges``.

    Raises:
        OSError: the kernel has no such filters, or none is known for this architecture.
    """
    machine = _MACHINES.get(os.uname().machine)
    if machine is None:
        raise OSError(errno.ENOSYS, "no filter of system calls for this architecture")
    code = ctypes.create_string_buffer(program(machine))
    length = (len(code) - 1) // 8
    _prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(_Program(length, ctypes.addressof(code))))


def program(machine: _Machine) -> bytes:
    """The filter, in classic BPF (Documentation/userspace-api/seccomp_filter.rst)."""

    def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, if_true, if_false, value)

    refused = step(_RETURN, _ERRNO | errno.EPERM)
    steps = [
        step(_LOAD, _ARCHITECTURE),
        step(_EQUAL, machine.audit, 1),
        step(_RETURN, _KILL),
        step(_LOAD, _NUMBER),
        # The same calls have other numbers in the x32 ABI.
        step(_AT_LEAST, 0x40000000, 0, 1),
        refused,
    ]
    for number in sorted((*machine.refused.values(), *_SINCE_5_1.values())):
        steps += [step(_EQUAL, number, 0, 1), refused]
    # Its flags are in memory, where no filter can look; glibc does with clone then.
    steps += [step(_EQUAL, _CLONE3, 0, 1), step(_RETURN, _ERRNO | errno.ENOSYS)]
    steps += [
        step(_EQUAL, machine.clone, 0, 4),
        step(_LOAD, _FIRST_ARGUMENT),
        step(_AND, _CLONE_NEW),
        step(_EQUAL, 0, 5),
        refused,
        step(_EQUAL, machine.socket, 0, 3),
        step(_LOAD, _FIRST_ARGUMENT),
        step(_EQUAL, _AF_VSOCK, 2),
        step(_EQUAL, _AF_ALG, 1),
        step(_RETURN, _ALLOW),
        refused,
    ]
    return b"".join(steps)


def _prctl(what: int, value: int, more: object = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    pointer = more if not isinstance(more, int) else ctypes.c_ulong(more)
    if libc.prctl(what, ctypes.c_ulong(value), pointer, ctypes.c_ulong(0), ctypes.c_ulong(0)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
