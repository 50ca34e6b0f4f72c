"""Every kind that is made of rules, seen from the ends."""

from __future__ import annotations

import errno
import os
import socket
from random import Random
from typing import TYPE_CHECKING

import pytest

from netlab.middlebox.catalogue import CATALOGUE
from netlab.topology.model import Node
from netlab.wire import tcp
from tests.helpers.waiting import wait_for
from tests.middlebox.path import (
    CLIENT,
    CLOSED_PORT,
    SERVER,
    TCP_PORT,
    UDP_PORT,
    Path,
    build,
    drain,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def _module_path(netlab_state) -> Iterator[Path]:
    # On one CPU packets keep their order from socket to socket.
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    lab = build()
    yield Path(lab)
    lab.stop()
    os.sched_setaffinity(0, allowed)


@pytest.fixture
def path(_module_path: Path) -> Iterator[Path]:
    yield _module_path
    _module_path.close()


def test_without_a_box_everything_passes(path):
    path.use(Node("router", "router"))
    assert path.datagrams(5) == [0, 1, 2, 3, 4]
    assert path.datagrams(1, 3000) == [0]
    assert path.header(ttl=9, traffic_class=0xB9, identification=77).traffic_class == 0xB9


def test_allow_list(path):
    path.become("allow-list")
    server = path.open("server", socket.SOCK_RAW, 253)
    client = path.open("client", socket.SOCK_RAW, 253)
    client.sendto(b"hello", (SERVER, 0))
    assert path.datagrams(2) == [0, 1]
    assert drain(server) == []
    path.become("allow-list", protocols=["253"])
    client.sendto(b"hello", (SERVER, 0))
    assert path.datagrams(2) == []
    assert len(drain(server)) == 1


def test_first_packet_only(path):
    path.become("first-packet-only")
    assert path.datagrams(5) == [0]
    assert path.datagrams(5) == [0], "another port is another flow"


def test_every_nth(path):
    path.become("every-nth", n=3, protocols=["udp"])
    assert path.datagrams(10) == [0, 1, 3, 4, 6, 7, 9]


def test_seeded_loss_is_exact_and_periodic(path):
    path.become("seeded-loss", loss="3/20", period=20, seed=7, protocols=["udp"])
    arrived = path.datagrams(60)
    lost = [n for n in range(60) if n not in arrived]
    assert len(lost) == 9
    assert lost == [p * 20 + n for p in range(3) for n in lost[:3]]
    path.become("seeded-loss", loss="3/20", period=20, seed=8, protocols=["udp"])
    assert path.datagrams(60) != arrived


def test_trailing_fragments(path):
    path.become("trailing-fragments")
    assert path.datagrams(2, 1000) == [0, 1]
    assert path.datagrams(2, 3000) == []


IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2


def path_mtu_is_learnt(path):
    """Whether a packet too big for the second link makes the client's next one fail."""
    client = path.open("client", socket.SOCK_DGRAM)
    client.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
    client.connect((SERVER, UDP_PORT))
    client.send(bytes(1450))
    path.settle()
    try:
        client.send(bytes(1450))
    except OSError as error:
        return error.errno == errno.EMSGSIZE
    return False


def test_mtu_black_hole(path):
    path.become("mtu-black-hole")
    assert not path_mtu_is_learnt(path)
    path.become("allow-list")
    assert path_mtu_is_learnt(path)


def test_outbound_only(path):
    path.become("outbound-only", inside="a")
    client = path.open("client", socket.SOCK_DGRAM, 0, (CLIENT, 4000))
    server = path.open("server", socket.SOCK_DGRAM, 0, (SERVER, UDP_PORT))
    server.sendto(b"unasked", (CLIENT, 4000))
    client.sendto(b"question", (SERVER, UDP_PORT))
    assert server.recv(99) == b"question"
    server.sendto(b"answer", (CLIENT, 4000))
    assert client.recv(99) == b"answer"


def test_block(path):
    path.become("block", ports=[53])
    assert path.datagrams(2, port=53) == []
    assert path.datagrams(2, port=54) == [0, 1]
    path.become("block", hosts=[SERVER])
    assert path.datagrams(2, port=54) == []


def icmp_error(path, ttl=1, port=UDP_PORT):
    """The type of the ICMP error that a datagram brings; ``None`` for silence."""
    errors = path.open("client", socket.SOCK_RAW, socket.IPPROTO_ICMP)
    client = path.open("client", socket.SOCK_DGRAM)
    client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    client.sendto(b"x", (SERVER, port))
    path.settle()
    found = drain(errors)
    return found[0][0][20] if found else None


def test_icmp_filter(path):
    path.become("icmp-filter", types=["time-exceeded"])
    assert icmp_error(path, ttl=1) is None
    assert icmp_error(path, ttl=9, port=CLOSED_PORT) == 3
    path.become("icmp-filter", types=["destination-unreachable"])
    assert icmp_error(path, ttl=1) == 11
    assert icmp_error(path, ttl=9, port=CLOSED_PORT) is None


def test_strict_window(path):
    server = path.listen()
    path.become("strict-window")
    clients = []
    *_, ack = path.segments(lambda: clients.append(path.connect()))
    accepted, _ = server.accept()
    with accepted:
        # An ACK of what the server has not sent; one a little old would only be passed over.
        wild = ack._replace(ack=(ack.ack + 100_000) % 2**32, options=b"")
        assert path.segments(lambda: path.inject(wild, b"x")) == []
        clients[0].send(b"hello")
        assert accepted.recv(9) == b"hello"


def syn(options=b"", port=TCP_PORT, source=40000):
    return tcp.Header(source, port, seq=1, flags=tcp.SYN, window=1000, options=options)


def test_mss_clamp(path):
    path.become("mss-clamp", mss=900)
    mss = [
        tcp.parse_options(h.options).mss
        for value in (1400, 600)
        for h in path.segments(
            lambda v=value: path.inject(syn(bytes([2, 4]) + v.to_bytes(2, "big")))
        )
        if h.flags & tcp.SYN
    ]
    assert mss == [900, 600]


def test_option_nop(path):
    options = tcp.encode_options(tcp.Options(mss=1400, sack_permitted=True))
    path.become("option-nop", option="sack-permitted")
    (seen, *_) = path.segments(lambda: path.inject(syn(options)))
    assert len(seen.options) == len(options)
    assert tcp.parse_options(seen.options) == tcp.Options(mss=1400)


@pytest.mark.parametrize(
    ("on", "passes"), [("syn", (False, True)), ("data", (True, False)), ("any", (False, False))]
)
def test_option_drop(path, on, passes):
    path.become("option-drop", options=["experiment-2"], on=on)
    option = bytes([254, 4, 0, 0])
    segments = (
        syn(option, source=40001),
        tcp.Header(40002, TCP_PORT, seq=5, ack=7, flags=tcp.ACK, options=option),
    )
    seen = tuple(
        any(h.source_port == s.source_port for h in path.segments(lambda s=s: path.inject(s)))
        for s in segments
    )
    assert seen == passes


@pytest.mark.parametrize(
    ("kind", "parameters", "sent", "seen"),
    [
        ("ecn-bleach", {}, {"traffic_class": 0xB9}, {"traffic_class": 0xB8}),
        ("ecn-bleach", {"to": "ce"}, {"traffic_class": 0xB9}, {"traffic_class": 0xBB}),
        ("ecn-bleach", {"to": "ce"}, {"traffic_class": 0xB8}, {"traffic_class": 0xB8}),
        ("dscp-bleach", {}, {"traffic_class": 0xB9}, {"traffic_class": 0x01}),
        ("dscp-bleach", {"to": 10}, {"traffic_class": 0x01}, {"traffic_class": 0x29}),
        ("ttl-normalise", {"to": 64}, {"ttl": 9}, {"ttl": 64}),
        ("ip-id", {"to": 7}, {"identification": 99}, {"identification": 7}),
    ],
)
def test_rewritten_headers(path, kind, parameters, sent, seen):
    path.become(kind, **parameters)
    header = path.header(**sent)
    assert {name: getattr(header, name) for name in seen} == seen


def test_reset_at_once(path):
    path.listen()
    path.become("reset", after=0)
    with pytest.raises(ConnectionRefusedError):
        path.connect()


def test_reset_in_the_middle(path):
    server = path.listen()
    path.become("reset", after=4)
    client = path.connect()
    accepted, _ = server.accept()

    # SYN, ACK and two segments are four packets; the third segment is answered by the box.
    with accepted:
        accepted.settimeout(5)
        for _ in range(2):
            client.send(b"x")
            assert accepted.recv(1) == b"x"
        client.send(b"x")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_policer(path):
    path.become("policer", packets=1, burst=5, protocols=["udp"])
    assert path.datagrams(50) == [0, 1, 2, 3, 4]


def test_idle_timeout(path):
    path.become("idle-timeout", seconds="1s")
    server = path.open("server", socket.SOCK_DGRAM, 0, (SERVER, UDP_PORT))
    client = path.open("client", socket.SOCK_DGRAM, 0, (CLIENT, 4001))
    for _ in range(3):
        client.sendto(b"question", (SERVER, UDP_PORT))
        assert server.recv(99) == b"question"
        server.sendto(b"answer", (CLIENT, 4001))
        assert client.recv(99) == b"answer"
    command = ["nft", "list", "set", "inet", "netlab", "idle_flows"]
    wait_for(lambda: "elements" not in path.lab["router"].run(command, check=True).stdout)
    client.sendto(b"late", (SERVER, UDP_PORT))
    path.settle()
    assert drain(server) == []
    other = path.open("client", socket.SOCK_DGRAM, 0, (CLIENT, 4002))
    other.sendto(b"new", (SERVER, UDP_PORT))
    assert path.settle() is None
    assert [data for data, _ in drain(server)] == [b"new"]


def test_syn_proxy(path):
    server = path.listen()
    path.become("syn-proxy")
    client = path.connect()
    accepted, _ = server.accept()
    with accepted:
        accepted.settimeout(5)
        client.send(b"question")
        assert accepted.recv(99) == b"question"
        accepted.send(b"answer")
        assert client.recv(99) == b"answer"

    def connect_in_vain():
        path.connect(CLOSED_PORT).recv(1)

    # The box answers for a port where nobody listens and finds out too late: not "refused".
    with pytest.raises(ConnectionResetError):
        connect_in_vain()


RULES = [kind for kind in CATALOGUE.values() if kind.is_rules]


def test_every_kind_has_a_test_here():
    from pathlib import Path as File

    text = File(__file__).read_text()
    assert [k.name for k in RULES if f'"{k.name}"' not in text] == []


SEED_3 = Random(3).sample(range(12), 3)


@pytest.mark.parametrize(
    ("kind", "parameters", "packet_trace"),
    [
        ("every-nth", {"n": 4, "protocols": ["udp"]}, [0, 1, 2, 4, 5, 6, 8, 9, 10]),
        ("first-packet-only", {}, [0]),
        (
            "seeded-loss",
            {"loss": "1/4", "period": 12, "seed": 3, "protocols": ["udp"]},
            [n for n in range(12) if n not in SEED_3],
        ),
        ("trailing-fragments", {}, list(range(12))),
        ("policer", {"packets": 1, "burst": 3, "protocols": ["udp"]}, [0, 1, 2]),
    ],
)
def test_the_same_packets_meet_the_same_fate_a_hundred_times(path, kind, parameters, packet_trace):
    traces = set()
    for _ in range(100):
        path.become(kind, **parameters)
        traces.add(tuple(path.datagrams(12)))
        path.close()
    assert traces == {tuple(packet_trace)}


def test_a_drop_names_its_box(path):
    path.become("every-nth", n=2, protocols=["udp"])
    path.datagrams(4)
    listed = path.lab["router"].run(["nft", "list", "ruleset"], check=True).stdout
    (rule,) = (line for line in listed.splitlines() if "numgen" in line)
    assert 'comment "every-nth at router"' in rule
    assert "counter packets 2 " in rule
