"""Boxes that read what applications say: they answer for a server, or end what they dislike."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING

from netlab.middlebox.box import Back, Direction, Drop, Middlebox
from netlab.middlebox.boxes.sequence import MODULUS, length
from netlab.middlebox.flow_table import FLOWS, IDLE, FlowTable
from netlab.middlebox.kind import Kind
from netlab.middlebox.packet import Packet
from netlab.middlebox.parameters import Parameter
from netlab.wire import ipv4, ipv6, tcp, udp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from netlab.middlebox.box import Verdict

DNS_PORT = 53
A, AAAA, IN = 1, 28, 1
"""Types and class of RFC 1035 and RFC 3596."""

HANDSHAKE, CLIENT_HELLO, SERVER_NAME = 22, 1, 0
"""TLS: the record of RFC 8446 section 5.1, the message of 4.1.2, the extension of RFC 6066."""

LONG_HEADER = 0x80
"""The first bit of a QUIC packet that carries a version (RFC 8999 section 5.1)."""


class CaptivePortal(Middlebox):
    """Answers HTTP from the link's first end in any server's name, and remembers nothing."""

    def __init__(self, location: str, port: int) -> None:
        self._port = port
        self._answer = (
            f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n"
            "Connection: close\r\n\r\n"
        ).encode()

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """A handshake, the redirection, an end: all of the box's own."""
        del now
        head = pkt.tcp
        if direction != "outbound" or head is None or head.destination_port != self._port:
            yield pkt
            return
        yield Drop("the portal answers it")
        ack = (head.seq + length(head, pkt.payload)) % MODULUS
        if head.flags & tcp.RST:
            return
        if head.flags & tcp.SYN:
            # Its number is always 0: who acknowledges one more has heard of it.
            yield Back(pkt.answer(seq=0, ack=ack, flags=tcp.SYN | tcp.ACK, window=0xFFFF))
        elif pkt.payload:
            flags = tcp.ACK | tcp.PSH | tcp.FIN
            answer = pkt.answer(self._answer, seq=head.ack, ack=ack, flags=flags, window=0xFFFF)
            yield Back(answer)
        elif head.flags & tcp.FIN:
            yield Back(pkt.answer(seq=head.ack, ack=ack, flags=tcp.ACK, window=0xFFFF))


class SniReset(Middlebox):
    """Resets both ends of a connection whose TLS ClientHello names a host that is on a list."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = tuple(name.lower() for name in names)

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """Two resets in place of the ClientHello."""
        del direction, now
        head = pkt.tcp
        name = server_name(pkt.payload) if head is not None else ""
        if head is None or not name or not _is_of(name, self._names):
            yield pkt
            return
        end = (head.seq + length(head, pkt.payload)) % MODULUS
        yield Drop(f"its TLS server name is {name}")
        yield pkt.with_tcp(b"", seq=head.seq, flags=tcp.RST, options=b"", window=0)
        yield Back(pkt.answer(seq=head.ack, ack=end, flags=tcp.RST | tcp.ACK))


class DnsRewrite(Middlebox):
    """Answers queries for some names itself, with an address of its own."""

    def __init__(self, names: tuple[str, ...], address: str) -> None:
        self._names = tuple(name.lower() for name in names)
        self._address = ip_address(address).packed

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """An answer in the server's name; the query goes no further."""
        del direction, now
        question = _question(pkt)
        if question is None or not _is_of(question[0], self._names):
            yield pkt
            return
        _, kind, octets = question
        answer = _dns_answer(pkt.payload, octets, kind, self._address)
        yield Drop("the box answers the query")
        yield Back(_udp_answer(pkt, answer))


class UdpBlock(Middlebox):
    """Lets the first packets of a UDP flow pass, and then no more in either direction."""

    def __init__(self, after: int, port: int, flows: int, idle: float) -> None:
        self._after = after
        self._port = port
        self._seen: FlowTable[frozenset[tuple[bytes, int]], int] = FlowTable(flows, idle)

    @property
    def forgotten(self) -> Mapping[str, int]:
        """Flows that may send their first packets again."""
        return self._seen.forgotten

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The packet, while its flow is young."""
        del direction
        ports = _ports(pkt)
        if ports is None or (self._port and self._port not in ports):
            yield pkt
            return
        ends = frozenset({(pkt.source, ports[0]), (pkt.destination, ports[1])})
        seen = (self._seen.get(ends, now) or 0) + 1
        self._seen.put(ends, seen, now)
        yield pkt if seen <= self._after else Drop(f"packet {seen} of its flow")


class QuicVersionBlock(Middlebox):
    """Drops QUIC packets that name a version which is not on a list."""

    def __init__(self, known: tuple[int, ...], port: int) -> None:
        self._known = frozenset(known)
        self._port = port

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The packet, unless it has a long header with an unknown version."""
        del direction, now
        ports, data = _ports(pkt), pkt.payload
        if ports is None or self._port not in ports or len(data) < 5 or not data[0] & LONG_HEADER:
            yield pkt
            return
        version = int.from_bytes(data[1:5], "big")
        # 0 is version negotiation (RFC 8999 section 6).
        known = version == 0 or version in self._known
        yield pkt if known else Drop(f"QUIC version {version:#x} is unknown")


def _is_of(name: str, listed: tuple[str, ...]) -> bool:
    return any(name == one or name.endswith(f".{one}") for one in listed)


