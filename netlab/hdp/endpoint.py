"""The two ends of HDP without any input or output: bytes and the time go in, bytes and events out.

A client turns (protocol number, how many so far, now) into the octets that follow the IP header.
A server turns whatever arrives into ``Received`` or ``Garbage``; it never raises, since there is
nothing that the network could not deliver. Times are nanoseconds since the Unix epoch, addresses
packed, as everywhere in ``netlab.wire``.

Two framings: ``hdp``, the header of ``netlab.wire.hdp``; and ``udp``, a UDP header from port 420
to port 420 in its place. The latter goes under any protocol number too, which separates a
middlebox that reads the number from one that reads ports.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from netlab.wire import Malformed, hdp, ipv4, ipv6, udp

if TYPE_CHECKING:
    from netlab.wire import Buffer

Framing: TypeAlias = Literal["hdp", "udp"]

EXCERPT = 64
"""Octets of a piece of garbage that are kept to be shown."""

_FIGURE = re.compile(r"\b\d+\b")


class Received(NamedTuple):
    """One datagram at the server.

    ``length`` counts what a raw socket delivers: with the IP header on IPv4, without on IPv6.
    ``sent`` is the time in its header, ``None`` in UDP framing, which carries none.
    """

    protocol: int
    time: int
    source: bytes
    length: int
    data: bytes
    sent: int | None = None
    ip: ipv4.Header | ipv6.Header | None = None
    hdp: hdp.Header | None = None
    udp: udp.Header | None = None

    @property
    def latency(self) -> int | None:
        """Nanoseconds from the sender's clock to ours; below zero if the two disagree."""
        return None if self.sent is None else self.time - self.sent


class Garbage(NamedTuple):
    """What arrived and is not our datagram; ``protocol`` is ``None`` if even that is unknown."""

    protocol: int | None
    time: int
    source: bytes
    length: int
    reason: str
    excerpt: bytes


class _Origin(NamedTuple):
    """What the IP header, or the socket in its place, says about a datagram."""

    protocol: int
    time: int
    source: bytes
    length: int
    ip: ipv4.Header | ipv6.Header | None = None


class Client:
    """The sender's side: every datagram carries ``data``; without, datagram i carries i+1 octets.

    The growing payload is the original's; it makes each datagram of a run one octet longer, so
    that a capture alone shows which of them are missing.
    """

    def __init__(self, framing: Framing = "hdp", data: bytes | None = None) -> None:
        self.framing = framing
        self.data = data

    def payload(self, index: int) -> bytes:
        """What datagram ``index``, counted from 0, carries."""
        return b"#" * (index + 1) if self.data is None else self.data

    def datagram(self, index: int, now: int, source: bytes, destination: bytes) -> bytes:
        """The octets that follow the IP header; the addresses are for UDP's pseudo header."""
        if self.framing == "udp":
            header = udp.Header(hdp.PORT, hdp.PORT)
            return udp.encode(header, self.payload(index), source, destination)
        return hdp.encode(hdp.Header(now), self.payload(index))


class Server:
    """The receiver's side: judges each packet and counts what it judged, by reason."""

    def __init__(self, framing: Framing = "hdp") -> None:
        self.framing = framing
        self.received = 0
        self.garbage: Counter[str] = Counter()

    def packet(self, packet: Buffer, now: int) -> Received | Garbage:
        """A whole IP packet, as an IPv4 raw socket or a packet socket delivers it."""
        if not packet or packet[0] >> 4 not in (4, 6):
            version = packet[0] >> 4 if packet else None
            return self._garbage(None, now, b"", packet, f"not IP: version {version}")
        if packet[0] >> 4 == 4:
            return self._ipv4(packet, now)
        return self._ipv6(packet, now)

    def payload(
        self, datagram: Buffer, protocol: int, now: int, source: bytes
    ) -> Received | Garbage:
        """What follows the IP header, as an IPv6 raw socket delivers it."""
        origin = _Origin(protocol, now, source, len(datagram))
        return self._datagram(datagram, origin)

    def _ipv4(self, packet: Buffer, now: int) -> Received | Garbage:
        try:
            header = ipv4.parse(packet)
        except Malformed as problem:
            return self._garbage(None, now, b"", packet, str(problem))
        if header.fragment_offset:
            reason = "a fragment after the first"
            return self._garbage(header.protocol, now, header.source, packet, reason)
        origin = _Origin(header.protocol, now, header.source, header.total_length, header)
        return self._datagram(ipv4.payload(packet, header), origin)

    def _ipv6(self, packet: Buffer, now: int) -> Received | Garbage:
        try:
            header = ipv6.parse(packet)
        except Malformed as problem:
            return self._garbage(None, now, b"", packet, str(problem))
        # The next header is the protocol, even where it names an extension: a client that sends
        # HDP as number 43 sends no routing header, and walking it would lose the datagram.
        origin = _Origin(header.next_header, now, header.source, header.payload_length, header)
        return self._datagram(ipv6.payload(packet, header), origin)

    def _datagram(self, datagram: Buffer, origin: _Origin) -> Received | Garbage:
        protocol, now, source, length, ip = origin
        try:
            if self.framing == "udp":
                header = udp.parse(datagram)
                data = bytes(udp.payload(datagram, header))
                event = Received(protocol, now, source, length, data, ip=ip, udp=header)
            else:
                own = hdp.parse(datagram)
                data = bytes(hdp.payload(datagram))
                event = Received(protocol, now, source, length, data, own.timestamp, ip, own)
        except Malformed as problem:
            return self._garbage(protocol, now, source, datagram, str(problem))
        self.received += 1
        return event

    def _garbage(
        self, protocol: int | None, now: int, source: bytes, content: Buffer, reason: str
    ) -> Garbage:
        # Counted without the figures in the text: a flood of ten thousand lengths is one kind.
        self.garbage[_FIGURE.sub("n", reason)] += 1
        return Garbage(protocol, now, source, len(content), reason, bytes(content[:EXCERPT]))
