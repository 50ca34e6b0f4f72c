"""The runs that docs/tcp-recovery.md shows: ``python -m tests.tcp.recovery_page`` writes them anew.

Each is a transfer of a few segments of 1000 octets over a simulated wire, 20 ms each way, of which
one thing goes wrong. Numbers are those of segments: ``3`` is the third thousand of octets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from netlab.tcp.settings import Settings
from netlab.wire.tcp import FIN, SYN
from tests.tcp.simulation import Side, Simulation, Weather, pair

if TYPE_CHECKING:
    from netlab.tcp.segment import Segment

PAGE = Path(__file__).parents[2] / "docs" / "tcp-recovery.md"
MSS, ISS = 1000, 1000
Fate = float | None
"""What the wire does to a segment: seconds more than usual, or ``None``: it loses it."""

Weatherman = Callable[[str, int, int, float], Fate]
"""Asked with a segment's number or ``ack``, how often it came, 1 for the way of data, the time."""


class Run(Simulation):
    """A wire that asks ``fate`` about each segment."""

    def __init__(self, segments: int, fate: Weatherman, settings: Settings) -> None:
        a, b = pair(settings, iss=(ISS, 5000))
        a.mss = b.mss = MSS + (12 if settings.timestamps else 0)
        self.lines: list[Line] = []
        self.fate = fate
        self.times: dict[str, int] = {}
        client = Side(a, bytes(segments * MSS))
        client.closes = False
        server = Side(b)
        server.closes = False
        super().__init__(client, server, Weather(delay=0.02))

    def _transmit(self, to: int, segment: Segment) -> None:
        name = str((segment.seq - ISS - 1) // MSS + 1) if segment.length else "ack"
        count = self.times[name] = self.times.get(name, 0) + 1
        fate: Fate = 0.0
        if not segment.flags & (SYN | FIN) and (segment.length or to == 0):
            fate = self.fate(name, count, to, self.now)
            self._tell(to, segment, name, fate)
        if fate is None:
            return
        before, self.weather = self.weather, self.weather._replace(delay=0.02 + fate)
        super()._transmit(to, segment)
        self.weather = before

    def _tell(self, to: int, segment: Segment, name: str, fate: Fate) -> None:
        end = "lost" if fate is None else f"{fate * 1000:.0f} ms late" if fate else ""
        if to == 1:
            sender = self.sides[0].connection.sender
            again = " again" if not sender.fresh or self.times[name] > 1 else ""
            cwnd = f"{sender.congestion.cwnd / MSS:g}"
            self.lines.append(Line(self.now, again, end, [name], [cwnd]))
        else:
            ack = (segment.ack - ISS - 1) // MSS
            blocks = ", ".join(_numbers(*block) for block in segment.options.sack)
            self.lines.append(Line(self.now, None, end, [str(ack)], [blocks]))


class Line(NamedTuple):
    """Segments that left together, one after another; ``again`` is ``None`` for ACKs.

    ``words`` are the windows of data, the SACK blocks of ACKs.
    """

    at: float
    again: str | None
    end: str
    numbers: list[str]
    words: list[str]

    def joined(self, other: Line) -> bool:
        """Take ``other`` in if it continues this one."""
        alike = self[:3] == other[:3]
        step = int(other.numbers[0]) - int(self.numbers[-1])
        sacks = self.again is None and (self.words[-1] != "" or other.words[-1] != "")
        if not alike or (step != 0 if sacks else step != 1) or (sacks and not self.words[-1]):
            return False
        self.numbers.extend(other.numbers)
        self.words.extend(other.words)
        return True

    def __str__(self) -> str:
        numbers, words = _range(self.numbers), _range(self.words)
        if self.again is None:
            sack = f", SACK {words}" if words else ""
            text = f"{'':13}<----- {self.end:11} ACK {numbers}{sack}"
        else:
            text = f"{numbers + self.again:13}-----> {self.end:11} cwnd {words}"
        return f"{self.at * 1000:6.0f}  {text}"


def _range(values: list[str]) -> str:
    return values[0] if values[0] == values[-1] else f"{values[0]}..{values[-1]}"


def _numbers(left: int, right: int) -> str:
    first, last = (left - ISS - 1) // MSS + 1, (right - ISS - 1) // MSS
    return str(first) if first == last else f"{first}-{last}"


def lose(*names: str, times: int = 1) -> Weatherman:
    """The first ``times`` transmissions of these segments are lost."""
    return lambda name, count, to, _at: None if to and name in names and count <= times else 0.0


def late(name: str, seconds: float) -> Weatherman:
    """The first transmission of one segment is overtaken."""
    return lambda this, count, _to, _at: seconds if (this, count) == (name, 1) else 0.0


def stopped(_name: str, _count: int, to: int, at: float) -> Fate:
    """What is sent after the first flight waits on its way until 600 ms."""
    return max(0.58 - at, 0.0) if to and at > 0.06 else 0.0


def no_acks(name: str, count: int, to: int, _at: float) -> Fate:
    """The first ACKs of data do not come."""
    return None if not to and name == "ack" and count <= 6 else 0.0


PLAIN = Settings(timestamps=False, congestion="reno", delayed_ack=0.0)
STAMPED = PLAIN._replace(timestamps=True)
RUNS: dict[str, tuple[int, Weatherman, Settings]] = {
    "one lost": (10, lose("3"), PLAIN),
    "lost twice": (24, lose("3", times=2), PLAIN),
    "tail": (6, lose("5", "6"), PLAIN),
    "overtaken": (10, late("3", 0.008), PLAIN),
    "stopped": (14, stopped, STAMPED),
    "stopped, no timestamps": (40, stopped, PLAIN),
    "no acks": (4, no_acks, STAMPED),
}


def ladder(name: str) -> str:
    """One run as the page shows it."""
    segments, fate, settings = RUNS[name]
    run = Run(segments, fate, settings)
    run.run()
    assert len(run.sides[1].inbox) == segments * MSS
    lines: list[Line] = []
    for line in run.lines:
        if not lines or not lines[-1].joined(line):
            lines.append(line)
    return "\n".join(map(str, lines))


def filled(page: str) -> str:
    """The page with each run in its place."""

    def run(found: re.Match[str]) -> str:
        return f"<!-- run: {found[1]} -->\n```text\n{ladder(found[1])}\n```\n"

    return re.sub(r"<!-- run: (.*?) -->\n```text\n.*?```\n", run, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
