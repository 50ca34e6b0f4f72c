"""What a benchmark gives back, as a table for people and as JSON."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One figure of ours beside a peer's."""

    figure: str
    ours: float
    peer: str
    peer_value: float
    ratio: float
    """Above 1 means ours is the better."""
    unit: str


class Result(NamedTuple):
    """All rows of a benchmark, and the peers that could not be measured."""

    rows: tuple[Row, ...]
    missing: tuple[str, ...] = ()


def less_is_better(figure: str, ours: float, peer: str, peer_value: float, unit: str) -> Row:
    """A row of times or sizes."""
    return Row(figure, ours, peer, peer_value, peer_value / ours, unit)


def more_is_better(figure: str, ours: float, peer: str, peer_value: float, unit: str) -> Row:
    """A row of rates or counts."""
    return Row(figure, ours, peer, peer_value, ours / peer_value, unit)


def environment() -> dict[str, str]:
    """The machine that the figures belong to."""
    return {
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "executable": sys.executable,
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def to_json(name: str, result: Result) -> dict[str, Any]:
    """The shape that ``--json`` prints."""
    return {
        "name": name,
        "rows": [row._asdict() for row in result.rows],
        "missing": list(result.missing),
        "environment": environment(),
    }


def to_text(name: str, result: Result) -> str:
    """A table, and the machine below it."""
    heading = ("figure", "ours", "peer", "theirs", "ratio", "unit")
    lines = [heading] + [
        (r.figure, _number(r.ours), r.peer, _number(r.peer_value), f"{r.ratio:.2f}", r.unit)
        for r in result.rows
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heading))]
    text = [name]
    text += ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    text += [f"missing: {peer}" for peer in result.missing]
    text += [", ".join(f"{key} {value}" for key, value in environment().items())]
    return "\n".join(line.rstrip() for line in text)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"
