"""The topology in the language of Graphviz: ``netlab graph lab.yaml --format dot | dot -Tpdf``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.diagram.primitives.markup import LIGHT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.diagram.topology.view_model import Card, Portrait, Realm
    from netlab.topology.model import NodeKind

_SHAPES: dict[NodeKind, str] = {
    "host": "box",
    "router": "ellipse",
    "nat": "hexagon",
    "bridge": "box3d",
    "stack": "component",
    "inline": "cds",
}


def draw(portrait: Portrait) -> str:
    """The whole ``graph``."""
    return "\n".join(_lines(portrait)) + "\n"


def quote(text: str) -> str:
    r"""A double-quoted string (Graphviz language, "ID"): only ``"`` and ``\`` mean anything."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _lines(portrait: Portrait) -> Iterator[str]:
    title = "\n".join(filter(None, (portrait.title, portrait.description)))
    yield f"graph {quote(portrait.title)} {{"
    yield f"  graph [rankdir=LR, labelloc=t, fontname=sans, label={quote(title)}]"
    yield "  node [fontname=sans, style=filled, penwidth=2]"
    yield "  edge [fontname=monospace, fontsize=10, penwidth=1.5]"
    yield from _realm(portrait, (), "  ")
    for wire in portrait.wires:
        attributes = {
            "taillabel": "\n".join((wire.a.interface, *wire.a.notes)),
            "headlabel": "\n".join((wire.b.interface, *wire.b.notes)),
            "label": "\n".join(wire.notes),
        }
        given = ", ".join(f"{name}={quote(text)}" for name, text in attributes.items() if text)
        # Room for the labels at both ends.
        yield f"  {quote(wire.a.node)} -- {quote(wire.b.node)} [{given}, minlen=3]"
    yield "}"


def _realm(portrait: Portrait, realm: Realm, indent: str) -> Iterator[str]:
    """The nodes of one realm, and the realms inside it as clusters."""
    for card in portrait.cards:
        if card.realm == realm:
            yield f"{indent}{_node(card)}"
    for inner in portrait.realms:
        if inner[:-1] == realm:
            yield f"{indent}subgraph {quote(f'cluster {inner[-1]}')} {{"
            yield f"{indent}  label={quote(f'inside {inner[-1]}')}; style=dashed"
            yield from _realm(portrait, inner, indent + "  ")
            yield f"{indent}}}"


def _node(card: Card) -> str:
    lines = [card.name, card.kind, *card.networks, *card.devices]
    lines += [f"{mark.kind}: {' '.join(mark.lines)}" for mark in card.marks]
    lines += card.programs
    tint, colour = LIGHT[f"{card.kind}-tint"], LIGHT[card.kind]
    return (
        f"{quote(card.name)} [shape={_SHAPES[card.kind]}, label={quote(chr(10).join(lines))}, "
        f"color={quote(colour)}, fillcolor={quote(tint)}]"
    )
