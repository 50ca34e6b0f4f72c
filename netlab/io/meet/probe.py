"""What the NAT between this machine and a STUN server does, measured from inside alone.

The server must have two addresses and two ports (RFC 5780; ``netlab nat server`` has). Nothing is
sent to anybody else, apart from what this machine sends to its own outside endpoint to see whether
it comes back.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from netlab.errors import Diagnostic, LabError
from netlab.io.meet.server import ASKS, UNKNOWN
from netlab.wire import Malformed, stun
from netlab.wire.stun import Endpoint

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

RETRIES = (0.1, 0.2, 0.4)
"""Seconds to wait for an answer, after each request (RFC 8489 section 6.2.1, hastened)."""

TRIES = 8
"""Pairs of sessions that show how ports are chosen."""

SYMMETRIC = "address-and-port-dependent"
LARGE = 1800
"""Octets of padding that make a request and its answer come in fragments."""


class Measured(NamedTuple):
    """What was seen. ``None`` is what could not be; ``notes`` say why."""

    own: Endpoint
    outside: Endpoint
    mapping: str
    filtering: str
    ports: dict[str, Any]
    hairpinning: bool
    icmp_errors: bool
    fragments: bool
    unknown_protocols: str | None
    udp_timeout: tuple[int, int | None] | None
    notes: tuple[str, ...]

    @property
    def is_translated(self) -> bool:
        """Whether there is a NAT at all."""
        return self.own.host != self.outside.host

    def nat(self) -> dict[str, Any]:
        """The keys of ``nat:`` that describe it."""
        found: dict[str, Any] = {
            "mapping": self.mapping,
            "filtering": self.filtering,
            **self.ports,
            "hairpinning": self.hairpinning,
            "icmp-errors": self.icmp_errors,
        }
        if self.unknown_protocols:
            found["unknown-protocols"] = self.unknown_protocols
        if self.udp_timeout:
            found["timeouts"] = {"udp": self.udp_timeout[0]}
        return found


class Prober:
    """Sockets towards one server; all are closed at the end of a ``with`` block.

    Raises:
        LabError: the server does not answer, or has one address only (E425).
    """

    def __init__(self, server: Endpoint, rng: random.Random) -> None:
        self.server = server
        self._rng = rng
        self._stack = contextlib.ExitStack()
        self.notes: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def open(self, host: str = "", port: int = 0) -> socket.socket:
        """A UDP socket."""
        made = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        made.bind((host, port))
        return made

    def ask(
        self, used: socket.socket, target: Endpoint, *, change: int = 0, padding: int = 0
    ) -> stun.Message | None:
        """The server's answer, or ``None`` if there is none to several requests."""
        asked = stun.request(self._rng.randbytes(12), change=change)
        if padding:
            extra = (stun.PADDING, bytes(padding))
            asked = asked._replace(attributes=(*asked.attributes, extra))
        for wait in RETRIES:
            with contextlib.suppress(OSError):
                used.sendto(bytes(asked), tuple(target))
            answer = self._await(used, asked.transaction, wait)
            if answer:
                return answer
        return None

    @staticmethod
    def _await(used: socket.socket, transaction: bytes, wait: float) -> stun.Message | None:
        end = time.monotonic() + wait
        while (left := end - time.monotonic()) > 0:
            if select.select([used], [], [], left)[0]:
                with contextlib.suppress(OSError, Malformed):
                    message = stun.parse(used.recv(65_535))
                    if message.transaction == transaction:
                        return message
        return None

    def seen(self, used: socket.socket, target: Endpoint) -> Endpoint | None:
        """The outside endpoint that ``target`` sees."""
        answer = self.ask(used, target)
        if answer is None or answer.kind != stun.SUCCESS:
            return None
        return answer.endpoint(stun.XOR_MAPPED_ADDRESS, stun.MAPPED_ADDRESS)

    def measure(self, *, longest: int = 0) -> Measured:
        """Everything; ``longest`` is how many seconds of silence are tried for the UDP timeout.

        Raises:
            LabError: no STUN server answers, or it has no second address (E425).
        """
        first = self.open()
        answer = self.ask(first, self.server)
        if answer is None:
            message = f"no STUN server answers at {self.server}"
            raise LabError(Diagnostic("E425", message, hint="netlab nat server ADDRESS ADDRESS"))
        other = answer.endpoint(stun.OTHER_ADDRESS)
        outside = answer.endpoint(stun.XOR_MAPPED_ADDRESS, stun.MAPPED_ADDRESS)
        if other is None or outside is None:
            message = f"the STUN server at {self.server} has no second address (RFC 5780)"
            raise LabError(Diagnostic("E425", message, hint="netlab nat server ADDRESS ADDRESS"))
        own = Endpoint(self.own_address(), first.getsockname()[1])
        mapping = self.mapping(first, outside, other)
        return Measured(
            own=own,
            outside=outside,
            mapping=mapping,
            filtering=self.filtering(),
            ports=self.ports(other),
            hairpinning=self.hairpinning(),
            icmp_errors=self.icmp_errors(),
            fragments=self.ask(self.open(), self.server, padding=LARGE) is not None,
            unknown_protocols=self.unknown_protocols(),
            udp_timeout=self.udp_timeout(longest) if longest else None,
            notes=tuple(self.notes),
        )

    def own_address(self) -> str:
        """The address that packets to the server leave from."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
            trial.connect(tuple(self.server))
            return str(trial.getsockname()[0])

    def mapping(self, used: socket.socket, seen: Endpoint, other: Endpoint) -> str:
        """RFC 5780 section 4.3."""
        second = self.seen(used, Endpoint(other.host, self.server.port))
        if second == seen:
            return "endpoint-independent"
        third = self.seen(used, other)
        return "address-dependent" if second == third else SYMMETRIC

    def filtering(self) -> str:
        """RFC 5780 section 4.4, with a socket that has sent to nobody else."""
        used = self.open()
        self.ask(used, self.server)
        if self.ask(used, self.server, change=stun.CHANGE_IP | stun.CHANGE_PORT):
            return "endpoint-independent"
        if self.ask(used, self.server, change=stun.CHANGE_PORT):
            return "address-dependent"
        return SYMMETRIC

    def ports(self, other: Endpoint) -> dict[str, Any]:
        """How outside ports are chosen, as keys of ``nat:``."""
        targets = (self.server, Endpoint(other.host, self.server.port))
        # Not at all addresses: a second one is to have the same ports.
        own = self.own_address()
        used = [self.open(own) for _ in range(2 * TRIES)]
        inside = [each.getsockname()[1] for each in used]
        seen = [self._port(each, targets[number % 2]) for number, each in enumerate(used)]
        if seen == inside:
            return {"ports": self._where_taken(inside, targets)}
        if step := _step(seen):
            return {"ports": "sequential"} | ({"port-step": step} if step > 1 else {})
        one, two = _step(seen[::2]), _step(seen[1::2])
        if one and one == two:
            counted = {"ports": "sequential", "port-counter": "destination"}
            return counted | ({"port-step": one} if one > 1 else {})
        return {"ports": "random"}

    def _port(self, used: socket.socket, target: Endpoint) -> int:
        """The outside port that ``target`` sees; 0 if it does not answer."""
        seen = self.seen(used, target)
        return seen.port if seen else 0

    def _where_taken(self, inside: Sequence[int], targets: tuple[Endpoint, Endpoint]) -> str:
        """What a second host gets for the same inside ports, if this machine can play one."""
        second = self._second_address()
        if second is None:
            self.notes.append(
                "ports are kept while they are free; what happens to a taken one needs a second"
                " inside address at this machine"
            )
            return "preserve"
        seen = []
        for number, port in enumerate(inside):
            try:
                used = self.open(second, port)
            except OSError:
                continue
            seen.append((port, self._port(used, targets[1 - number % 2])))
        if seen and all(one == two for one, two in seen):
            return "overload"
        is_same = all(one % 2 == two % 2 for one, two in seen)
        return "preserve-parity" if is_same else "preserve"

    def _second_address(self) -> str | None:
        """Another address of the same network, which must have been given to this machine."""
        own = self.own_address()
        prefix = own.rpartition(".")[0]
        for last in range(1, 255):
            host = f"{prefix}.{last}"
            if host == own:
                continue
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
                try:
                    trial.bind((host, 0))
                except OSError:
                    continue
                return host
        return None

    def hairpinning(self) -> bool:
        """Whether a packet to an own outside endpoint comes back (RFC 5780 section 4.5)."""
        one, two = self.open(), self.open()
        outside = self.seen(one, self.server)
        if outside is None:
            return False
        self.seen(two, self.server)
        text = self._rng.randbytes(16)
        for wait in RETRIES:
            with contextlib.suppress(OSError):
                two.sendto(text, tuple(outside))
            if select.select([one], [], [], wait)[0]:
                with contextlib.suppress(OSError):
                    if one.recv(65_535) == text:
                        return True
        return False

    def icmp_errors(self) -> bool:
        """Whether "port unreachable" from the server's host comes back."""
        used = self.open()
        # The third port of the server, where nobody listens.
        used.connect((self.server.host, self.server.port + 2))
        for wait in RETRIES:
            try:
                used.send(b"x")
                if select.select([used], [], [], wait)[0]:
                    used.recv(1)
            except ConnectionRefusedError:
                return True
            except OSError:
                return False
        return False

    def unknown_protocols(self) -> str | None:
        """Whether a protocol that no NAT knows gets out and back; needs the right to send it."""
        try:
            used = socket.socket(socket.AF_INET, socket.SOCK_RAW, UNKNOWN)
        except PermissionError:
            self.notes.append("unknown protocols: only root can send them")
            return None
        with used:
            text = ASKS + self._rng.randbytes(8)
            for wait in RETRIES:
                with contextlib.suppress(OSError):
                    used.sendto(text, (self.server.host, 0))
                end = time.monotonic() + wait
                while (left := end - time.monotonic()) > 0:
                    if select.select([used], [], [], left)[0] and text[len(ASKS) :] in used.recv(
                        2048
                    ):
                        return "translate"
        return "drop"

    def udp_timeout(self, longest: int) -> tuple[int, int | None]:
        """Seconds of silence that a mapping has survived, and not; all are tried at once.

        The server is asked by another socket to answer to the mapping (RFC 5780 section 4.6).
        """
        known = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 150, 180, 240, 300, 600)
        tried = [seconds for seconds in known if seconds <= longest] or [longest]
        sleeping = {}
        for seconds in tried:
            used = self.open()
            if outside := self.seen(used, self.server):
                sleeping[seconds] = used, outside.port
        began, lived = time.monotonic(), 0
        asking = self.open()
        for seconds, (used, port) in sleeping.items():
            time.sleep(max(0.0, began + seconds - time.monotonic()))
            asked = stun.request(self._rng.randbytes(12), response_port=port)
            answer = None
            for wait in RETRIES:
                with contextlib.suppress(OSError):
                    asking.sendto(bytes(asked), tuple(self.server))
                answer = answer or self._await(used, asked.transaction, wait)
                if answer:
                    break
            if answer is None:
                return lived, seconds
            lived = seconds
        return lived, None


def _step(ports: Sequence[int]) -> int:
    """The one distance between ports that follow each other; 0 if there are several."""
    steps = {b - a for a, b in pairwise(ports)}
    step = steps.pop() if len(steps) == 1 else 0
    return step if 0 < step <= 1024 else 0
