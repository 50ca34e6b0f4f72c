"""The rows of a ladder, independent of the output format."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from netlab.diagram.sequence.model import Arrow, Note

if TYPE_CHECKING:
    from netlab.diagram.sequence.model import Ladder

Style: TypeAlias = Literal["detail", "nat", "danger"]


@dataclass(frozen=True, slots=True)
class Leg:
    """An arrow of a row, between columns ``start`` and ``end`` (indices).

    ``cross`` is where it dies, as a part of its way: 1 at its target, 0.5 on the wire, 0 at its
    source; ``None`` if it arrives. ``repeats`` says that the leg before it in its row has the
    same label; ``below`` are the texts under it.
    """

    start: int
    end: int
    rewritten: bool
    cross: float | None
    label: str
    repeats: bool
    below: tuple[tuple[Style, str], ...]

    @property
    def above(self) -> str:
        """The text above it, where what was said already is left out."""
        return "" if self.repeats else self.label


@dataclass(frozen=True, slots=True)
class Row:
    """Legs of one packet, or a note at column ``at``; ``time_ns`` counts from the first event.

    ``packet`` is the packet's number, 0 if it has none.
    """

    time_ns: int
    legs: tuple[Leg, ...] = ()
    at: int = 0
    text: str = ""
    packet: int = 0


def rows(ladder: Ladder) -> list[Row]:
    """The rows of ``ladder`` by time; of events at one time, arrows first, as they were given."""
    index = {column.name: number for number, column in enumerate(ladder.columns)}
    events: list[Arrow | Note] = sorted(
        (*ladder.arrows, *ladder.notes), key=lambda event: event.time_ns
    )
    origin = events[0].time_ns if events else 0
    found: list[Row] = []
    previous: Arrow | None = None
    for event in events:
        time = event.time_ns - origin
        if isinstance(event, Note) or event.source == event.target:
            packet = event.packet if isinstance(event, Arrow) else 0
            found.append(Row(time, at=index[_place(event)], text=_story(event), packet=packet))
            previous = None
            continue
        start, end = index[event.source], index[event.target]
        follows = previous is not None and _follows(previous, event, found[-1].legs[-1], end)
        leg = _leg(event, start, end, previous if follows else None)
        if follows:
            found[-1] = replace(found[-1], legs=(*found[-1].legs, leg))
        else:
            found.append(Row(time, (leg,), packet=event.packet))
        previous = event
    return found


def _place(event: Arrow | Note) -> str:
    return event.column if isinstance(event, Note) else event.source


def _story(event: Arrow | Note) -> str:
    if isinstance(event, Note):
        return event.text
    mark = {"dropped": "✗ ", "lost": "✗ ", "rewritten": "⇄ "}.get(event.state, "")
    return " ".join(filter(None, (event.label, event.detail, mark + event.note)))


def _follows(previous: Arrow, arrow: Arrow, leg: Leg, end: int) -> bool:
    """Whether ``arrow`` is the next hop of the same packet and goes on in its direction."""
    return (
        previous.state in ("delivered", "rewritten")
        and previous.target == arrow.source
        and (previous.label == arrow.label or arrow.state == "rewritten")
        and (leg.end > leg.start) == (end > leg.end)
    )


def _leg(arrow: Arrow, start: int, end: int, previous: Arrow | None) -> Leg:
    """The leg of an arrow; details that its previous hop has shown are left out."""
    cross = None
    if arrow.state == "lost":
        cross = 0.5
    elif arrow.state == "dropped":
        cross = 0.0 if arrow.at == arrow.source else 1.0
    below: list[tuple[Style, str]] = []
    if arrow.detail and not (previous and previous.detail == arrow.detail):
        below.append(("detail", arrow.detail))
    if arrow.state == "rewritten":
        below.append(("nat", f"⇄ {arrow.note}".rstrip()))
    elif cross is not None:
        below.append(("danger", f"✗ {arrow.note or arrow.state}"))
    elif arrow.note:
        below.append(("detail", arrow.note))
    return Leg(
        start,
        end,
        rewritten=arrow.state == "rewritten",
        cross=cross,
        label=arrow.label,
        repeats=previous is not None and previous.label == arrow.label,
        below=tuple(below),
    )


def clock(time_ns: int) -> str:
    """A duration in the unit that suits it: ``0``, ``250 µs``, ``1.25 ms``, ``3 s``."""
    for unit, size in (("s", 10**9), ("ms", 10**6), ("µs", 10**3)):
        if time_ns >= size:
            return f"{time_ns / size:.4g} {unit}"
    return f"{time_ns} ns" if time_ns else "0"
