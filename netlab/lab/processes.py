"""Find and stop the processes of a lab.

A process belongs to a lab by where it is, not by what it says of itself: nginx, sshd and everything
that sets its process title overwrite their environment. It belongs to the lab if

- its network namespace is that of a node, or
- its mount namespace was made for a program of the lab, or copied from such a one: a mount in it
  has a source that names the lab's token, the node and the program (the *tag*), or
- netlab started it, which its process id and start time tell, or
- one of those is its parent.

The environment carries the token too, for programs to read and for ``gc``, which has no record of
a lab that is gone. A process is only ever signalled through a pidfd, and only if its start time is
still that of the process that was judged: a process id that is used again cannot be hit.
"""

from __future__ import annotations

import os
import re
import select
import signal
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from netlab.lab.record import Lab

GRACE = 1.0
"""Seconds that a program has to end by itself after SIGTERM and SIGHUP."""

LAST_WAIT = 5.0
"""Seconds to wait after SIGKILL; a process that is in the kernel for longer is reported."""

_VARIABLES = ("NETLAB_STATE_DIR", "NETLAB_TOKEN", "NETLAB_NODE", "NETLAB_PROGRAM")
"""In the order of ``Mark``."""

_TAG = "netlab:"


class Mark(NamedTuple):
    """What a process carries in its environment, or in the tag of its mount namespace."""

    state: str
    token: str
    node: str
    program: str


class Status(NamedTuple):
    """Of /proc/PID/stat: the parent and, in clock ticks since boot, when the process started."""

    parent: int
    start: int
    task: str
    """Where below /proc a living thread of the process is."""


class Process(NamedTuple):
    """A process of a lab."""

    pid: int
    node: str
    program: str
    """Its name in the topology; empty for what ``exec`` and the library started."""
    command: str
    start: int
    """With ``pid`` its identity: see ``Status``."""


def environment(lab: Lab, node: str) -> dict[str, str]:
    """The variables by which a program of ``node`` knows its lab."""
    return {
        "NETLAB_STATE_DIR": os.path.dirname(lab.directory),
        "NETLAB_LAB": lab.name,
        "NETLAB_NODE": node,
        "NETLAB_TOKEN": lab.record.token,
    }


def tag(lab: Lab, node: str, program: str) -> str:
    """The source of a mount that marks the mount namespace of a program."""
    return f"{_TAG}{lab.record.token}:{node}:{program}"


def pids() -> Iterator[int]:
    """Every process on this machine that we may see, ourselves excepted."""
    own = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != own:
            yield int(name)


def status(pid: int) -> Status | None:
    """Parent and start of a living process; None for one that has ended, reaped or not."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as stream:
            fields = stream.read().rpartition(b")")[2].split()
    except OSError:
        return None
    state, parent, threads, start = fields[0], int(fields[1]), int(fields[17]), int(fields[19])
    task = str(pid)
    if state in b"ZX":
        # The first thread may have ended before the others.
        others = _threads(pid) if threads > 1 else []
        if not others:
            return None
        task = f"{pid}/task/{others[0]}"
    return Status(parent, start, task)


def _threads(pid: int) -> list[str]:
    try:
        return [name for name in os.listdir(f"/proc/{pid}/task") if name != str(pid)]
    except OSError:
        return []


def read(pid: int) -> Mark | None:
    """The mark in the environment of a process, or None if it has none or may not be read."""
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as stream:
            data = stream.read()
    except OSError:
        return None
    if b"NETLAB_TOKEN=" not in data:
        return None
    found = dict.fromkeys(_VARIABLES, "")
    for variable in data.split(b"\0"):
        name, _, value = os.fsdecode(variable).partition("=")
        if name in found:
            found[name] = value
    return Mark(*found.values())


def tags(task: str) -> list[Mark]:
    """The tags in the mount namespace of a process (``PID`` or ``PID/task/TID``), oldest first."""
    try:
        with open(f"/proc/{task}/mountinfo", "rb") as stream:
            text = stream.read()
    except OSError:
        return []
    if b" netlab:" not in text:
        return []
    found = []
    for line in os.fsdecode(text).splitlines():
        place, _, filesystem = line.partition(" - ")
        source = _unescaped(filesystem.split(" ")[1])
        if source.startswith(_TAG):
            token, node, program = source[len(_TAG) :].split(":", 2)
            # STATE/LAB/sys, even if LAB was renamed since
            state = os.path.dirname(os.path.dirname(_unescaped(place.split(" ")[4])))
            found.append(Mark(state, token, node, program))
    return found


def _unescaped(text: str) -> str:
    """A field of mountinfo, where blanks and backslashes are octal."""
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), text)


def namespace(task: int | str, kind: str) -> int:
    """The inode of a process's namespace (``net``, ``user``, ``mnt``); 0 if it is unknown."""
    try:
        return os.stat(f"/proc/{task}/ns/{kind}").st_ino
    except OSError:
        return 0


