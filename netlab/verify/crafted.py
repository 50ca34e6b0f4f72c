"""Packets as probes: made from a few words, and read back as a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlab.middlebox import Packet
from netlab.wire import Malformed, icmp, ipv4, ipv6, tcp, udp
from netlab.wire.address import packed, text

if TYPE_CHECKING:
    from collections.abc import Mapping

FLAGS = {"F": tcp.FIN, "S": tcp.SYN, "R": tcp.RST, "P": tcp.PSH, "A": tcp.ACK, "U": tcp.URG}
EXPERIMENT = 253
"""An IP protocol for experiments (RFC 3692) that no box knows."""


def _ip(source: str, target: str, protocol: int, body: bytes, fields: Mapping[str, Any]) -> Packet:
    a, b = packed(source), packed(target)
    if len(a) == 4:
        return Packet(ipv4.encode(ipv4.Header(a, b, protocol, **fields), body))
    given = {k: v for k, v in fields.items() if k == "traffic_class"}
    if "ttl" in fields:
        given["hop_limit"] = fields["ttl"]
    return Packet(ipv6.encode(ipv6.Header(a, b, protocol, **given), body))


def datagram(
    source: tuple[str, int], target: tuple[str, int], data: bytes = b"probe", **ip: Any
) -> Packet:
    """UDP."""
    a, b = packed(source[0]), packed(target[0])
    body = udp.encode(udp.Header(source[1], target[1]), data, a, b)
    return _ip(source[0], target[0], udp.PROTOCOL, body, ip)


def segment(
    source: tuple[str, int],
    target: tuple[str, int],
    flags: str,
    data: bytes = b"",
    *,
    seq: int = 1000,
    ack: int = 0,
    window: int = 65535,
    options: bytes = b"",
    **ip: Any,
) -> Packet:
    """TCP; ``flags`` out of ``FSRPAU``."""
    a, b = packed(source[0]), packed(target[0])
    bits = sum(FLAGS[f] for f in flags)
    head = tcp.Header(source[1], target[1], seq, ack, bits, window, options)
    return _ip(source[0], target[0], tcp.PROTOCOL, tcp.encode(head, data, a, b), ip)


def echo(source: str, target: str, identifier: int, *, reply: bool = False, **ip: Any) -> Packet:
    """An ICMP echo request, or a reply."""
    a, b = packed(source), packed(target)
    version = 4 if len(a) == 4 else 6
    message = icmp.echo_request(version, identifier, 1, b"probe")
    if reply:
        message = icmp.echo_reply(version, message)
    protocol = icmp.PROTOCOL if version == 4 else icmp.PROTOCOL_V6
    return _ip(source, target, protocol, icmp.encode(message, a, b), ip)


def error(
    source: str, about: Packet, *, kind: int = 3, code: int = 3, rest: int = 0, octets: int = 548
) -> Packet:
    """An ICMP error about a packet, to the packet's source."""
    a, b = packed(source), about.source
    body = icmp.encode(icmp.Message(kind, code, rest, about.octets[:octets]), a, b)
    return _ip(source, text(about.source), icmp.PROTOCOL if len(a) == 4 else 58, body, {})


def other(source: str, target: str, protocol: int = EXPERIMENT, data: bytes = b"probe") -> Packet:
    """A packet of a protocol that is neither TCP nor UDP nor ICMP."""
    return _ip(source, target, protocol, data, {})


def ends(packet: Packet) -> tuple[tuple[str, int], tuple[str, int]]:
    """The endpoints of a packet; of one without ports they are 0, of an echo its identifier."""
    source, target = text(packet.source), text(packet.destination)
    upper = bytes(packet.upper)
    if packet.protocol in (tcp.PROTOCOL, udp.PROTOCOL) and len(upper) >= 4:
        one, two = int.from_bytes(upper[:2], "big"), int.from_bytes(upper[2:4], "big")
        return (source, one), (target, two)
    if is_icmp(packet) and len(upper) >= 8:
        number = int.from_bytes(upper[4:6], "big")
        return (source, number), (target, number)
    return (source, 0), (target, 0)


def is_icmp(packet: Packet) -> bool:
    """ICMP or ICMPv6."""
    return packet.protocol in (icmp.PROTOCOL, icmp.PROTOCOL_V6)


def about(packet: Packet) -> tuple[tuple[str, int], tuple[str, int]] | None:
    """The endpoints of the packet that an ICMP error quotes."""
    if not packet.is_icmp_error:
        return None
    try:
        quote = icmp.quoted(icmp.parse(packet.upper))
    except Malformed:
        return None
    return (
        (text(quote.source), quote.source_port),
        (text(quote.destination), quote.destination_port),
    )


def shown(packet: Packet) -> str:
    """A packet in a few words, for people: ``UDP 10.0.0.9:4000 > 192.0.2.9:80``."""
    (a, a_port), (b, b_port) = ends(packet)
    head = packet.tcp
    if head is not None:
        flags = "".join(name for name, bit in FLAGS.items() if head.flags & bit)
        return f"TCP {flags} {a}:{a_port} > {b}:{b_port}"
    if packet.protocol == udp.PROTOCOL:
        return f"UDP {a}:{a_port} > {b}:{b_port}"
    if packet.is_icmp_error:
        return f"ICMP error {a} > {b}"
    if is_icmp(packet):
        return f"echo {a} > {b}"
    return f"protocol {packet.protocol} {a} > {b}"
