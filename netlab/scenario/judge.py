"""Expectations against what was observed: each with its verdict and what was seen instead."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from netlab.scenario.model import End, Expected, Step, Table
    from netlab.scenario.packets import Packet

SHOWN = 600
"""Characters of an output that a failed expectation shows."""


class Verdict(NamedTuple):
    """One expectation: what was wanted, whether it came, and what was seen.

    ``packets`` are the numbers of those that did not end as expected.
    """

    text: str
    passed: bool
    observed: str
    step: str = ""
    packets: tuple[int, ...] = ()


class Observation(NamedTuple):
    """The result of one step. ``exit`` is ``None`` for what has no exit code.

    ``failure`` says why the step could not be carried to its end; empty if it was.
    """

    output: str = ""
    errors: str = ""
    exit: int | None = None
    packets: tuple[Packet, ...] = ()
    table: tuple[Mapping[str, str], ...] | None = None
    failure: str = ""


def judge(step: Step, seen: Observation) -> Iterator[Verdict]:
    """The verdicts on one step."""
    for verdict in _judge(step, seen):
        yield verdict._replace(step=step.name)


def _judge(step: Step, seen: Observation) -> Iterator[Verdict]:
    expected = step.expected
    if seen.failure:
        yield Verdict(f"{step.name}: is carried out", False, _tail(seen, seen.failure))
        return
    if expected.exit is not None:
        text = f"{step.name}: exit code {expected.exit}"
        passed = seen.exit == expected.exit
        yield Verdict(text, passed, str(seen.exit) if passed else _tail(seen, f"{seen.exit}"))
    for wanted, patterns in ((True, expected.output), (False, expected.not_output)):
        for pattern in patterns:
            found = re.search(pattern, seen.output, re.MULTILINE)
            text = f"{step.name}: the output {'has' if wanted else 'has no'} {pattern}"
            observed = found[0] if found else seen.output[-SHOWN:]
            yield Verdict(text, bool(found) == wanted, observed)
    yield from _packets(step.name, expected, seen.packets)
    if expected.table:
        yield _table(step.name, expected.table, seen)


def _packets(name: str, expected: Expected, seen: Sequence[Packet]) -> Iterator[Verdict]:
    by_number = {packet.number: packet for packet in seen}
    for numbers, end in _groups(expected.packets):
        there = [by_number.get(number) for number in numbers]
        wrong = {
            number: str(packet) if packet else f"#{number} was not seen"
            for number, packet in zip(numbers, there, strict=True)
            if packet is None or not fits(packet, end)
        }
        observed = "; ".join(wrong.values() or [str(packet) for packet in there[:1]])
        what = f" {end.what}" if end.what else ""
        text = f"{name}: {_span(numbers)}{what}: {end}"
        yield Verdict(text, not wrong, observed, packets=tuple(wrong))
    if expected.no_more:
        more = [packet for packet in seen if packet.number not in dict(expected.packets)]
        text = f"{name}: no packets but these {len(expected.packets)}"
        observed = "; ".join(map(str, more)) or "none"
        yield Verdict(text, not more, observed, packets=tuple(p.number for p in more))


def fits(packet: Packet, end: End) -> bool:
    """Whether a packet ended so."""
    return (
        packet.disposition == end.disposition
        and end.at in ("", packet.at)
        and end.by in packet.by
        and end.what in ("", packet.what)
        and (not end.changed or any(end.changed in change for change in packet.changes))
    )


def _groups(packets: Iterable[tuple[int, End]]) -> Iterator[tuple[list[int], End]]:
    """Packets that follow each other and must end alike."""
    numbers: list[int] = []
    last: End | None = None
    for number, end in packets:
        if numbers and last is not None and (end != last or number != numbers[-1] + 1):
            yield numbers, last
            numbers = []
        numbers.append(number)
        last = end
    if numbers and last is not None:
        yield numbers, last


def _span(numbers: Sequence[int]) -> str:
    first, last = numbers[0], numbers[-1]
    return f"packet {first}" if first == last else f"packets {first} to {last}"


def _table(name: str, wanted: Table, seen: Observation) -> Verdict:
    text = f"{name}: the table has {len(wanted.rows)} rows of {', '.join(wanted.columns)}"
    table = seen.table if seen.table is not None else rows_of(seen.output)
    if table is None:
        return Verdict(text, False, f"no table: {seen.output[-SHOWN:]}")
    found = [tuple(row.get(column, "") for column in wanted.columns) for row in table]
    missing = list((Counter(wanted.rows) - Counter(found)).elements())
    surplus = list((Counter(found) - Counter(wanted.rows)).elements())
    if not missing and not surplus:
        return Verdict(text, True, f"{len(found)} equal rows")
    parts = [f"{len(found)} rows"]
    parts += [f"not there: {_shown(missing)}"] if missing else []
    parts += [f"not expected: {_shown(surplus)}"] if surplus else []
    return Verdict(text, False, "; ".join(parts))


def _shown(rows: Sequence[Sequence[str]]) -> str:
    return ", ".join("/".join(row) for row in rows[:8]) + (", …" if len(rows) > 8 else "")


def rows_of(output: str) -> tuple[Mapping[str, str], ...] | None:
    """The rows of JSON (a list, or a mapping with one in ``rows``) or of CSV; else ``None``."""
    try:
        content = json.loads(output)
    except ValueError:
        rows = list(csv.DictReader(io.StringIO(output)))
        return tuple(rows) if rows and None not in rows[0] else None
    if isinstance(content, dict):
        content = content.get("rows")
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        return None
    return tuple({key: text_of(value) for key, value in row.items()} for row in content)


def text_of(value: object) -> str:
    """A cell as text, nothing as empty text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _tail(seen: Observation, what: str) -> str:
    said = "\n".join(filter(None, (seen.output.strip(), seen.errors.strip())))
    return f"{what}; it printed:\n{said[-SHOWN:]}" if said else what
