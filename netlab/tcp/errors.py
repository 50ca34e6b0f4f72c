"""ICMP as far as TCP needs it: answers to what is not TCP, and what errors mean.

RFC 9293 section 3.9.2.2.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from netlab.wire import Malformed, icmp, ipv4, ipv6
from netlab.wire import tcp as wire_tcp
from netlab.wire.address import is_multicast, is_unicast

if TYPE_CHECKING:
    from netlab.wire import Buffer

MINIMUM_MTU = {4: 552, 6: 1280}
"""What is believed at the least of an ICMP error that says less.

An error is easily forged, and one of "MTU 0" would leave segments of 28 octets. IPv6 promises
1280 (RFC 8200 section 5). For IPv4 552 is Linux's (``ip_rt_min_pmtu``), which then lets routers
fragment.
"""

_SOFT_V4 = frozenset({icmp.TIME_EXCEEDED, icmp.PARAMETER_PROBLEM})
_HARD_V4 = frozenset({icmp.PROTOCOL_UNREACHABLE, icmp.PORT_UNREACHABLE})
_HARD_V6 = frozenset({icmp.V6_ADMINISTRATIVELY_PROHIBITED, icmp.V6_PORT_UNREACHABLE})
_SOFT_V6 = frozenset({icmp.V6_TIME_EXCEEDED, icmp.V6_PARAMETER_PROBLEM})


class Notice(NamedTuple):
    """What an ICMP error says about one segment of ours.

    ``key`` is the socket pair as in ``Envelope``, ``seq`` the number in the segment that is quoted.
    ``mtu`` is set if the segment was too large, otherwise ``hard`` says whether to give up, and
    ``refused`` whether that is because nobody listens at the port.
    """

    key: bytes
    seq: int
    remote: bytes
    text: str
    hard: bool = False
    refused: bool = False
    mtu: int | None = None


class Datagram(NamedTuple):
    """A packet that is not a TCP segment, as far as it matters here."""

    version: int
    source: bytes
    destination: bytes
    protocol: int
    payload: memoryview


def open_datagram(packet: Buffer) -> Datagram | None:
    """Read the IP header(s); ``None`` for a fragment."""
    if packet[0] >> 4 == 4:
        header = ipv4.parse(packet)
        if header.is_fragment:
            return None
        return Datagram(
            4, header.source, header.destination, header.protocol, ipv4.payload(packet, header)
        )
    fixed = ipv6.parse(packet)
    upper = ipv6.upper_layer(packet, fixed)
    if upper.fragment is not None:
        return None
    rest = memoryview(packet)[upper.offset : fixed.total_length]
    return Datagram(6, fixed.source, fixed.destination, upper.protocol, rest)


def is_icmp(datagram: Datagram) -> bool:
    """Whether it carries the ICMP of its version."""
    return datagram.protocol == (icmp.PROTOCOL if datagram.version == 4 else icmp.PROTOCOL_V6)


def answer_to(packet: Buffer, datagram: Datagram) -> bytes | None:
    """The packet that answers one which is for us and is not TCP: ping, or an error.

    ``None`` where there must be no answer: to an error, and to what came from, or went to, more
    than one host (RFC 1122 section 3.2.2).

    Raises:
        Malformed: the packet cannot be read.
    """
    version, source, destination, protocol, payload = datagram
    if not is_unicast(source):
        return None
    if is_icmp(datagram):
        if not icmp.verify(payload, source, destination):
            raise Malformed("ICMP checksum")
        message = icmp.parse(payload)
        request = icmp.ECHO_REQUEST if version == 4 else icmp.V6_ECHO_REQUEST
        if message.type != request or is_multicast(destination):
            return None
        return _packet(datagram, icmp.echo_reply(version, message))
    if is_multicast(destination) or protocol == ipv6.NO_NEXT_HEADER:
        return None
    if version == 4:
        code = icmp.PORT_UNREACHABLE if protocol == 17 else icmp.PROTOCOL_UNREACHABLE
    elif protocol == 17:
        code = icmp.V6_PORT_UNREACHABLE
    else:
        return None
    return _packet(datagram, icmp.unreachable(packet, code))


def _packet(datagram: Datagram, message: icmp.Message) -> bytes:
    """An ICMP message back to where the datagram came from."""
    ours, theirs = datagram.destination, datagram.source
    octets = icmp.encode(message, ours, theirs)
    if datagram.version == 4:
        return ipv4.encode(ipv4.Header(ours, theirs, icmp.PROTOCOL), octets)
    return ipv6.encode(ipv6.Header(ours, theirs, icmp.PROTOCOL_V6), octets)


def notice(datagram: Datagram) -> Notice | None:
    """What an ICMP error says about a segment of ours; ``None`` if it says nothing to TCP.

    Whether the segment is one that is really under way is for the caller to see (RFC 5927).

    Raises:
        Malformed: the message cannot be read.
    """
    version, source, destination, _, payload = datagram
    if not is_icmp(datagram):
        return None
    message = icmp.parse(payload)
    if not icmp.is_error(version, message.type):
        return None
    if not icmp.verify(payload, source, destination):
        raise Malformed("ICMP checksum")
    quote = icmp.quoted(message)
    if quote.protocol != wire_tcp.PROTOCOL or len(quote.transport) < 8:
        return None
    ports = struct.pack("!HH", quote.destination_port, quote.source_port)
    about = Notice(
        quote.destination + quote.source + ports,
        int.from_bytes(quote.transport[4:8], "big"),
        quote.destination,
        f"ICMP{'' if version == 4 else 'v6'} type {message.type} code {message.code}",
    )
    judge = _judge_v4 if version == 4 else _judge_v6
    return judge(about, message)


def _judge_v4(about: Notice, message: icmp.Message) -> Notice | None:
    if message.type == icmp.UNREACHABLE:
        if message.code == icmp.FRAGMENTATION_NEEDED:
            return about._replace(mtu=message.rest & 0xFFFF)
        refused = message.code == icmp.PORT_UNREACHABLE
        return about._replace(hard=message.code in _HARD_V4, refused=refused)
    # Source Quench is dropped without a word (MUST-55), as is a Redirect.
    return about if message.type in _SOFT_V4 else None


def _judge_v6(about: Notice, message: icmp.Message) -> Notice | None:
    if message.type == icmp.V6_PACKET_TOO_BIG:
        return about._replace(mtu=message.rest)
    if message.type == icmp.V6_UNREACHABLE:
        refused = message.code == icmp.V6_PORT_UNREACHABLE
        return about._replace(hard=message.code in _HARD_V6, refused=refused)
    return about if message.type in _SOFT_V6 else None
