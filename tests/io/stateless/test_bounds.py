"""Floods, rubbish and spoofed sources: what comes back, and what it costs."""

from __future__ import annotations

import random
import select
import socket
from pathlib import Path
from typing import Self

import pytest

from netlab.stateless.segment import ACK, FIN, PSH, RST, SYN, Segment, encode, parse
from netlab.wire import tcp
from tests.helpers.waiting import wait_for
from tests.io.stateless.conftest import UNOWNED

# Root for SO_RCVBUFFORCE: what comes back from a flood must not be lost to a small buffer.
pytestmark = [
    pytest.mark.kernel,
    pytest.mark.root,
    pytest.mark.netlab(topology="topologies/stateless.yaml"),
]

ROUTER = "198.51.100.1"
TARGET = socket.inet_aton(UNOWNED)
GET = b"GET / HTTP/1.1\r\n\r\n"
MSS = tcp.encode_options(tcp.Options(mss=1460))
KINDS = (
    "express", "syn", "request", "refused", "fin", "flags", "cookie", "early", "incomplete",
    "late", "ack", "malformed", "checksum", "elsewhere",
)  # fmt: skip


class Spoofer:
    """Sends any IPv4 packet from the router to the server, and sees what comes back."""

    def __init__(self, lab) -> None:
        node = lab["router"]
        self.out = node.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.back = node.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self.back.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self.back.bind(("east", 0x0800))
        self.back.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.out.close()
        self.back.close()

    def send(self, packet: bytes) -> None:
        self.out.sendto(packet, (UNOWNED, 0))

    def answers(self) -> list[bytes]:
        """What has come so far from the server."""
        got: list[bytes] = []
        while True:
            try:
                packet, where = self.back.recvfrom(65536)
            except BlockingIOError:
                return got
            if packet[12:16] == TARGET and where[2] != socket.PACKET_OUTGOING:
                got.append(packet)


