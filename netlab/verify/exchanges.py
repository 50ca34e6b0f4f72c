"""What requirements ask besides mapping and filtering: odd orders of TCP, crafted errors, ALGs."""

from __future__ import annotations

import errno
import re
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from netlab.lab import reconfigure
from netlab.verify.nat import INSIDE, OTHER, SERVER, SILENCE, A, B
from netlab.verify.probe import Probe, drain
from netlab.wire import icmp, ipv4, tcp, udp
from netlab.wire.address import packed

if TYPE_CHECKING:
    from collections.abc import Iterator

ALMOST = 9
"""Seconds that a session has left when it is used once more."""

NARROW = 1400
"""Octets: the MTU of the outside link while a long datagram is refused."""

_IP_MTU_DISCOVER, _IP_PMTUDISC_DO, _IP_MTU = 10, 2, 14  # linux/in.h

SIP, FTP = 5060, 21
TELLING = f"INVITE sip:x@{A} SIP/2.0\r\nVia: SIP/2.0/UDP {A}:5060\r\nContact: <sip:{A}>\r\n\r\n"
PORT_COMMAND = f"PORT {A.replace('.', ',')},200,10\r\n"


def keeps_one_address(probe: Probe) -> bool:
    """RFC 4787 REQ-2: whomever a host talks to, it is seen with one outside address."""
    seen = set()
    for target in (SERVER, OTHER):
        server = probe.udp("server", target)
        for _ in range(4):
            probe.udp("a", A).sendto(b"x", server.getsockname())
            seen.add(server.recvfrom(9)[1][0])
    return len(seen) == 1


def outbound_refreshes(probe: Probe) -> bool:
    """RFC 4787 REQ-6: a session that is about to end, and lives on for one packet more."""
    server, client = probe.udp("server", SERVER), probe.udp("a", A)
    client.sendto(b"x", server.getsockname())
    server.recv(9)
    which = ["-p", "udp", "--orig-port-src", str(client.getsockname()[1])]
    before = _remaining(probe, which)
    reconfigure.age(probe.lab, "nat", before - ALMOST, socket.IPPROTO_UDP)
    client.sendto(b"x", server.getsockname())
    server.recv(9)
    return _remaining(probe, which) > ALMOST


def _remaining(probe: Probe, which: list[str]) -> int:
    listed = probe.lab["nat"].run(["conntrack", "-L", *which], check=True).stdout
    return int(re.findall(r"^udp\s+\d+ (\d+)", listed, re.MULTILINE)[0])


def leaves_udp_alone(probe: Probe) -> bool:
    """RFC 4787 REQ-10: what an ALG for SIP would change arrives unchanged."""
    server = probe.udp("server", SERVER, SIP)
    probe.udp("a", A, SIP).sendto(TELLING.encode(), server.getsockname())
    return server.recv(999) == TELLING.encode()


def leaves_tcp_alone(probe: Probe) -> bool:
    """RFC 5382 REQ-6, for which FTP may be an exception: it is none here."""
    for port, words in ((SIP, TELLING), (FTP, PORT_COMMAND)):
        with _connected(probe, port) as (client, accepted):
            client.sendall(words.encode())
            client.shutdown(socket.SHUT_WR)
            arrived = b"".join(iter(lambda a=accepted: a.recv(999), b""))  # type: ignore[misc]
            if arrived != words.encode():
                return False
    return True


def tells_what_fits(probe: Probe) -> bool:
    """RFC 4787 REQ-13: "fragmentation needed" for a datagram that must not be fragmented."""
    nat, client = probe.lab["nat"], probe.udp("a", A)
    nat.run(["ip", "link", "set", "dev", "wan", "mtu", str(NARROW)], check=True)
    client.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO)
    client.connect((SERVER, 9))
    client.send(bytes(NARROW))
    probe.settle(("nat", INSIDE), ("a", A))
    mtu = client.getsockopt(socket.IPPROTO_IP, _IP_MTU)
    nat.run(["ip", "link", "set", "dev", "wan", "mtu", "1500"], check=True)
    probe.lab["a"].run(["ip", "route", "flush", "cache"], check=True)
    return bool(mtu == NARROW)


