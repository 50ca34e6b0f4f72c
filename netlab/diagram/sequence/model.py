"""A conversation across all nodes, as a ladder shows it: one line down for each node.

A packet that passes several nodes is one :class:`Arrow` for each hop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from netlab.topology.model import NodeKind

State: TypeAlias = Literal["delivered", "rewritten", "dropped", "lost"]


@dataclass(frozen=True, slots=True)
class Column:
    """A node; ``subtitle`` is one short line under its name, such as an address."""

    name: str
    kind: NodeKind = "host"
    subtitle: str = ""


@dataclass(frozen=True, slots=True)
class Arrow:
    """One hop of one packet, from the node it leaves to the node it is meant for.

    ``label`` says what it is (``SYN``), ``detail`` its fields (``Seq=0 Win=65535``). ``state``:

    * ``delivered``: it arrived.
    * ``rewritten``: ``source`` sent it on under other addresses or ports; ``note`` says which.
    * ``dropped``: a node gave it up, ``at`` (``target`` if not given, else ``source``: it never
      left); ``note`` says why.
    * ``lost``: it died on the wire.

    ``packet`` is its number, by which a page leads from its row to its arrows; 0 for none.
    """

    time_ns: int
    source: str
    target: str
    label: str
    detail: str = ""
    state: State = "delivered"
    at: str = ""
    note: str = ""
    packet: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened at a node and is not a packet."""

    time_ns: int
    column: str
    text: str


@dataclass(frozen=True, slots=True)
class Ladder:
    """A whole diagram. Times are nanoseconds from any origin; the first event is shown as 0.

    Raises ``ValueError`` if two columns have one name, or an event names a column that is not
    there.
    """

    title: str
    columns: tuple[Column, ...]
    arrows: tuple[Arrow, ...]
    notes: tuple[Note, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        names = {column.name for column in self.columns}
        if len(names) < len(self.columns):
            raise ValueError("two columns of one name")
        used = [name for a in self.arrows for name in (a.source, a.target, a.at or a.source)]
        for name in (*used, *(note.column for note in self.notes)):
            if name not in names:
                raise ValueError(f"no column named {name!r}")
        for arrow in self.arrows:
            if arrow.at not in ("", arrow.source, arrow.target):
                raise ValueError(f"an arrow ends at its source or target, not at {arrow.at!r}")
