"""A report as one HTML file: no network, no script needed, dark and light, for print and phone.

A page is sections of blocks. Pictures are SVG documents and are embedded as images, so that the
identifiers and styles of one do not meet those of another; what they show is said in words, too.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from netlab.report.ink.markup import DARK, LIGHT, MONO, SANS, escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Prose(NamedTuple):
    """Markdown."""

    markdown: str


class Picture(NamedTuple):
    """An SVG document; ``words`` say what it shows."""

    svg: str
    words: str


class Grid(NamedTuple):
    """A table. A row's state colours it: ``good``, ``bad`` or empty."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    states: tuple[str, ...] = ()


class Code(NamedTuple):
    """Lines to be typed, or what was printed."""

    text: str


class Badge(NamedTuple):
    """A word with a state: ``good`` or ``bad``."""

    text: str
    state: str


Block: TypeAlias = Prose | Picture | Grid | Code | Badge


class Section(NamedTuple):
    """A part with a heading of its own; ``key`` is what links point at."""

    key: str
    title: str
    blocks: tuple[Block, ...]


class Page(NamedTuple):
    """A whole document."""

    title: str
    lead: tuple[Block, ...]
    sections: tuple[Section, ...]
    foot: str = ""


def html(page: Page) -> str:
    """The document; equal pages give equal documents."""
    return "\n".join(_document(page)) + "\n"


def _document(page: Page) -> Iterator[str]:
    title = escape(page.title)
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield '<link rel="icon" href="data:,">'
    yield f"<title>{title}</title><style>{_style()}</style></head><body>"
    yield '<a class="skip" href="#content">To the content</a>'
    yield f"<header><h1>{title}</h1>{_blocks(page.lead)}"
    links = "".join(f'<li><a href="#{s.key}">{escape(s.title)}</a></li>' for s in page.sections)
    yield f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>'
    yield '<main id="content">'
    for section in page.sections:
        yield f'<section id="{section.key}"><h2>{escape(section.title)}</h2>'
        yield f"{_blocks(section.blocks)}</section>"
    yield f"</main><footer>{escape(page.foot)}</footer></body></html>"


def _blocks(blocks: Iterable[Block]) -> str:
    return "\n".join(_block(block) for block in blocks)


def _block(block: Block) -> str:
    match block:
        case Prose(text):
            return f'<div class="prose">{prose(text)}</div>'
        case Picture(svg, words):
            data = b64encode(svg.encode()).decode()
            image = f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(words)}">'
            # What is wider than the screen is scrolled by itself, by keyboard too.
            label = escape(words[:80])
            return f'<div class="wide" tabindex="0" role="group" aria-label="{label}">{image}</div>'
        case Grid():
            return _grid(block)
        case Code(text):
            return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'
        case Badge(text, state):
            return f'<p class="badge {state}">{escape(text)}</p>'


def _grid(grid: Grid) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in grid.head)
    states = grid.states or ("",) * len(grid.rows)
    rows = "".join(
        f'<tr class="{state}">' + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row, state in zip(grid.rows, states, strict=True)
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    label = escape(", ".join(grid.head))
    return f'<div class="wide" tabindex="0" role="group" aria-label="{label}">{table}</div>'


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
    def colours(palette: dict[str, str]) -> str:
        return "".join(f"--{name}:{value};" for name, value in palette.items())

    return (
        f":root{{{colours(LIGHT)}color-scheme:light dark}}"
        f"@media(prefers-color-scheme:dark){{:root{{{colours(DARK)}}}}}"
        f"{_RULES.replace('SANS', SANS).replace('MONO', MONO)}"
    )


_RULES = """
*{box-sizing:border-box}
html{scroll-behavior:smooth}
body{margin:0 auto;max-width:72rem;padding:1.5rem clamp(1rem,4vw,3rem);background:var(--paper);
color:var(--ink);font:1.05rem/1.6 SANS;overflow-wrap:anywhere}
h1{font-size:clamp(1.5rem,4vw,2.4rem);line-height:1.2;margin:.5rem 0 1rem}
h2{font-size:1.5rem;line-height:1.25;margin:3rem 0 1rem;padding-top:1rem;
border-top:1px solid var(--faint)}
h3{font-size:1.15rem;margin:1.5rem 0 .5rem}
.prose{max-width:46rem}
a{color:var(--host)}
a:focus-visible,[tabindex]:focus-visible{outline:3px solid var(--host);outline-offset:2px}
.skip{position:absolute;left:-99rem}
.skip:focus{position:static}
nav ul{display:flex;flex-wrap:wrap;gap:.4rem 1.2rem;padding:0;margin:1rem 0;list-style:none}
.badge{display:inline-block;margin:.2rem 0;padding:.2rem .8rem;border-radius:1rem;font-weight:700;
border:2px solid}
.good.badge{color:var(--router);background:var(--router-tint)}
.bad.badge{color:var(--danger);background:var(--danger-tint)}
.wide{overflow-x:auto;margin:1rem 0;border:1px solid var(--faint);border-radius:.5rem}
.wide img{display:block;margin:0 auto;max-width:none;height:auto}
@media(min-width:60rem){.wide img{max-width:100%}}
table{border-collapse:collapse;width:100%;min-width:36rem;font-size:.95rem}
th,td{text-align:left;vertical-align:top;padding:.5rem .8rem;border-bottom:1px solid var(--faint);
overflow-wrap:break-word}
td:first-child{white-space:nowrap}
tr:last-child td{border-bottom:0}
tr.good td:first-child{color:var(--router);font-weight:700}
tr.bad td{background:var(--danger-tint)}
tr.bad td:first-child{color:var(--danger);font-weight:700}
pre{overflow-x:auto;padding:1rem;border-radius:.5rem;border:1px solid var(--faint);
background:var(--host-tint);font:.9rem/1.5 MONO;overflow-wrap:normal}
code{font-family:MONO;font-size:.92em}
footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--faint);color:var(--muted);
font-size:.9rem}
@media print{table{min-width:0}body{max-width:none;font-size:10pt;padding:0}nav,.skip{display:none}
.wide,pre{overflow:visible;border:0;break-inside:avoid}.wide img{max-width:100%}
pre{white-space:pre-wrap}h2,h3{break-after:avoid}}
"""
