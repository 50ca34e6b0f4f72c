"""What changed between two sweeps, and whether two sweeps are equal.

Times differ from run to run and are never compared. The path that packets took and their
length are part of it on request: between two topologies they always differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from netlab.probe.rows import Row, Sweep

_TIMES = {"latency_us"}
_WAY = {"hops", "length"}


class Change(NamedTuple):
    """One number whose result differs; ``None`` on the side that did not try it."""

    argument: int
    before: Row | None
    after: Row | None
    fields: tuple[str, ...]


def changes(before: Sweep, after: Sweep, *, way: bool = False) -> list[Change]:
    """The numbers whose results differ, in order; ``fields`` names what differs.

    With ``way`` hops and lengths count too.
    """
    ignored = _TIMES if way else _TIMES | _WAY
    old = {row.argument: row for row in before.rows}
    new = {row.argument: row for row in after.rows}
    found = []
    for argument in sorted(old.keys() | new.keys()):
        a, b = old.get(argument), new.get(argument)
        fields = _differing(a, b, ignored)
        if fields:
            found.append(Change(argument, a, b, fields))
    return found


def _differing(a: Row | None, b: Row | None, ignored: set[str]) -> tuple[str, ...]:
    if a is None or b is None:
        return ("argument",)
    return tuple(
        field
        for field, x, y in zip(a._fields, a, b, strict=True)
        if field not in ignored and x != y
    )


def lines(found: list[Change]) -> list[str]:
    """The changes for people, two lines each."""
    text = []
    for change in found:
        text.append(f"{change.argument:4}  - {_shown(change.before)}")
        text.append(f"      + {_shown(change.after)}")
        if change.before and change.after and _shown(change.before) == _shown(change.after):
            text[-1] += f" ({', '.join(change.fields)} differ)"
    return text


def _shown(row: Row | None) -> str:
    return f"{row.outcome}: {row.reason}" if row else "not tried"


def to_json(change: Change) -> dict[str, object]:
    """``{"argument", "fields", "before", "after"}``; a side that did not try it is null."""
    sides = {
        name: row and {field: getattr(row, field) for field in ("outcome", "reason")}
        for name, row in (("before", change.before), ("after", change.after))
    }
    return {"argument": change.argument, "fields": list(change.fields), **sides}
