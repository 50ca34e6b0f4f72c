"""PURE: the page as the server sends it: the drawing and the last state, without a script, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

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
    from collections.abc import Iterator, Sequence

    from netlab.serve.roles import Role

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
TERMINAL_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
"""xterm.js writes style elements; the terminal has a page of its own, without words of a lab."""

LAST = 30
"""Packets that a page without a script shows."""


class Shell(NamedTuple):
    """What the page is made of before any script runs."""

    lab: str
    role: Role
    svg: str
    journeys: Sequence[dict[str, Any]]
    lesson: dict[str, Any] | None
    story: str = ""
    """HTML, made of Markdown by a renderer that lets no HTML through."""


def style_sheet(rules: str) -> str:
    """The style sheet, the palette of all drawings before it."""
    colours = (
        f":root{{color-scheme:light dark;{variables(LIGHT)}}}"
        f"@media(prefers-color-scheme:dark){{:root{{{variables(DARK)}}}}}"
        f":root[data-scheme=light]{{color-scheme:light;{variables(LIGHT)}}}"
        f":root[data-scheme=dark]{{color-scheme:dark;{variables(DARK)}}}"
    )
    return colours + page_style() + rules.replace("SANS", SANS).replace("MONO", MONO)


def html(shell: Shell) -> str:
    """The document."""
    return "\n".join(_document(shell)) + "\n"


def _document(shell: Shell) -> Iterator[str]:
    title = escape(shell.lab)
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield '<link rel="icon" href="data:,"><link rel="stylesheet" href="/static/app.css">'
    yield f"<title>{title} - netlab</title>"
    yield '<script type="module" src="/static/app.mjs"></script></head>'
    yield f'<body data-role="{shell.role}">'
    yield '<a class="skip" href="#stage">To the lab</a>'
    yield f'<header><h1>{title}</h1><p id="connection" role="status">last state</p>'
    yield '<div id="head-buttons"></div></header><main>'
    if shell.lesson:
        yield '<section id="lesson" aria-labelledby="lesson-title">'
        yield f'<h2 id="lesson-title">{escape(shell.lesson["title"])}</h2>'
        yield '<div id="lesson-step" aria-live="polite"></div>'
        yield f'<details id="story" open><summary>The story</summary>{shell.story}</details>'
        yield "</section>"
    yield '<div class="column"><section id="stage" aria-labelledby="stage-title">'
    yield '<h2 id="stage-title">The lab</h2>'
    yield '<div id="controls"></div>'
    yield f'<div class="wide" id="drawing">{inside(shell.svg, "drawn")}</div>'
    yield '<p id="fate" role="status"></p><p id="shown" class="muted"></p></section>'
    yield from _memory()
    if shell.role == "teacher":
        yield '<section id="terminals" aria-labelledby="terminals-title">'
        yield '<h2 id="terminals-title">Terminals</h2><div id="terminal-list"></div></section>'
    yield "</div>"
    yield '<div class="column"><section id="packets" aria-labelledby="packets-title">'
    yield '<h2 id="packets-title">Packets</h2><div id="packet-list" class="wide">'
    yield "<noscript><p>Without JavaScript this is the last state: reload for a newer one.</p>"
    yield "<table><thead><tr><th>packet<th>what<th>its end</tr></thead><tbody>"
    for one in shell.journeys[-LAST:][::-1]:
        yield (
            f"<tr><td>#{int(one['id'])}<td>{escape(one['label'])}"
            f"<td>{escape(one['end']['sentence'])}</tr>"
        )
    yield '</tbody></table></noscript></div><div id="packet" aria-live="polite"></div></section>'
    if shell.role == "teacher":
        yield '<section id="deeds" aria-labelledby="deeds-title">'
        yield '<h2 id="deeds-title">Do something</h2><div id="forms"></div>'
        yield '<div id="done" aria-live="polite"></div></section>'
    yield "</div></main></body></html>"


def _memory() -> Iterator[str]:
    """The conversation that is chosen, and the tables of nodes."""
    yield '<section id="ladder" aria-labelledby="ladder-title" hidden>'
    yield '<h2 id="ladder-title">The conversation</h2><div class="wide" id="ladder-drawing"></div>'
    yield "</section>"
    yield '<section id="tables" aria-labelledby="tables-title">'
    yield '<h2 id="tables-title">What nodes remember</h2><div id="table-list"></div></section>'
    yield '<section id="connections" aria-labelledby="connections-title" hidden>'
    yield '<h2 id="connections-title">Connections of netlab\'s TCP</h2>'
    yield '<div id="connection-list"></div></section>'


def terminal_html(node: str) -> str:
    """The page of one terminal; a frame of the other."""
    name = escape(node)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{name}</title>"
        '<link rel="icon" href="data:,">'
        '<link rel="stylesheet" href="/static/vendor/xterm.css">'
        '<link rel="stylesheet" href="/static/terminal.css">'
        '<script type="module" src="/static/terminal.mjs"></script></head>'
        f'<body data-node="{name}"><div id="terminal"></div></body></html>\n'
    )


def refusal() -> str:
    """What a request without a token gets."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>netlab</title>'
        "<p>This page needs the whole address that <code>netlab serve</code> printed, "
        "with its token.</p></html>\n"
    )
