"""No stream of packets costs a box more than its parameters allow: neither memory nor time."""

from __future__ import annotations

import random
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from netlab.middlebox import Packet
from netlab.middlebox.boxes.sequence import MODULUS
from netlab.middlebox.catalogue import CATALOGUE
from netlab.middlebox.chain import Chain
from netlab.middlebox.flow_table import FlowTable, Timers
from netlab.wire import ipv4, tcp
from netlab.wire.address import packed
from tests.middlebox.packets import answer, segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAMS = sorted(name for name, kind in CATALOGUE.items() if not kind.is_rules)
NEEDED: dict[str, dict[str, Any]] = {
    "payload-rewrite": {"find": "a", "replace": "longer"},
    "reset-on-payload": {"pattern": "forbidden"},
    "impair": {"delay": "10s", "reorder": "1/2", "limit": 50},
    "coalesce": {"wait": "10s"},
}
BOUNDS = {"flows": 50, "octets": 100_000, "remember": 1000, "limit": 50, "buffer": 1460}
COUNT = 300
MEMORY = 256 * 1024
"""Octets by which what a box keeps may differ from one thousand packets to the next."""


def bounded(kind: str, **more: object) -> Any:
    """A box with small bounds, wherever it has one."""
    known = {p.name for p in CATALOGUE[kind].parameters}
    bounds = {name: value for name, value in BOUNDS.items() if name in known}
    if kind == "short-quote":
        del bounds["octets"]  # of a quote
    box = CATALOGUE[kind].make_box({**bounds, **NEEDED.get(kind, {}), **more})
    box.rng = random.Random(1)
    return box


def syn_flood(rng: random.Random) -> Iterator[Packet]:
    """SYNs, each of a connection of its own."""
    while True:
        yield crafted(rng, flags=tcp.SYN, seq=rng.randrange(MODULUS))


def new_flows(rng: random.Random) -> Iterator[Packet]:
    """Data without a SYN, each of a connection of its own."""
    while True:
        yield crafted(rng, rng.randbytes(rng.randrange(1, 200)), seq=rng.randrange(MODULUS))


def gaps(rng: random.Random) -> Iterator[Packet]:
    """One connection whose data has holes of any size."""
    yield segment(flags=tcp.SYN, seq=99)
    yield answer(flags=tcp.SYN | tcp.ACK, seq=99, ack=100)
    while True:
        yield segment(rng.randbytes(rng.randrange(1, 1400)), seq=rng.randrange(MODULUS), ack=100)


def never_acknowledged(rng: random.Random) -> Iterator[Packet]:
    """One connection whose receiver is silent and whose window is large."""
    yield segment(flags=tcp.SYN, seq=99)
    yield answer(flags=tcp.SYN | tcp.ACK, seq=99, ack=100)
    yield answer(seq=100, ack=100, window=65535)
    at = 100
    while True:
        data = b"a" * rng.randrange(1, 1400)
        yield segment(data, seq=at, ack=100)
        at = (at + len(data)) % MODULUS


def anything(rng: random.Random) -> Iterator[Packet]:
    """Random flags, numbers, options and payloads; a few connections, both ways, and no TCP."""
    while True:
        options = rng.randbytes(4 * rng.randrange(6))
        head = tcp.Header(
            rng.choice((80, 40_000 + rng.randrange(200))),
            rng.choice((80, 40_000 + rng.randrange(200))),
            rng.randrange(MODULUS),
            rng.randrange(MODULUS),
            rng.randrange(256),
            rng.randrange(65536),
            options,
        )
        a, b = packed("10.0.0.2"), packed("192.0.2.10")
        if rng.random() < 0.1:
            yield Packet(rng.randbytes(rng.randrange(1, 100)))
        body = tcp.encode(head, rng.randbytes(rng.randrange(300)), a, b)
        yield Packet(ipv4.encode(ipv4.Header(a, b, tcp.PROTOCOL), body))


def crafted(rng: random.Random, data: bytes = b"", **fields: Any) -> Packet:
    a = b"\x0a" + rng.randbytes(3)
    b = packed("192.0.2.10")
    head = tcp.Header(rng.randrange(1, 65536), 80, **({"flags": tcp.ACK} | fields))
    return Packet(ipv4.encode(ipv4.Header(a, b, tcp.PROTOCOL), tcp.encode(head, data, a, b)))


STREAMS = (syn_flood, new_flows, gaps, never_acknowledged, anything)


def fed(box: Any, packets: Iterator[Packet], count: int, start: int = 0) -> None:
    """The box gets so many packets, a tenth of a millisecond apart, and is woken in time."""
    chain = Chain([box])
    for number in range(start, start + count):
        now = number / 10_000
        chain.arrive(next(packets), "outbound" if number % 5 else "inbound", now)
        due = chain.next_due()
        if due is not None and due <= now:
            chain.due(now)


def kept_after(kind: str, stream: Callable[..., Iterator[Packet]], count: int) -> list[int]:
    """Octets that are kept after so many packets, and after twice and three times as many."""
    box, packets = bounded(kind), stream(random.Random(7))
    found = []
    tracemalloc.start()
    try:
        for turn in range(3):
            fed(box, packets, count, turn * count)
            found.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return found


