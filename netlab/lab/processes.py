"""Find and stop the programs of labs.

Every program that netlab starts carries three variables, which its children inherit:
``NETLAB_STATE_DIR`` (whose labs), ``NETLAB_TOKEN`` (which lab; random) and ``NETLAB_NODE``;
programs of the topology also ``NETLAB_PROGRAM``.
A process is a lab's own if it carries the lab's token *and* lives in one of its namespaces.
Nothing is found by name, and a process is only ever signalled through a pidfd that was opened
before the mark was read: a process id that is used again cannot be hit.
"""

from __future__ import annotations

import os
import select
import signal
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from netlab.lab.record import Lab

GRACE = 1.0
"""Seconds that a program has to end by itself after SIGTERM and SIGHUP."""

_LAST_WAIT = 5.0
"""Seconds to wait after SIGKILL; a process that is in the kernel for longer is reported."""


_VARIABLES = ("NETLAB_STATE_DIR", "NETLAB_TOKEN", "NETLAB_NODE", "NETLAB_PROGRAM")
"""In the order of ``Mark``."""


class Mark(NamedTuple):
    """What a process says of itself in its environment."""

    state: str
    token: str
    node: str
    program: str


class Process(NamedTuple):
    """A process that has to do with a lab."""

    pid: int
    node: str
    program: str
    """Its name in the topology; empty for what ``exec`` and the library started."""
    command: str


def environment(lab: Lab, node: str) -> dict[str, str]:
    """The variables that make a program of ``node`` known as the lab's own."""
    return {
        "NETLAB_STATE_DIR": os.path.dirname(lab.directory),
        "NETLAB_LAB": lab.name,
        "NETLAB_NODE": node,
        "NETLAB_TOKEN": lab.record.token,
    }


def pids() -> Iterator[int]:
    """Every process on this machine that we may see, ourselves excepted."""
    own = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != own:
            yield int(name)


def read(pid: int) -> Mark | None:
    """The mark of a process, or None if it has none or may not be read."""
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


def namespace(pid: int, kind: str) -> int:
    """The inode of a process's namespace (``net``, ``user``, ``mnt``); 0 if it is unknown."""
    try:
        return os.stat(f"/proc/{pid}/ns/{kind}").st_ino
    except OSError:
        return 0


def is_ours(pid: int, lab: Lab, inodes: Mapping[int, str]) -> bool:
    """Whether the process is one that netlab started in this lab."""
    in_a_node = namespace(pid, "net") in inodes
    if not in_a_node and not lab.record.rootless:
        return False  # without reading the environment of every process on the machine
    mark = read(pid)
    if mark is None or mark.token != lab.record.token:
        return False
    if in_a_node or mark.node == "":
        return True  # the keeper is in no node
    # We may not see the namespaces of a rootless lab from here, but what carries its token in
    # another user namespace than ours came from it.
    return namespace(pid, "user") != namespace(os.getpid(), "user")


def nodes_by_inode(lab: Lab) -> dict[int, str]:
    """Which namespace is which node, as far as the namespaces can be seen from here."""
    found = {}
    for node in lab.record.nodes:
        try:
            status = os.stat(lab.namespace(node))
        except OSError:
            continue
        found[status.st_ino] = node
    return found


def processes(lab: Lab) -> tuple[list[Process], list[Process]]:
    """The processes in a lab: those of netlab, and those that somebody else put there."""
    inodes = nodes_by_inode(lab)
    ours: list[Process] = []
    foreign: list[Process] = []
    for pid in pids():
        node = inodes.get(namespace(pid, "net"))
        if is_ours(pid, lab, inodes):
            mark = read(pid)
            known = (node or mark.node, mark.program) if mark else (node or "", "")
            ours.append(Process(pid, *known, command(pid)))
        elif node:
            foreign.append(Process(pid, node, "", command(pid)))
    return ours, foreign


def command(pid: int) -> str:
    """The command line of a process, for people."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            return os.fsdecode(stream.read().replace(b"\0", b" ").strip())
    except OSError:
        return ""


def stop(is_target: Callable[[int], bool], grace: float = GRACE) -> set[int]:
    """End every process for which ``is_target`` holds, and those that it forks meanwhile.

    Returns those that were found alive. Children that the targets start while they are being
    stopped are found by looking again until there are none.
    """
    stopped: set[int] = set()
    asked = _round(is_target, (signal.SIGTERM, signal.SIGHUP, signal.SIGCONT), grace)
    stopped |= asked
    deadline = time.monotonic() + _LAST_WAIT
    while asked and time.monotonic() < deadline:
        asked = _round(is_target, (signal.SIGKILL,), deadline - time.monotonic())
        stopped |= asked
    return stopped


def _round(is_target: Callable[[int], bool], signals: tuple[int, ...], timeout: float) -> set[int]:
    """Signal every target once and wait up to ``timeout`` seconds for all of them to end."""
    handles: dict[int, int] = {}
    try:
        for pid in pids():
            if not is_target(pid):
                continue
            try:
                handle = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            handles[handle] = pid
            # Only now is the process pinned; it may not be the one that was looked at.
            if not is_target(pid):
                os.close(handle)
                del handles[handle]
                continue
            for number in signals:
                try:
                    signal.pidfd_send_signal(handle, number)
                except ProcessLookupError:
                    break
        _await_end(handles, timeout)
        return set(handles.values())
    finally:
        for handle in handles:
            os.close(handle)


def _await_end(handles: Mapping[int, int], timeout: float) -> None:
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    waiting = len(handles)
    deadline = time.monotonic() + timeout
    while waiting and (left := deadline - time.monotonic()) > 0:
        for handle, _ in poll.poll(left * 1000):
            poll.unregister(handle)
            waiting -= 1
