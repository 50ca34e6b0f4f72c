"""Flows over lossy links, in virtual time: none may die, and none may crawl."""

from __future__ import annotations

import statistics

import pytest

from netlab.tcp.settings import DEFAULTS
from tests.tcp.simulation import Side, Simulation, Weather, pair

TEXT = bytes(270_000)
RTT = 0.02


def completion_times(loss: float, flows: int) -> list[float]:
    """Seconds of virtual time until each of ``flows`` seeded transfers has ended."""
    found = []
    for seed in range(flows):
        a, b = pair(DEFAULTS)
        receiver = Side(b)
        simulation = Simulation(Side(a, TEXT), receiver, Weather(loss, 0, RTT / 2), seed)
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


@pytest.mark.parametrize(("loss", "longest"), [(0.01, 2), (0.05, 5), (0.2, 120)])
def test_every_flow_ends(loss: float, longest: float) -> None:
    times = completion_times(loss, 40)
    assert max(times) < longest, times


@pytest.mark.soak
@pytest.mark.parametrize("loss", [0.01, 0.05, 0.2])
def test_a_thousand_flows_end(loss: float) -> None:
    times = sorted(completion_times(loss, 1000))
    print(f"loss {loss}: median {statistics.median(times):.2f} s, 99th {times[989]:.2f} s")
    assert len(times) == 1000
