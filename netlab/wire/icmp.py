"""ICMP (RFC 792) and ICMPv6 (RFC 4443): echo, and the errors that quote a packet.

    +---------------+---------------+-------------------------------+
    |     Type      |     Code      |           Checksum            |
    +---------------+---------------+-------------------------------+
    |   Rest: identifier and sequence, or MTU, or pointer, or zero  |
    +---------------------------------------------------------------+
    |   Body: echo data, or the packet that caused the error        |
    +---------------------------------------------------------------+

The two share this layout and almost nothing else: the numbers differ, and only ICMPv6 covers a
pseudo header with its checksum. Functions that build a message take ``version`` 4 or 6, and
``encode`` and ``verify`` infer the version from the addresses.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from netlab.wire import Buffer, Malformed, ipv4, ipv6
from netlab.wire.checksum import VALID, checksum, ones_complement_sum, pseudo_header

PROTOCOL = 1
PROTOCOL_V6 = 58
HEADER_LENGTH = 8

ECHO_REPLY, UNREACHABLE, SOURCE_QUENCH, REDIRECT, ECHO_REQUEST = 0, 3, 4, 5, 8
TIME_EXCEEDED, PARAMETER_PROBLEM = 11, 12

NET_UNREACHABLE, HOST_UNREACHABLE, PROTOCOL_UNREACHABLE, PORT_UNREACHABLE = 0, 1, 2, 3
FRAGMENTATION_NEEDED, SOURCE_ROUTE_FAILED, ADMINISTRATIVELY_PROHIBITED = 4, 5, 13

V6_UNREACHABLE, V6_PACKET_TOO_BIG, V6_TIME_EXCEEDED, V6_PARAMETER_PROBLEM = 1, 2, 3, 4
V6_ECHO_REQUEST, V6_ECHO_REPLY = 128, 129

V6_NO_ROUTE, V6_ADMINISTRATIVELY_PROHIBITED, V6_BEYOND_SCOPE = 0, 1, 2
V6_ADDRESS_UNREACHABLE, V6_PORT_UNREACHABLE = 3, 4
V6_ERRONEOUS_FIELD, V6_UNRECOGNIZED_NEXT_HEADER, V6_UNRECOGNIZED_OPTION = 0, 1, 2

MEANINGS: dict[int, dict[tuple[int, int], str]] = {
    4: {
        (UNREACHABLE, NET_UNREACHABLE): "network unreachable",
        (UNREACHABLE, HOST_UNREACHABLE): "host unreachable",
        (UNREACHABLE, PROTOCOL_UNREACHABLE): "protocol unreachable",
        (UNREACHABLE, PORT_UNREACHABLE): "port unreachable",
        (UNREACHABLE, FRAGMENTATION_NEEDED): "fragmentation needed",
        (UNREACHABLE, SOURCE_ROUTE_FAILED): "source route failed",
        (UNREACHABLE, 9): "network prohibited",
        (UNREACHABLE, 10): "host prohibited",
        (UNREACHABLE, ADMINISTRATIVELY_PROHIBITED): "administratively prohibited",
        (TIME_EXCEEDED, 0): "time exceeded",
        (TIME_EXCEEDED, 1): "reassembly time exceeded",
        (PARAMETER_PROBLEM, 0): "parameter problem",
    },
    6: {
        (V6_UNREACHABLE, V6_NO_ROUTE): "no route",
        (V6_UNREACHABLE, V6_ADMINISTRATIVELY_PROHIBITED): "administratively prohibited",
        (V6_UNREACHABLE, V6_BEYOND_SCOPE): "beyond the scope of the source address",
        (V6_UNREACHABLE, V6_ADDRESS_UNREACHABLE): "address unreachable",
        (V6_UNREACHABLE, V6_PORT_UNREACHABLE): "port unreachable",
        (V6_PACKET_TOO_BIG, 0): "packet too big",
        (V6_TIME_EXCEEDED, 0): "time exceeded",
        (V6_TIME_EXCEEDED, 1): "reassembly time exceeded",
        (V6_PARAMETER_PROBLEM, V6_ERRONEOUS_FIELD): "erroneous header field",
        (V6_PARAMETER_PROBLEM, V6_UNRECOGNIZED_NEXT_HEADER): "unrecognized next header",
        (V6_PARAMETER_PROBLEM, V6_UNRECOGNIZED_OPTION): "unrecognized option",
    },
}
"""What the errors of each version mean, by type and code (RFC 792, RFC 1812, RFC 4443)."""

_LAYOUT = struct.Struct("!BBHI")
_PORTS = struct.Struct("!HH")

_V4_ERRORS = frozenset({UNREACHABLE, SOURCE_QUENCH, REDIRECT, TIME_EXCEEDED, PARAMETER_PROBLEM})
_HAS_PORTS = frozenset({6, 17, 33, 132, 136})  # TCP, UDP, DCCP, SCTP, UDP-Lite


class Message(NamedTuple):
    """One message; ``rest`` is the second 32-bit word as a number."""

    type: int
    code: int = 0
    rest: int = 0
    body: bytes = b""
    checksum: int = 0

    @property
    def identifier(self) -> int:
        """Of an echo: whose it is."""
        return self.rest >> 16

    @property
    def sequence(self) -> int:
        """Of an echo: which one."""
        return self.rest & 0xFFFF


class Quote(NamedTuple):
    """The start of the packet that an error quotes: who sent it, to whom, and its transport.

    ``transport`` is what is quoted after the IP header(s): at least eight octets in a message as
    it should be, so that the ports, and TCP's sequence number, can be read. The ports are 0 for a
    protocol without them. ``encode``d packets may be cut short, so no length is checked.
    """

    version: int
    source: bytes
    destination: bytes
    protocol: int
    transport: bytes
    source_port: int = 0
    destination_port: int = 0


def parse(message: Buffer) -> Message:
    """One message of either version; ``message`` ends where the IP payload ends.

    Raises:
        Malformed: it is shorter than a header.
    """
    if len(message) < HEADER_LENGTH:
        raise Malformed("shorter than an ICMP header")
    kind, code, check, rest = _LAYOUT.unpack_from(message)
    return Message(kind, code, rest, bytes(message[HEADER_LENGTH:]), check)


def encode_header(message: Message) -> bytes:
    """The eight octets of the header exactly as the record says."""
    return _LAYOUT.pack(message.type, message.code, message.checksum, message.rest)


def encode(message: Message, source: bytes, destination: bytes) -> bytes:
    """A whole message between two packed addresses; the checksum is computed."""
    blank = encode_header(message._replace(checksum=0)) + message.body
    check = checksum(blank, _pseudo(blank, source, destination))
    return blank[:2] + check.to_bytes(2, "big") + blank[4:]


def verify(message: Buffer, source: bytes, destination: bytes) -> bool:
    """True if the checksum is right."""
    return ones_complement_sum(message, _pseudo(message, source, destination)) == VALID


def _pseudo(message: Buffer, source: bytes, destination: bytes) -> int:
    if len(source) == 4:
        return 0
    return pseudo_header(source, destination, PROTOCOL_V6, len(message))


def is_error(version: int, kind: int) -> bool:
    """True for messages that quote a packet, and that must never be answered by an error."""
    return kind in _V4_ERRORS if version == 4 else kind < 128


def echo_request(version: int, identifier: int, sequence: int, data: bytes = b"") -> Message:
    """The question of ping."""
    kind = ECHO_REQUEST if version == 4 else V6_ECHO_REQUEST
    return Message(kind, 0, identifier << 16 | sequence, data)


def echo_reply(version: int, request: Message) -> Message:
    """The answer to ping: the same identifier, sequence number and data."""
    kind = ECHO_REPLY if version == 4 else V6_ECHO_REPLY
    return Message(kind, 0, request.rest, request.body)


def unreachable(packet: Buffer, code: int) -> Message:
    """Destination unreachable for ``packet``; the codes of the two versions differ."""
    return _error(packet, UNREACHABLE, V6_UNREACHABLE, code, 0)


def too_big(packet: Buffer, mtu: int) -> Message:
    """Fragmentation needed (RFC 1191 section 4) or packet too big, with the next hop's MTU."""
    version = packet[0] >> 4
    code = FRAGMENTATION_NEEDED if version == 4 else 0
    return _error(packet, UNREACHABLE, V6_PACKET_TOO_BIG, code, mtu)


