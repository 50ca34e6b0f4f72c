"""Every protocol number through a lab, watched at every hop.

One process and one thread hold every socket: a raw socket for each number at the client and, if
it listens, at the server, and a tap in each node. Sending never pauses. It is over when every
packet is accounted for or, since some never will be, when nothing more was seen for a while.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, TypeVar

from netlab.errors import Diagnostic, LabError
from netlab.hdp import numbers, sweep
from netlab.linux import conntrack_flush, raw_socket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

T = TypeVar("T")

_TOO_MANY = {errno.EMFILE, errno.ENFILE}

QUIET = 0.15
"""Seconds without any new sighting after which a lab is taken to have nothing under way."""

LIMIT = 30.0
"""Seconds after which a sweep ends in any case."""

_BATCH = 32
"""Probes between two looks at the taps: few enough for a buffer of the size that a user gets."""


class RunInNetns(Protocol):
    """Runs an action in the network namespace of a node and returns its result."""

    def __call__(self, node: str, action: Callable[[], T], /) -> T:
        """The result of ``action``."""


def here(node: str, action: Callable[[], T], /) -> T:  # noqa: ARG001 - an ``RunInNetns``
    """The ``RunInNetns`` of a sweep from this machine itself, whatever its node is called."""
    return action()


class Task(NamedTuple):
    """What to sweep. ``watched`` are the nodes with a tap, the client among them.

    ``server`` is the node that has ``target``, ``None`` if it cannot be watched; ``listen``: it
    holds a raw socket for each number. ``forget``: conntrack starts empty in every watched node.
    ``kernel_header``: send 255 over IPv6 too. ``run`` (16 bits) marks the packets of this sweep.
    """

    family: int
    target: str
    client: str
    server: str | None
    watched: tuple[str, ...]
    run: int
    arguments: tuple[int, ...]
    packets: int = 3
    size: int = 0
    listen: bool = True
    forget: bool = False
    kernel_header: bool = False
    quiet: float = QUIET
    limit: float = LIMIT


def new_run() -> int:
    """A mark for the packets of one sweep, so that those of another are not taken for them."""
    return int.from_bytes(os.urandom(2), "big")


def run(task: Task, inside: RunInNetns = here) -> sweep.Evidence:
    """Sweep, and return what was seen; Ctrl-C or the limit end it early: ``interrupted``."""
    with contextlib.ExitStack() as stack:
        sockets: list[socket.socket] = []
        stack.enter_context(raw_socket.closing_all(sockets))
        observer = _Observer(task)
        for node in task.watched:
            observer.taps[node] = stack.enter_context(inside(node, raw_socket.Tap))
        if task.listen and task.server is not None:
            observer.ears = inside(task.server, lambda: _ears(task.family, sockets))
        if task.forget:
            for node in task.watched:
                inside(node, conntrack_flush.forget)
        before = {node: inside(node, conntrack_flush.clashes) for node in task.watched}
        mouths, errors = inside(task.client, lambda: _mouths(task, sockets))
        deadline = time.monotonic() + task.limit
        try:
            interrupted = not _send(task, mouths, errors, observer, deadline)
            observer.settle(deadline)
        except KeyboardInterrupt:
            observer.look()
            interrupted = True
        after = {
            node: inside(node, conntrack_flush.clashes) - before[node] for node in task.watched
        }
        return sweep.Evidence(
            task.family,
            task.client,
            task.server,
            bool(observer.ears),
            tuple(observer.attempts),
            tuple(observer.sightings),
            tuple(observer.deliveries),
            tuple(observer.replies),
            clashes=tuple(after.items()),
            unseen=sum(tap.lost for tap in observer.taps.values()),
            interrupted=interrupted,
        )


def _mouths(
    task: Task, sockets: list[socket.socket]
) -> tuple[dict[int, socket.socket], dict[int, int]]:
    """The client's sockets by argument, and the errno of each argument that gave none."""
    opened: dict[int, socket.socket] = {}
    errors: dict[int, int] = {}
    for argument in task.arguments:
        try:
            tx = raw_socket.raw_socket(task.family, argument, kernel_header=task.kernel_header)
        except OSError as error:
            if error.errno in _TOO_MANY:
                raise _too_many() from None
            errors[argument] = error.errno or 0
        else:
            opened[argument] = tx
            sockets.append(tx)
    return opened, errors


