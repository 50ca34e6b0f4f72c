"""Packets' ways over the drawing of a topology: a lane for each under the wires that it takes.

Below each wire runs a ribbon of lanes, one for each way, the same on every wire, so that a way
keeps its place from card to card. What happened inside a node is on its card, where there is
room for words; the ribbon shows where the way ends.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from netlab.diagram import paths as routes
from netlab.diagram.primitives import metrics
from netlab.diagram.primitives.markup import element, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlab.diagram.paths import Leg, Way
    from netlab.diagram.topology.placement import Path
    from netlab.diagram.topology.view_model import Wire

LANE = 22
"""Distance of two lanes."""
NUMBER = 13
"""Font size of the numbers on a lane."""
MOST_LANES = 6
"""Ways that one drawing shows."""
SIDE = 8
"""Between a card and the numbers on its lanes."""
WORDS = 28
"""Columns of what happened in a node."""
MOST_LINES = 4
"""Lines of a reason on a card; all of it is in its tooltip and in the table."""


class Event(NamedTuple):
    """What happened to packets in a node, in lines of a card; ``kind`` is its icon."""

    kind: str
    lines: tuple[str, ...]


def thickness(ways: Sequence[Way]) -> int:
    """Of the ribbon under each wire."""
    return LANE * len(ways)


def depth(ways: Sequence[Way], wire: Wire) -> int:
    """How far down the lanes reach that are used under ``wire``."""
    ends = {(end.node, end.interface) for end in (wire.a, wire.b)}
    used = [
        lane
        for lane, way in enumerate(ways, 1)
        if any((leg.node, leg.interface) in ends for leg in way.legs)
    ]
    return LANE * max(used, default=0)


def room(ways: Sequence[Way], node: str, interface: str) -> int:
    """Width of the numbers where lanes leave this end of a link."""
    there = [
        _width(routes.span(way.numbers)) + SIDE
        for way in ways
        if any((leg.node, leg.interface) == (node, interface) for leg in way.legs)
    ]
    return max(there, default=0)


def events(ways: Sequence[Way], node: str) -> Iterator[Event]:
    """What the card of ``node`` says of the ways."""
    for way in ways:
        who = routes.span(way.numbers)
        for where, what in way.rewrites:
            if where == node:
                yield Event("rewritten", _lines(f"{who} {what}"))
        if way.node != node or way.ending == "onward":
            continue
        if way.ending == "arrived":
            yield Event("arrived", _lines(f"{who} arrived"))
        else:
            yield Event("died", _lines(f"{who} {way.reason}"))


def _lines(sentence: str) -> tuple[str, ...]:
    lines = metrics.wrap(sentence, WORDS)
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], metrics.shorten(lines[MOST_LINES - 1] + " …", WORDS)]
    return tuple(lines)


def draw(ways: Sequence[Way], wires: Sequence[Wire], paths: Sequence[Path]) -> Iterator[str]:
    """Every way as a group of its legs; ``data-packets`` are its numbers."""
    at = {
        (end.node, end.interface): (path, (end is wire.a) == path.left_is_a)
        for wire, path in zip(wires, paths, strict=True)
        for end in (wire.a, wire.b)
        if path.runs
    }
    for lane, way in enumerate(ways, 1):
        # A packet in a loop crosses a wire again and again, and is drawn there once.
        ends = dict.fromkeys((leg.node, leg.interface) for leg in way.legs)
        by_end = {(leg.node, leg.interface): leg for leg in way.legs}
        legs = [(by_end[end], *at[end]) for end in ends if end in at]
        parts: list[str] = []
        for number, (leg, path, rightward) in enumerate(legs, 1):
            last = number == len(legs)
            parts += _leg(way, leg, path, lane * LANE - 6, rightward=rightward, last=last)
        yield element(
            "g",
            "".join(parts),
            class_="way",
            data_packets=" ".join(map(str, way.numbers)),
        )


def _leg(
    way: Way, leg: Leg, path: Path, down: int, *, rightward: bool, last: bool
) -> Iterator[str]:
    dies = last and way.dead
    colour = "danger" if dies else "nat" if leg.rewritten else "router"
    first, final = path.runs[0], path.runs[-1]
    start = (first.x0, first.y + down) if rightward else (final.x1, final.y + down)
    end = (final.x1, final.y + down) if rightward else (first.x0, first.y + down)
    ahead = 1 if rightward else -1
    line = f"M{first.x0} {first.y + down}H{first.x1}"
    for run, following in zip(path.runs, path.runs[1:], strict=False):
        middle = (run.x1 + following.x0) // 2
        line += (
            f"C{middle} {run.y + down} {middle} {following.y + down} "
            f"{following.x0} {following.y + down}H{following.x1}"
        )
    yield element("path", d=line, class_=f"n s-{colour} lane", stroke_width=3)
    if dies:
        # What is lost on the wire dies in its middle, what a node gives up at the node's edge.
        on_wire = way.ending == "lost"
        x, y = _middle(path, down) if on_wire else (end[0] - 15 * ahead, end[1])
        if not on_wire and way.node == leg.node:
            x, y = start[0] + 15 * ahead, start[1]
        yield _cross(x, y)
    else:
        yield element("path", d=f"M{end[0]} {end[1]}l{-13 * ahead} -7v14z", class_=f"f-{colour}")
    number = routes.span(way.numbers)
    if number and not (dies and way.node == leg.node):
        yield from _number(number, start[0] + SIDE * ahead, start[1], colour, rightward=rightward)


def _middle(path: Path, down: int) -> tuple[float, float]:
    """The middle of the way's longest straight piece."""
    run = max(path.runs, key=lambda run: run.x1 - run.x0)
    return (run.x0 + run.x1) / 2, run.y + down


def _cross(x: float, y: float) -> str:
    return element(
        "path",
        d=f"M{x - 8:g} {y - 8:g}l16 16m0 -16l-16 16",
        class_="n s-danger",
        stroke_width=4.5,
        stroke_linecap="round",
    )


def _width(number: str) -> int:
    return ceil(metrics.mono(number, NUMBER)) + 14


def _number(number: str, x: float, y: float, colour: str, *, rightward: bool) -> Iterator[str]:
    """The numbers of the packets, where their lane leaves a card."""
    width = _width(number)
    left = x if rightward else x - width
    yield element(
        "rect",
        x=left,
        y=y - 9,
        width=width,
        height=18,
        rx=9,
        class_=f"f-{colour}-tint s-{colour}",
        stroke_width=1.2,
    )
    middle = left + width / 2
    yield text(
        middle, y + 4.5, number, size=NUMBER, anchor="middle", mono=True, colour=colour, bold=True
    )
