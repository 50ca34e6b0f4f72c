"""Flows over lossy links, in virtual time: none may die, and none may crawl."""

from __future__ import annotations

import heapq
import statistics
from typing import TYPE_CHECKING

import pytest

from netlab.tcp.settings import DEFAULTS
from netlab.wire.tcp import PSH
from tests.tcp.simulation import Side, Simulation, Weather, pair

if TYPE_CHECKING:
    from netlab.tcp.segment import Segment

TEXT = bytes(270_000)
RTT = 0.02


def completion_times(loss: float, flows: int, jitter: float = 0.0) -> list[float]:
    """Seconds of virtual time until each of ``flows`` seeded transfers has ended."""
    found = []
    for seed in range(flows):
        a, b = pair(DEFAULTS)
        receiver = Side(b)
        simulation = Simulation(Side(a, TEXT), receiver, Weather(loss, 0, RTT / 2, jitter), seed)
        arrived: list[float] = []
        act = receiver.act

        def note(
            now: float,
            act: object = act,
            receiver: Side = receiver,
            arrived: list[float] = arrived,
        ) -> None:
            act(now)  # type: ignore[operator]
            if len(receiver.inbox) == len(TEXT) and not arrived:
                arrived.append(now)

        receiver.act = note  # type: ignore[method-assign]
        simulation.run()
        assert bytes(receiver.inbox) == TEXT, f"seed {seed}: the flow died"
        found += arrived
    return found


@pytest.mark.parametrize(
    ("loss", "middle", "longest"), [(0.01, 0.2, 2), (0.05, 0.5, 5), (0.2, 3.5, 120)]
)
def test_every_flow_ends(loss: float, middle: float, longest: float) -> None:
    times = completion_times(loss, 40)
    assert statistics.median(times) < middle, times
    assert max(times) < longest, times


def test_reordering_is_not_taken_for_loss() -> None:
    """Two milliseconds of jitter on a path of twenty cost next to nothing."""
    times = completion_times(0.0, 20, jitter=0.002)
    assert max(times) < 0.15, times


@pytest.mark.soak
@pytest.mark.parametrize("loss", [0.01, 0.05, 0.2])
def test_a_thousand_flows_end(loss: float) -> None:
    times = sorted(completion_times(loss, 1000))
    print(f"loss {loss}: median {statistics.median(times):.2f} s, 99th {times[989]:.2f} s")
    assert len(times) == 1000


class Stalled(Simulation):
    """A wire that keeps back for half a second what it takes after 50 ms."""

    def _transmit(self, to: int, segment: Segment) -> None:
        due = self.now + self.weather.delay
        if 0.05 < self.now < 0.55:
            due = max(due, 0.55)
        heapq.heappush(self._under_way, (due, next(self._order), to, segment))


@pytest.mark.parametrize("timestamps", [True, False])
def test_a_path_that_stops_for_a_while_is_no_congestion(timestamps: bool) -> None:  # noqa: FBT001
    """Eifel's timestamps, or F-RTO without them: after a delay the window is what it was."""
    a, b = pair(DEFAULTS._replace(timestamps=timestamps))
    simulation = Stalled(Side(a, bytes(600_000)), Side(b), Weather(delay=RTT / 2))
    simulation.run(until=0.055)
    before = a.sender.congestion.cwnd
    simulation.run(until=0.5)
    assert a.sender.timeouts
    assert a.sender.congestion.cwnd < before
    simulation.run()
    assert a.sender.congestion.cwnd >= before
    assert a.sender.congestion.ssthresh > 1 << 40
    assert len(simulation.sides[1].inbox) == 600_000


def test_a_lost_retransmission_needs_no_timeout() -> None:
    tries = {"hole": 0}

    def lose(number: int, to: int) -> bool:
        _, who, segment = simulation_of.sent[-1]
        if who == 0 and segment.seq == 1001 + 30 * 1448:
            tries["hole"] += 1
            return tries["hole"] <= 2
        return False

    a, b = pair(DEFAULTS)
    simulation_of = Simulation(Side(a, TEXT), Side(b), Weather(delay=RTT / 2))
    simulation_of.lose = lose
    simulation_of.run()
    assert tries["hole"] == 3
    last = max(at for at, who, s in simulation_of.sent if who == 0 and s.length)
    assert last < 0.2  # a timeout alone is longer


def test_a_lost_tail_is_probed_for_without_a_timeout() -> None:
    a, b = pair(DEFAULTS)
    simulation = Simulation(Side(a, bytes(10_000)), Side(b), Weather(delay=RTT / 2))
    first = {"tail": True}

    def lose(number: int, to: int) -> bool:
        _, who, segment = simulation.sent[-1]
        if who == 0 and segment.flags & PSH and first["tail"]:
            first["tail"] = False
            return True
        return False

    simulation.lose = lose
    simulation.run(until=0.4)
    assert len(simulation.sides[1].inbox) == 10_000
    assert a.sender.retransmissions == 1
    assert a.sender.congestion.cwnd >= 4 * 1448  # a timeout would leave one segment
