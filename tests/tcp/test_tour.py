"""docs/tcp-tour.md shows a real run, the real table, and places that exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from netlab.tcp.seq import wrap
from netlab.tcp.settings import Settings
from netlab.tcp.state import State, diagram
from netlab.wire.tcp import ACK, FIN, PSH, SYN
from tests.tcp.simulation import Side, Simulation, pair

PAGE = (Path(__file__).parents[2] / "docs" / "tcp-tour.md").read_text(encoding="utf-8")


class Told(Simulation):
    """A simulation that writes down each change of state, and each segment."""

    def __init__(self, a: Side, b: Side) -> None:
        self.lines: list[str] = []
        self.states = [State.CLOSED, State.LISTEN]
        super().__init__(a, b)

    def _flush(self) -> None:
        before = len(self.sent)
        super()._flush()
        for index, side in enumerate(self.sides):
            if (state := side.connection.state) is not self.states[index]:
                self.states[index] = state
                self.lines.append(f"{self.now:7.3f}  {'ab'[index]} is {state}")
        for at, who, s in self.sent[before:]:
            ours, theirs = ((1000, 5000), (5000, 1000))[who]
            arrow = ("a -->  ", "  <-- b")[who]
            flags = "".join(name for bit, name in FLAGS if s.flags & bit)
            ack = str(wrap(s.ack - theirs)) if s.flags & ACK else "-"
            seq = wrap(s.seq - ours)
            self.lines.append(
                f"{at:7.3f}  {arrow}  {flags:3} seq {seq:<5} ack {ack:<5} len {s.length}"
            )


FLAGS = ((SYN, "S"), (FIN, "F"), (PSH, "P"), (ACK, "."))


def ladder() -> str:
    """The tour's conversation."""
    settings = Settings(timestamps=False, sack=False, window_scaling=False)
    a, b = pair(settings, iss=(1000, 5000))
    client, server = Side(a, b"GET /\r\n"), Side(b)
    client.closes = server.closes = False
    simulation = Told(client, server)
    simulation.run(until=0.035)
    server.outbox, server.closes = bytes(2500), True
    simulation.run(until=0.055)
    client.closes = True
    simulation.run()
    return "\n".join(simulation.lines)


def test_the_ladder_is_a_real_one() -> None:
    assert f"```text\n{ladder()}\n```" in PAGE


def test_the_diagram_is_drawn_from_the_table() -> None:
    assert f"```mermaid\n{diagram()}```" in PAGE


@pytest.mark.parametrize("place", sorted(set(re.findall(r"`(tcp\.[a-z_.]+:[\w.]+)`", PAGE))))
def test_the_places_exist(place: str) -> None:
    module, _, path = place.partition(":")
    found = importlib.import_module(f"netlab.{module}")
    for name in path.split("."):
        found = getattr(found, name)
