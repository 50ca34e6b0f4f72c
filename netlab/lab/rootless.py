"""Labs of an ordinary user: the same namespaces inside a user namespace of one's own.

There a process is root over what it makes and over nothing else (user_namespaces(7)). The lab's
namespaces are kept on a tmpfs that only its mount namespace sees; a *keeper*, a process that
sleeps, holds both namespaces open after ``netlab up`` has ended, and other commands join it.
Files of the lab lie where everybody finds them, in the user's own state directory.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from netlab.errors import Diagnostic, LabError, Unavailable
from netlab.lab import processes, record
from netlab.linux import confinement, descriptors, namespaces

if TYPE_CHECKING:
    from netlab.lab.record import Lab


def is_needed() -> bool:
    """Whether this process needs a user namespace to build labs.

    Everybody but root does, and the root of a container that was given no capabilities.
    """
    return os.geteuid() != 0 or bool(confinement.missing_capabilities())


def is_inside() -> bool:
    """Whether this process lives in a user namespace, where root is root of little."""
    return confinement.is_in_user_namespace()


def refusal(error: OSError) -> Unavailable:
    """Why user namespaces do not work here, with the way out."""
    from netlab.lab import permissions

    if error.errno == errno.EINVAL:
        why, hint = "", "a process with several threads cannot do this: enter before they start"
    else:
        why, hint = permissions.of_namespaces(error)
    is_root = os.geteuid() == 0
    who = (
        "this process may not build labs"
        if is_root
        else ("an ordinary user may not create namespaces here")
    )
    message = f"{who}: {why or error.strerror}"
    return Unavailable(Diagnostic("E413", message, hint=hint))


def enter() -> None:
    """Move this process, for good, into a user and a mount namespace of its own.

    The process must have one thread only. Its user becomes root inside. ``NETLAB_STATE_DIR`` is
    set, since being root inside would otherwise point to root's labs.
    """
    state = record.state_directory()
    user, group = os.geteuid(), os.getegid()
    if len(os.listdir("/proc/self/task")) > 1:
        raise refusal(OSError(errno.EINVAL, os.strerror(errno.EINVAL)))
    if user == 0 and not confinement.may_map_root():
        raise refusal(OSError(errno.EPERM, os.strerror(errno.EPERM)))
    try:
        namespaces.unshare(namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNS)
        map_to_root(user, group)
        namespaces.propagation("/", namespaces.MS_SLAVE | namespaces.MS_REC)
    except OSError as error:
        raise refusal(error) from None
    os.environ["NETLAB_STATE_DIR"] = state


def map_to_root(user: int, group: int) -> None:
    """Be root in the user namespace that was just made by ``user`` and ``group``."""
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"0 {user} 1")
    _write("/proc/self/gid_map", f"0 {group} 1")


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def keep(lab: Lab) -> None:
    """Start the keeper of a lab: it holds the namespaces that this process is in."""
    environment = {**processes.environment(lab, ""), "PATH": os.defpath}
    here = os.open(".", os.O_RDONLY | os.O_CLOEXEC)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.chdir("/")  # it must not keep the user's directory busy
        pid = os.posix_spawnp(
            "sleep",
            [f"netlab-keeper {lab.name}", "infinity"],
            environment,
            file_actions=[
                *((os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)),
                *descriptors.closing(),
            ],
            setsid=True,
        )
        os.fchdir(here)
    finally:
        os.close(here)
        os.close(null)
    processes.remember(lab, pid, 0, "", "")


def join(lab: Lab) -> None:
    """Move this process, for good, to where the namespaces of a rootless lab can be seen.

    Does nothing for a lab of root, or when we are there already.

    Raises:
        LabError: the namespaces of the lab are gone.
    """
    if not lab.record.rootless or os.path.ismount(lab.netns_dir):
        return
    pid = processes.keeper(lab)
    if pid is None:
        message = f"lab {lab.name} has lost its namespaces"
        raise LabError(Diagnostic("E404", message, hint=f"netlab down {lab.name}"))
    directory = os.getcwd()
    try:
        user = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        mounts = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        namespaces.setns(user, namespaces.CLONE_NEWUSER)
        namespaces.setns(mounts, namespaces.CLONE_NEWNS)
        os.close(user)
        os.close(mounts)
        os.chdir(directory)  # entering a mount namespace leads to its root
    except OSError as error:
        raise refusal(error) from None
    os.environ["NETLAB_STATE_DIR"] = os.path.dirname(lab.directory)