def nodes_by_inode(lab: Lab) -> dict[int, str]:
    """Which namespace is which node, as far as the namespaces can be seen from here."""
    root = ""
    if lab.record.rootless and not os.path.ismount(lab.netns_dir):
        # Only the keeper's mount namespace shows them.
        root = f"/proc/{keeper(lab) or 0}/root"
    found = {}
    for node in lab.record.nodes:
        try:
            inode = os.stat(root + lab.namespace(node)).st_ino
        except OSError:
            continue
        found[inode] = node
    return found


class Started(NamedTuple):
    """A process that netlab started, as the lab's record keeps it."""

    pid: int
    start: int
    mounts: int
    """The inode of the mount namespace that was made for it; 0 if it has none of its own."""
    node: str
    program: str


def remember(lab: Lab, pid: int, mounts: int, node: str, program: str) -> None:
    """Put a process that was just started on record."""
    known = status(pid)
    start = known.start if known else 0  # it may have ended, and what it forked lives on
    path = f"{lab.directory}/started"
    with open(path, "a", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as stream:
        stream.write(f"{pid} {start} {mounts} {node} {program}\n")


def started(lab: Lab) -> list[Started]:
    """The processes on record, most of which may have ended."""
    try:
        with open(f"{lab.directory}/started", encoding="utf-8") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        pid, start, mounts, node, program = line.split(" ", 4)
        found.append(Started(int(pid), int(start), int(mounts), node, program))
    return found


def keeper(lab: Lab) -> int | None:
    """The process id of a rootless lab's living keeper, see ``rootless``: it is in no node."""
    for known in started(lab):
        now = status(known.pid) if not known.node else None
        if now and now.start == known.start:
            return known.pid
    return None


class Members:
    """The processes of a lab, as often as they are looked for.

    What tells them is read once: it goes with the lab while they are being stopped.
    """

    def __init__(self, lab: Lab) -> None:
        self._token = lab.record.token
        self._inodes = nodes_by_inode(lab)
        on_record = started(lab)
        self._started = {(s.pid, s.start): (s.node, s.program) for s in on_record}
        self._mounts = {s.mounts: (s.node, s.program) for s in on_record if s.mounts}

    def __call__(self) -> list[Process]:
        """All that live now, by process id."""
        seen: dict[int, Status] = {}
        tagged: dict[int, tuple[str, str] | None] = {}
        found: dict[int, tuple[str, str]] = {}
        for pid in pids():
            known = status(pid)
            if known is None:
                continue
            seen[pid] = known
            place = self._place(pid, known, tagged)
            if place:
                found[pid] = place
        found.update(_descendants(found, seen))
        return [Process(pid, *found[pid], command(pid), seen[pid].start) for pid in sorted(found)]

    def _place(
        self, pid: int, known: Status, tagged: dict[int, tuple[str, str] | None]
    ) -> tuple[str, str] | None:
        """The node and program of a process by where it is; ``tagged`` is a cache."""
        node = self._inodes.get(namespace(known.task, "net"))
        on_record = self._started.get((pid, known.start))
        if on_record:
            return on_record
        mounts = namespace(known.task, "mnt")
        if mounts not in tagged:
            ours = [m for m in tags(known.task) if m.token == self._token]
            tagged[mounts] = (ours[-1].node, ours[-1].program) if ours else None
        of_mounts = tagged[mounts]
        if of_mounts:
            return node or of_mounts[0], of_mounts[1]
        if node is None:
            return None
        # A process that has changed its root sees no mount outside of it.
        return node, self._mounts.get(mounts, ("", ""))[1]


def _descendants(
    found: Mapping[int, tuple[str, str]], seen: Mapping[int, Status]
) -> dict[int, tuple[str, str]]:
    """The children of what was found, and theirs, that were not found themselves."""
    children: dict[int, list[int]] = {}
    for pid, known in seen.items():
        children.setdefault(known.parent, []).append(pid)
    more: dict[int, tuple[str, str]] = {}
    waiting = list(found)
    while waiting:
        parent = waiting.pop()
        place = more.get(parent) or found[parent]
        for child in children.get(parent, ()):
            if child not in found and child not in more:
                more[child] = place
                waiting.append(child)
    return more


def processes(lab: Lab) -> list[Process]:
    """The living processes of a lab, whoever put them there."""
    return Members(lab)()


def belonging(state: str) -> list[tuple[Process, Mark]]:
    """Every process that a lab of this state directory has or had, by its tag or environment.

    What left the lab's namespaces and kept only the environment is not among them: it may be a
    service that somebody restarted from a shell in a node.
    """
    host = namespace(1, "net") or namespace(os.getpid(), "net")
    tagged: dict[int, list[Mark]] = {}
    found = []
    for pid in pids():
        known = status(pid)
        if known is None:
            continue
        mounts = namespace(known.task, "mnt")
        if mounts not in tagged:
            tagged[mounts] = tags(known.task)
        ours = [mark for mark in tagged[mounts] if mark.state == state]
        mark = ours[-1] if ours else read(pid)
        if mark is None or mark.state != state:
            continue
        if ours or mark.node == "" or namespace(known.task, "net") != host:
            process = Process(pid, mark.node, mark.program, command(pid), known.start)
            found.append((process, mark))
    return found


def command(pid: int) -> str:
    """The command line of a process, for people."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            return os.fsdecode(stream.read().replace(b"\0", b" ").strip())
    except OSError:
        return ""


def stop(
    find: Callable[[], Iterable[Process]], grace: float | None = None, last: float = LAST_WAIT
) -> tuple[set[int], list[Process]]:
    """End every process that ``find`` finds, and those that they fork meanwhile.

    Returns the process ids of those that have ended, and the processes that have not: we may not
    signal them, or the kernel holds them. Takes at most ``grace`` and ``last`` seconds.
    """
    asked, refused = _round(
        find(), (signal.SIGTERM, signal.SIGHUP, signal.SIGCONT), GRACE if grace is None else grace
    )
    signalled = set(asked)
    deadline = time.monotonic() + last
    left = list(refused)
    quiet = 0
    # A process that forks and ends between two looks is seen by neither: look twice.
    while quiet < 2:
        targets = list(find())
        left = [target for target in targets if target in refused]
        asked, more = _round(
            [target for target in targets if target not in refused],
            (signal.SIGKILL,),
            deadline - time.monotonic(),
        )
        refused += more
        signalled |= asked
        quiet = 0 if asked else quiet + 1
        if time.monotonic() >= deadline:
            left = list(find())
            break
    return signalled - {process.pid for process in left}, left


def _round(
    targets: Iterable[Process], signals: tuple[int, ...], timeout: float
) -> tuple[set[int], list[Process]]:
    """Signal every target once and wait up to ``timeout`` seconds for all of them to end.

    Returns the process ids of those that were signalled, and the targets that we may not signal.
    """
    handles: dict[int, int] = {}
    refused = []
    try:
        for target in targets:
            try:
                handle = os.pidfd_open(target.pid)
            except ProcessLookupError:
                continue
            # Only now is the process pinned; it may not be the one that was judged.
            now = status(target.pid)
            if now is None or now.start != target.start:
                os.close(handle)
                continue
            try:
                for number in signals:
                    signal.pidfd_send_signal(handle, number)
            except ProcessLookupError:
                pass
            except PermissionError:
                refused.append(target)
                os.close(handle)
                continue
            handles[handle] = target.pid
        await_end(handles, timeout)
        return set(handles.values()), refused
    finally:
        for handle in handles:
            os.close(handle)


def await_end(handles: Iterable[int], timeout: float) -> bool:
    """Wait up to ``timeout`` seconds for the processes of these pidfds; whether all have ended."""
    poll = select.poll()
    waiting = 0
    for handle in handles:
        poll.register(handle, select.POLLIN)
        waiting += 1
    deadline = time.monotonic() + timeout
    while waiting and (left := deadline - time.monotonic()) > 0:
        for handle, _ in poll.poll(left * 1000):
            poll.unregister(handle)
            waiting -= 1
    return not waiting
