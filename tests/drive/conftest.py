"""The measured and the published tables, row by row; a tap read to its end."""

from __future__ import annotations

import csv
import select
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from netlab.drive import raw

DATA = Path(__file__).parents[1] / "data" / "hdp"

QUIET = 0.3
"""Seconds without a packet after which none is under way: a softirq may be late, not that late."""


def everything(tap: raw.Tap) -> list[raw.Frame]:
    """All frames up to the first silence."""
    frames = list(tap.frames())
    while select.select([tap], [], [], QUIET)[0]:
        frames += tap.frames()
    return frames


Table = Callable[[str], dict[int, dict[str, str]]]


@pytest.fixture(scope="session")
def table() -> Table:
    """A table of tests/data/hdp by its first column, the socket argument."""

    def read(name: str) -> dict[int, dict[str, str]]:
        with (DATA / name).open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        first = next(iter(rows[0]))
        if first == "time":
            first = "proto"
        return {int(row[first]): row for row in rows}

    return read
