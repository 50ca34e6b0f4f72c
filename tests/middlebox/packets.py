"""Packets for tests: one TCP connection between a client and a server."""

from __future__ import annotations

from typing import Any

from netlab.middlebox import Packet
from netlab.wire import icmp, ipv4, ipv6, tcp, udp
from netlab.wire.address import packed

CLIENT, SERVER = packed("10.0.0.2"), packed("192.0.2.10")
PORTS = 40000, 80


def segment(data: bytes = b"", seq: int = 0, **fields: Any) -> Packet:
    """From the client; an ACK unless told otherwise."""
    head = tcp.Header(*PORTS, seq=seq, **({"flags": tcp.ACK} | fields))
    return Packet(
        ipv4.encode(
            ipv4.Header(CLIENT, SERVER, tcp.PROTOCOL), tcp.encode(head, data, CLIENT, SERVER)
        )
    )


def answer(data: bytes = b"", seq: int = 0, **fields: Any) -> Packet:
    """From the server."""
    head = tcp.Header(PORTS[1], PORTS[0], seq=seq, **({"flags": tcp.ACK} | fields))
    return Packet(
        ipv4.encode(
            ipv4.Header(SERVER, CLIENT, tcp.PROTOCOL), tcp.encode(head, data, SERVER, CLIENT)
        )
    )


def segment6(data: bytes = b"", seq: int = 0, **fields: Any) -> Packet:
    """As ``segment``, over IPv6 with a destination options header."""
    a, b = packed("2001:db8::1"), packed("2001:db8::2")
    head = tcp.Header(*PORTS, seq=seq, **({"flags": tcp.ACK} | fields))
    padding = ipv6.Extension(ipv6.DESTINATION_OPTIONS, bytes([0, 1, 4, 0, 0, 0, 0]))
    body = tcp.encode(head, data, a, b)
    return Packet(ipv6.encode(ipv6.Header(a, b, tcp.PROTOCOL), body, (padding,)))


def datagram(number: int) -> Packet:
    """A UDP datagram that says its number."""
    body = udp.encode(udp.Header(5000, 53), b"%06d" % number, CLIENT, SERVER)
    return Packet(ipv4.encode(ipv4.Header(CLIENT, SERVER, udp.PROTOCOL), body))


def number(packet: Packet) -> int:
    """What ``datagram`` was asked for."""
    return int(packet.payload)


def error(about: Packet) -> Packet:
    """Time exceeded, from a router to the client."""
    router = packed("192.0.2.1")
    body = icmp.encode(icmp.time_exceeded(about.octets), router, CLIENT)
    return Packet(ipv4.encode(ipv4.Header(router, CLIENT, icmp.PROTOCOL), body))


def is_right(packet: Packet) -> bool:
    """True if lengths and checksums of a TCP packet are right."""
    if isinstance(packet.ip, ipv4.Header) and not ipv4.verify(packet.octets, packet.ip):
        return False
    assert packet.ip is not None
    whole = packet.ip.total_length == len(packet.octets)
    return whole and tcp.verify(packet.upper, packet.source, packet.destination)
