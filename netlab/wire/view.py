"""What of a packet survives a NAT: reading octets into a ``View``, and the key that identifies it.

A packet is followed by what boxes on the way have no business to change. Addresses, ports,
checksums, TTL and DSCP are theirs; what is left is the *content key*:

    TCP        sequence and acknowledgement number, flags, payload length
    UDP        length, start of the payload
    ICMP       type, sequence number, start of the data; of an error also what it quotes
    fragments  offset, length, start of the data (after the first one)
    the rest   protocol, length, start of the content

It needs no more than 20 octets after the IP header, because that is all that nft's trace shows.
Equal keys are distinguished by similarity (``match_score``) and by order; the IP identification is
one trait among others, since hosts may send zero and boxes may rewrite it.

Evidence is often cut short and sometimes garbage, so reading never fails: what is not an IP packet
gives ``None``, and a header that contradicts itself a ``View`` of protocol ``MALFORMED``.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, TypeAlias

from netlab.wire import Malformed, icmp, ipv6

Key: TypeAlias = tuple[int | bytes | str, ...]

MALFORMED = -1
"""The protocol of a packet whose header cannot be read."""

KEPT = 84
"""Octets of the transport that a view keeps: what nft shows, and 64 more for likeness."""

ARP = 0x0806
"""The protocol of a view of ARP (RFC 826): its EtherType, which no IP protocol number can be."""

TCP, UDP, ICMP, ICMPV6, SCTP = 6, 17, 1, 58, 132
WITH_PORTS = frozenset({TCP, UDP, SCTP, 33, 136})  # and DCCP, UDP-Lite

_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_PORTS = struct.Struct("!HH")
_TCP = struct.Struct("!HHIIBBHH")


class View(NamedTuple):
    """One packet at one place.

    ``length`` counts the octets after the IP header (and IPv6's extension headers);
    ``transport`` is the start of them. ``identification`` is the flow label where IPv6 has no
    fragment header. ``key`` is the content key. Fields of TCP are zero for the rest.
    """

    version: int
    source: bytes
    destination: bytes
    protocol: int
    key: Key
    length: int
    transport: bytes
    source_port: int = 0
    destination_port: int = 0
    ttl: int = 0
    traffic_class: int = 0
    identification: int = 0
    dont_fragment: bool = False
    fragment_offset: int = 0
    more_fragments: bool = False
    sequence: int = 0
    acknowledgement: int = 0
    flags: int = 0
    header_length: int = 0
    options_length: int = 0
    """Octets of IPv4 options."""
    extensions_length: int = 0
    """Octets of IPv6 extension headers."""

    @property
    def is_fragment(self) -> bool:
        """True for each piece of a fragmented packet."""
        return self.more_fragments or self.fragment_offset > 0

    @property
    def payload_length(self) -> int:
        """Octets that the transport carries; of other protocols than TCP and UDP all of it."""
        return max(self.length - self.header_length, 0)

    @property
    def flow(self) -> tuple[bytes, bytes, int, int, int]:
        """Source, destination, protocol and ports."""
        return (
            self.source,
            self.destination,
            self.protocol,
            self.source_port,
            self.destination_port,
        )

    @property
    def datagram(self) -> tuple[int, int]:
        """What all fragments of one datagram share on every side of a NAT."""
        return (self.protocol, self.identification)

    @property
    def exact(self) -> Key:
        """The content key together with all that only a NAT changes: one side's identity."""
        return (
            self.source,
            self.destination,
            self.source_port,
            self.destination_port,
            self.identification,
            *self.key,
        )


def view(octets: bytes) -> View | None:
    """The packet that starts with ``octets``; ``None`` if that is not IP at all."""
    if len(octets) < 1:
        return None
    version = octets[0] >> 4
    if version == 4:
        return _ipv4(octets)
    if version == 6:
        return _ipv6(octets)
    return None


def illegible(octets: bytes) -> tuple[View, View]:
    """What claims to be IPv4, or IPv6, and does not even say so in its first four bits."""
    return _malformed(4, octets), _malformed(6, octets)


def frame_view(octets: bytes, *, ethernet: bool) -> View | None:
    """The packet inside a frame, IP or ARP for IPv4; ``None`` for all else."""
    if not ethernet:
        return view(octets)
    if octets[12:14] == b"\x08\x00":
        return view(octets[14:]) or _malformed(4, octets[14:])
    if octets[12:14] == b"\x86\xdd":
        return view(octets[14:]) or _malformed(6, octets[14:])
    if octets[12:14] == b"\x08\x06":
        return _arp(octets[14:42])
    return None


def _arp(octets: bytes) -> View | None:
    """ARP between IPv4 addresses: who asks or tells is the source, who is asked for the target."""
    if len(octets) < 28 or octets[:6] != b"\0\1\x08\0\6\4":
        return None
    return View(4, octets[14:18], octets[24:28], ARP, (ARP, octets), 28, octets)


def _malformed(version: int, octets: bytes) -> View:
    """Known by its first octets only; a router may still have touched TTL and checksum."""
    start = octets[:8] + octets[12:20] if version == 4 else octets[:7] + octets[8:40]
    key: Key = (MALFORMED, start)
    return View(version, b"", b"", MALFORMED, key, len(octets), octets[:KEPT])


def _ipv4(octets: bytes) -> View:
    if len(octets) < 20:
        return _malformed(4, octets)
    (
        version_ihl, traffic_class, total_length, identification, flags_offset,
        ttl, protocol, _, source, destination,
    ) = _IPV4.unpack_from(octets)  # fmt: skip
    header_length = (version_ihl & 15) * 4
    # A length of zero is a super-packet beyond 64 KB (BIG TCP): all that was seen counts.
    length = (total_length or len(octets)) - header_length
    if header_length < 20 or length < 0:
        return _malformed(4, octets)
    transport = octets[header_length : header_length + min(length, KEPT)]
    offset = (flags_offset & 0x1FFF) * 8
    key, ports, tcp_fields = _upper(protocol, offset, length, transport)
    return View(
        4, source, destination, protocol, key, length, transport, *ports,
        ttl, traffic_class, identification, bool(flags_offset & 0x4000),
        offset, bool(flags_offset & 0x2000), *tcp_fields, header_length - 20,
    )  # fmt: skip


def _ipv6(octets: bytes) -> View:
    if len(octets) < ipv6.HEADER_LENGTH:
        return _malformed(6, octets)
    first, payload_length = struct.unpack_from("!IH", octets)
    protocol, offset, fragment = octets[6], ipv6.HEADER_LENGTH, None
    if protocol in ipv6.EXTENSION_HEADERS:
        try:
            # The walk checks lengths against the packet, of which this may be the start only.
            header = ipv6.parse(octets + bytes(max(0, 40 + payload_length - len(octets))))
            upper = ipv6.upper_layer(octets, header)
        except (Malformed, IndexError, struct.error):
            return _malformed(6, octets)
        protocol, offset, fragment = upper.protocol, upper.offset, upper.fragment
    length = (payload_length or len(octets) - 40) + 40 - offset
    if length < 0:
        return _malformed(6, octets)
    start = octets[offset : offset + min(length, KEPT)]
    piece = fragment.offset if fragment else 0
    key, ports, tcp_fields = _upper(protocol, piece, length, start)
    return View(
        6, octets[8:24], octets[24:40], protocol, key, length, start, *ports,
        octets[7], first >> 20 & 0xFF,
        fragment.identification if fragment else first & 0xFFFFF, True,
        piece, fragment.more if fragment else False, *tcp_fields, 0, offset - ipv6.HEADER_LENGTH,
    )  # fmt: skip


_NO_PORTS = (0, 0)
_NO_FIELDS = (0, 0, 0, 0)


def _upper(
    protocol: int, offset: int, length: int, transport: bytes
) -> tuple[Key, tuple[int, int], tuple[int, int, int, int]]:
    """Content key; ports; sequence and acknowledgement number, flags, length of the header."""
    if offset:
        return ("fragment", protocol, offset, length, transport[:20]), _NO_PORTS, _NO_FIELDS
    if protocol == TCP and len(transport) >= 20:
        (
            source_port, destination_port, sequence, acknowledgement, words, flags, _, _,
        ) = _TCP.unpack_from(transport)  # fmt: skip
        header = (words >> 4) * 4
        # The two ECN flags are left out: boxes bleach them.
        key: Key = (TCP, sequence, acknowledgement, flags & 0x3F, length - header)
        fields = (sequence, acknowledgement, flags, header)
        return key, (source_port, destination_port), fields
    if protocol in (ICMP, ICMPV6) and len(transport) >= 8:
        return _icmp_key(protocol, length, transport), _NO_PORTS, _NO_FIELDS
    if protocol in WITH_PORTS and len(transport) >= 4:
        # SCTP's checksum is where the others begin their payload.
        start = transport[4:8] + transport[12:20] if protocol == SCTP else transport[8:20]
        fields = (0, 0, 0, 8 if protocol == UDP else 0)
        return (protocol, length, start), _PORTS.unpack_from(transport), fields
    return (protocol, length, transport[:20]), _NO_PORTS, _NO_FIELDS


def _icmp_key(protocol: int, length: int, transport: bytes) -> Key:
    kind, code = transport[0], transport[1]
    if protocol == ICMP and kind in (icmp.ECHO_REQUEST, icmp.ECHO_REPLY):
        # ICMPv6's numbers: a translator (NAT64) changes the type, and only the type.
        kind = icmp.V6_ECHO_REQUEST if kind == icmp.ECHO_REQUEST else icmp.V6_ECHO_REPLY
        return ("echo", kind, length, transport[6:8], transport[8:20])
    if protocol == ICMPV6 and kind in (icmp.V6_ECHO_REQUEST, icmp.V6_ECHO_REPLY):
        return ("echo", kind, length, transport[6:8], transport[8:20])
    # Of the quoted packet only its first twelve octets are in reach of every witness. In IPv4's
    # they are free of what a NAT changes, but for the checksum; TTL is the quoting router's.
    return (protocol, kind, code, length, transport[4:18])


def match_score(a: View, b: View) -> int:
    """How much two views of equal key have in common besides; more is more alike."""
    score = 4 if a.transport[20:] == b.transport[20:] else 0
    if a.identification == b.identification:
        score += 2
    if a.destination_port == b.destination_port or a.source_port == b.source_port:
        score += 1
    return score


ALIKE = 7
"""The likeness of two views that agree in everything."""


def quoted(of: View) -> View | None:
    """The packet that an ICMP error quotes, as far as it was kept; ``None`` for all else."""
    if of.protocol not in (ICMP, ICMPV6) or of.fragment_offset or len(of.transport) < 28:
        return None
    if not icmp.is_error(4 if of.protocol == ICMP else 6, of.transport[0]):
        return None
    return view(of.transport[8:])