def opens_at_once(probe: Probe) -> bool:
    """RFC 5382 REQ-2 (a): both ends connect, and neither listens.

    The host's first SYN is lost before the server, whose own then comes in by the mapping.
    """
    server_node = probe.lab["server"]
    server = probe.open("server", socket.SOCK_STREAM, 0, (SERVER, 0))
    port = server.getsockname()[1]
    lost = (
        "table inet once { chain input { type filter hook input priority 0;"
        f" tcp dport {port} tcp flags & (syn | ack) == syn drop\n}}\n}}"
    )
    server_node.run(["nft", lost], check=True)
    client = probe.open("a", socket.SOCK_STREAM, 0, (A, 0))
    client.setblocking(False)
    client.connect_ex((SERVER, port))
    try:
        server.connect(_outside(probe, client.getsockname()[1]))
        client.settimeout(5)
        server.send(b"at once")
        return client.recv(9) == b"at once"
    except OSError:
        return False
    finally:
        server_node.run(["nft", "delete table inet once"], check=True)


def _outside(probe: Probe, port: int) -> tuple[str, int]:
    """The outside endpoint of a connection that no outside host has seen yet."""
    which = ["-p", "tcp", "--orig-port-src", str(port)]
    listed = probe.lab["nat"].run(["conntrack", "-L", *which], check=True).stdout
    *_, (address, outside) = re.findall(r"dst=(\S+) sport=\d+ dport=(\d+)", listed)
    return address, int(outside)


def overloads_tcp(probe: Probe) -> bool:
    """RFC 5382 REQ-7: two hosts with one outside port towards different servers."""
    seen = []
    for node, inside, outside in (("a", A, SERVER), ("b", B, OTHER)):
        server = probe.open("server", socket.SOCK_STREAM, 0, (outside, 0))
        server.listen()
        client = probe.open(node, socket.SOCK_STREAM, 0, (inside, 41_500))
        client.connect(server.getsockname())
        accepted, source = server.accept()
        probe.keep(accepted)
        seen.append(source)
    return bool(seen[0] == seen[1])


def hairpins_tcp(probe: Probe) -> bool:
    """RFC 5382 REQ-8: a connection between two inside hosts, by an outside endpoint."""
    with _connected(probe) as (client, accepted):
        outside = accepted.getpeername()
        listener = probe.open("a", socket.SOCK_STREAM, 0, client.getsockname())
        listener.listen()
        other = probe.open("b", socket.SOCK_STREAM, 0, (B, 0))
        other.settimeout(SILENCE)
        try:
            other.connect(outside)
            inside, source = listener.accept()
        except OSError:
            return False
        probe.keep(inside)
        return bool(source[0] == outside[0])


def translates_errors_about_tcp(probe: Probe) -> bool:
    """RFC 5382 REQ-9: "host unreachable" for a SYN ends the attempt that it quotes."""
    rule = (
        "table inet refuse { chain input { type filter hook input priority 0;"
        " tcp dport 88 reject with icmp host-unreachable\n}\n}"
    )
    probe.lab["server"].run(["nft", rule], check=True)
    client = probe.open("a", socket.SOCK_STREAM, 0, (A, 0))
    client.settimeout(SILENCE)
    found = client.connect_ex((SERVER, 88))
    # Linux remembers the error and reports it only when it gives the SYN up.
    noted = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    probe.lab["server"].run(["nft", "delete table inet refuse"], check=True)
    return errno.EHOSTUNREACH in (found, noted)


def connection_survives_icmp(probe: Probe) -> bool:
    """RFC 5382 REQ-10: an error about an open connection does not end it."""
    with _connected(probe) as (client, accepted):
        quoted = tcp.encode(
            tcp.Header(accepted.getpeername()[1], accepted.getsockname()[1], flags=tcp.ACK),
            b"",
            packed(accepted.getpeername()[0]),
            packed(SERVER),
        )
        _send_error(probe, accepted.getpeername()[0], tcp.PROTOCOL, quoted, icmp.UNREACHABLE)
        accepted.sendall(b"still")
        return client.recv(9) == b"still"


def drops_broken_errors(probe: Probe) -> bool:
    """RFC 5508 REQ-3: an error whose own checksum is wrong goes no further."""
    return not _gets_error(probe, icmp.TIME_EXCEEDED, broken=True)


def translates_time_exceeded(probe: Probe) -> bool:
    """RFC 5508 REQ-10: a traceroute sees what is beyond the NAT."""
    return _gets_error(probe, icmp.TIME_EXCEEDED)


