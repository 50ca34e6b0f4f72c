"""A program of a stranger in a place of its own: other files, processes and users are not there.

``python -m netlab.lab.sandbox SPEC COMMAND...`` becomes COMMAND in new user, mount, process, IPC,
UTS and network namespaces. Its root is a small tmpfs in which the system's programs and what SPEC
names are read-only; root in it is an unprivileged user outside. When COMMAND ends, all that it
started ends too, and its files are gone; so it is when this process is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import shutil
import signal
import stat
import sys
from typing import TYPE_CHECKING, NamedTuple

from netlab.lab import rootless
from netlab.linux import namespaces, pdeathsig
from netlab.linux.dumpable import set_dumpable

if TYPE_CHECKING:
    from typing import NoReturn

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/sys")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
TUN = "net/tun"

FIRST_USER = 61_184
"""The first of the users that systemd gives to services without one (DynamicUser=)."""
USERS = 4000

SIZE = "64m"
"""The most that all its files take together."""
MOST_PROCESSES = 500
LARGEST_FILE = 64 << 20

FAILED = 70
"""Exit code if the place could not be made, as EX_SOFTWARE in sysexits.h."""


class Spec(NamedTuple):
    """What is seen inside.

    ``shown`` are paths that are there as outside, read-only; ``copied`` are files (outside,
    inside); ``hidden`` are paths below the shown ones that are empty. ``place`` is an empty
    directory to build it on, ``number`` tells apart those that run together.
    """

    place: str
    shown: tuple[str, ...]
    copied: tuple[tuple[str, str], ...]
    hidden: tuple[str, ...] = ()
    number: int = 0


def of_python() -> tuple[str, ...]:
    """The paths that this Python and this netlab need."""
    from netlab.lab.home import HOME

    found = [HOME, sys.prefix, sys.base_prefix, os.path.realpath(sys.executable)]
    found += [path for path in sys.path if os.path.isabs(path) and os.path.exists(path)]
    return tuple(dict.fromkeys(os.path.abspath(path) for path in found))


def main(words: list[str]) -> NoReturn:
    """Make the place and become the command."""
    spec = Spec(**json.loads(words[0]))
    try:
        _enter(spec)
    except OSError as error:
        print(f"no sandbox: {error.strerror or error} {error.filename or ''}", file=sys.stderr)
        os._exit(FAILED)
    alive, held = os.pipe()
    child = os.fork()
    if not child:
        os.close(held)
        try:
            _begin(words[1:], alive)
        except OSError as error:
            print(f"no sandbox: {error.strerror or error} {error.filename or ''}", file=sys.stderr)
        os._exit(FAILED)
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) % 256)


def _enter(spec: Spec) -> None:
    """New namespaces, the new root, and an unprivileged user."""
    # Root of a rootless lab's user namespace has no other users there.
    is_root = os.geteuid() == 0 and not rootless.is_inside()
    user = FIRST_USER + spec.number % USERS if is_root else os.geteuid()
    if is_root:
        namespaces.unshare(namespaces.CLONE_NEWNS)
    else:
        _become_root_of_nothing()
    namespaces.propagation("/", namespaces.MS_PRIVATE | namespaces.MS_REC)
    _build(spec, user if is_root else 0)
    namespaces.change_root(spec.place)
    if is_root:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        set_dumpable()
    # Of mounts that come from another user namespace, read-only cannot be taken away.
    _become_root_of_nothing()
    apart = namespaces.CLONE_NEWPID | namespaces.CLONE_NEWIPC | namespaces.CLONE_NEWUTS
    namespaces.unshare(apart | namespaces.CLONE_NEWNET)


def _become_root_of_nothing() -> None:
    """A user and a mount namespace of one's own, in which one is root."""
    user, group = os.geteuid(), os.getegid()
    namespaces.unshare(namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNS)
    rootless.map_to_root(user, group)


def _build(spec: Spec, owner: int) -> None:
    """The new root, at ``spec.place``."""
    root = spec.place
    namespaces.mount("netlab-sandbox", root, "tmpfs", namespaces.MS_NOSUID, f"size={SIZE},mode=755")
    for path in (*SYSTEM, *spec.shown):
        _show(root, path)
    os.makedirs(f"{root}/dev/net", exist_ok=True)
    for name in DEVICES:
        _show_file(f"/dev/{name}", f"{root}/dev/{name}")
    _tun(root)
    for name in ("proc", "tmp", "run", "var/tmp", "dev/shm", "work"):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    namespaces.bind("/proc", f"{root}/proc", recursive=True)
    for outside, inside in spec.copied:
        os.makedirs(os.path.dirname(f"{root}{inside}"), exist_ok=True)
        shutil.copyfile(outside, f"{root}{inside}", follow_symlinks=False)
    for path in spec.hidden:
        _hide(f"{root}{os.path.abspath(path)}")
    for name in ("tmp", "run", "var/tmp", "dev/shm"):
        os.chown(f"{root}/{name}", owner, owner)


def _show(root: str, path: str) -> None:
    """The same file, directory or symbolic link at the same path, read-only."""
    there = f"{root}{path}"
    if os.path.lexists(there) or not os.path.lexists(path):
        return  # a directory above it is shown already
    os.makedirs(os.path.dirname(there), exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), there)
        return
    if os.path.isdir(path):
        os.mkdir(there)
        namespaces.bind(path, there, recursive=True)
        # /sys stays as it is: nodes mount their own devices over parts of it.
        namespaces.read_only(there)
    else:
        _show_file(path, there)
        namespaces.read_only(there)


def _show_file(path: str, there: str) -> None:
    os.close(os.open(there, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    namespaces.bind(path, there)


def _tun(root: str) -> None:
    """The TUN device, for everybody inside, where there is one."""
    there = f"{root}/dev/{TUN}"
    if not os.path.exists(f"/dev/{TUN}"):
        return
    if os.geteuid() == 0 and not rootless.is_inside():
        with contextlib.suppress(OSError):
            os.mknod(there, stat.S_IFCHR | 0o666, os.makedev(10, 200))
            os.chmod(there, 0o666)  # noqa: S103 - as udev has it; it gives nobody a right
            return
    _show_file(f"/dev/{TUN}", there)


def _hide(there: str) -> None:
    if os.path.isdir(there):
        namespaces.mount("netlab-hidden", there, "tmpfs", namespaces.MS_NODEV, "size=4k,mode=755")
    elif os.path.exists(there):
        namespaces.bind("/dev/null", there)


def _begin(command: list[str], parent: int) -> NoReturn:
    """The first process of the new process namespace: with it, all others end."""
    namespaces.mount("proc", "/proc", "proc", namespaces.MS_NOSUID | namespaces.MS_NODEV)
    # Once more, so that this cannot be taken away from over the one that shows all processes.
    _become_root_of_nothing()
    pdeathsig.kill_with_parent()
    if select.select([parent], [], [], 0)[0]:
        os._exit(FAILED)  # the parent died before
    for what, most in (
        (resource.RLIMIT_FSIZE, LARGEST_FILE),
        (resource.RLIMIT_NPROC, MOST_PROCESSES),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError):
            resource.setrlimit(what, (most, most))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": "/tmp",  # noqa: S108 - it is nobody else's in there
        "LANG": "C.UTF-8",
        "NETLAB_STATE_DIR": "/run/lab",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if os.path.isabs(path)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    os.execve(command[0], command, environment)  # noqa: S606 - that is the point


if __name__ == "__main__":
    main(sys.argv[1:])
