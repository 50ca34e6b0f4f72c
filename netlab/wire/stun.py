"""STUN (RFC 8489), with what RFC 5780 adds for the discovery of NAT behaviour.

Clients of RFC 3489, which have no magic cookie, are understood too: Debian's ``stun`` is one.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from netlab.wire import Malformed, address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PORT = 3478
COOKIE = 0x2112A442

REQUEST, INDICATION, SUCCESS, ERROR = 0x0001, 0x0011, 0x0101, 0x0111
"""Message types of the method Binding, the only one here."""

MAPPED_ADDRESS = 0x0001
CHANGE_REQUEST = 0x0003
SOURCE_ADDRESS, CHANGED_ADDRESS = 0x0004, 0x0005  # RFC 3489
ERROR_CODE = 0x0009
UNKNOWN_ATTRIBUTES = 0x000A
XOR_MAPPED_ADDRESS = 0x0020
PADDING = 0x0026
RESPONSE_PORT = 0x0027
SOFTWARE = 0x8022
RESPONSE_ORIGIN, OTHER_ADDRESS = 0x802B, 0x802C

CHANGE_IP, CHANGE_PORT = 4, 2
"""Flags of CHANGE-REQUEST (RFC 5780 section 7.2)."""

_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")


class Endpoint(NamedTuple):
    """A transport address: the IP address as text, and the port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Message(NamedTuple):
    """One message. ``transaction`` is 12 octets; ``cookie`` tells RFC 3489's clients apart."""

    kind: int
    transaction: bytes
    attributes: tuple[tuple[int, bytes], ...] = ()
    cookie: int = COOKIE

    def __bytes__(self) -> bytes:
        body = b"".join(_padded(number, value) for number, value in self.attributes)
        return _HEADER.pack(self.kind, len(body), self.cookie, self.transaction) + body

    def first(self, number: int) -> bytes | None:
        """The first attribute of this number, as octets."""
        return next((value for known, value in self.attributes if known == number), None)

    def endpoint(self, *numbers: int) -> Endpoint | None:
        """The transport address in the first of these attributes that is there.

        Raises:
            Malformed: it is not an address.
        """
        for number in numbers:
            value = self.first(number)
            if value is not None:
                return self._endpoint(value, number)
        return None

    def _endpoint(self, value: bytes, number: int) -> Endpoint:
        lengths = {1: 8, 2: 20}
        if len(value) < 4 or len(value) != lengths.get(value[1]):
            raise Malformed("the address of a STUN attribute")
        port, host = int.from_bytes(value[2:4]), value[4:]
        if number == XOR_MAPPED_ADDRESS:
            port, host = port ^ self.cookie >> 16, _xor(host, self._mask)
        return Endpoint(address.text(host), port)

    @property
    def _mask(self) -> bytes:
        return self.cookie.to_bytes(4) + self.transaction

    def encoded(self, number: int, endpoint: Endpoint) -> tuple[int, bytes]:
        """An attribute of this message that holds a transport address (RFC 8489 section 14.1)."""
        host, port = address.packed(endpoint.host), endpoint.port
        if number == XOR_MAPPED_ADDRESS:
            port, host = port ^ self.cookie >> 16, _xor(host, self._mask)
        family = 1 if len(host) == 4 else 2
        return number, bytes((0, family)) + port.to_bytes(2) + host


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=False))


def _padded(number: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(number, len(value)) + value + bytes(-len(value) % 4)


def is_message(octets: bytes) -> bool:
    """Whether a datagram looks like STUN: two zero bits, and a length that fits."""
    return len(octets) >= 20 and octets[0] < 4 and int.from_bytes(octets[2:4]) == len(octets) - 20


def parse(octets: bytes) -> Message:
    """The message of a datagram.

    Raises:
        Malformed: it is not STUN.
    """
    if not is_message(octets):
        raise Malformed("not a STUN message")
    kind, _, cookie, transaction = _HEADER.unpack_from(octets)
    return Message(kind, transaction, tuple(_attributes(octets[20:])), cookie)


def _attributes(octets: bytes) -> Iterator[tuple[int, bytes]]:
    while octets:
        if len(octets) < 4:
            raise Malformed("a STUN attribute is cut short")
        number, length = _ATTRIBUTE.unpack_from(octets)
        if len(octets) < 4 + length:
            raise Malformed("a STUN attribute is cut short")
        yield number, octets[4 : 4 + length]
        octets = octets[4 + length + -length % 4 :]


def request(transaction: bytes, *, change: int = 0, response_port: int = 0) -> Message:
    """A Binding request; ``change`` are the flags of CHANGE-REQUEST."""
    attributes = []
    if change:
        attributes.append((CHANGE_REQUEST, change.to_bytes(4)))
    if response_port:
        attributes.append((RESPONSE_PORT, response_port.to_bytes(2) + bytes(2)))
    return Message(REQUEST, transaction, tuple(attributes))


class Answer(NamedTuple):
    """A response, the server's endpoint that it leaves from, and where it goes."""

    message: Message
    origin: Endpoint
    target: Endpoint


_KNOWN = frozenset({CHANGE_REQUEST, PADDING, RESPONSE_PORT})


def answer(
    asked: Message, source: Endpoint, local: Endpoint, endpoints: Iterable[Endpoint]
) -> Answer | None:
    """What a server does with a request from ``source`` that came in at ``local``.

    ``endpoints`` are all of the server's. With two addresses and two ports of one family each
    CHANGE-REQUEST can be met and OTHER-ADDRESS is given (RFC 5780 section 6); with fewer a request
    for a change is answered by error 420 (unknown attribute). ``None`` for what is not a request.
    """
    if asked.kind != REQUEST:
        return None
    known = [each for each in endpoints if (":" in each.host) == (":" in local.host)]
    other = next((e for e in known if e.host != local.host and e.port != local.port), None)
    change = asked.first(CHANGE_REQUEST)
    unknown = [n for n, _ in asked.attributes if n < 0x8000 and n not in _KNOWN]
    unknown += [CHANGE_REQUEST] if change is not None and other is None else []
    if unknown and asked.cookie == COOKIE:
        return Answer(_refused(asked, unknown), local, source)
    flags = int.from_bytes(change[-1:]) if change else 0
    origin = local
    if other:
        origin = Endpoint(
            other.host if flags & CHANGE_IP else local.host,
            other.port if flags & CHANGE_PORT else local.port,
        )
    wanted = asked.first(RESPONSE_PORT)
    target = source._replace(port=int.from_bytes(wanted[:2])) if wanted else source
    made = Message(SUCCESS, asked.transaction, cookie=asked.cookie)
    modern = asked.cookie == COOKIE
    attributes = [made.encoded(XOR_MAPPED_ADDRESS, source)] if modern else []
    attributes.append(made.encoded(MAPPED_ADDRESS, source))
    attributes.append(made.encoded(RESPONSE_ORIGIN if modern else SOURCE_ADDRESS, origin))
    if other:
        attributes.append(made.encoded(OTHER_ADDRESS if modern else CHANGED_ADDRESS, other))
    padding = asked.first(PADDING)
    if padding is not None:
        attributes.append((PADDING, bytes(len(padding))))
    return Answer(made._replace(attributes=tuple(attributes)), origin, target)


def _refused(asked: Message, unknown: Iterable[int]) -> Message:
    reason = bytes((0, 0, 4, 20)) + b"Unknown Attribute"
    numbers = b"".join(number.to_bytes(2) for number in unknown)
    attributes = ((ERROR_CODE, reason), (UNKNOWN_ATTRIBUTES, numbers))
    return Message(ERROR, asked.transaction, attributes)