CASES = [
    (kind, stream)
    for kind in PROGRAMS
    for stream in STREAMS
    if stream is anything or BOUNDS.keys() & {p.name for p in CATALOGUE[kind].parameters}
]


@pytest.mark.parametrize(("kind", "stream"), CASES)
def test_what_a_box_keeps_does_not_grow(kind, stream):
    kept = kept_after(kind, stream, COUNT)
    assert max(kept) - kept[0] < MEMORY
    assert kept[0] < 8 * MEMORY


@pytest.mark.soak
@pytest.mark.parametrize(("kind", "stream"), CASES)
def test_nor_in_a_million_packets(kind, stream):
    box, packets = bounded(kind), stream(random.Random(7))
    fed(box, packets, 10_000)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        fed(box, packets, 980_000, 10_000)
        tracemalloc.start()
        fed(box, packets, 10_000, 990_000)
        assert tracemalloc.get_traced_memory()[0] - before < 8 * MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "kind",
    # What is fed is TCP; udp-block has a test of its own.
    [
        name
        for name in PROGRAMS
        if "idle" in {p.name for p in CATALOGUE[name].parameters} and name != "udp-block"
    ],
)
def test_a_box_counts_what_it_forgets(kind):
    box = bounded(kind)
    fed(box, new_flows(random.Random(1)), 200)
    fed(box, syn_flood(random.Random(1)), 200, 200)
    assert box.forgotten["flows"] >= 100
    silent = bounded(kind, idle=1, flows=1000)
    fed(silent, syn_flood(random.Random(1)), 50)
    fed(silent, syn_flood(random.Random(2)), 1, 100_000)
    fed(silent, new_flows(random.Random(3)), 50, 200_000)
    fed(silent, new_flows(random.Random(4)), 1, 300_000)
    assert silent.forgotten["idle"] >= 50


def test_a_gap_of_two_gigabytes_is_not_filled():
    """The old first-copy took 4.2 GB for two segments."""
    box = CATALOGUE["first-copy"].make_box({})
    tracemalloc.start()
    try:
        for seq in (0, (1 << 31) - 1):
            assert list(box.packet(segment(b"data", seq=seq), "outbound", 0.0))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_port_that_is_used_again_does_not_get_the_old_data():
    box = CATALOGUE["first-copy"].make_box({})
    for data, start in ((b"old data", 1000), (b"new data", 1000 + 4)):
        list(box.packet(segment(flags=tcp.SYN, seq=start - 1), "outbound", 0.0))
        [passed] = box.packet(segment(data, seq=start), "outbound", 0.0)
        assert isinstance(passed, Packet)
        assert passed.payload == data


def test_the_cost_of_a_flow_does_not_grow_with_their_number():
    """8,000 SYNs took a transparent proxy 173 s: it asked all connections for each packet."""
    box = bounded("transparent-proxy", flows=1 << 20)
    packets = syn_flood(random.Random(1))
    calls = [0]

    def count(frame: Any, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name == "next_timer":
            calls[0] += 1

    found = []
    for turn in range(3):
        calls[0] = 0
        sys.setprofile(count)
        fed(box, packets, 100, turn * 100)
        sys.setprofile(None)
        found.append(calls[0])
    assert found[2] <= 2 * found[0]


def test_a_proxy_that_is_full_lets_live_connections_be():
    box = bounded("transparent-proxy", flows=2)
    chain = Chain([box])
    syn = segment(flags=tcp.SYN, seq=99)
    leaving = chain.arrive(syn, "outbound", 0.0)
    [accepted] = [p.tcp for way, p in leaving if way == "inbound"]
    assert accepted
    chain.arrive(segment(seq=100, ack=accepted.seq + 1), "outbound", 0.1)
    fed(box, syn_flood(random.Random(1)), 100, 2000)
    assert box.forgotten["flows"] >= 70
    leaving = chain.arrive(segment(b"still here", seq=100, ack=accepted.seq + 1), "outbound", 1.0)
    assert not any(p.tcp.flags & tcp.RST for _, p in leaving if p.tcp)


def test_a_table_forgets_the_longest_silent_and_the_idle():
    table: FlowTable[str, int] = FlowTable(2, 10.0, 100)
    table.put("a", 1, 0.0)
    table.put("b", 2, 1.0)
    assert table.get("a", 2.0) == 1
    table.put("c", 3, 3.0)
    assert [key in table for key in "abc"] == [True, False, True]
    table.weigh("a", 60)
    table.weigh("c", 60)
    assert [key in table for key in "abc"] == [False, False, True]
    assert table.octets == 60
    assert table.get("c", 14.0) is None
    assert dict(table.forgotten) == {"flows": 1, "octets": 1, "idle": 1}
    assert table.octets == 0


def test_timers_are_due_once_and_in_order():
    timers: Timers[str] = Timers()
    for number in range(1000):
        timers.set("again", float(number))
    timers.set("first", 1.0)
    timers.set("never", 2.0)
    timers.set("never", None)
    assert timers.first() == 1.0
    assert timers.due(0.5) == []
    assert timers.due(2000.0) == ["first", "again"]
    assert timers.first() is None
