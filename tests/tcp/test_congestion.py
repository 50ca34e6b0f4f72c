from __future__ import annotations

import pytest

from netlab.tcp.congestion import ALGORITHMS
from netlab.tcp.congestion.cubic import BETA, C, Cubic
from netlab.tcp.congestion.hystart import HyStart
from netlab.tcp.congestion.reno import Reno, initial_window

MSS = 1000


@pytest.mark.parametrize(("mss", "octets"), [(500, 5000), (1460, 14600), (9000, 18000)])
def test_the_initial_window_is_that_of_rfc_6928(mss: int, octets: int) -> None:
    assert initial_window(mss) == octets


@pytest.mark.parametrize("name", ALGORITHMS)
def test_slow_start_doubles_in_a_round_trip(name: str) -> None:
    c = ALGORITHMS[name](MSS)
    before = c.cwnd
    c.acknowledged(before, 1.0, 0.1)
    assert c.cwnd == 2 * before


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_timeout_leaves_one_segment_and_remembers(name: str) -> None:
    c = ALGORITHMS[name](MSS)
    c.timed_out(40 * MSS, 1.0)
    assert c.cwnd == MSS
    assert 20 * MSS <= c.ssthresh < 40 * MSS


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_idle_connection_starts_again_from_the_initial_window(name: str) -> None:
    c = ALGORITHMS[name](MSS)
    c.acknowledged(100 * MSS, 1.0, 0.1)
    c.restart()
    assert c.cwnd == initial_window(MSS)


def test_reno_grows_by_one_segment_in_a_round_trip() -> None:
    c = Reno(MSS)
    c.lost(40 * MSS, 0.0)
    assert c.cwnd == c.ssthresh == 20 * MSS
    for _ in range(20):
        c.acknowledged(MSS, 1.0, 0.1)
    assert c.cwnd == 21 * MSS


def run_for(c: Cubic, start: float, seconds: float, rtt: float) -> None:
    """Acknowledge a window in each round trip, in steps of one segment."""
    now = start
    while now < start + seconds:
        window = c.cwnd
        for _ in range(window // MSS):
            c.acknowledged(MSS, now, rtt)
        now += rtt


def test_cubic_comes_back_to_where_the_loss_was_after_k_seconds() -> None:
    c = Cubic(MSS)
    c.cwnd = 1000 * MSS
    c.lost(1000 * MSS, 0.0)
    assert c.cwnd == int(1000 * BETA) * MSS
    k = (1000 * (1 - BETA) / C) ** (1 / 3)
    run_for(c, 10.0, k, 0.1)
    assert c.cwnd == pytest.approx(1000 * MSS, rel=0.02)
    run_for(c, 10.0 + k, 5.0, 0.1)
    assert c.cwnd > 1020 * MSS


def test_cubic_is_at_least_as_fast_as_reno_in_small_networks() -> None:
    c, reno = Cubic(MSS), Reno(MSS)
    c.cwnd = 20 * MSS
    c.lost(20 * MSS, 0.0)
    reno.lost(28 * MSS, 0.0)
    run_for(c, 0.0, 1.0, 0.01)
    assert c.cwnd > 30 * MSS


def test_cubic_gives_way_faster_if_it_did_not_reach_its_last_maximum() -> None:
    c = Cubic(MSS)
    c.cwnd = 100 * MSS
    c.lost(100 * MSS, 0.0)
    first = c._w_max
    c.acknowledged(MSS, 1.0, 0.1)
    c.lost(c.cwnd, 2.0)
    assert c._w_max < first * (1 + BETA) / 2


def rounds(hystart: HyStart, *round_trips: float) -> None:
    """Ten samples in each round."""
    for number, rtt in enumerate(round_trips):
        for _ in range(10):
            hystart.sample(rtt, number * 1000 + 1, number * 1000 + 1000)


def test_slow_start_slows_down_when_round_trips_grow_and_then_ends() -> None:
    h = HyStart()
    rounds(h, 0.02, 0.02, 0.03)
    assert h.divisor == 4
    assert not h.done
    h = HyStart()
    rounds(h, 0.02, 0.02, *[0.03] * 6)
    assert h.done


def test_round_trips_that_shrink_again_were_a_false_alarm() -> None:
    h = HyStart()
    rounds(h, 0.02, 0.02, 0.03, 0.02)
    assert h.divisor == 1


def test_a_millisecond_more_is_no_queue() -> None:
    h = HyStart()
    rounds(h, 0.02, 0.021, 0.022, 0.023)
    assert h.divisor == 1


@pytest.mark.parametrize("name", ALGORITHMS)
def test_what_was_no_loss_is_taken_back(name: str) -> None:
    c = ALGORITHMS[name](MSS)
    c.acknowledged(90 * MSS, 1.0, 0.1)
    before = c.cwnd, c.ssthresh
    c.lost(c.cwnd, 1.0)
    c.undo(*before)
    assert (c.cwnd, c.ssthresh) == before
