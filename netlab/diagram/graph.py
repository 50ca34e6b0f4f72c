"""A topology, drawn: the four formats of ``netlab graph``.

Each function takes a :class:`~netlab.topology.model.Topology` and returns the whole document,
which ends in a newline. Equal topologies give equal documents, byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.diagram.topology import dot as _dot
from netlab.diagram.topology import mermaid as _mermaid
from netlab.diagram.topology import svg as _svg
from netlab.diagram.topology import text as _text
from netlab.diagram.topology.view_model import portray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.diagram.paths import Way
    from netlab.topology.model import Topology


def text(topology: Topology, *, width: int = 100, unicode: bool = True) -> str:
    """A picture in box characters if it fits ``width`` columns, else a list.

    ``unicode=False`` keeps to ASCII, for terminals and files without Unicode.
    """
    return _text.draw(portray(topology), width=width, unicode=unicode)


def svg(topology: Topology, ways: Sequence[Way] = (), *, marked: bool = False) -> str:
    """A picture for a slide or a page: self-contained, dark or light as the reader prefers.

    With ``ways`` it shows where packets went, where they were rewritten and where they died.
    ``marked`` says of each card and wire what it is, for a script that animates them:
    ``data-node``, and ``data-left`` and ``data-right`` with the ends of the wire.
    """
    return _svg.draw(portray(topology), ways, marked=marked)


def dot(topology: Topology) -> str:
    """The Graphviz language."""
    return _dot.draw(portray(topology))


def mermaid(topology: Topology) -> str:
    """A Mermaid flowchart, which Markdown viewers draw."""
    return _mermaid.draw(portray(topology))
