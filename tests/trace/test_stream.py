"""Evidence that is joined while it comes leads to the same fates as evidence that is whole."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.capture.evidence import Evidence, KernelDrop
from netlab.trace.build import build_traces
from netlab.trace.disposition import Disposition as End
from netlab.trace.stream import MOST, PATIENCE, QUIET, Stream
from tests.trace import path
from tests.trace.path import PLACES, Tape

SECOND = 1_000_000_000


def some_traffic(count: int, seed: int = 1) -> Evidence:
    """Packets of which some die on the way, and some of those for a reason that is known."""
    rng = random.Random(seed)
    tape, drops = Tape(), []
    for number in range(count):
        packet = path.datagram(b"number %06d" % number, ident=number)
        until = rng.choice((6, 6, 6, 4, 2))
        tape.pass_through(packet, until=until)
        if until == 2 and rng.random() < 0.5:
            last = tape.frames[-1]
            data = last.data[14:]
            drops.append(
                KernelDrop(last.time_ns + 1, "nat", "NETFILTER_DROP", "nft_do_chain", data)
            )
    return tape.evidence(drops=tuple(drops))


def streamed(evidence: Evidence, steps: list[int]):
    """All that a stream reports of evidence that it gets in pieces, cut at these times."""
    stream = Stream(evidence.inventory)
    edges = [0, *sorted(steps), 1 << 62]
    for start, end in pairwise(edges):
        piece = evidence._replace(
            frames=tuple(f for f in evidence.frames if start <= f.time_ns < end),
            drops=tuple(d for d in evidence.drops if start <= d.time_ns < end),
        )
        stream.add(piece, min(end, 10 * SECOND))
        settled = stream.settle(min(end, 10 * SECOND), is_last=end == edges[-1])
        yield from settled.traces


def slower(evidence: Evidence, factor: int) -> Evidence:
    """The same with more time between two frames."""
    return evidence._replace(
        frames=tuple(f._replace(time_ns=f.time_ns * factor) for f in evidence.frames),
        drops=tuple(d._replace(time_ns=(d.time_ns - 1) * factor + 1) for d in evidence.drops),
    )


@settings(max_examples=30)
@given(st.lists(st.integers(0, 6_000_000_000), max_size=12), st.integers(0, 5))
def test_pieces_lead_to_the_same_fates_as_the_whole(steps, seed):
    evidence = slower(some_traffic(100, seed), 10_000)
    apart = sorted(streamed(evidence, steps), key=lambda one: one.time_ns)
    whole = build_traces(evidence)
    assert sorted(one.id for one in apart) == [one.id for one in whole]
    assert [one._replace(id=0, frames=()) for one in apart] == [
        one._replace(id=0, frames=()) for one in whole
    ]


def test_each_packet_is_reported_once_when_it_is_quiet_and_then_forgotten():
    tape = Tape()
    tape.pass_through(path.datagram(b"first"))
    stream = Stream(PLACES)
    stream.add(tape.evidence(), 0)
    assert not stream.settle(QUIET // 2).traces
    [one] = stream.settle(2 * QUIET).traces
    assert (one.id, one.disposition, one.node) == (1, End.DELIVERED, "server")
    assert stream.waiting == 0
    assert not stream.settle(3 * QUIET).traces


def test_what_waits_in_a_node_is_waited_for_and_then_given_up():
    tape = Tape()
    tape.pass_through(path.datagram(b"slow"), until=2)
    stream = Stream(PLACES)
    stream.add(tape.evidence(), 0)
    assert not stream.settle(10 * QUIET).traces
    [one] = stream.settle(PATIENCE + QUIET).traces
    assert (one.disposition, one.node) == (End.UNKNOWN, "nat")


def test_its_end_may_come_later_than_its_frames():
    tape = Tape()
    tape.pass_through(path.datagram(b"slow"), until=2)
    stream = Stream(PLACES)
    stream.add(tape.evidence(), 0)
    assert not stream.settle(10 * QUIET).traces
    data = tape.frames[-1].data[14:]
    late = KernelDrop(SECOND, "nat", "NEIGH_FAILED", "arp_error_report", data)
    stream.add(Evidence(PLACES, drops=(late,)), SECOND)
    [one] = stream.settle(SECOND + 2 * QUIET).traces
    assert one.disposition is End.NEIGHBOUR_UNREACHABLE
    assert len(one.hops) == 2
    assert stream.waiting == 0


@pytest.mark.parametrize("flood", [MOST // 2, 3 * MOST])
def test_of_a_flood_only_what_is_sure_is_reported_and_the_rest_counted(flood):
    evidence = some_traffic(flood)
    stream = Stream(PLACES)
    stream.add(evidence, 0)
    end = evidence.frames[-1].time_ns
    settled = stream.settle(end)
    assert settled.overloaded
    assert stream.waiting == 0
    known = {one.packet.transport: one for one in build_traces(evidence)}
    for one in settled.traces:
        # Nobody saw the end of what is inferred: it may have been cut off with the slice.
        assert one.reason.source != "inferred"
        assert one.disposition == known[one.packet.transport].disposition
    assert settled.traces
    assert len(settled.frames) == len(evidence.frames)
    assert stream.packets_let_go > 0
    assert stream.frames_let_go > 0


def test_after_a_rest_nothing_is_said_of_packets_that_were_under_way():
    tape = Tape()
    tape.pass_through(path.datagram(b"before"))
    stream = Stream(PLACES)
    stream.resume(0)
    stream.add(tape.evidence(), 0)
    assert not stream.settle(2 * QUIET).traces
    assert stream.packets_let_go == 1
    later = tuple(f._replace(time_ns=f.time_ns + SECOND) for f in tape.frames)
    stream.add(Evidence(PLACES, later), SECOND)
    assert [one.id for one in stream.settle(SECOND + 2 * QUIET).traces] == [1]


def test_what_it_keeps_does_not_grow():
    stream = Stream(PLACES)
    reported = most = 0
    for step in range(200):
        tape = Tape()
        for number in range(10):
            tape.pass_through(path.datagram(b"%d of %d" % (number, step)))
        start = step * QUIET // 2
        frames = tuple(f._replace(time_ns=f.time_ns + start) for f in tape.frames)
        stream.add(Evidence(PLACES, frames), start)
        reported += len(stream.settle(start).traces)
        most = max(most, stream.waiting)
    assert most <= 4 * 60
    assert reported >= 1950
    assert stream.packets_let_go == stream.frames_let_go == 0
