"""``--until``: what has to be true for two programs to have met."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from netlab.errors import Diagnostic, InputError
from netlab.wire.view import TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind: TypeAlias = Literal["exit", "output", "packet"]

PROTOCOLS = {"tcp": TCP, "udp": UDP}
HINT = "exit:0, output:REGEX, or packet:udp; with `a:` or `b:` before it for one side only"


class Condition(NamedTuple):
    """One condition, of both sides or of those in ``sides`` (0 is a, 1 is b).

    ``exit``: the program ends with this code. ``output``: a line of what it prints matches.
    ``packet``: a packet of the other host's has arrived, of the protocol and from or to the port
    that are given (0: any).
    """

    kind: Kind
    code: int = 0
    regex: str = ""
    protocol: int = 0
    port: int = 0
    sides: tuple[int, ...] = (0, 1)


class Side(NamedTuple):
    """What is known of one side: its exit code or ``None``, its output, and packets that arrived.

    ``arrived`` are protocol, source port and destination port of packets of the other host's.
    """

    exit: int | None
    output: str
    arrived: Sequence[tuple[int, int, int]] = ()


def parse(text: str) -> Condition:
    """The condition that a text says.

    Raises:
        InputError: it says none (E932).
    """
    rest = text
    sides: tuple[int, ...] = (0, 1)
    for number, letter in enumerate("ab"):
        if text.startswith(f"{letter}:"):
            rest, sides = text[2:], (number,)
    kind, _, value = rest.partition(":")
    if kind == "exit" and value.isdecimal() and int(value) < 256:
        return Condition("exit", code=int(value), sides=sides)
    if kind == "output" and value:
        try:
            re.compile(value)
        except re.error as error:
            message = f"--until: {value!r} is not a regular expression: {error}"
            raise InputError(Diagnostic("E932", message, hint=HINT)) from None
        return Condition("output", regex=value, sides=sides)
    protocol, slash, port = value.partition("/")
    if kind == "packet" and (not slash or (port.isdecimal() and 0 < int(port) < 65536)):
        if not value:
            return Condition("packet", sides=sides)
        if protocol in PROTOCOLS:
            number = PROTOCOLS[protocol]
            return Condition("packet", protocol=number, port=int(port or 0), sides=sides)
    message = f"--until: {text!r} is not a condition"
    raise InputError(Diagnostic("E932", message, hint=HINT))


def holds(condition: Condition, sides: Sequence[Side]) -> bool:
    """Whether it is true now."""
    return all(_holds(condition, sides[number]) for number in condition.sides)


def _holds(condition: Condition, side: Side) -> bool:
    if condition.kind == "exit":
        return side.exit == condition.code
    if condition.kind == "output":
        return bool(re.search(condition.regex, side.output, re.MULTILINE))
    return any(
        condition.protocol in (0, protocol) and condition.port in (0, *ports)
        for protocol, *ports in side.arrived
    )


def is_hopeless(condition: Condition, sides: Sequence[Side]) -> bool:
    """Whether it can no longer become true: a program has ended without it.

    A packet may still be on its way after both have ended, so that is never hopeless before then.
    """
    if condition.kind == "packet":
        return all(side.exit is not None for side in sides)
    return any(
        sides[number].exit is not None and not _holds(condition, sides[number])
        for number in condition.sides
    )
