"""Packets to try a box with, from a few words."""

from __future__ import annotations

from typing import Any

from netlab.middlebox.packet import Packet
from netlab.wire import ipv4, ipv6, tcp, udp
from netlab.wire.address import packed

SOURCE, DESTINATION = "10.0.0.1:4000", "10.0.0.2:80"

_FLAGS = {"F": tcp.FIN, "S": tcp.SYN, "R": tcp.RST, "P": tcp.PSH, "A": tcp.ACK, "U": tcp.URG}


def datagram(
    payload: bytes = b"", source: str = SOURCE, destination: str = DESTINATION, **ip: Any
) -> Packet:
    """A UDP datagram; ``ip`` are fields of the IP header (``ttl=``, ``traffic_class=``).

    Ends are written ``ADDRESS:PORT``, of IPv6 ``[ADDRESS]:PORT``.
    """
    (a, a_port), (b, b_port) = _end(source), _end(destination)
    return _packet(a, b, udp.PROTOCOL, udp.encode(udp.Header(a_port, b_port), payload, a, b), ip)


def segment(
    payload: bytes = b"",
    source: str = SOURCE,
    destination: str = DESTINATION,
    *,
    flags: str = "A",
    **head: Any,
) -> Packet:
    """A TCP segment; ``flags`` out of ``FSRPAU``, ``head`` other fields (``seq=``, ``options=``).

    ``options`` may be octets or ``netlab.wire.tcp.Options``.
    """
    (a, a_port), (b, b_port) = _end(source), _end(destination)
    if isinstance(head.get("options"), tcp.Options):
        head["options"] = tcp.encode_options(head["options"])
    bits = sum(_FLAGS[flag] for flag in flags)
    header = tcp.Header(a_port, b_port, flags=bits, **head)
    return _packet(a, b, tcp.PROTOCOL, tcp.encode(header, payload, a, b), {})


def _end(text: str) -> tuple[bytes, int]:
    address, _, port = text.rpartition(":")
    return packed(address.strip("[]")), int(port)


def _packet(a: bytes, b: bytes, protocol: int, body: bytes, ip: dict[str, Any]) -> Packet:
    if len(a) == 4:
        return Packet(ipv4.encode(ipv4.Header(a, b, protocol, **ip), body))
    return Packet(ipv6.encode(ipv6.Header(a, b, protocol, **ip), body))