def _ports(pkt: Packet) -> tuple[int, int] | None:
    upper = pkt.upper
    if pkt.protocol != udp.PROTOCOL or len(upper) < udp.HEADER_LENGTH:
        return None
    return int.from_bytes(upper[:2], "big"), int.from_bytes(upper[2:4], "big")


def server_name(data: bytes) -> str:
    """The host that a TLS ClientHello names, in lower case; empty if it is none, or names none.

    Only what lies within one segment is read, as the simple boxes of this kind do.
    """
    try:
        if data[0] != HANDSHAKE or data[5] != CLIENT_HELLO:
            return ""
        at = 5 + 4 + 2 + 32
        at += 1 + data[at]  # session
        at += 2 + int.from_bytes(data[at : at + 2], "big")  # cipher suites
        at += 1 + data[at]  # compression
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        at += 2
        while at + 4 <= end:
            kind, size = struct.unpack_from("!HH", data, at)
            if kind == SERVER_NAME:
                (long,) = struct.unpack_from("!H", data, at + 7)
                name = data[at + 9 : at + 9 + long]
                return name.decode("ascii", "replace").lower() if len(name) == long else ""
            at += 4 + size
    except (IndexError, struct.error):
        return ""
    return ""


def _question(pkt: Packet) -> tuple[str, int, int] | None:
    """Name, type and length of the one question of a DNS query; ``None`` for anything else."""
    ports, data = _ports(pkt), pkt.payload
    if ports is None or ports[1] != DNS_PORT or len(data) < 17 or data[2] & 0x80:
        return None
    if data[4:6] != b"\0\1":
        return None
    labels = []
    at = 12
    while at < len(data) and data[at]:
        size = data[at]
        if size > 63:
            return None
        labels.append(data[at + 1 : at + 1 + size].decode("ascii", "replace"))
        at += 1 + size
    if at + 5 > len(data):
        return None
    kind, class_ = struct.unpack_from("!HH", data, at + 1)
    return (".".join(labels).lower(), kind, at + 5 - 12) if class_ == IN else None


def _dns_answer(query: bytes, question: int, kind: int, address: bytes) -> bytes:
    fits = (kind, len(address)) in ((A, 4), (AAAA, 16))
    flags = 0x8180  # an answer, recursion available
    head = query[:2] + struct.pack("!HHHHH", flags, 1, int(fits), 0, 0)
    record = struct.pack("!HHHIH", 0xC00C, kind, IN, 60, len(address)) + address if fits else b""
    return head + query[12 : 12 + question] + record


def _udp_answer(pkt: Packet, data: bytes) -> Packet:
    ports = _ports(pkt)
    assert ports is not None
    a, b = pkt.destination, pkt.source
    body = udp.encode(udp.Header(ports[1], ports[0]), data, a, b)
    link = pkt.link[6:12] + pkt.link[:6] + pkt.link[12:]
    if len(a) == 4:
        return Packet(ipv4.encode(ipv4.Header(a, b, udp.PROTOCOL), body), link)
    return Packet(ipv6.encode(ipv6.Header(a, b, udp.PROTOCOL), body), link)


KINDS = (
    Kind(
        "captive-portal",
        "Answers HTTP requests from the link's first end in the server's name: it takes the"
        " connection, redirects to its own page and ends it. Nothing of it reaches the server.",
        "RFC 8952 (captive portal architecture); RFC 6585 section 6",
        "Every site answers with the same redirection, also one that does not exist.",
        (
            Parameter("location", "text", "where it redirects to", "http://portal.example/"),
            Parameter("port", "integer", "of HTTP", 80, 1, 65535),
        ),
        box=CaptivePortal,
    ),
    Kind(
        "sni-reset",
        "Reads the server name in a TLS ClientHello; if it is on the list, or below a name that is,"
        " both ends get a reset in each other's name. The rest of TLS passes.",
        "RFC 9505 (SNI identification, RST packet injection); RFC 6066 section 3",
        "The connection is reset right after the ClientHello, for the named hosts only.",
        (Parameter("names", "words", "host names", ("blocked.example",)),),
        box=SniReset,
    ),
    Kind(
        "dns-rewrite",
        "Answers DNS queries for the listed names itself, with an address of its own; others pass.",
        "RFC 9505 (DNS interference)",
        "The name resolves to another address than the server's own answer would give.",
        (
            Parameter("names", "words", "names, and all that are below them", ("blocked.example",)),
            Parameter("address", "word", "what they resolve to", "192.0.2.80"),
        ),
        box=DnsRewrite,
    ),
    Kind(
        "udp-block",
        "Lets the first packets of each UDP flow pass and drops the rest, both ways counted"
        " together, as boxes do that classify a flow first. `after: 0` blocks UDP altogether.",
        "Edeline et al. 2016 (impairments of UDP, mostly in access networks)",
        "A UDP flow dies after the declared number of packets; TCP passes.",
        (
            Parameter("after", "integer", "packets that pass", 4, 0, 1 << 31),
            Parameter("port", "integer", "at either end; 0 for all", 0, 0, 65535),
            FLOWS,
            IDLE,
        ),
        box=UdpBlock,
    ),
    Kind(
        "quic-version-block",
        "Drops QUIC packets with a long header whose version it does not know. Short headers carry"
        " none, so connections that are open live on.",
        "RFC 8999 section 5; RFC 9312 (manageability of QUIC)",
        "A handshake with a new version is never answered, one with version 1 is.",
        (
            Parameter("known", "integers", "versions that pass", (1,), 1, (1 << 32) - 1),
            Parameter("port", "integer", "of QUIC", 443, 1, 65535),
        ),
        box=QuicVersionBlock,
    ),
)
