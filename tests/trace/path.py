"""A path through a lab, played by hand: the frames that a packet would leave behind.

client ──── nat ──── router ──── server
10.0.0.2    203.0.113.2          198.51.100.2
"""

from __future__ import annotations

from typing import Any

from netlab.capture.evidence import Evidence, Frame, Interface, NodeInfo
from netlab.wire import icmp, ipv4, tcp, udp
from netlab.wire.address import packed

CLIENT, INSIDE, OUTSIDE = packed("10.0.0.2"), packed("10.0.0.1"), packed("203.0.113.2")
WEST, EAST, SERVER = packed("203.0.113.1"), packed("198.51.100.1"), packed("198.51.100.2")

PLACES = {
    "client": NodeInfo("host", (Interface("eth0", "veth", (CLIENT,), ("nat", "lan")),)),
    "nat": NodeInfo(
        "nat",
        (
            Interface("lan", "veth", (INSIDE,), ("client", "eth0")),
            Interface("wan", "veth", (OUTSIDE,), ("router", "west")),
        ),
    ),
    "router": NodeInfo(
        "router",
        (
            Interface("west", "veth", (WEST,), ("nat", "wan")),
            Interface("east", "veth", (EAST,), ("server", "eth0")),
        ),
    ),
    "server": NodeInfo("host", (Interface("eth0", "veth", (SERVER,), ("router", "east")),)),
}

FORTH = (
    ("client", "eth0", "out"),
    ("nat", "lan", "in"),
    ("nat", "wan", "out"),
    ("router", "west", "in"),
    ("router", "east", "out"),
    ("server", "eth0", "in"),
)
BACK = tuple((node, name, "in" if way == "out" else "out") for node, name, way in reversed(FORTH))

ETHERNET = bytes(12) + b"\x08\x00"


class Tape:
    """Frames in order, a microsecond apart."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def see(self, place: tuple[str, str, str], packet: bytes) -> None:
        node, interface, way = place
        data = ETHERNET + packet
        time_ns = 1000 * (len(self.frames) + 1)
        self.frames.append(Frame(time_ns, node, interface, way, data, len(data)))  # type: ignore[arg-type]

    def pass_through(self, packet: bytes, path=FORTH, *, until: int = 6) -> None:
        """The way of a packet through NAT and router, up to ``until`` hops."""
        for place in path[:until]:
            if place == ("nat", "wan", "out"):
                packet = rewritten(packet, source=OUTSIDE)
            elif place == ("nat", "lan", "out"):
                packet = rewritten(packet, destination=CLIENT)
            elif place[2] == "out" and place != path[0]:
                packet = rewritten(packet)
            self.see(place, packet)

    def evidence(self, **more) -> Evidence:
        return Evidence(PLACES, tuple(self.frames), **more)


def rewritten(packet: bytes, **fields: Any) -> bytes:
    """What a router sends on: one less TTL, other addresses; transport checksums follow."""
    header = ipv4.parse(packet)
    body = bytes(ipv4.payload(packet, header))
    after = header._replace(ttl=header.ttl - 1, **fields)
    if not header.is_fragment and header.protocol == 17:
        parsed = udp.parse(body)
        body = udp.encode(parsed, body[8:], after.source, after.destination)
    if not header.fragment_offset and header.protocol == 6 and not header.flags & 1:
        segment = tcp.parse(body)
        data = tcp.payload(body, segment)
        body = tcp.encode(segment, data, after.source, after.destination)
    return ipv4.encode(after, body)


def datagram(
    payload: bytes,
    *,
    source: bytes = CLIENT,
    destination: bytes = SERVER,
    ident: int = 0,
    ports=(4000, 80),
) -> bytes:
    body = udp.encode(udp.Header(*ports), payload, source, destination)
    return ipv4.encode(ipv4.Header(source, destination, 17, identification=ident), body)


def segment(
    payload: bytes,
    *,
    seq: int,
    flags: int = tcp.ACK,
    source: bytes = CLIENT,
    destination: bytes = SERVER,
    options: bytes = b"",
) -> bytes:
    header = tcp.Header(4000, 80, seq, 77, flags, 1000, options)
    body = tcp.encode(header, payload, source, destination)
    return ipv4.encode(ipv4.Header(source, destination, 6), body)


def unknown(content: bytes, *, ident: int = 0, source=CLIENT, destination=SERVER) -> bytes:
    header = ipv4.Header(source, destination, 255, identification=ident)
    return ipv4.encode(header, content)


def error(about: bytes, kind: int, code: int, *, source: bytes) -> bytes:
    """An ICMP error about a packet, from ``source`` to its sender."""
    destination = ipv4.parse(about).source
    message = icmp.encode(icmp.Message(kind, code, 0, about[:28]), source, destination)
    return ipv4.encode(ipv4.Header(source, destination, 1), message)
