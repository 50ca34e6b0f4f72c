"""SVG markup, and the one palette of all drawings."""

from __future__ import annotations

import re
from html import escape as _escape

SANS = "'Segoe UI',Roboto,'Helvetica Neue',Arial,'DejaVu Sans',sans-serif"
MONO = "ui-monospace,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"

# Contrast of each text colour with its background is at least 4.5 to 1 (WCAG 2.1, 1.4.3).
LIGHT = {
    "paper": "#ffffff",
    "card": "#ffffff",
    "ink": "#0f172a",
    "muted": "#475569",
    "line": "#475569",
    "faint": "#cbd5e1",
    "host": "#1d4ed8",
    "router": "#0f766e",
    "nat": "#b45309",
    "bridge": "#6d28d9",
    "stack": "#be185d",
    "inline": "#0e7490",
    "danger": "#b91c1c",
    "host-tint": "#eff6ff",
    "router-tint": "#f0fdfa",
    "nat-tint": "#fffbeb",
    "bridge-tint": "#f5f3ff",
    "stack-tint": "#fdf2f8",
    "inline-tint": "#ecfeff",
    "danger-tint": "#fef2f2",
}
DARK = {
    "paper": "#0b1220",
    "card": "#111a2e",
    "ink": "#f1f5f9",
    "muted": "#a8b5c8",
    "line": "#94a3b8",
    "faint": "#334155",
    "host": "#7cb0ff",
    "router": "#4fd1c0",
    "nat": "#fbbf4a",
    "bridge": "#bca4ff",
    "stack": "#f78fc4",
    "inline": "#67d4f0",
    "danger": "#ff8a8a",
    "host-tint": "#12203f",
    "router-tint": "#0c2a2b",
    "nat-tint": "#2a2110",
    "bridge-tint": "#1f1a3a",
    "stack-tint": "#301428",
    "inline-tint": "#0a2833",
    "danger-tint": "#331517",
}


SHAPES = (
    f"text{{font-family:{SANS}}}.m{{font-family:{MONO};white-space:pre}}"
    ".b{font-weight:700}.n{fill:none}"
)
"""How texts and lines look; the colours are the palette's."""


def style() -> str:
    """The style sheet: ``f-NAME`` fills, ``s-NAME`` strokes with a colour of the palette.

    Plain classes and not custom properties, which librsvg and Inkscape do not know.
    """

    def rules(palette: dict[str, str]) -> str:
        return "".join(
            f".f-{name}{{fill:{colour}}}.s-{name}{{stroke:{colour}}}"
            for name, colour in palette.items()
        )

    return (
        f"<style>{SHAPES}{rules(LIGHT)}@media (prefers-color-scheme:dark){{{rules(DARK)}}}</style>"
    )


def escape(content: str) -> str:
    """``content`` as XML text or attribute; what XML 1.0 cannot hold (section 2.2) is left out."""
    return _escape("".join(c for c in content if c.isprintable() or c == "\n"))


def element(name: str, content: str = "", **attributes: object) -> str:
    """One element; ``_`` in an attribute name means ``-``; a trailing one is dropped."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{given}>{content}</{name}>" if content else f"<{name}{given}/>"


def _number(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def text(
    x: float,
    y: float,
    content: str,
    *,
    size: float,
    colour: str = "ink",
    anchor: str | None = None,
    mono: bool = False,
    bold: bool = False,
) -> str:
    """A line of text, its baseline at ``y``."""
    classes = f"f-{colour}" + (" m" if mono else "") + (" b" if bold else "")
    return element(
        "text", escape(content), x=x, y=y, class_=classes, font_size=size, text_anchor=anchor
    )


def variables(palette: dict[str, str]) -> str:
    """A palette as custom properties of CSS, for pages."""
    return "".join(f"--{name}:{value};" for name, value in palette.items())


def page_style() -> str:
    """The style sheet of ``style`` for drawings inside a page, which sets the variables."""
    return SHAPES + "".join(
        f".f-{name}{{fill:var(--{name})}}.s-{name}{{stroke:var(--{name})}}" for name in LIGHT
    )


def inside(svg: str, prefix: str) -> str:
    """A drawing as a part of a page: without its style, with unique identifiers.

    Of several drawings in one page each would else speak with the first one's name.
    """

    def renamed(match: re.Match[str]) -> str:
        words = " ".join(f"{prefix}-{word}" for word in match[2].split())
        return f'{match[1]}="{words}"'

    # In text and attributes of ours a quotation mark is always an entity.
    unstyled = re.sub(r"<style>.*?</style>", "", svg, count=1, flags=re.DOTALL)
    return re.sub(r'\b(id|aria-labelledby)="([^"]*)"', renamed, unstyled).strip()


def document(width: int, height: int, title: str, description: str, body: list[str]) -> str:
    """A whole SVG file with a background, and a title for screen readers."""
    head = (
        element("title", escape(title), id="title")
        + (element("desc", escape(description), id="desc") if description else "")
        + style()
        + element("rect", width=width, height=height, class_="f-paper")
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" '
        f'aria-labelledby="title{" desc" if description else ""}">\n'
        + "\n".join([head, *body])
        + "\n</svg>\n"
    )
