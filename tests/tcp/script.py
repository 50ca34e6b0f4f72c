"""A reader for scripts in the manner of packetdrill, and what it takes to run one.

A useful subset of the syntax: system calls, segments in, segments out, with sequence numbers
relative to the two initial ones and times that are absolute or relative (``+.1``).

    +0 < S 0:0(0) win 65535 <mss 1000,sackOK>      a segment to the stack under test
    +0 > S. 0:0(0) ack 1                           a segment that it must send now
    +0 accept(3) = 4                               a call, and what it must return
    +0 read(4, 1000) = -1 ECONNRESET               or the error it must give

Unlike there, options and the window of a segment out are compared only where they are written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from netlab.wire.tcp import ACK, CWR, ECE, FIN, PSH, RST, SYN, URG, Options

if TYPE_CHECKING:
    from pathlib import Path

_LETTERS = {"S": SYN, "F": FIN, "R": RST, "P": PSH, ".": ACK, "U": URG, "E": ECE, "W": CWR}
_TIME = re.compile(r"(\+?)(\d*\.?\d+)\s+(.*)")
_SEGMENT = re.compile(
    r"([<>])\s+([SFRP.UEW]+)\s+(\d+):(\d+)\((\d+)\)"
    r"(?:\s+ack\s+(\d+))?(?:\s+win\s+(\d+))?(?:\s+<([^>]*)>)?$"
)
_CALL = re.compile(r"(\w+)\(([^)]*)\)\s*=\s*(-?\d+)(?:\s+(E\w+))?$")


class Written(NamedTuple):
    """A segment as a script has it: numbers are relative, ``None`` is not said."""

    incoming: bool
    flags: int
    seq: int
    length: int
    ack: int | None
    window: int | None
    options: Options | None


class Call(NamedTuple):
    """A system call and its outcome."""

    name: str
    arguments: tuple[str, ...]
    result: int
    error: str


class Step(NamedTuple):
    """One line: when, what, and where it stands."""

    at: float
    what: Written | Call
    line: str


def read(path: Path) -> list[Step]:
    """The steps of a script; ``SyntaxError`` for a line that is not understood."""
    steps: list[Step] = []
    now = 0.0
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = text.partition("//")[0].strip()
        if not line:
            continue
        timed = _TIME.match(line)
        what = _segment(timed[3]) or _call(timed[3]) if timed else None
        if timed is None or what is None:
            raise SyntaxError(f"{path.name}:{number}: {text}")
        now = now + float(timed[2]) if timed[1] else float(timed[2])
        steps.append(Step(now, what, f"{path.name}:{number}: {line}"))
    return steps


def _segment(text: str) -> Written | None:
    found = _SEGMENT.match(text)
    if found is None:
        return None
    way, letters, start, end, length, ack, window, options = found.groups()
    assert int(end) - int(start) == int(length), text
    return Written(
        way == "<",
        sum(_LETTERS[letter] for letter in letters),
        int(start),
        int(length),
        None if ack is None else int(ack),
        None if window is None else int(window),
        None if options is None else _options(options),
    )


def _options(text: str) -> Options:
    said = Options()
    for word in text.split(","):
        name, *values = word.split()
        match name:
            case "mss":
                said = said._replace(mss=int(values[0]))
            case "wscale":
                said = said._replace(window_scale=int(values[0]))
            case "sackOK":
                said = said._replace(sack_permitted=True)
            case "sack":
                blocks = tuple(tuple(map(int, value.split(":"))) for value in values)
                said = said._replace(sack=blocks)  # type: ignore[arg-type]
            case "nop":
                pass
            case _:
                raise SyntaxError(word)
    return said


def _call(text: str) -> Call | None:
    found = _CALL.match(text)
    if found is None:
        return None
    name, arguments, result, error = found.groups()
    return Call(
        name, tuple(a.strip() for a in arguments.split(",") if a.strip()), int(result), error or ""
    )