def _ears(family: int, sockets: list[socket.socket]) -> dict[int, socket.socket]:
    """A raw socket for each number that has one; 0 has none."""
    ears = {}
    for number in numbers.WIRE_NUMBERS[1:]:
        try:
            rx = raw_socket.raw_socket(family, number)
        except OSError as error:
            if error.errno in _TOO_MANY:
                raise _too_many() from None
            raise
        sockets.append(rx)
        raw_socket.stamp_arrivals(rx)
        ears[number] = rx
    return ears


def _too_many() -> LabError:
    text = "a sweep holds two sockets for each number, more than this process may open"
    return LabError(Diagnostic("E616", text, hint="ulimit -n 4096, or fewer --numbers"))


def _send(
    task: Task,
    mouths: dict[int, socket.socket],
    errors: dict[int, int],
    observer: _Observer,
    deadline: float,
) -> bool:
    """Send all probes; False if the time was over before."""
    probes = sweep.plan(task.family, task.packets, task.arguments)
    for count, probe in enumerate(probes, 1):
        now = time.time_ns()
        if probe.argument in errors:
            attempt = sweep.Attempt(probe, now, socket_error=errors[probe.argument])
        else:
            datagram = sweep.datagram(probe, task.run, now, task.size)
            try:
                mouths[probe.argument].sendto(datagram, (task.target, 0))
                attempt = sweep.Attempt(probe, now)
            except OSError as error:
                attempt = sweep.Attempt(probe, now, send_error=error.errno)
        observer.attempts.append(attempt)
        if count % _BATCH == 0:
            observer.look()
            if time.monotonic() > deadline:
                return False
    return True


class _Observer:
    """Collects from all taps and ears of one sweep."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.taps: dict[str, raw_socket.Tap] = {}
        self.ears: dict[int, socket.socket] = {}
        self.attempts: list[sweep.Attempt] = []
        self.sightings: list[sweep.Sighting] = []
        self.deliveries: list[sweep.Delivery] = []
        self.replies: list[sweep.Reply] = []

    def look(self) -> int:
        """Take in all that waits; how much of it was about this sweep."""
        before = len(self.sightings) + len(self.deliveries) + len(self.replies)
        for node, tap in self.taps.items():
            for frame in tap.frames():
                self._frame(node, frame)
        for number, rx in self.ears.items():
            self._hear(number, raw_socket.packets(rx))
        return len(self.sightings) + len(self.deliveries) + len(self.replies) - before

    def _frame(self, node: str, frame: raw_socket.Frame) -> None:
        seen = sweep.recognise(frame.data, self.task.run)
        if isinstance(seen, sweep.Seen):
            self.sightings.append(
                sweep.Sighting(
                    seen.probe,
                    node,
                    frame.interface,
                    frame.outgoing,
                    frame.time,
                    seen.source,
                    seen.length,
                )
            )
        elif isinstance(seen, sweep.Reply) and node == self.task.client and not frame.outgoing:
            self.replies.append(seen)

    def _hear(self, number: int, packets: Iterable[raw_socket.Packet]) -> None:
        for packet in packets:
            if self.task.family == 4:
                seen = sweep.recognise(packet.data, self.task.run)
                probe = seen.probe if isinstance(seen, sweep.Seen) else None
            else:
                probe = sweep.token(packet.data, number, self.task.run)
            if probe:
                self.deliveries.append(sweep.Delivery(probe, packet.time, len(packet.data)))

    def settle(self, deadline: float) -> None:
        """Look on until all is accounted for, or nothing new comes, or the time is over."""
        quiet_since = time.monotonic()
        with _Waiter([*self.taps.values(), *self.ears.values()]) as waiter:
            while (now := time.monotonic()) < deadline:
                if self.look():
                    quiet_since = now
                elif self._all_accounted_for() or now - quiet_since >= self.task.quiet:
                    return
                waiter.wait(self.task.quiet)

    def _all_accounted_for(self) -> bool:
        if not self.ears:
            return False
        heard = {delivery.probe for delivery in self.deliveries}
        return all(a.probe in heard for a in self.attempts if not (a.socket_error or a.send_error))


class _Waiter:
    """Waits until one of many sockets has something."""

    def __init__(self, sources: Iterable[raw_socket.Tap | socket.socket]) -> None:
        self._epoll = select.epoll()
        for source in sources:
            self._epoll.register(source.fileno(), select.EPOLLIN)

    def wait(self, seconds: float) -> None:
        self._epoll.poll(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._epoll.close()
