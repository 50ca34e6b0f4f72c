"""The topology as a Mermaid flowchart, which GitHub, GitLab and many editors draw in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.diagram.primitives.markup import LIGHT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.diagram.topology.view_model import Card, Portrait, Realm
    from netlab.topology.model import NodeKind

_SHAPES: dict[NodeKind, tuple[str, str]] = {
    "host": ("[", "]"),
    "router": ("([", "])"),
    "nat": ("{{", "}}"),
    "bridge": ("[[", "]]"),
    "stack": ("[/", "/]"),
    "inline": ("([", "])"),
}


def draw(portrait: Portrait) -> str:
    """The whole ``flowchart``."""
    return "\n".join(_lines(portrait)) + "\n"


def quote(lines: list[str]) -> str:
    """A quoted label; everything that Mermaid or HTML could read as its own becomes an entity."""
    return '"' + "<br>".join(escape(line) for line in lines) + '"'


def escape(text: str) -> str:
    """``text`` with Mermaid's numeric entities (``#35;``) for all but harmless characters."""
    return "".join(c if c.isalnum() or c in " .,:/-_()=→⇄✗" else f"#{ord(c)};" for c in text)


def _lines(portrait: Portrait) -> Iterator[str]:
    # Node names may be words of the language ("end"), so ids are numbered.
    ids = {card.name: f"n{number}" for number, card in enumerate(portrait.cards)}
    yield "flowchart LR"
    yield f"  accTitle: {_prose(portrait.title)}"
    if portrait.description:
        yield f"  accDescr: {_prose(portrait.description)}"
    yield from _realm(portrait, (), ids, "  ")
    for wire in portrait.wires:
        label = [
            " ".join((wire.a.interface, *wire.a.notes)),
            *wire.notes,
            " ".join((wire.b.interface, *wire.b.notes)),
        ]
        yield f"  {ids[wire.a.node]} ---|{quote(label)}| {ids[wire.b.node]}"
    for kind in dict.fromkeys(card.kind for card in portrait.cards):
        style = f"fill:{LIGHT[f'{kind}-tint']},stroke:{LIGHT[kind]},color:{LIGHT['ink']}"
        yield f"  classDef {kind} {style}"
        yield f"  class {','.join(ids[c.name] for c in portrait.cards if c.kind == kind)} {kind}"


def _prose(text: str) -> str:
    """``text`` for a statement that ends with its line and knows no quotes."""
    return " ".join(text.replace("#", " ").replace(";", ",").replace("%%", "%").split())


def _realm(portrait: Portrait, realm: Realm, ids: dict[str, str], indent: str) -> Iterator[str]:
    """The nodes of one realm, and the realms inside it as subgraphs."""
    for card in portrait.cards:
        if card.realm == realm:
            opening, closing = _SHAPES[card.kind]
            yield f"{indent}{ids[card.name]}{opening}{quote(_content(card))}{closing}"
    for inner in portrait.realms:
        if inner[:-1] == realm:
            yield f"{indent}subgraph r{ids[inner[-1]]}[{quote([f'inside {inner[-1]}'])}]"
            yield from _realm(portrait, inner, ids, indent + "  ")
            yield f"{indent}end"


def _content(card: Card) -> list[str]:
    return [
        card.name,
        card.kind,
        *card.networks,
        *card.devices,
        *(f"{mark.kind}: {' '.join(mark.lines)}" for mark in card.marks),
        *card.programs,
    ]
