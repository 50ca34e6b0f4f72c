"""Distributions of latency as a picture: one band for each kind, all on one axis."""

from __future__ import annotations

from statistics import quantiles
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WIDTH, _LEFT, _RIGHT = 1280, 380, 60
_TOP, _BAND, _GAP = 104, 78, 18
_BINS = 120
_STEPS = [lead * 10**power for power in range(9) for lead in (1, 2, 5)]
_INK, _FAINT = "#141414", "#5a5a5a"
_FILLS = ("#8fbdf0", "#7ccdb0")


class Summary(NamedTuple):
    """Microseconds: the least, quartiles, and the 95th of a hundred."""

    least: float
    lower: float
    median: float
    upper: float
    p95: float


def summary(nanoseconds: Sequence[int]) -> Summary:
    """What is said of a distribution; at least two values."""
    parts = quantiles(nanoseconds, n=100, method="inclusive")
    points = min(nanoseconds), parts[24], parts[49], parts[74], parts[94]
    return Summary(*(round(point / 1000, 1) for point in points))


def svg(samples: Mapping[str, Sequence[int]], title: str, subtitle: str = "") -> str:
    """Histograms over one axis that ends at the slowest kind's 95th of a hundred."""
    summaries = {name: summary(values) for name, values in samples.items()}
    low = min(s.least for s in summaries.values()) * 0.95
    high = max(low + 1, *(s.p95 * 1.1 for s in summaries.values()))
    height = _TOP + len(samples) * (_BAND + _GAP) + 64
    body = [
        _text(40, 46, title, 28, weight=700),
        _text(40, 78, subtitle, 17, fill=_FAINT),
        *_axis(low, high, height),
    ]
    for number, (name, values) in enumerate(samples.items()):
        top = _TOP + number * (_BAND + _GAP)
        body += _band(name, values, summaries[name], (low, high), top)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" aria-label="{escape(title)}" '
        f"font-family=\"'DejaVu Sans', Verdana, sans-serif\">\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _x(value: float, low: float, high: float) -> float:
    return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)


def _axis(low: float, high: float, height: int) -> list[str]:
    parts = []
    step = next(s for s in _STEPS if (high - low) / s <= 12)
    tick = (int(low / step) + 1) * step
    while tick < high:
        x = _x(tick, low, high)
        parts.append(
            f'<line x1="{x:.1f}" y1="{_TOP - 8}" x2="{x:.1f}" y2="{height - 52}" stroke="#e2e2e2"/>'
        )
        parts.append(_text(x, height - 28, f"{tick} µs", 15, fill=_FAINT, anchor="middle"))
        tick += step
    return parts


def _band(
    name: str, values: Sequence[int], of: Summary, axis: tuple[float, float], top: int
) -> list[str]:
    low, high = axis
    counts = [0] * _BINS
    for value in values:
        place = int((value / 1000 - low) / (high - low) * _BINS)
        if 0 <= place < _BINS:
            counts[place] += 1
    most = max(counts) or 1
    base = top + _BAND
    width = (_WIDTH - _LEFT - _RIGHT) / _BINS
    # Steps, not a smoothed curve: what is drawn is what was counted.
    path = f"M{_LEFT},{base}" + "".join(
        f"V{base - count / most * _BAND:.1f}h{width:.2f}" for count in counts
    )
    fill = _FILLS[name.startswith("HDP")]
    x = _x(of.median, low, high)
    summary = f"median {of.median:g}, middle half {of.lower:g} to {of.upper:g} µs"
    return [
        f'<path d="{path}V{base}Z" fill="{fill}"/>',
        f'<path d="M{x:.1f},{top}V{base}" stroke="{_INK}" stroke-width="2.5"/>',
        _text(_LEFT - 16, top + 40, name, 17, weight=700, anchor="end"),
        _text(_LEFT - 16, top + 64, summary, 13.5, fill=_FAINT, anchor="end"),
    ]


def _text(
    x: float, y: float, text: str, size: float, *, weight: int = 400, fill: str = _INK,
    anchor: str = "start",
) -> str:  # fmt: skip
    return (
        f'<text x="{x:.1f}" y="{y:g}" font-size="{size:g}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