def resident(pid: int) -> int:
    """Octets that a process holds in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def fetch(lab) -> bytes:
    with lab["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(20)
        client.connect((UNOWNED, 80))
        client.sendall(GET)
        got = b""
        while piece := client.recv(65536):
            got += piece
    return got


def flood(
    lab, serve, packets, *argv: str, paced: bool = False
) -> tuple[list[bytes], dict[str, int], int]:
    """The answers to ``packets``, the statistics, and how much the server grew meanwhile."""
    served = serve("http", "--listen", f"{UNOWNED}:80", "--text", "Hello", *argv)
    assert b"Hello" in fetch(lab)
    answers = []
    with Spoofer(lab) as spoofer:
        for packet in [encode(spoofed(n, SYN, MSS)) for n in range(200)]:  # warm up
            spoofer.send(packet)
        before = resident(served.process.pid)
        answers += spoofer.answers()
        answers.clear()
        for number, packet in enumerate(packets):
            spoofer.send(packet)
            if number % 500 == 0:
                answers += spoofer.answers()
                while paced and len(answers) <= number:  # or a full buffer would lose some
                    assert select.select([spoofer.back], [], [], 10)[0]
                    answers += spoofer.answers()
        assert b"Hello" in fetch(lab)
        answers += spoofer.answers()
        grown = resident(served.process.pid) - before
    return answers, served.stop(), grown


def spoofed(number: int, flags: int, options: bytes = b"", payload: bytes = b"") -> Segment:
    source = (10 << 24 | number).to_bytes(4, "big")
    return Segment(
        source, TARGET, 1024 + number % 60000, 80, number, 7, flags, 65535, payload, options
    )


def test_a_hundred_thousand_half_open_connections_cost_nothing(netlab, serve) -> None:
    packets = (encode(spoofed(number, SYN, MSS)) for number in range(100_000))
    answers, statistics, grown = flood(netlab, serve, packets, paced=True)
    assert statistics["express"] > 100_000
    assert grown < 1 << 20
    # One SYN+ACK for a SYN, 44 octets for 44, and not a packet more.
    assert len(answers) <= 100_200 + 20
    assert {len(packet) for packet in answers if packet[33] == SYN | ACK} == {44}


def assert_harmless(answers: list[bytes]) -> None:
    """To spoofed sources go SYN+ACKs, and of blind FINs one in 1,638 is acknowledged."""
    others = [p for p in answers if p[16] == 10 and p[33] & 0x17 != SYN | ACK]
    assert {len(packet) for packet in others} <= {40}
    assert len(others) < 40


def test_requests_from_spoofed_sources_get_nothing(netlab, serve) -> None:
    packets = (
        encode(spoofed(number, flags, payload=payload))
        for number in range(5_000)
        for flags, payload in ((ACK | PSH, GET), (ACK | FIN, b""), (ACK | PSH | FIN, GET))
    )
    answers, statistics, _ = flood(netlab, serve, packets)
    assert statistics["cookie"] >= 14_900
    assert_harmless(answers)


def test_without_the_cookie_they_get_a_page_each(netlab, serve) -> None:
    packets = (encode(spoofed(number, ACK | PSH, payload=GET)) for number in range(100))
    answers, _, _ = flood(netlab, serve, packets, "--no-cookie")
    wanted = [packet for packet in answers if b"Hello" in packet and packet[16] == 10]
    assert len(wanted) == 100


def test_rubbish_changes_nothing(netlab, serve) -> None:
    chance = random.Random(7)

    def packets():
        for number in range(30_000):
            flags = chance.choice(
                [SYN, SYN | ACK, RST, FIN | ACK, ACK | PSH, chance.randrange(256)]
            )
            options = chance.randbytes(4 * chance.randrange(10))
            packet = bytearray(
                encode(spoofed(number, flags, options, chance.randbytes(chance.randrange(80))))
            )
            for _ in range(chance.choice([0, 0, 1, 3])):
                packet[chance.randrange(20, len(packet))] = chance.randrange(256)
            packet[22:24] = b"\0\x50"
            yield bytes(packet)

    answers, statistics, grown = flood(netlab, serve, packets())
    assert_harmless(answers)
    assert grown < 1 << 20
    assert statistics["received"] == sum(statistics.get(kind, 0) for kind in KINDS)
    assert statistics["checksum"] > 1000
    assert statistics["malformed"] > 100


def test_idle_connections_cost_the_server_nothing(netlab, serve) -> None:
    """As many as descriptors allow; the server keeps zero octets for each of them."""
    served = serve("http", "--listen", f"{UNOWNED}:80", "--text", "Hello")
    assert b"Hello" in fetch(netlab)
    clients: list[socket.socket] = []
    try:
        before = resident(served.process.pid)
        for _ in range(2_000):
            client = netlab["client"].socket(socket.AF_INET, socket.SOCK_STREAM)
            clients.append(client)
            client.settimeout(20)
            client.connect((UNOWNED, 80))
        assert resident(served.process.pid) - before < 1 << 20
        assert b"Hello" in fetch(netlab)
        clients[0].sendall(GET)
        assert b"200 OK" in clients[0].recv(65536)
    finally:
        for client in clients:
            client.close()
    wait_for(lambda: b"Hello" in fetch(netlab))


def test_a_hundred_thousand_open_and_idle_connections_cost_nothing(netlab, serve) -> None:
    """Each handshake is completed, by hand; then one of the connections speaks."""
    served = serve("http", "--listen", f"{UNOWNED}:80", "--text", "Hello")
    with Spoofer(netlab) as spoofer:

        def open_(first: int, count: int) -> list[Segment]:
            for number in range(first, first + count):
                spoofer.send(encode(spoofed(number, SYN, MSS)))
            answers: list[Segment] = []
            while len(answers) < count:
                assert select.select([spoofer.back], [], [], 10)[0]
                answers += [parse(packet) for packet in spoofer.answers()]
            acks = [
                spoofed(answer.ack, ACK)._replace(
                    source=answer.destination,
                    source_port=answer.destination_port,
                    ack=answer.seq + 1 & 0xFFFFFFFF,
                )
                for answer in answers
            ]
            for ack in acks:
                spoofer.send(encode(ack))
            return acks

        opened = open_(0, 500)
        before = resident(served.process.pid)
        for first in range(500, 100_000, 500):
            opened += open_(first, 500)
        assert len({(ack.source, ack.source_port) for ack in opened}) == 100_000
        assert resident(served.process.pid) - before < 1 << 20
        assert b"Hello" in fetch(netlab)
        asks = opened[50_000]._replace(flags=ACK | PSH, payload=GET)
        spoofer.send(encode(asks))
        wait_for(lambda: any(asks.source == p[16:20] and b"Hello" in p for p in spoofer.answers()))
