"""RACK: every octet is in one place, and time tells which are lost."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from netlab.tcp.recovery.rack import Rack

MSS = 100
RTT = 0.1


def sent(*times: float) -> Rack:
    """One segment of 100 octets at each of these times."""
    board = Rack(0, MSS)
    for number, at in enumerate(times):
        board.sent(number * MSS, (number + 1) * MSS, at, again=False)
    return board


def arrive(board: Rack, *blocks: tuple[int, int], now: float, recovery: bool = False) -> None:
    board.update(blocks, 0, 10_000, now)
    board.detect(now, RTT, in_recovery=recovery)


def test_one_that_was_sent_before_is_lost_only_after_the_reordering_window() -> None:
    board = sent(0.0, 0.01, 0.02)
    arrive(board, (100, 200), now=0.11)
    assert not board.has_lost
    assert board.due == 0.0 + RTT + RTT / 4  # RACK.rtt, and a quarter of the smallest
    board.detect(board.due, RTT, in_recovery=False)
    assert board.next_hole(0) == (0, 100)
    assert board.due == math.inf
    assert board.flight == 100


def test_three_segments_above_need_no_window_where_nothing_was_ever_reordered() -> None:
    board = sent(0.0, 0.0, 0.0, 0.0, 0.0)
    arrive(board, (100, 400), now=RTT)
    assert board.next_hole(0) == (0, 100)
    assert board.flight == 100  # the last was sent after all that has arrived


def test_reordering_once_seen_keeps_the_window_open() -> None:
    board = sent(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    arrive(board, (100, 200), now=RTT)
    board.advance(100, 100, RTT + 0.001)  # the first comes late, and only once
    assert board.reordering
    arrive(board, (300, 600), now=RTT + 0.002)
    assert not board.has_lost
    assert math.isfinite(board.due)


def test_a_lost_retransmission_is_found_too() -> None:
    board = sent(0.0, 0.0, 0.0, 0.0)
    arrive(board, (100, 400), now=RTT)
    board.sent(0, 100, RTT, again=True)
    board.sent(400, 500, RTT + 0.01, again=False)
    arrive(board, (400, 500), now=2 * RTT + 0.01, recovery=True)
    assert board.next_hole(0) == (0, 100)


def test_an_arrival_too_soon_after_the_retransmission_is_that_of_the_original() -> None:
    board = sent(0.0, 0.0)
    arrive(board, (100, 200), now=RTT)
    board.detect(board.due, RTT, in_recovery=False)
    board.sent(0, 100, 0.2, again=True)
    before = board.rtt
    board.advance(200, 200, 0.21)
    assert board.rtt == before
    assert board.flight == 0


def test_a_duplicate_widens_the_window_once_a_round_trip_and_for_sixteen_recoveries() -> None:
    board = sent(0.0, 0.0, 0.0)
    board.reordering = True
    board.duplicate_arrived(0, 300)
    board.duplicate_arrived(0, 300)
    arrive(board, (100, 200), now=RTT)
    assert math.isclose(board.due, RTT + 2 * RTT / 4)
    for _ in range(16):
        board.recovered()
    board.detect(RTT, RTT, in_recovery=False)
    assert math.isclose(board.due, RTT + RTT / 4)


def test_where_segments_arrive_early_the_smallest_round_trip_is_no_measure() -> None:
    board = sent(0.0, 0.0, 0.0)
    board.min_rtt, board.reordering = 0.001, True
    board.duplicate_arrived(0, 300)
    arrive(board, (100, 200), now=RTT)
    assert math.isclose(board.due, RTT + 2 * RTT / 4)


def test_a_timeout_loses_the_first_and_what_is_late() -> None:
    board = sent(0.0, 0.0, 0.5)
    board.rtt, board.min_rtt = RTT, RTT
    board.timed_out(0, 300, 0.3, RTT)
    assert board.next_hole(0) == (0, 200)
    assert board.flight == 100
    board.unmark()
    assert not board.has_lost
    assert board.flight == 300


def test_a_peer_that_threw_away_what_it_sacked_gets_it_again() -> None:
    board = sent(0.0, 0.0, 0.0)
    arrive(board, (100, 200), now=RTT)
    board.advance(100, 100, RTT)  # and yet it does not acknowledge up to 200
    board.timed_out(100, 300, 1.0, RTT)
    assert not board.ranges
    assert board.next_hole(100) == (100, 300)


steps = st.lists(
    st.tuples(
        st.sampled_from(["new", "again", "sack", "ack", "detect", "timeout", "unmark"]),
        st.integers(0, 3000),
        st.integers(1, 400),
    ),
    max_size=40,
)


@given(steps)
def test_every_octet_is_sacked_in_the_network_or_lost(script: list[tuple[str, int, int]]) -> None:
    board, una, nxt, now = Rack(0, MSS), 0, 0, 0.0
    for what, at, size in script:
        now += 0.01
        match what:
            case "new":
                board.sent(nxt, nxt + size, now, again=False)
                nxt += size
            case "again":
                hole = board.next_hole(una)
                if hole is not None:
                    end = min(hole[1], hole[0] + size)
                    board.sent(hole[0], end, now, again=True)
            case "sack":
                board.update([(at, at + size)], una, nxt, now)
            case "ack":
                step = min(size, nxt - una)
                una += step
                board.advance(una, step, now)
            case "detect":
                board.detect(now, RTT, in_recovery=bool(at % 2))
            case "timeout":
                board.timed_out(una, nxt, now, RTT)
            case "unmark":
                board.unmark()
        places = [0] * nxt
        for left, right in board.ranges:
            for octet in range(left, right):
                places[octet] += 1
        for one in (*board._fresh, *board._again, *board._lost):
            for octet in range(one.start, one.end):
                places[octet] += 1
        assert places[una:] == [1] * (nxt - una)
        assert sum(places[:una]) == 0
        assert board.flight == sum(o.end - o.start for o in (*board._fresh, *board._again))
        assert board._fresh == sorted(board._fresh)
        assert board._lost == sorted(board._lost)
        assert [o.order for o in board._again] == sorted(o.order for o in board._again)
