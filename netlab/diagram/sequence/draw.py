"""A ladder as text, SVG or Mermaid: time runs downward.

Hops that follow each other are drawn in one row, so that a packet's whole way is seen at a
glance: where it was rewritten, and where it died.

Each function returns the whole document, which ends in a newline; equal ladders give equal
documents, byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlab.diagram.sequence.model import Ladder


def text(ladder: Ladder, *, width: int = 100, unicode: bool = True) -> str:
    """Monospaced lines, at most ``width`` columns wide if there are up to seven columns."""
    from netlab.diagram.sequence import text as drawing

    return drawing.draw(ladder, width=width, unicode=unicode)


def svg(ladder: Ladder) -> str:
    """A picture for a slide or a page: self-contained, dark or light as the reader prefers."""
    from netlab.diagram.sequence import svg as drawing

    return drawing.draw(ladder)


def mermaid(ladder: Ladder) -> str:
    """A Mermaid ``sequenceDiagram``."""
    from netlab.diagram.sequence import mermaid as drawing

    return drawing.draw(ladder)