def speaks_for_inside(probe: Probe) -> bool:
    """RFC 5508 REQ-5: an error of an inside host shows nothing of the inside."""
    server, client = probe.udp("server", SERVER), probe.udp("a", A)
    seen = probe.open("server", socket.SOCK_RAW, icmp.PROTOCOL)
    client.sendto(b"x", server.getsockname())
    outside = server.recvfrom(9)[1]
    client.close()
    server.sendto(b"closed port", outside)
    seen.settimeout(SILENCE)
    try:
        octets, (source, _) = seen.recvfrom(999)
    except TimeoutError:
        return False
    quote = icmp.quoted(icmp.parse(ipv4.payload(octets, ipv4.parse(octets))))
    translated = (source, quote.destination, quote.destination_port) == (
        outside[0],
        packed(outside[0]),
        outside[1],
    )
    return translated and not _lets_out_a_lone_error(probe, seen)


def _lets_out_a_lone_error(probe: Probe, seen: socket.socket) -> bool:
    """Whether an error about a packet that never came through leaves with its inside address."""
    a, b = packed(A), packed(SERVER)
    quoted = ipv4.encode(ipv4.Header(b, a, udp.PROTOCOL), udp.encode(udp.Header(9, 9), b"x", b, a))
    lone = icmp.encode(icmp.unreachable(quoted, 3), a, b)
    raw = probe.open("a", socket.SOCK_RAW, icmp.PROTOCOL)
    raw.sendto(lone, (SERVER, 0))
    try:
        while seen.recvfrom(999)[1][0] != A:
            pass
    except TimeoutError:
        return False
    return True


def _gets_error(probe: Probe, kind: int, *, broken: bool = False) -> bool:
    """Whether the host gets an error of that type about a datagram that it sent."""
    server, client = probe.udp("server", SERVER), probe.udp("a", A)
    client.sendto(b"x", server.getsockname())
    outside, port = server.recvfrom(9)[1]
    seen = probe.open("a", socket.SOCK_RAW, icmp.PROTOCOL)
    head = udp.Header(port, server.getsockname()[1])
    quoted = udp.encode(head, b"x", packed(outside), packed(SERVER))
    _send_error(probe, outside, udp.PROTOCOL, quoted, kind, broken=broken)
    # What the server sends behind it by the same way has come when it has.
    server.sendto(b"last", (outside, port))
    client.recv(9)
    messages = [icmp.parse(ipv4.payload(o, ipv4.parse(o))) for o, _ in drain(seen)]
    return any(m.type == kind and icmp.quoted(m).source == packed(A) for m in messages)


def _send_error(
    probe: Probe, outside: str, protocol: int, quoted: bytes, kind: int, *, broken: bool = False
) -> None:
    """An error from the server about a packet that ``outside`` sent to it."""
    about = ipv4.encode(ipv4.Header(packed(outside), packed(SERVER), protocol), quoted)
    code = icmp.PORT_UNREACHABLE if kind == icmp.UNREACHABLE else 0
    message = icmp.encode(icmp.Message(kind, code, 0, about), packed(SERVER), packed(outside))
    if broken:
        message = message[:2] + bytes([message[2] ^ 0xFF]) + message[3:]
    raw = probe.open("server", socket.SOCK_RAW, icmp.PROTOCOL, (SERVER, 0))
    raw.sendto(message, (outside, 0))


@contextmanager
def _connected(probe: Probe, port: int = 0) -> Iterator[tuple[socket.socket, socket.socket]]:
    server = probe.open("server", socket.SOCK_STREAM, 0, (SERVER, port))
    server.listen()
    client = probe.open("a", socket.SOCK_STREAM, 0, (A, 0))
    client.connect(server.getsockname())
    accepted, _ = server.accept()
    with accepted:
        accepted.settimeout(5)
        yield client, accepted


EXCHANGES = {
    "one address": keeps_one_address,
    "outbound refreshes": outbound_refreshes,
    "udp unchanged": leaves_udp_alone,
    "tcp unchanged": leaves_tcp_alone,
    "frag needed": tells_what_fits,
    "simultaneous open": opens_at_once,
    "port overloading tcp": overloads_tcp,
    "hairpinning tcp": hairpins_tcp,
    "icmp errors tcp": translates_errors_about_tcp,
    "connection survives icmp": connection_survives_icmp,
    "broken errors dropped": drops_broken_errors,
    "errors from inside": speaks_for_inside,
    "time exceeded": translates_time_exceeded,
}
