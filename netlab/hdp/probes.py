"""The probes of a sweep over all protocol numbers: made, and recognised wherever they are seen.

Each probe carries a token after its HDP header: which sweep, which socket argument, which of the
packets of that number. The token, not the number, identifies a packet: it survives NAT, and an
ICMP error quotes it. Together they are 17 octets, which is what a stateful firewall's trace shows
of a transport header that it does not know.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from netlab.hdp import numbers
from netlab.wire import Malformed, hdp, icmp, ipv4, ipv6

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netlab.wire import Buffer

_TOKEN = struct.Struct("!HhB")
TOKEN_LENGTH = _TOKEN.size
PACKETS_MAX = 255


class Probe(NamedTuple):
    """Packet ``serial``, counted from 0, of the socket argument ``argument``."""

    argument: int
    serial: int


class Attempt(NamedTuple):
    """What became of handing a probe to the kernel; errors as errno numbers, time of sending."""

    probe: Probe
    time: int
    socket_error: int | None = None
    send_error: int | None = None

    @property
    def is_sent(self) -> bool:
        """Whether the kernel took it."""
        return self.socket_error is None and self.send_error is None


class Delivery(NamedTuple):
    """A probe that a raw socket of the server received."""

    probe: Probe
    time: int
    length: int


class Quote(NamedTuple):
    """A probe that an ICMP error of this type and code quotes."""

    probe: Probe
    type: int
    code: int


class Sent(NamedTuple):
    """What a driver sent and received, in order.

    ``server`` is ``None`` if nothing could be watched there; ``listening``: it held a raw socket
    for each number. ``run`` marks the probes of this sweep.
    """

    family: int
    run: int
    client: str
    server: str | None
    listening: bool
    attempts: tuple[Attempt, ...]
    deliveries: tuple[Delivery, ...] = ()
    interrupted: bool = False


def plan(family: int, packets: int, arguments: Iterable[int] | None = None) -> Iterator[Probe]:
    """All probes in the order of sending: number by number.

    Raises:
        ValueError: ``packets`` is out of range.
    """
    if not 1 <= packets <= PACKETS_MAX:
        raise ValueError(f"{packets} packets of a number: 1 ... {PACKETS_MAX}")
    for argument in numbers.arguments(family) if arguments is None else arguments:
        for serial in range(packets):
            yield Probe(argument, serial)


def datagram(probe: Probe, run: int, now: int, size: int = 0) -> bytes:
    """The octets after the IP header, padded to ``size``; ``run`` (16 bits) names the sweep."""
    token = _TOKEN.pack(run, probe.argument, probe.serial)
    return hdp.encode(hdp.Header(now), token).ljust(size, b"\0")


def token(transport: Buffer, protocol: int, run: int) -> Probe | None:
    """Whose ``transport`` octets these are, if they are a probe of this sweep.

    The HDP header is not looked at: the kernel writes a checksum of its own into the datagrams of
    some numbers (58 and 135 of an IPv6 raw socket), right across it.
    """
    if len(transport) < hdp.HEADER_LENGTH + TOKEN_LENGTH:
        return None
    of_run, argument, serial = _TOKEN.unpack_from(transport, hdp.HEADER_LENGTH)
    if of_run != run or numbers.on_the_wire(argument) != protocol:
        return None
    return Probe(argument, serial)


def recognise(packet: Buffer, run: int) -> Probe | Quote | None:
    """What an IP packet means to this sweep: a probe, an ICMP error about one, or nothing."""
    try:
        if packet[0] >> 4 == 4:
            header = ipv4.parse(packet)
            protocol, transport = header.protocol, ipv4.payload(packet, header)
        else:
            # Not walked: a probe sent as number 43 has no routing header, only that number.
            header6 = ipv6.parse(packet)
            protocol, transport = header6.next_header, ipv6.payload(packet, header6)
    except (Malformed, IndexError):
        return None
    probe = token(transport, protocol, run)
    if probe:
        return probe
    family = packet[0] >> 4
    if protocol == (icmp.PROTOCOL if family == 4 else icmp.PROTOCOL_V6):
        return _quote(transport, family, run)
    return None


def _quote(message: memoryview, family: int, run: int) -> Quote | None:
    try:
        parsed = icmp.parse(message)
    except Malformed:
        return None
    if not icmp.is_error(family, parsed.type):
        return None
    body = parsed.body
    # The quote is taken by hand: it may be cut short, and an IPv6 one must not be walked either.
    offset = (body[0] & 15) * 4 if family == 4 and body else ipv6.HEADER_LENGTH
    field = 9 if family == 4 else 6
    if len(body) < offset or len(body) <= field or body[0] >> 4 != family:
        return None
    probe = token(body[offset:], body[field], run)
    if probe is None and not 0 < len(body) - offset < hdp.HEADER_LENGTH + TOKEN_LENGTH:
        return None
    # RFC 792 asks for eight octets only: enough for the number, not for the token.
    return Quote(probe or Probe(body[field], 0), parsed.type, parsed.code)
