"""What kind of node: simple shapes, to be known from the last row of a lecture hall.

Each is drawn in a square of 48 units around the origin, with strokes in the kind's colour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.diagram.primitives.markup import element

if TYPE_CHECKING:
    from netlab.topology.model import NodeKind

_RIGHT = "M{x} {y}h14m-5 -5l5 5l-5 5"
_LEFT = "M{x} {y}h-14m5 -5l-5 5l5 5"

_PATHS: dict[NodeKind, tuple[str, str]] = {
    # A screen on its foot.
    "host": ("M-22 -18h44v30h-44z", "M-5 12v7m10 -7v7M-13 20h26M-14 -10h14M-14 -3h22"),
    # A disc with two ways in and two ways out.
    "router": (
        "M-22 0a22 22 0 1 0 44 0a22 22 0 1 0 -44 0z",
        "M-16 0h10m-4-4l4 4l-4 4M16 0h-10m4-4l-4 4l4 4M0-6v-10m-4 4l4-4l4 4M0 6v10m-4-4l4 4l4-4",
    ),
    # A wall that is crossed under another name.
    "nat": (
        "M-22 -18h44v36h-44z",
        "M0 -18v5m0 26v5" + _RIGHT.format(x=-7, y=-5) + _LEFT.format(x=7, y=6),
    ),
    # A flat box with sockets.
    "bridge": (
        "M-24 -11h48v22h-48z",
        "M-17.5 -3.5h7v7h-7zM-3.5 -3.5h7v7h-7zM10.5 -3.5h7v7h-7z",
    ),
    # A cable with a box in it.
    "inline": ("M-12 -12h24v24h-24z", "M-24 0h12m24 0h12M-5 -4h10M-5 4h10"),
    # Layers.
    "stack": ("M0 -20L22 -9L0 2L-22 -9z", "M-22 0L0 11L22 0M-22 9L0 20L22 9"),
}


def draw(kind: NodeKind, x: float, y: float, size: float) -> str:
    """The icon of ``kind``, centred on ``(x, y)`` and ``size`` wide."""
    outline, detail = _PATHS[kind]
    return element(
        "g",
        element("path", d=outline, class_=f"f-{kind}-tint") + element("path", d=detail, class_="n"),
        transform=f"translate({_number(x)} {_number(y)}) scale({size / 48:.3g})",
        class_=f"s-{kind}",
        stroke_width=2.6,
        stroke_linejoin="round",
        stroke_linecap="round",
    )


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
