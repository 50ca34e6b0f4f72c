"""The driver of a sweep: every protocol number sent by one node, and received by another.

One process and one thread hold every socket: a raw socket for each number at the client and, if
it listens, at the server. Sending never pauses. It is over when every packet was received or,
since some never will be, when nothing more was seen for a while.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, TypeVar

from netlab.errors import Diagnostic, LabError
from netlab.hdp import numbers, probes
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
"""Probes between two looks: few enough for a buffer of the size that a user gets."""


class RunInNetns(Protocol):
    """Runs an action in the network namespace of a node and returns its result."""

    def __call__(self, node: str, action: Callable[[], T], /) -> T:
        """The result of ``action``."""


def here(node: str, action: Callable[[], T], /) -> T:  # noqa: ARG001 - a ``RunInNetns``
    """The ``RunInNetns`` of a sweep from this machine itself, whatever its node is called."""
    return action()


class Task(NamedTuple):
    """What to sweep.

    ``client`` and ``server`` are nodes; ``server`` has the ``target``, and is ``None`` where
    nothing can be watched. ``listen``: it holds a raw socket for each number. ``tracking`` are the
    nodes whose conntrack starts empty.
    ``kernel_header``: send 255 over IPv6 too. ``run`` (16 bits) marks the packets of this sweep.
    """

    family: int
    target: str
    client: str
    server: str | None
    run: int
    arguments: tuple[int, ...]
    packets: int = 3
    size: int = 0
    listen: bool = True
    tracking: tuple[str, ...] = ()
    kernel_header: bool = False
    quiet: float = QUIET
    limit: float = LIMIT


def new_run() -> int:
    """A mark for the packets of one sweep, so that those of another are not taken for them."""
    return int.from_bytes(os.urandom(2), "big")


def run(task: Task, activity: Callable[[], int], inside: RunInNetns = here) -> probes.Sent:
    """Sweep. ``activity`` counts what others have seen so far of the traffic.

    Raises:
        LabError: too few file descriptors (E616).
        Unavailable: raw sockets are not allowed here (E601).
    """
    with contextlib.ExitStack() as stack:
        sockets: list[socket.socket] = []
        stack.enter_context(raw_socket.closing_all(sockets))
        receiving: dict[int, socket.socket] = {}
        if task.listen and task.server is not None:
            receiving = inside(task.server, lambda: _rx_sockets(task.family, sockets))
        for node in task.tracking:
            inside(node, conntrack_flush.forget)
        sending, errors = inside(task.client, lambda: _tx_sockets(task, sockets))
        driver = _Driver(task, sending, errors, receiving)
        try:
            interrupted = not driver.send()
            driver.settle(activity)
        except KeyboardInterrupt:
            driver.look()
            interrupted = True
        return probes.Sent(
            task.family,
            task.run,
            task.client,
            task.server,
            bool(receiving),
            tuple(driver.attempts),
            tuple(driver.deliveries),
            interrupted,
        )


def _tx_sockets(
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


def _rx_sockets(family: int, sockets: list[socket.socket]) -> dict[int, socket.socket]:
    """A raw socket for each number that has one; 0 has none."""
    receiving = {}
    for number in numbers.WIRE_NUMBERS[1:]:
        try:
            rx = raw_socket.raw_socket(family, number)
        except OSError as error:
            if error.errno in _TOO_MANY:
                raise _too_many() from None
            raise
        sockets.append(rx)
        raw_socket.stamp_arrivals(rx)
        receiving[number] = rx
    return receiving


def _too_many() -> LabError:
    text = "a sweep holds two sockets for each number, more than this process may open"
    return LabError(Diagnostic("E616", text, hint="ulimit -n 4096, or fewer --numbers"))


class _Driver:
    """Sends from all sockets of the client and collects from all of the server."""

    def __init__(
        self,
        task: Task,
        sending: dict[int, socket.socket],
        errors: dict[int, int],
        receiving: dict[int, socket.socket],
    ) -> None:
        self._task = task
        self._sending = sending
        self._errors = errors
        self._receiving = receiving
        self._deadline = time.monotonic() + task.limit
        self.attempts: list[probes.Attempt] = []
        self.deliveries: list[probes.Delivery] = []

    def send(self) -> bool:
        """Send all probes; False if the time was over before."""
        task = self._task
        for count, probe in enumerate(probes.plan(task.family, task.packets, task.arguments), 1):
            self.attempts.append(self._attempt(probe))
            if count % _BATCH == 0:
                self.look()
                if time.monotonic() > self._deadline:
                    return False
        return True

    def _attempt(self, probe: probes.Probe) -> probes.Attempt:
        now = time.time_ns()
        if probe.argument in self._errors:
            return probes.Attempt(probe, now, socket_error=self._errors[probe.argument])
        datagram = probes.datagram(probe, self._task.run, now, self._task.size)
        try:
            self._sending[probe.argument].sendto(datagram, (self._task.target, 0))
        except OSError as error:
            return probes.Attempt(probe, now, send_error=error.errno)
        return probes.Attempt(probe, now)

    def look(self) -> None:
        """Take in all that waits."""
        run = self._task.run
        for number, rx in self._receiving.items():
            for packet in raw_socket.packets(rx):
                if self._task.family == 4:
                    probe = probes.recognise(packet.data, run)
                else:
                    probe = probes.token(packet.data, number, run)
                if isinstance(probe, probes.Probe):
                    self.deliveries.append(probes.Delivery(probe, packet.time, len(packet.data)))

    def settle(self, activity: Callable[[], int]) -> None:
        """Look on until all are received, or nothing new is seen, or the time is over."""
        sent = {attempt.probe for attempt in self.attempts if attempt.is_sent}
        seen, quiet_since = -1, time.monotonic()
        with _Waiter(self._receiving.values()) as waiter:
            while (now := time.monotonic()) < self._deadline:
                self.look()
                if sent <= {delivery.probe for delivery in self.deliveries}:
                    return
                count = activity() + len(self.deliveries)
                if count != seen:
                    seen, quiet_since = count, now
                elif now - quiet_since >= self._task.quiet:
                    return
                waiter.wait(self._task.quiet / 10)


class _Waiter:
    """Waits until one of many sockets has something."""

    def __init__(self, sockets: Iterable[socket.socket]) -> None:
        self._epoll = select.epoll()
        for one in sockets:
            self._epoll.register(one.fileno(), select.EPOLLIN)

    def wait(self, seconds: float) -> None:
        self._epoll.poll(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._epoll.close()
