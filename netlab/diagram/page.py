"""A report as one HTML file: no network, dark and light, for a phone, a projector and paper.

A page is sections of blocks. All of it can be read and reached without a script; the script adds
what only a script can: a switch between dark and light, buttons that copy commands, and a
packet's way and arrows lit up from its row. A content security policy in the page itself allows
that script, that style and nothing else.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from netlab.diagram.assets import RULES, SCRIPT
from netlab.diagram.primitives.markup import (
    DARK,
    LIGHT,
    MONO,
    SANS,
    escape,
    inside,
    page_style,
    variables,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Prose(NamedTuple):
    """Markdown."""

    markdown: str


class Picture(NamedTuple):
    """An SVG document; ``words`` say what it shows. ``key`` is what links point at."""

    svg: str
    words: str
    key: str = ""


class Link(NamedTuple):
    """Text that leads to a key of the page (``#KEY``) or to a file beside it.

    Its state colours it: ``good``, ``bad`` or empty.
    """

    text: str
    target: str
    state: str = ""


Cell: TypeAlias = str | Link


class Grid(NamedTuple):
    """A table. A row's state colours it: ``good``, ``bad`` or empty.

    ``keys`` are what links to the rows point at; ``packets`` the numbers of the packets that they
    are about, by which they belong to the ways and arrows of the section's drawings. A long one is
    folded, unless it ``is_open`` or ``dense``: many small cells, which are seen together.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    states: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    packets: tuple[str, ...] = ()
    is_open: bool = False
    dense: bool = False


class Code(NamedTuple):
    """Lines to be typed (each begins with ``$``), or what was printed."""

    text: str


class Badge(NamedTuple):
    """A word with a state: ``good`` or ``bad``."""

    text: str
    state: str


Block: TypeAlias = Prose | Picture | Grid | Code | Badge


class Section(NamedTuple):
    """A section with a heading; ``key`` is what links point at."""

    key: str
    title: str
    blocks: tuple[Block, ...]


class Page(NamedTuple):
    """A whole document; ``up`` leads to the page that it belongs to."""

    title: str
    lead: tuple[Block, ...]
    sections: tuple[Section, ...]
    foot: str = ""
    up: Link | None = None


FOLDED = 40
"""Rows from which on a table is folded."""


def html(page: Page) -> str:
    """The document; equal pages give equal documents."""
    return "\n".join(_document(page)) + "\n"


def _document(page: Page) -> Iterator[str]:
    title, style = escape(page.title), _style()
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(SCRIPT)}'; base-uri 'none'; form-action 'none'"
    )
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield '<link rel="icon" href="data:,">'
    yield f"<title>{title}</title><style>{style}</style></head><body>"
    yield '<a class="skip" href="#content">To the content</a>'
    up = f'<p class="up">{_cell(page.up)}</p>' if page.up else ""
    yield f"<header>{up}<h1>{title}</h1>{_blocks(page.lead)}"
    links = "".join(f'<li><a href="#{s.key}">{escape(s.title)}</a></li>' for s in page.sections)
    yield f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>'
    yield '<main id="content">'
    for section in page.sections:
        yield f'<section id="{section.key}"><h2>{escape(section.title)}</h2>'
        yield f"{_blocks(section.blocks)}</section>"
    yield f"</main><footer>{escape(page.foot)}</footer>"
    yield f"<script>{SCRIPT}</script></body></html>"


def _hash(content: str) -> str:
    """As a content security policy names what is inline (CSP Level 3, section 2.3.1)."""
    return "sha256-" + b64encode(sha256(content.encode()).digest()).decode()


def _blocks(blocks: Iterable[Block]) -> str:
    return "\n".join(_block(block) for block in blocks)


def _block(block: Block) -> str:
    match block:
        case Prose(text):
            return f'<div class="prose">{prose(text)}</div>'
        case Picture(svg, words, key):
            named = f' id="{key}"' if key else ""
            drawing = inside(svg, key or sha256(svg.encode()).hexdigest()[:8])
            return f"<figure{named} {_wide(words)}>{drawing}</figure>"
        case Grid():
            return _grid(block)
        case Code(text):
            return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'
        case Badge(text, state):
            return f'<p class="badge {state}">{escape(text)}</p>'


def _wide(words: str) -> str:
    """What is wider than the screen is scrolled by itself, by keyboard too."""
    return f'class="wide" tabindex="0" role="group" aria-label="{escape(words[:80])}"'


def _grid(grid: Grid) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in grid.head)
    nothing = ("",) * len(grid.rows)
    rows = "".join(
        f"<tr{_attributes(id=key, class_=state, data_packets=packets)}>"
        + "".join(f"<td>{_cell(cell)}</td>" for cell in row)
        + "</tr>"
        for row, state, key, packets in zip(
            grid.rows,
            grid.states or nothing,
            grid.keys or nothing,
            grid.packets or nothing,
            strict=True,
        )
    )
    opening = "<table" + _attributes(class_="dense" if grid.dense else "") + ">"
    table = f"{opening}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    whole = f"<div {_wide(', '.join(grid.head))}>{table}</div>"
    if grid.is_open or grid.dense or len(grid.rows) < FOLDED:
        return whole
    return f"<details><summary>{len(grid.rows)} rows</summary>{whole}</details>"


def _attributes(**values: str) -> str:
    return "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for name, value in values.items()
        if value
    )


def _cell(cell: Cell) -> str:
    if isinstance(cell, Link):
        attributes = _attributes(href=cell.target, class_=cell.state)
        return f"<a{attributes}>{escape(cell.text)}</a>"
    return escape(cell)


def prose(markdown: str) -> str:
    """Markdown as HTML; HTML in it is text, and its headings rank below the page's."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False})
    tokens = parser.parse(markdown)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
    rendered: str = parser.renderer.render(tokens, parser.options, {})
    return rendered


def _style() -> str:
    light, dark = variables(LIGHT), variables(DARK)
    return (
        f":root{{{light}color-scheme:light dark}}"
        f"@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"
        f":root[data-scheme=light]{{{light}color-scheme:light}}"
        f":root[data-scheme=dark]{{{dark}color-scheme:dark}}"
        f"@media print{{:root,:root[data-scheme]{{{light}color-scheme:light}}}}"
        f"{page_style()}{RULES.replace('SANS', SANS).replace('MONO', MONO)}"
    )
