"""The input and output of a layout: sizes and positions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Label:
    """Room of a text beside a wire: its width, and its extent above and below the wire."""

    width: int = 0
    above: int = 0
    below: int = 0


@dataclass(frozen=True, slots=True)
class Box:
    """What the drawing needs to know of a node."""

    name: str
    width: int
    height: int
    realm: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wire:
    """What it needs to know of a link; the labels are those of either end and of the middle."""

    a: str
    b: str
    a_label: Label = Label()
    b_label: Label = Label()
    middle: Label = Label()


@dataclass(frozen=True, slots=True)
class Spacing:
    """The measures of a medium.

    ``stroke`` is the thickness of a wire; ``track`` the distance of vertical pieces in a bend, 0
    if bends are curves that may share their room; ``gutter`` the least room between columns;
    ``shape`` the best ratio of width to height.
    With ``mirrored`` labels a right end's label hangs below its wire, so that where a single
    wire runs straight both ends share one zone.
    """

    stroke: int
    row_gap: int
    port_gap: int
    label_gap: int
    bend: int
    track: int
    mirrored: bool
    gutter: int
    box_pad: int
    realm_pad: int
    realm_title: int
    margin: int
    shape: float


@dataclass(frozen=True, slots=True)
class Rect:
    """A place: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The x just past it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The y just past it."""
        return self.y + self.height

    def meets(self, other: Rect) -> bool:
        """Whether the two have any room in common."""
        return (
            self.x < other.right
            and other.x < self.right
            and self.y < other.bottom
            and other.y < self.bottom
        )


@dataclass(frozen=True, slots=True)
class Run:
    """A horizontal piece of a wire; between two runs the wire bends.

    ``turn`` is the x of the vertical piece after it, for a medium with tracks.
    """

    x0: int
    x1: int
    y: int
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Path:
    """The way of a wire from left to right. ``middle`` is the centre of its middle label."""

    runs: tuple[Run, ...]
    left_is_a: bool
    middle: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """The whole drawing; ``paths`` are in the order of the links that were given."""

    width: int
    height: int
    boxes: dict[str, Rect]
    paths: tuple[Path, ...]
    realms: dict[tuple[str, ...], Rect]
