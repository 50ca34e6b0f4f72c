"""tracebox (Detal et al. 2013): which header fields were changed, hop by hop.

A SYN is sent with a TTL of 1, 2, 3 and so on. The router where it dies quotes it in an ICMP error,
and the quote is compared with what was sent.
"""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

from netlab.lab import reconfigure
from netlab.middlebox import Packet, tracebox
from netlab.topology.model import Box
from netlab.verify.probe import SECONDS, Probe
from netlab.wire import icmp, ipv4, tcp
from netlab.wire.address import packed, text

if TYPE_CHECKING:
    import random

    from netlab.lab.lab import Lab

HOPS = 4
SERVICE = 80
DSCP, ECT = 46, 1
NEAR = "home:lan"
"""Where a box sees all errors that come back."""


def full(lab: Lab, rng: random.Random) -> list[dict[str, object]]:
    """A row for each hop, by quotes as long as Linux makes them."""
    return _trace(lab, rng)


def short(lab: Lab, rng: random.Random) -> list[dict[str, object]]:
    """The same if errors quote eight octets behind the IP header, as RFC 792 asks for."""
    reconfigure.put_boxes(lab, NEAR, [Box("short-quote")])
    return _trace(lab, rng)


def _trace(lab: Lab, rng: random.Random) -> list[dict[str, object]]:
    names = {address: node.name for node in lab for address in node.addresses}
    rows: list[dict[str, object]] = []
    with Probe(lab) as probe:
        tx = probe.open("client", socket.SOCK_RAW, socket.IPPROTO_RAW)
        rx = probe.open("client", socket.SOCK_RAW, icmp.PROTOCOL)
        for hop in range(1, HOPS + 1):
            sent = _syn(lab, rng.randrange(1024, 30_000), hop)
            tx.sendto(sent.octets, (lab["server"].address, 0))
            router, quote = _quoted(rx)
            rows.append({"hop": hop, "router": names[router], **_changes(sent, quote)})
    return rows


def _syn(lab: Lab, port: int, ttl: int) -> Packet:
    a, b = packed(lab["client"].address), packed(lab["server"].address)
    options = tcp.Options(mss=1460, window_scale=7, sack_permitted=True)
    head = tcp.Header(port, SERVICE, 1000, 0, tcp.SYN, 65535, options=tcp.encode_options(options))
    ip = ipv4.Header(a, b, tcp.PROTOCOL, ttl, traffic_class=DSCP << 2 | ECT)
    return Packet(ipv4.encode(ip, tcp.encode(head, b"", a, b)))


def _quoted(rx: socket.socket) -> tuple[str, bytes]:
    """Who sent the next error, and what it quotes."""
    assert select.select([rx], [], [], SECONDS)[0], "no answer"
    error = rx.recv(65_535)
    header = ipv4.parse(error)
    return text(header.source), error[header.header_length + 8 :]


def _changes(sent: Packet, quote: bytes) -> dict[str, str]:
    seen = Packet(quote)
    if seen.tcp is None:
        # Eight octets of TCP: the ports and the sequence number.
        head = sent.octets[sent.offset :]
        rest = Packet(quote[: sent.offset] + quote[sent.offset :][:8] + head[8:])
        return {"changed": _told(sent, rest), "quoted": "8 octets"}
    return {"changed": _told(sent, seen), "quoted": "the whole SYN"}


def _told(sent: Packet, seen: Packet) -> str:
    assert sent.ip
    return " ".join(
        change for change in tracebox.changes(sent, seen) if change not in ("IP::TTL", "IP::ID")
    )
