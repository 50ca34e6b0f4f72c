"""What each side saw, row by row, and the two joined.

    ClientRow   one datagram handed to the kernel, or the error that prevented it
    ServerRow   one datagram received
    MergedRow   the two together: received or not, and how long it took

Each kind can be written as the Markdown table of the original (``markdown``), as CSV and as JSON,
and read back from all three: ``read`` recognizes kind and form by itself. Times are nanoseconds
since the Unix epoch; Markdown rounds down to microseconds, as the original does.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class ClientRow(NamedTuple):
    """``protocol`` is the socket argument; ``error`` reads ``Invalid argument (os error 22)``."""

    protocol: int
    succeeded: bool
    time: int | None = None
    bytes: int | None = None
    error: str = ""


class ServerRow(NamedTuple):
    """``protocol`` is the number on the wire; ``sent`` the time that the datagram itself states."""

    protocol: int
    time: int
    source: str
    bytes: int
    sent: int | None = None


class MergedRow(NamedTuple):
    """One row of the client with what became of it; ``latency`` in nanoseconds."""

    protocol: int
    succeeded: bool
    received: bool
    latency: int | None = None
    bytes_client: int | None = None
    bytes_server: int | None = None
    source: str = ""
    error: str = ""


Row: TypeAlias = ClientRow | ServerRow | MergedRow


class Unreadable(ValueError):
    """The text is not a table of ours; ``line`` counts from 1."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.line = line


class _Column(NamedTuple):
    """One column: field of the row, heading in Markdown, unit to divide by there, type to read."""

    field: str
    heading: str
    convert: Callable[[str], object]
    scale: int = 1
    in_markdown: bool = True


def _integer(text: str) -> int | None:
    return int(text) if text else None


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "1", "yes"):
        return True
    if text.lower() in ("false", "0", "no"):
        return False
    raise ValueError(f"neither true nor false: {text!r}")


_COLUMNS: dict[type[Row], tuple[_Column, ...]] = {
    ClientRow: (
        _Column("protocol", "Protocol Number", int),
        _Column("succeeded", "Succeeded (Client)", _boolean),
        _Column("time", "Time (us)", _integer, 1000),
        _Column("bytes", "Byte sum (Client)", _integer),
        _Column("error", "Failure reason", str),
    ),
    ServerRow: (
        _Column("protocol", "Protocol Number", int),
        _Column("time", "Time (us)", _integer, 1000),
        _Column("source", "Source IP", str),
        _Column("bytes", "Byte Sum", _integer),
        _Column("sent", "Sent (us)", _integer, 1000, in_markdown=False),
    ),
    MergedRow: (
        _Column("protocol", "Protocol Number", int),
        _Column("succeeded", "Succeeded (Client)", _boolean),
        _Column("received", "Received (Server)", _boolean),
        _Column("latency", "Latency (us)", _integer, 1000),
        _Column("bytes_client", "Byte sum (Client)", _integer),
        _Column("bytes_server", "Byte Sum (Server)", _integer),
        _Column("source", "Source IP", str),
        _Column("error", "Failure reason", str),
    ),
}


