"""The measured and the published tables, row by row."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.probe.imagined import swept

if TYPE_CHECKING:
    from netlab.probe.rows import Sweep

DATA = Path(__file__).parents[1] / "data" / "hdp"

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


@pytest.fixture(scope="session")
def all_received() -> Sweep:
    """An imagined sweep without a loss."""
    return swept(lambda _: "received")
