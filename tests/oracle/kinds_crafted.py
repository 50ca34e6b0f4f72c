"""Packets that no socket of the kernel would send; ``netlab trace`` says how they end."""

import ipaddress
import struct

from tests.oracle.ask import Crafted
from tests.oracle.path import Path
from tests.oracle.sample import Draw, Question, Sample, kind
from tests.oracle.traffic import reached
from tests.oracle.truth import Cause, End, Truth
from tests.oracle.witness import Door, Witness, accepted, counter, error, received, rule, steady

TCP, UDP, FRAGMENT, DESTINATION_OPTIONS = 6, 17, 44, 60
FIN, SYN, RST = 1, 2, 4


def _sum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = octets + b"\0" * (len(octets) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _checked(octets: bytes, at: int, source: str, target: str, protocol: int) -> bytes:
    """The segment with its checksum, which covers the addresses too."""
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
    pseudo = ends + struct.pack("!II", len(octets), protocol)
    return octets[:at] + struct.pack("!H", _sum(pseudo + octets)) + octets[at + 2 :]


def _udp(source: str, target: str, port: int, size: int) -> bytes:
    header = struct.pack("!HHHH", 4000, port, 8 + size, 0)
    return _checked(
        header + bytes(range(256)) * (size // 256) + bytes(size % 256), 6, source, target, UDP
    )


def _tcp(source: str, target: str, port: int, flags: int) -> bytes:
    header = struct.pack("!HHIIBBHHH", 4000, port, 1000, 0, 5 << 4, flags, 65535, 0, 0)
    return _checked(header, 16, source, target, TCP)


def _ip(source: str, target: str, protocol: int, content: bytes, ttl: int = 64) -> bytes:
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
    if ":" in source:
        return struct.pack("!IHBB", 6 << 28, len(content), protocol, ttl) + ends + content
    # The kernel fills in the checksum of what it is given with a header.
    fields = (0x45, 0, 20 + len(content), 777, 0, ttl, protocol, 0)
    return struct.pack("!BBHHHBBH", *fields) + ends + content


def _pieces(
    source: str, target: str, datagram: bytes, cuts: list[int], ident: int
) -> list[tuple[int, bytes]]:
    """The fragments of a datagram, each with its offset; ``cuts`` are multiples of eight."""
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(datagram)], strict=True):
        found.append((start, _piece(source, target, datagram, start, end, ident)))
    return found


def _piece(  # noqa: PLR0917
    source: str, target: str, datagram: bytes, start: int, end: int, ident: int
) -> bytes:
    more, content = end < len(datagram), datagram[start:end]
    if ":" in source:
        header = struct.pack("!BBHI", UDP, 0, start | more, ident)
        return _ip(source, target, FRAGMENT, header + content)
    packet = bytearray(_ip(source, target, UDP, content))
    packet[4:8] = struct.pack("!HH", ident & 0xFFFF, start >> 3 | more << 13)
    return bytes(packet)


def _question(
    path: Path, octets: bytes, end: End, witnesses: list[Witness], after: tuple[bytes, ...] = ()
) -> Question:
    family = 6 if octets[0] >> 4 == 6 else 4
    rest = tuple(packet.hex() for packet in after)
    flow = Crafted(path.sender, path.target(family), octets.hex(), six=family == 6, after=rest)
    return Question(flow, Truth((end,)), witnesses, predictable=False)


def _wrong_udp(path: Path) -> Witness:
    # What a socket finds out when it is polled, Linux counts for IPv4 in both families.
    names = ("Udp.InCsumErrors", "Udp6InCsumErrors")
    return Witness(
        "a wrong checksum",
        lambda seen: any(seen.counters[path.receiver, name] for name in names),
    )


@kind("wrong UDP checksum", copies=False)
def udp_checksum(draw: Draw) -> Sample:
    path, family, port = draw.path(), draw.family(), draw.rng.randrange(1000, 30000)
    source, target = path.source(family), path.target(family)
    datagram = bytearray(_udp(source, target, port, draw.rng.choice((60, 200, 500, 1200))))
    datagram[-1] ^= 0x55
    question = _question(
        path,
        _ip(source, target, UDP, bytes(datagram)),
        End(path.receiver, Cause.CHECKSUM),
        [_wrong_udp(path), received(0)],
    )
    question.doors = [Door(path.receiver, "udp", family, port)]
    return Sample(path, [question])


