"""Settings under /proc/sys/net, which belong to the namespace of the thread that opens them."""

from __future__ import annotations

import errno
import os

from netlab.linux import namespaces


def path(key: str) -> str:
    """Where the value of ``net.ipv4.conf.eth0.rp_filter`` lies.

    As in sysctl(8) a ``/`` in a key means a dot: ``net.ipv4.conf.eth0/100.rp_filter``.

    Raises:
        PermissionError: it is not a setting of a network namespace.
    """
    parts = [part.replace("/", ".") for part in key.split(".")]
    if parts[0] != "net" or len(parts) < 2 or not all(parts) or ".." in parts:
        raise PermissionError(1, "not a setting of a network namespace", key)
    return "/proc/sys/" + "/".join(parts)


def write(key: str, value: str) -> None:
    """Set ``key`` for the namespace of the calling thread; ``OSError`` if that is refused.

    Where ``/proc/sys`` is mounted read-only, as in containers, a /proc of our own is not.
    """
    try:
        fd = os.open(path(key), os.O_WRONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        fd = _open_in_own_proc(key, error)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def _open_in_own_proc(key: str, refused: OSError) -> int:
    try:
        proc = namespaces.detached("proc")
    except OSError:
        raise refused from None
    try:
        inside = os.path.relpath(path(key), "/proc")
        return os.open(inside, os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
    finally:
        os.close(proc)


def read(key: str) -> str:
    """The value in the namespace of the calling thread."""
    with open(path(key), encoding="ascii") as stream:
        return stream.read().strip()
