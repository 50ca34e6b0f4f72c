"""``--only``: a part of a matrix.

udp,*tcp x cloud      these kinds of traffic, these obstacles
udp,cloud             the same: a name is looked for on both sides
cloud                 all kinds of traffic
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from netlab.errors import Diagnostic, InputError
from netlab.topology.problems import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from netlab.scenario.model import Matrix, Step, Table

CROSS = " x "


def select(matrix: Matrix, only: str) -> Matrix:
    """The matrix with the kinds and obstacles that ``only`` names, in the file's order.

    ``InputError`` (E915) for a word that names nothing.
    """
    traffic = list(matrix.traffic)
    obstacles = [obstacle.name for obstacle in matrix.obstacles]
    left, cross, right = f" {only} ".partition(CROSS)
    sides = (left, right) if cross else (only, only)
    known = ([*traffic], [*obstacles]) if cross else ([*traffic, *obstacles],) * 2
    chosen = [
        {name for word in _words(side) for name in _matches(word, names)}
        for side, names in zip(sides, known, strict=True)
    ]
    kinds = [name for name in traffic if name in chosen[0]] or traffic
    boxes = {name for name in obstacles if name in chosen[1]} or {*obstacles}
    return replace(
        matrix,
        traffic=tuple(kinds),
        obstacles=tuple(each for each in matrix.obstacles if each.name in boxes),
    )


def without(matrix: Matrix, kinds: Collection[str]) -> Matrix:
    """The matrix without these kinds of traffic."""
    return replace(matrix, traffic=tuple(k for k in matrix.traffic if k not in kinds))


def narrow(step: Step, matrix: Matrix) -> Step:
    """The step with this part of its matrix, and with what is expected of this part."""
    table = step.expected.table
    if table is not None:
        table = _narrow(table, matrix)
    return replace(step, action=matrix, expected=replace(step.expected, table=table))


def _narrow(table: Table, matrix: Matrix) -> Table:
    names = {obstacle.name for obstacle in matrix.obstacles}
    kept = [
        number
        for number, column in enumerate(table.columns)
        if column == OBSTACLE or column in matrix.traffic
    ]
    at = table.columns.index(OBSTACLE) if OBSTACLE in table.columns else None
    rows = [row for row in table.rows if at is None or row[at] in names]
    return replace(
        table,
        columns=tuple(table.columns[number] for number in kept),
        rows=tuple(tuple(row[number] for number in kept) for row in rows),
    )


OBSTACLE = "obstacle"
"""The column of a matrix's table that names the row."""


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _matches(word: str, names: Sequence[str]) -> list[str]:
    found = [name for name in names if fnmatchcase(name, word)]
    if not found:
        message = f"--only: this matrix has neither traffic nor an obstacle named `{word}`"
        raise InputError(Diagnostic("E915", message, hint=nearest(word, names)))
    return found
