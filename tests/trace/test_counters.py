"""What a counter that rose says of packets whose end nobody saw."""

from __future__ import annotations

from collections import Counter

import pytest

from netlab.capture.evidence import Count, Evidence
from netlab.trace.correlate import correlate
from netlab.trace.counters import Suspicion, suspicions
from netlab.trace.disposition import Disposition
from netlab.trace.nat_bindings import Bindings
from netlab.trace.program_reports import Programs
from tests.trace.path import Tape, datagram


def said(
    counts: dict[str, int], packets: int, *, explained: int = 0, node: str = "server"
) -> list[Suspicion | None]:
    """What is said of so many UDP datagrams that came to the server, when these counters rose."""
    tape = Tape()
    for number in range(packets):
        tape.pass_through(datagram(b"x", ident=number + 1, ports=(4000 + number, 80)))
    evidence: Evidence = tape.evidence(counts=tuple(Count(node, *each) for each in counts.items()))
    tracks = correlate(evidence, Bindings(evidence.flows), Programs(evidence))
    assert len(tracks) == packets
    known = Counter({("server", Disposition.NO_LISTENER): explained})
    found = suspicions(evidence, tracks, known, lambda _: True)
    return [found.get(id(track)) for track in tracks]


NO_LISTENER = Suspicion(Disposition.NO_LISTENER, "no socket listens there [a counter]")


def test_as_many_as_the_counter_rose_by_are_all_of_them() -> None:
    assert said({"Udp.NoPorts": 2}, 2) == [NO_LISTENER] * 2


def test_of_more_nobody_knows_which() -> None:
    [one, other] = said({"Udp.NoPorts": 1}, 2)
    assert one == other
    assert one
    assert one.disposition is Disposition.UNKNOWN
    assert "for 1 of 2 such packets" in one.text


def test_what_is_explained_accuses_nobody_else() -> None:
    assert said({"Udp.NoPorts": 1}, 1, explained=1) == [None]
    assert said({"Udp.NoPorts": 2}, 1, explained=1) == [NO_LISTENER]


@pytest.mark.parametrize(
    "counts",
    [
        {},
        {"Icmp6InMsgs": 1},  # a name of snmp6, which has no dot
        {"Tcp.InCsumErrors": 1},  # of another protocol
        {"Udp.InCsumErrors": 1},  # the captured checksum is right
        {"Ip.InDiscards": 1},  # of packets that were not at home
    ],
)
def test_other_counters_say_nothing(counts: dict[str, int]) -> None:
    assert said(counts, 1) == [None]


def test_a_counter_of_another_node_says_nothing() -> None:
    assert said({"Udp.NoPorts": 1}, 1, node="nat") == [None]