def markdown(kind: type[Row], rows: Iterable[Row]) -> str:
    """The table of the original, columns padded so that it reads as plain text too."""
    columns = [column for column in _COLUMNS[kind] if column.in_markdown]
    cells = [[column.heading for column in columns]]
    cells += [[_shown(getattr(row, column.field), column) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(map(str.ljust, line, widths)) + " |"  # one space either side
        for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"


def _shown(value: object, column: _Column) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value // column.scale)
    return str(value).replace("|", "\\|")


def as_csv(kind: type[Row], rows: Iterable[Row]) -> str:
    """One line a row after the line of field names; booleans as 1 and 0, nothing as empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(column.field for column in _COLUMNS[kind])
    for row in rows:
        writer.writerow(int(value) if isinstance(value, bool) else value for value in row)
    return out.getvalue()


def as_json(kind: type[Row], rows: Iterable[Row]) -> str:
    """``{"kind": "ClientRow", "rows": [{field: value}]}``."""
    content = {"kind": kind.__name__, "rows": [row._asdict() for row in rows]}
    return json.dumps(content, indent=1) + "\n"


def read(text: str) -> list[Row]:
    """The rows of a table in any of the three forms.

    Raises:
        Unreadable: the text is not a table of ours.
    """
    if text.lstrip().startswith("{"):
        return _read_json(text)
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise Unreadable("an empty file", 1)
    if lines[0][1].lstrip().startswith("|"):
        split = [(number, _markdown_cells(line)) for number, line in lines]
        # The second line is the rule under the headings.
        return _read_cells([split[0], *split[2:]], "heading")
    return _read_cells([(number, next(csv.reader([line]))) for number, line in lines], "field")


_UNESCAPED_BAR = re.compile(r"(?<!\\)\|")


def _markdown_cells(line: str) -> list[str]:
    cells = _UNESCAPED_BAR.split(line.strip())[1:-1]
    return [cell.strip().replace("\\|", "|") for cell in cells]


def _read_cells(lines: Sequence[tuple[int, list[str]]], naming: str) -> list[Row]:
    first, names = lines[0]
    for kind, columns in _COLUMNS.items():
        known = {getattr(column, naming): column for column in columns}
        if set(names) <= set(known) and len(names) >= len(columns) - 1:
            chosen = [known[name] for name in names]
            return [_row(kind, chosen, cells, number, naming) for number, cells in lines[1:]]
    raise Unreadable(f"unknown columns: {', '.join(names)}", first)


def _row(
    kind: type[Row], columns: Sequence[_Column], cells: list[str], number: int, naming: str
) -> Row:
    if len(cells) != len(columns):
        raise Unreadable(f"{len(cells)} cells under {len(columns)} headings", number)
    values: dict[str, object] = {}
    for column, cell in zip(columns, cells, strict=True):
        try:
            value = column.convert(cell)
        except ValueError as problem:
            raise Unreadable(f"{column.heading}: {problem}", number) from None
        scaled = naming == "heading" and isinstance(value, int) and column.scale > 1
        values[column.field] = value * column.scale if scaled else value  # type: ignore[operator]
    return kind(**values)  # type: ignore[arg-type]


def _read_json(text: str) -> list[Row]:
    kinds = {kind.__name__: kind for kind in _COLUMNS}
    try:
        content = json.loads(text)
        kind = kinds[content["kind"]]
        return [kind(**row) for row in content["rows"]]
    except json.JSONDecodeError as problem:
        raise Unreadable(problem.msg, problem.lineno) from None
    except (KeyError, TypeError) as problem:
        raise Unreadable(f"not a table of HDP: {problem}", 1) from None


def merge(sent: Iterable[ClientRow], received: Iterable[ServerRow]) -> list[MergedRow]:
    """Each row of the client with the row of the server that belongs to it, in the client's order.

    A datagram states when it was sent, which names it exactly. What is left over (UDP framing and
    Markdown tables have no such time, and over IPv6 the kernel writes a checksum across that of
    135) is joined by order: the nth of a number sent is the nth received.
    """
    rows = list(sent)
    left: dict[int, list[ServerRow]] = {}
    stated: dict[tuple[int, int], list[ServerRow]] = {}
    for arrival in received:
        if arrival.sent is None:
            left.setdefault(arrival.protocol, []).append(arrival)
        else:
            # Markdown keeps microseconds only, so that is what is compared.
            stated.setdefault((arrival.protocol, arrival.sent // 1000), []).append(arrival)
    partners: dict[int, ServerRow] = {}
    for index, row in enumerate(rows):
        same = stated.get((row.protocol & 0xFF, (row.time or 0) // 1000))
        if row.succeeded and same:
            partners[index] = same.pop(0)
    for (number, _), unclaimed in stated.items():
        left.setdefault(number, []).extend(unclaimed)
    for index, row in enumerate(rows):
        waiting = left.get(row.protocol & 0xFF)
        if row.succeeded and waiting and index not in partners:
            partners[index] = waiting.pop(0)
    return [_merged(row, partners.get(index)) for index, row in enumerate(rows)]


def _merged(sent: ClientRow, received: ServerRow | None) -> MergedRow:
    if received is None:
        return MergedRow(
            sent.protocol, sent.succeeded, False, bytes_client=sent.bytes, error=sent.error
        )
    latency = None if sent.time is None else received.time - sent.time
    return MergedRow(
        sent.protocol,
        sent.succeeded,
        True,
        latency,
        sent.bytes,
        received.bytes,
        received.source,
        sent.error,
    )
