"""Hosts in userspace at the ends of wires: they see every frame, and no kernel answers for them.

::

    a real host ---- peer interface [tap] ==== the node that is measured ==== [tap] ---- another

A tap sits at the far end of a wire of the node that is measured, in a running lab too. Its MAC
address and its IP addresses are its own, so neither the host that lives there nor anything behind
it takes part, and what is declared of them changes nothing.
"""

from __future__ import annotations

import select
import struct
import time
from contextlib import ExitStack
from functools import partial
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, NamedTuple, Self

from netlab.linux.packet_socket import Frames
from netlab.middlebox import Packet
from netlab.wire import Malformed, icmp, ipv6
from netlab.wire.address import packed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from netlab.lab.lab import Lab

SECONDS = 5.0
"""How long to wait for what must come."""

ETHERNET = 14
ARP, IPV4, IPV6, FENCE = b"\x08\x06", b"\x08\x00", b"\x86\xdd", b"\x88\xb5"
"""EtherTypes; the last is for local experiments (IEEE 802)."""

BROADCAST = b"\xff" * 6
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_REQUEST, _REPLY = 1, 2
_SOLICITATION, _ADVERTISEMENT = 135, 136
_ALL_ONES = 255


class NotMeasured(Exception):  # an answer, not an error
    """Why something declared cannot be measured here; ``str()`` says it."""


class Place(NamedTuple):
    """Where a tap is: the interface of the wire's far end, and what is at its near one."""

    node: str
    interface: str
    mac: bytes
    """Of the interface that is measured."""
    address: str
    """An address of it, to which the fence goes; empty where there is none."""


class Tap:
    """One userspace host: ``addresses`` are its own, ``received`` what came in, in order."""

    def __init__(self, name: str, place: Place, frames: Frames, number: int) -> None:
        self.name = name
        self.place = place
        self.frames = frames
        self.mac = bytes([2, 0xFE, 0x77, 0, 0, number])
        self.addresses: list[str] = []
        self.received: list[Packet] = []
        self.fences: list[bytes] = []

    def send(self, *packets: Packet, to: bytes = b"") -> None:
        """Put packets on the wire, for the interface at its other end or another MAC address."""
        target = to or self.place.mac
        self.frames.send(
            [
                target + self.mac + (IPV4 if p.octets[0] >> 4 == 4 else IPV6) + p.octets
                for p in packets
            ]
        )

    def take(self) -> list[Packet]:
        """What came in since the last call."""
        found, self.received = self.received, []
        return found

    def read(self) -> None:
        """Take in what waits, and answer who asks for this host's addresses."""
        while frames := self.frames.receive():
            for frame in frames:
                kind = frame[12:ETHERNET]
                if kind == ARP:
                    self._arp(frame)
                elif kind == FENCE:
                    self.fences.append(frame[ETHERNET : ETHERNET + 8])
                elif kind == IPV4 or (kind == IPV6 and not self._neighbour(frame)):
                    self.received.append(Packet(frame[ETHERNET:], frame[:ETHERNET]))

    # ARP and Neighbour Discovery, as far as a host needs them.

    def ask(self, source: str) -> None:
        """Ask for the fence's address: the answer shows that all before it has been seen to."""
        address = self.place.address
        if ":" in address:
            message = icmp.Message(_SOLICITATION, 0, 0, packed(address) + b"\1\1" + self.mac)
            self._icmpv6(message, source, address, self.place.mac)
            return
        body = _ARP.pack(
            1, 0x0800, 6, 4, _REQUEST, self.mac, packed(source), bytes(6), packed(address)
        )
        self.frames.send([self.place.mac + self.mac + ARP + body])

    def _icmpv6(self, message: icmp.Message, source: str, target: str, mac: bytes) -> None:
        a, b = packed(source), packed(target)
        header = ipv6.Header(a, b, icmp.PROTOCOL_V6, hop_limit=_ALL_ONES)
        self.send(Packet(ipv6.encode(header, icmp.encode(message, a, b))), to=mac)

    def _arp(self, frame: bytes) -> None:
        if len(frame) < ETHERNET + _ARP.size:
            return
        *_, what, mac, sender, _, target = _ARP.unpack_from(frame, ETHERNET)
        if what == _REPLY:
            self.fences.append(bytes(sender))
        elif any(packed(a) == target for a in self.addresses if ":" not in a):
            body = _ARP.pack(1, 0x0800, 6, 4, _REPLY, self.mac, target, mac, sender)
            self.frames.send([mac + self.mac + ARP + body])

    def _neighbour(self, frame: bytes) -> bool:
        """Whether a frame is of Neighbour Discovery; a question for an own address is answered."""
        try:
            header = ipv6.parse(frame[ETHERNET:])
        except Malformed:
            return False
        upper = frame[ETHERNET + ipv6.HEADER_LENGTH :]
        if header.next_header != icmp.PROTOCOL_V6 or upper[:1] not in (b"\x87", b"\x88"):
            return False
        about = upper[8:24]
        if upper[0] == _ADVERTISEMENT:
            self.fences.append(bytes(about))
        elif any(packed(a) == about for a in self.addresses if ":" in a):
            own = str(IPv6Address(about))
            flags = 0x60000000  # solicited, override
            message = icmp.Message(_ADVERTISEMENT, 0, flags, about + b"\2\1" + self.mac)
            self._icmpv6(message, own, str(IPv6Address(header.source)), frame[6:12])
        return True


