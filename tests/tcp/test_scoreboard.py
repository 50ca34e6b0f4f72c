from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netlab.tcp.recovery.scoreboard import DuplicateAcks, Scoreboard

MSS = 100


def scoreboard(*blocks: tuple[int, int], nxt: int = 2000) -> Scoreboard:
    fresh = Scoreboard(0, MSS)
    fresh.update(blocks, 0, nxt, 0.0)
    return fresh


def test_three_blocks_above_make_a_hole_lost() -> None:
    assert scoreboard((100, 110), (200, 210)).next_hole(0) is None
    assert scoreboard((100, 110), (200, 210), (300, 310)).next_hole(0) == (0, 100)


def test_more_than_two_segments_above_make_a_hole_lost() -> None:
    assert scoreboard((100, 300)).next_hole(0) is None
    assert scoreboard((100, 301)).next_hole(0) == (0, 100)


def test_holes_are_given_in_order_and_once() -> None:
    b = scoreboard((100, 200), (300, 400), (500, 800))
    assert b.next_hole(0) == (0, 100)
    b.high_rxt = 100
    assert b.next_hole(0) == (200, 300)
    b.high_rxt = 300
    assert b.next_hole(0) == (400, 500)
    b.high_rxt = 500
    assert b.next_hole(0) is None


def test_the_pipe_counts_neither_lost_nor_arrived_octets() -> None:
    b = scoreboard((100, 401), nxt=1000)
    assert b.pipe(0, 1000) == 1000 - 301 - 100
    b.high_rxt = 50
    assert b.pipe(0, 1000) == 1000 - 301 - 100 + 50


def test_senseless_blocks_are_passed_over() -> None:
    b = scoreboard((0, 50), (70, 60), (1900, 2100), (50, 50))
    assert not b.ranges
    assert b.pipe(0, 2000) == 2000


def test_after_a_timeout_all_but_the_sacked_is_lost() -> None:
    b = scoreboard((100, 200))
    b.lose_all(0, 500, forget=False)
    assert b.pipe(0, 500) == 0
    assert b.next_hole(0) == (0, 100)
    b.lose_all(0, 500, forget=True)
    assert b.next_hole(0) == (0, 500)


def test_without_sack_the_third_duplicate_shows_a_loss() -> None:
    b = DuplicateAcks(0, MSS)
    for expected in (None, None, (0, 100)):
        b.duplicate(0, 1000)
        assert b.next_hole(0) == expected
    assert b.pipe(0, 1000) == 1000 - 300 - 100


def test_a_partial_ack_shows_the_next_loss() -> None:
    b = DuplicateAcks(0, MSS)
    for _ in range(3):
        b.duplicate(0, 1000)
    b.high_rxt = 100
    b.advance(300, 300, 0.0)
    assert b.partial(300, 1000)
    assert b.high_rxt == 400


blocks = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(0, 2000)).map(lambda p: (min(p), max(p))),
    max_size=8,
)


@given(st.lists(st.tuples(blocks, st.integers(0, 200)), max_size=10))
def test_it_agrees_with_a_set_of_octets(script: list[tuple[list[tuple[int, int]], int]]) -> None:
    b, una, nxt = Scoreboard(0, MSS), 0, 1500
    sacked: set[int] = set()
    for news, step in script:
        b.update(news, una, nxt, 0.0)
        for left, right in news:
            if una < left < right <= nxt:
                sacked |= set(range(left, right))
        una = min(una + step, nxt)
        b.advance(una, step, 0.0)
        sacked = {octet for octet in sacked if octet >= una}
        assert b.sacked == len(sacked)
        lost = {o for o in range(una, b.lost_below) if o not in sacked}
        again = {o for o in range(una, b.high_rxt) if o not in sacked}
        assert b.pipe(una, nxt) == nxt - una - len(sacked) - len(lost) + len(again)
        hole = b.next_hole(una)
        if hole is None:
            assert not lost - again
        else:
            assert set(range(*hole)) <= lost - again
            assert min(lost - again) == hole[0]


def test_rule_three_guesses_below_the_highest_sacked_octet() -> None:
    b = scoreboard((100, 300), (400, 500))
    b.high_rxt = 100
    assert b.next_hole(0) is None
    assert b.speculative(0) == (300, 400)
    b.high_rxt = 400
    assert b.speculative(0) is None


def test_rule_four_rescues_the_last_segment_that_was_not_sacked() -> None:
    assert scoreboard((100, 300)).rescue(0, 1000) == (900, 1000)
    assert scoreboard((100, 300), (350, 1000), nxt=1000).rescue(0, 1000) == (300, 350)
