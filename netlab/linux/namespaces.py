"""Namespaces and mounts: every unshare, setns, mount and umount of netlab is in this file.

**The calling thread never moves.** Whatever must happen inside a namespace happens in a
short-lived thread (``in_thread``), which enters, does one thing and ends there. Nothing has to be
restored, so neither an exception nor Ctrl-C can leave a caller stranded in a lab. The one
exception is a process that is about to become a command of the node (``process.execute``), or
to become rootless (``rootless.enter``): those change the main thread and mean to.

``os.setns`` came with Python 3.12; ``mount`` has never been there. Hence libc by ctypes.
"""

from __future__ import annotations

import _thread
import ctypes
import errno
import os
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

T = TypeVar("T")

# <sched.h>
CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

# <sys/mount.h>
MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MS_SHARED = 0x100000
MNT_DETACH = 0x2

# <asm-generic/unistd.h>, equal on all machines; <linux/mount.h>
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_FSCONFIG_CMD_CREATE = 6
_CLOEXEC = 1

_MOUNT_ATTR_RDONLY = 0x1
_AT_RECURSIVE = 0x8000
_AT_FDCWD = -100
_SYS_MOUNT_SETATTR = 442
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "loongarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
)


def _check(result: int, path: str | None = None) -> None:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)


def unshare(flags: int) -> None:
    """Move the calling thread into new namespaces (unshare(2))."""
    _check(_libc.unshare(flags))


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace behind ``fd`` (setns(2))."""
    _check(_libc.setns(fd, kind))


def mount(source: str, target: str, filesystem: str, flags: int, data: str = "") -> None:
    """Attach a filesystem, or change how one is attached."""
    encode = os.fsencode
    _check(
        _libc.mount(encode(source), encode(target), encode(filesystem), flags, encode(data)),
        target,
    )


def bind(source: str, target: str, *, recursive: bool = False) -> None:
    """Show the file or directory ``source`` at ``target`` too."""
    mount(source, target, "", MS_BIND | (MS_REC if recursive else 0))


def propagation(target: str, flags: int) -> None:
    """Set how mounts below ``target`` travel: MS_SHARED, MS_SLAVE, MS_PRIVATE, with MS_REC."""
    mount("none", target, "", flags)


def detach(target: str) -> None:
    """Take the whole tree of mounts at ``target`` away, even if it is in use."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), target)


def read_only(target: str) -> None:
    """Make the mount at ``target``, and every one below it, read-only (mount_setattr(2))."""
    attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY, 0, 0, 0)
    encoded = ctypes.c_char_p(os.fsencode(target))
    _check(
        _libc.syscall(
            ctypes.c_long(_SYS_MOUNT_SETATTR), ctypes.c_int(_AT_FDCWD), encoded,
            ctypes.c_uint(_AT_RECURSIVE), ctypes.byref(attributes),
            ctypes.c_size_t(ctypes.sizeof(attributes)),
        ),
        target,
    )  # fmt: skip


def change_root(new: str) -> None:
    """Make the mount at ``new`` the root of this mount namespace; the old one is gone from it.

    Raises:
        OSError: the kernel refused.
    """
    number = _SYS_PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    os.chdir(new)
    # Both in one place: the old root comes to lie on the new one (pivot_root(2), NOTES).
    here = ctypes.c_char_p(b".")
    _check(_libc.syscall(ctypes.c_long(number), here, here))
    detach(".")
    os.chdir("/")


def in_thread(action: Callable[[], T]) -> T:
    """Run ``action`` in a new thread, which may change its namespaces freely.

    Returns what ``action`` returns and raises what it raises. ``_thread`` rather than
    ``threading``: nothing here needs more, and it costs no import.

    Raises:
        OSError: the thread could not be started.
    """
    result: list[T] = []
    failure: list[BaseException] = []
    done = _thread.allocate_lock()
    done.acquire()

    def run() -> None:
        try:
            result.append(action())
        except BaseException as error:  # noqa: BLE001 - it is raised again in the caller
            failure.append(error)
        finally:
            done.release()

    try:
        _thread.start_new_thread(run, ())
    except RuntimeError:
        raise OSError(errno.EAGAIN, "no more threads are allowed") from None
    done.acquire()
    if failure:
        raise failure[0]
    return result[0]


def open_namespace(path: str) -> int:
    """A file descriptor of the network namespace at ``path``."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def enter(path: str) -> None:
    """Move the calling thread into the network namespace at ``path``, for good."""
    fd = open_namespace(path)
    try:
        setns(fd, CLONE_NEWNET)
    finally:
        os.close(fd)


def inside(path: str, action: Callable[[], T]) -> T:
    """The result of ``action`` when it runs in the network namespace at ``path``."""

    def there() -> T:
        enter(path)
        return action()

    return in_thread(there)


def open_socket(path: str, family: int, kind: int, protocol: int = 0) -> socket.socket:
    """A socket that lives in the namespace at ``path`` and works from any thread."""
    import socket

    return inside(path, lambda: socket.socket(family, kind, protocol))


def create_network(path: str) -> int:
    """Move the calling thread into a new network namespace that is kept alive at ``path``.

    ``path`` is created; the mount over it is what keeps the namespace, so from this moment the
    namespace is found and freed with the tmpfs that holds ``path``, even if this process dies.
    Returns a file descriptor of the namespace.
    """
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    unshare(CLONE_NEWNET)
    bind("/proc/thread-self/ns/net", path)
    return open_namespace("/proc/thread-self/ns/net")


def mount_netns_dir(path: str) -> None:
    """Mount the tmpfs at ``path`` on which the namespaces and files of one lab are kept.

    It is shared, so that detaching it also empties the copies in mount namespaces that were
    made meanwhile (services with private mounts, our own programs): a copy would keep every
    network namespace of the lab alive.
    """
    mount("netlab", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755")
    propagation(path, MS_SHARED)


def detached(filesystem: str) -> int:
    """A mount of ``filesystem`` that is at no path: a descriptor of its root (fsmount(2)).

    It goes with the descriptor. libc has had names for these calls only since glibc 2.36.
    """
    fs = _libc.syscall(_FSOPEN, filesystem.encode(), _CLOEXEC)
    _check(fs)
    try:
        _check(_libc.syscall(_FSCONFIG, fs, _FSCONFIG_CMD_CREATE, None, None, 0))
        root: int = _libc.syscall(_FSMOUNT, fs, _CLOEXEC, 0)
        _check(root)
        return root
    finally:
        os.close(fs)


def inode(path: str) -> int:
    """The number by which /proc/PID/ns/net names the same namespace."""
    return os.stat(path).st_ino
