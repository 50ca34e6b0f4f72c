"""A command in a node with ``isolate: true``: the network is all that it can change.

::

    launcher          new process, IPC and mount namespaces; waits, passes signals on
      └─ first        process 1 in there: with it, all others end
           └─ command

It sees the machine's files, read-only, but for /tmp, /var/tmp, /run and /dev/shm, which are its own
and empty; of /dev a few devices; of processes its own. It is an unprivileged user with the
network's capabilities, gets no rights by setuid programs, and a filter refuses the system calls
that lead out or change the machine. In a rootless lab its user is the lab's.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING

from netlab.lab.home import HOME
from netlab.linux import capabilities, namespaces, pdeathsig, seccomp

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

USER = 61_184
"""The first of the users that systemd gives to services without one (DynamicUser=)."""

DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "net/tun")
OWN = ("/tmp", "/var/tmp", "/run")  # noqa: S108 - they are made empty
SIZE = "64m"
MASKED = ("/proc/kcore", "/proc/keys", "/proc/sysrq-trigger", "/proc/timer_list")

FAILED = 126
"""Exit code if the command could not be isolated or run, as shells have it."""

_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); sys.dont_write_bytecode = True; "
    "from netlab.lab import isolation; isolation.main(sys.argv[1:])"
)


def command(argv: Sequence[str], hidden: Sequence[str] = ()) -> list[str]:
    """What to run in a node so that ``argv`` runs there isolated.

    Of ``hidden`` directories it sees nothing.
    """
    return [sys.executable, "-S", "-E", "-c", _START, HOME, json.dumps(list(hidden)), *argv]


def main(words: list[str]) -> NoReturn:
    """Isolate and become the command; ``words`` are what ``command`` puts there."""
    hidden, argv = json.loads(words[0]), words[1:]
    is_root = not _is_in_user_namespace()
    try:
        namespaces.unshare(
            namespaces.CLONE_NEWPID | namespaces.CLONE_NEWIPC | namespaces.CLONE_NEWNS
        )
        namespaces.propagation("/", namespaces.MS_PRIVATE | namespaces.MS_REC)
        _show(hidden)
    except OSError as error:
        _fail(error)
    child = os.fork()
    if child:
        _wait(child)
    try:
        _first(argv, USER if is_root else None)
    except OSError as error:
        _fail(error)


def _is_in_user_namespace() -> bool:
    from netlab.linux import confinement

    return confinement.is_in_user_namespace()


def _fail(error: OSError) -> NoReturn:
    what = f"{error.filename}: " if error.filename else ""
    print(f"cannot isolate: {what}{error.strerror or error}", file=sys.stderr, flush=True)
    os._exit(FAILED)


def _show(hidden: Sequence[str]) -> None:
    """The files that the command sees."""
    devices = _devices()
    namespaces.read_only("/")
    flags = namespaces.MS_NOSUID | namespaces.MS_NODEV
    for place in OWN:
        if os.path.isdir(place) and not os.path.islink(place):
            namespaces.mount("netlab-isolated", place, "tmpfs", flags, f"size={SIZE},mode=1777")
    for place in hidden:
        if os.path.isdir(place):
            namespaces.mount("netlab-hidden", place, "tmpfs", flags, "size=4k,mode=755")
    os.makedirs("/run/dev")
    namespaces.mount(
        "netlab-isolated", "/run/dev", "tmpfs", namespaces.MS_NOSUID, "size=64k,mode=755"
    )
    for name, descriptor in devices.items():
        os.makedirs(os.path.dirname(f"/run/dev/{name}"), exist_ok=True)
        os.close(os.open(f"/run/dev/{name}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        namespaces.bind(f"/proc/self/fd/{descriptor}", f"/run/dev/{name}")
        os.close(descriptor)
    os.makedirs("/run/dev/shm")
    os.makedirs("/run/dev/pts")
    for link, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"),
                         ("stderr", "fd/2"), ("ptmx", "pts/ptmx")):  # fmt: skip
        os.symlink(target, f"/run/dev/{link}")
    namespaces.bind("/run/dev", "/dev", recursive=True)
    namespaces.detach("/run/dev")
    os.rmdir("/run/dev")
    own = namespaces.MS_REMOUNT | namespaces.MS_BIND | namespaces.MS_RDONLY | namespaces.MS_NOSUID
    namespaces.mount("netlab-isolated", "/dev", "", own)
    with contextlib.suppress(OSError):
        data = "newinstance,ptmxmode=0666,mode=0620"
        namespaces.mount("devpts", "/dev/pts", "devpts", namespaces.MS_NOSUID, data)
    namespaces.mount("netlab-isolated", "/dev/shm", "tmpfs", flags, f"size={SIZE},mode=1777")  # noqa: S108


def _devices() -> dict[str, int]:
    """Descriptors of the devices that there are, as places to bind."""
    found = {}
    for name in DEVICES:
        with contextlib.suppress(OSError):
            found[name] = os.open(f"/dev/{name}", os.O_PATH | os.O_CLOEXEC)
    return found


def _wait(child: int) -> NoReturn:
    """Pass signals on, and exit as the command did."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda number, _: os.kill(child, number))
    os._exit(_code(child))


def _code(child: int) -> int:
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _first(argv: Sequence[str], user: int | None) -> NoReturn:
    """Process 1: start the command, bury what it leaves, end when it ends."""
    flags = namespaces.MS_NOSUID | namespaces.MS_NODEV | namespaces.MS_NOEXEC
    namespaces.mount("proc", "/proc", "proc", flags)
    namespaces.bind("/proc/sys", "/proc/sys")
    namespaces.bind("/proc/sys/net", "/proc/sys/net")
    namespaces.read_only("/proc/sys")
    namespaces.mount("proc", "/proc/sys/net", "", namespaces.MS_REMOUNT | namespaces.MS_BIND)
    for path in MASKED:
        if os.path.exists(path):
            namespaces.bind("/dev/null", path)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o022)
    capabilities.keep_only(capabilities.NETWORK, user)
    pdeathsig.kill_with_parent()
    seccomp.no_new_privileges()
    seccomp.refuse()
    child = os.fork()
    if child:
        _wait(child)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    environment = {**os.environ, "HOME": "/tmp"} if user is not None else os.environ  # noqa: S108
    try:
        os.execvpe(argv[0], list(argv), environment)  # noqa: S606 - that is the point
    except OSError as error:
        print(f"cannot run {argv[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(127)