def _to_be_fragmented(
    draw: Draw, path: Path, family: int, port: int
) -> tuple[bytes, list[int], int]:
    """A datagram, two places to cut it, and an identification."""
    size = draw.rng.choice((300, 900, 1200))
    first = draw.rng.randrange(8, size // 2, 8)
    cuts = [first, draw.rng.randrange(first + 8, size, 8)]
    datagram = _udp(path.source(family), path.target(family), port, size)
    return datagram, cuts, draw.rng.randrange(1, 65536)


def _reassembled(family: int, name: str) -> str:
    return f"Ip6Reasm{name}" if family == 6 else f"Ip.Reasm{name}"


@kind("a fragment is missing", copies=False)
def missing_fragment(draw: Draw) -> Sample:
    path, family, port = draw.path(), draw.family(), draw.rng.randrange(1000, 30000)
    datagram, cuts, ident = _to_be_fragmented(draw, path, family, port)
    pieces = _pieces(path.source(family), path.target(family), datagram, cuts, ident)
    pieces.pop(draw.rng.randrange(3))
    first, second = (octets for _, octets in pieces)
    question = _question(
        path,
        first,
        End(path.receiver, Cause.INCOMPLETE),
        [
            counter(path.receiver, _reassembled(family, "Reqds"), 2),
            steady(path.receiver, _reassembled(family, "OKs")),
            received(0),
        ],
        (second,),
    )
    question.doors = [Door(path.receiver, "udp", family, port)]
    return Sample(path, [question])


@kind("fragments overlap", copies=False)
def overlapping_fragments(draw: Draw) -> Sample:
    """All of them are dropped (RFC 5722; Linux does so in IPv4 too)."""
    path, family, port = draw.path(), draw.family(), draw.rng.randrange(1000, 30000)
    source, target = path.source(family), path.target(family)
    datagram, cuts, ident = _to_be_fragmented(draw, path, family, port)
    first = _piece(source, target, datagram, 0, cuts[1], ident)
    second = _piece(source, target, datagram, cuts[0], len(datagram), ident)
    question = _question(
        path,
        first,
        End(path.receiver, Cause.REASSEMBLY),
        [
            counter(path.receiver, _reassembled(family, "Reqds"), 2),
            steady(path.receiver, _reassembled(family, "OKs")),
            received(0),
        ],
        (second,),
    )
    question.doors = [Door(path.receiver, "udp", family, port)]
    return Sample(path, [question])


@kind("fragments with a wrong checksum", copies=False)
def fragments_checksum(draw: Draw) -> Sample:
    path, family, port = draw.path(), draw.family(), draw.rng.randrange(1000, 30000)
    source, target = path.source(family), path.target(family)
    datagram, cuts, ident = _to_be_fragmented(draw, path, family, port)
    spoilt = datagram[:-1] + bytes([datagram[-1] ^ 0x55])
    first, *others = (octets for _, octets in _pieces(source, target, spoilt, cuts, ident))
    question = _question(
        path,
        first,
        End(path.receiver, Cause.CHECKSUM),
        [
            _wrong_udp(path),
            counter(path.receiver, _reassembled(family, "OKs")),
            received(0),
        ],
        tuple(others),
    )
    question.doors = [Door(path.receiver, "udp", family, port)]
    return Sample(path, [question])


@kind("wrong TCP checksum", copies=False)
def tcp_checksum(draw: Draw) -> Sample:
    path, family, port = draw.path(), draw.family(), draw.rng.randrange(1000, 30000)
    source, target = path.source(family), path.target(family)
    segment = bytearray(_tcp(source, target, port, SYN))
    segment[16] ^= 0x55
    question = _question(
        path,
        _ip(source, target, TCP, bytes(segment)),
        End(path.receiver, Cause.CHECKSUM),
        [counter(path.receiver, "Tcp.InCsumErrors"), accepted(0)],
    )
    question.doors = [Door(path.receiver, "tcp", family, port)]
    return Sample(path, [question])


@kind("segment that a listener ignores", copies=False)
def ignored(draw: Draw) -> Sample:
    """A listener takes SYN, answers ACK with RST, ignores the rest (RFC 9293 3.10.7.2)."""
    path, family, port = draw.path(), draw.family(), draw.rng.randrange(1000, 30000)
    source, target = path.source(family), path.target(family)
    flags = draw.rng.choice((0, FIN, RST, SYN | FIN))
    question = _question(
        path,
        _ip(source, target, TCP, _tcp(source, target, port, flags)),
        End(path.receiver, Cause.SOCKET_REFUSES),
        [
            counter(path.receiver, "Tcp.InSegs"),
            steady(path.receiver, "Tcp.OutSegs"),
            steady(path.receiver, "Tcp.InErrs"),
            steady(path.receiver, "Tcp.PassiveOpens"),
            accepted(0),
        ],
    )
    question.doors = [Door(path.receiver, "tcp", family, port)]
    return Sample(path, [question])


@kind("TTL expires, crafted", copies=False)
def ttl(draw: Draw) -> Sample:
    path, family = draw.path(shortest=2), draw.family()
    router = draw.rng.choice(path.routers)
    source, target = path.source(family), path.target(family)
    octets = _ip(source, target, UDP, _udp(source, target, 9, 40), path.nodes.index(router))
    witnesses = [
        error(*((11, 0) if family == 4 else (3, 0)), path.before(router).address(router, family)),
        *reached(path, router),
    ]
    return Sample(path, [_question(path, octets, End(router, Cause.TTL), witnesses)])


@kind("unknown IPv6 option", copies=False)
def option(draw: Draw) -> Sample:
    """The first bits of an unknown option say what a node does with it (RFC 8200 4.2)."""
    path = draw.path()
    source, target = path.source(6), path.target(6)
    number = draw.rng.choice((0x5E, 0x9E, 0xDE))
    options = bytes((UDP, 0, number, 4, 0, 0, 0, 0))
    octets = _ip(source, target, DESTINATION_OPTIONS, options + _udp(source, target, 9, 40))
    witnesses = [counter(path.receiver, "Ip6InHdrErrors")]
    if number != 0x5E:
        witnesses.append(error(4, 2, target))
    return Sample(path, [_question(path, octets, End(path.receiver, Cause.OPTION), witnesses)])


@kind("rule that meets extension headers", copies=False)
def rule_and_extensions(draw: Draw) -> Sample:
    """Whole, or the first fragment: nft finds the port behind the extension headers."""
    path = draw.path(shortest=2)
    source, target, port = path.source(6), path.target(6), draw.rng.randrange(1000, 30000)
    router = draw.rng.choice(path.routers)
    text = f"drop udp/{port}"
    path.forms[router]["firewall"] = {"rules": [text]}
    if draw.rng.random() < 0.5:
        options = bytes((UDP, 0, 1, 4, 0, 0, 0, 0))
        octets = _ip(source, target, DESTINATION_OPTIONS, options + _udp(source, target, port, 40))
    else:
        datagram, cuts, ident = _to_be_fragmented(draw, path, 6, port)
        octets = _piece(source, target, datagram, 0, cuts[0], ident)
    witnesses = [rule(router, text), *reached(path, router), received(0)]
    question = _question(path, octets, End(router, Cause.RULE, text), witnesses)
    question.doors = [Door(path.receiver, "udp", 6, port)]
    return Sample(path, [question])


@kind("martian source", copies=False)
def martian(draw: Draw) -> Sample:
    """No host may have such a source: loopback, or a group (RFC 1812 5.3.7)."""
    path = draw.path()
    target = path.target(4)
    source = draw.rng.choice(("127.0.0.5", "224.0.0.5", "255.255.255.255"))
    octets = _ip(source, target, UDP, _udp(source, target, 9, 40))
    first = path.nodes[1]
    witnesses = [
        counter(first, "Ip.InReceives"),
        steady(first, "Ip.InDelivers"),
        *reached(path, first),
    ]
    return Sample(path, [_question(path, octets, End(first, Cause.MARTIAN), witnesses)])
