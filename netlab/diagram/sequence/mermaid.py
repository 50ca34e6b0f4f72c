"""A ladder in Mermaid's language for sequence diagrams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.diagram.sequence.rows import clock, rows
from netlab.diagram.topology.mermaid import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.diagram.sequence.model import Ladder
    from netlab.diagram.sequence.rows import Leg


def draw(ladder: Ladder) -> str:
    """The whole ``sequenceDiagram``."""
    return "\n".join(_lines(ladder)) + "\n"


def _lines(ladder: Ladder) -> Iterator[str]:
    yield "sequenceDiagram"
    if ladder.title:
        yield f"  title {escape(ladder.title)}"
    for number, column in enumerate(ladder.columns):
        name = "<br/>".join(escape(part) for part in (column.name, column.subtitle) if part)
        yield f"  participant c{number} as {name}"
    for row in rows(ladder):
        if not row.legs:
            yield f"  Note over c{row.at}: {escape(' '.join(row.text.split())) or ' '}"
        for number, leg in enumerate(row.legs):
            yield from _leg(leg, "" if number else f"{clock(row.time_ns)}, ")


def _leg(leg: Leg, time: str) -> Iterator[str]:
    below = [escape(" ".join(text.split())) for _, text in leg.below]
    if leg.rewritten:
        yield f"  Note over c{leg.start}: {below.pop()}"
    head = "->>" if leg.cross is None else "-x" if leg.cross in (0, 1) else "--x"
    label = "<br/>".join(filter(None, (time + escape(" ".join(leg.label.split())), *below)))
    yield f"  c{leg.start}{head}c{leg.end}: {label or ' '}"
