"""Reads a drawing back: where the texts, cards and wires of an SVG file are."""

from __future__ import annotations

import re
from typing import NamedTuple
from xml.etree import ElementTree as ET

from netlab.diagram.primitives import metrics

SVG = "{http://www.w3.org/2000/svg}"


class Area(NamedTuple):
    what: str
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Area) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def holds(self, other: Area) -> bool:
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


class Shapes(NamedTuple):
    page: Area
    texts: list[Area]
    boxes: list[Area]
    """Rectangles with rounded corners, in drawing order: realms, pills, cards, marks."""
    lines: list[list[tuple[float, float]]]
    """Wires and arrows, as points at most a few pixels apart."""
    lanes: list[list[tuple[float, float]]]
    """The ways of packets, likewise."""


def read(document: str) -> Shapes:
    root = ET.fromstring(document)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    shapes = Shapes(Area("page", 0, 0, width, height), [], [], [], [])
    _walk(root, 0, 0, shapes)
    return shapes


def _walk(element: ET.Element, dx: float, dy: float, shapes: Shapes) -> None:
    if element.tag == SVG + "g" and (moved := element.get("transform")):
        if "scale" in moved:
            return  # an icon, inside its card
        x, y = map(float, re.findall(r"-?[\d.]+", moved))
        dx, dy = dx + x, dy + y
    if element.tag == SVG + "text":
        shapes.texts.append(_text(element, dx, dy))
    elif element.tag == SVG + "rect" and element.get("rx"):
        x, y = float(element.attrib["x"]) + dx, float(element.attrib["y"]) + dy
        width, height = float(element.attrib["width"]), float(element.attrib["height"])
        shapes.boxes.append(Area(element.attrib["class"], x, y, x + width, y + height))
    elif element.tag == SVG + "path" and {"s-line", "a"} & set(element.attrib["class"].split()):
        shapes.lines.append([(x + dx, y + dy) for x, y in _points(element.attrib["d"])])
    elif element.tag == SVG + "path" and "lane" in element.attrib["class"].split():
        shapes.lanes.append([(x + dx, y + dy) for x, y in _points(element.attrib["d"])])
    for child in element:
        _walk(child, dx, dy, shapes)


def _text(element: ET.Element, dx: float, dy: float) -> Area:
    size = float(element.attrib["font-size"])
    content = element.text or ""
    classes = element.attrib["class"].split()
    if "m" in classes:
        width = metrics.mono(content, size)
    else:
        width = metrics.sans(content, size, bold="b" in classes)
    x, y = float(element.attrib["x"]) + dx, float(element.attrib["y"]) + dy
    x -= {None: 0, "middle": width / 2, "end": width}[element.get("text-anchor")]
    # Letters reach up to about 0.76 of the size, tails down to about 0.22.
    return Area(content, x, y - 0.76 * size, x + width, y + 0.22 * size)


def _points(way: str) -> list[tuple[float, float]]:
    """The commands that the drawings use: M, H, V, L and C, all absolute."""
    points: list[tuple[float, float]] = []
    for command, arguments in re.findall(r"([MHVLC])([^MHVLC]*)", way):
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", arguments)]
        if command == "M":
            points.append((numbers[0], numbers[1]))
            continue
        x, y = points[-1]
        if command == "C":
            x1, y1, x2, y2, x3, y3 = numbers
        else:
            x3 = numbers[0] if command != "V" else x
            y3 = {"H": y, "V": numbers[0], "L": numbers[-1]}[command]
            x1, y1, x2, y2 = x, y, x3, y3
        steps = 2 + int((abs(x3 - x) + abs(y3 - y)) / 3)
        for step in range(1, steps + 1):
            t = step / steps
            u = 1 - t
            points.append(
                tuple(
                    u**3 * a + 3 * u**2 * t * b + 3 * u * t**2 * c + t**3 * d
                    for a, b, c, d in ((x, x1, x2, x3), (y, y1, y2, y3))
                )  # type: ignore[arg-type]
            )
    return points