def time_exceeded(packet: Buffer, code: int = 0) -> Message:
    """TTL or hop limit exceeded in transit (code 0), or reassembly time exceeded (code 1)."""
    return _error(packet, TIME_EXCEEDED, V6_TIME_EXCEEDED, code, 0)


def _error(packet: Buffer, v4_type: int, v6_type: int, code: int, rest: int) -> Message:
    if packet[0] >> 4 == 4:
        # RFC 1812 section 4.3.2.3: as much as fits into 576 octets.
        return Message(v4_type, code, rest, bytes(packet[: 576 - 20 - HEADER_LENGTH]))
    # RFC 4443 section 2.4 (c): as much as fits into the minimum MTU.
    return Message(v6_type, code, rest, bytes(packet[: 1280 - 40 - HEADER_LENGTH]))


def quoted(message: Message) -> Quote:
    """The packet that an error message quotes.

    Raises:
        Malformed: it cannot be read.
    """
    body = message.body
    version = body[0] >> 4 if body else 0
    if version == 4:
        source, destination, protocol, offset = _quoted_ipv4(body)
    elif version == 6:
        source, destination, protocol, offset = _quoted_ipv6(body)
    else:
        raise Malformed("the quoted packet is not IP")
    transport = body[offset:]
    if protocol not in _HAS_PORTS or len(transport) < 4:
        return Quote(version, source, destination, protocol, transport)
    return Quote(version, source, destination, protocol, transport, *_PORTS.unpack_from(transport))


# A quote is cut short, so its length fields point beyond its end. Stating the length that is
# really there lets the ordinary parsers judge the rest.


def _quoted_ipv4(body: bytes) -> tuple[bytes, bytes, int, int]:
    header = ipv4.parse(body[:2] + len(body).to_bytes(2, "big") + body[4:])
    if header.fragment_offset:
        raise Malformed("the quoted packet is a later fragment")
    return header.source, header.destination, header.protocol, header.header_length


def _quoted_ipv6(body: bytes) -> tuple[bytes, bytes, int, int]:
    there = max(len(body) - ipv6.HEADER_LENGTH, 0)
    packet = body[:4] + there.to_bytes(2, "big") + body[6:]
    header = ipv6.parse(packet)
    upper = ipv6.upper_layer(packet, header)
    if upper.fragment and upper.fragment.offset:
        raise Malformed("the quoted packet is a later fragment")
    return header.source, header.destination, upper.protocol, upper.offset