class Taps:
    """Several taps of one lab, read together; all are closed at the end of a ``with`` block."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.all: list[Tap] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, name: str, place: Place) -> Tap:
        """Attach a tap; ``OSError`` if its interface is gone."""
        frames = self.lab[place.node].inside(partial(Frames, place.interface))
        self._stack.enter_context(frames)
        tap = Tap(name, place, frames, len(self.all) + 1)
        self.all.append(tap)
        return tap

    def poll(self, seconds: float) -> bool:
        """Read what waits at any tap, or wait for it; whether there was something."""
        by_fd = {tap.frames.fileno(): tap for tap in self.all}
        ready, _, _ = select.select(list(by_fd), (), (), seconds)
        for fd in ready:
            by_fd[fd].read()
        return bool(ready)

    def until(self, is_so: Callable[[], bool], seconds: float = SECONDS) -> bool:
        """Read until something is so; ``False`` if that has not come in time."""
        end = time.monotonic() + seconds
        while not is_so():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self.poll(left)
        return True

    def rest(self, seconds: float) -> None:
        """Let time pass, and answer all the while."""
        self.until(lambda: False, seconds)

    def fence(self, taps: Iterable[Tap] = ()) -> None:
        """Return when the node has seen to all that these taps sent, and the rest has come here.

        On one CPU Linux carries packets in order, so the answer to a later question comes after
        what an earlier packet led to. ``NotMeasured`` if the node does not answer.

        Raises:
            NotMeasured: the node did not answer in time.
        """
        for tap in taps or self.all:
            if not tap.place.address:
                continue
            wanted = packed(tap.place.address)
            # A probe, which nobody keeps in mind (RFC 5227 section 2.1.1).
            source = "0.0.0.0"  # noqa: S104
            if ":" in tap.place.address:
                own = [a for a in tap.addresses if ":" in a]
                if not own:
                    continue
                source = own[0]
            for _ in range(3):
                tap.fences.clear()
                tap.ask(source)
                if self.until(lambda: wanted in tap.fences, SECONDS):  # noqa: B023 - used at once
                    break
            else:
                raise NotMeasured(f"{tap.place.address} does not answer at its own link")

    def through(self, a: Tap, b: Tap) -> None:
        """The same for a wire between two taps: there and back, past every box.

        Raises:
            NotMeasured: the wire did not pass it in time.
        """
        for number, (one, other) in enumerate(((a, b), (b, a), (a, b), (b, a))):
            nonce = struct.pack("!II", number, time.monotonic_ns() & 0xFFFFFFFF)
            one.frames.send([other.mac + one.mac + FENCE + nonce])
            if not self.until(lambda: nonce in other.fences):  # noqa: B023 - used at once
                raise NotMeasured("the link carries nothing")
