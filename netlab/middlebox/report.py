"""How an inline program reports its events to observers: messages over a local connection.

Whoever connects to ``ADDRESS`` in the wire's namespace is greeted with a message of no events and
from then on gets all of them, some to a message. Who shuts down its own direction gets what is
still to be reported and another message of no events; then the connection ends.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from netlab.middlebox.recorder import Came, Did, Event, Left, Made

if TYPE_CHECKING:
    from collections.abc import Iterable

ADDRESS = "\0netlab wire reports"
"""An abstract address (unix(7)) belongs to a network namespace, so each wire has its own."""

LARGEST = 1 << 16
"""Octets of a message."""

NOTHING = b"[]"
"""The greeting, and the farewell."""

MOST_EVENTS = 64
"""Events in a message; each is some 300 octets."""

_EVENTS: dict[str, type[Event]] = {kind.__name__: kind for kind in (Came, Did, Made, Left)}


def encode(events: Iterable[Event]) -> bytes:
    """A message, of at most ``MOST_EVENTS`` events."""
    return json.dumps(
        [[type(e).__name__, *(v.hex() if isinstance(v, bytes) else v for v in e)] for e in events],
        separators=(",", ":"),
    ).encode()


class Lost(NamedTuple):
    """A message in place of N events, for which its reader was too slow."""

    events: int


class Missed(NamedTuple):
    """So many packets came faster than the wire took them in; its boxes never saw them."""

    packets: int


def encode_notice(notice: Lost | Missed) -> bytes:
    """A message that is not of events."""
    return json.dumps({type(notice).__name__: notice[0]}).encode()


def decode(message: bytes) -> list[Event] | Lost | Missed:
    """What a message says.

    Raises:
        ValueError: no wire sends such a message.
    """
    found: list[Event] = []
    try:
        content = json.loads(message)
        if isinstance(content, dict):
            return (
                Missed(int(content["Missed"]))
                if "Missed" in content
                else Lost(int(content["Lost"]))
            )
        for name, *values in content:
            if name in ("Came", "Left"):
                values[-1] = bytes.fromhex(values[-1])
            found.append(_EVENTS[name](*values))
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ValueError(f"malformed event from the inline program: {error}") from None
    return found
