"""Routes and routing rules in one line, in the words of ip-route(8) and ip-rule(8) -> mappings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from netlab.topology.fields import wrong
from netlab.topology.names import label_problem, show
from netlab.topology.source import Plain

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUTE_TYPES = ("unicast", "blackhole", "unreachable", "prohibit", "throw")
ACTIONS = ("blackhole", "unreachable", "prohibit")
ROUTE_HINT = "as in `10.9.0.0/16 via 10.0.0.1` or `default via r2 metric 200`"
RULE_HINT = "as in `from 10.0.0.0/24 table 100` or `fwmark 7 iif lan blackhole`"

RESERVED = {"main": 254, "default": 253}
"""Tables that every node has, by name (/etc/iproute2/rt_tables)."""


def route(value: object) -> object:
    """``10.9.0.0/16 via 10.0.0.1`` is ``{to: 10.9.0.0/16, via: 10.0.0.1}``."""
    if not isinstance(value, str) or isinstance(value, Plain):
        return value
    words = iter(value.split())
    found: dict[str, Any] = {}
    into = found
    first = next(words, "")
    if first in ROUTE_TYPES:
        found["type"] = first
        first = next(words, "")
    found["to"] = first
    for word in words:
        if word == "nexthop":
            into = {}
            found.setdefault("nexthops", []).append(into)
        elif word in ("via", "dev", "weight") or (
            into is found and word in ("src", "metric", "table")
        ):
            _put(into, word, _value(words), value)
        else:
            raise wrong("E251", f"`{show(value)}` is not a route: `{show(word)}`", ROUTE_HINT)
    if not first:
        raise wrong("E251", f"`{show(value)}` is not a route", ROUTE_HINT)
    return found


def next_hop(value: object) -> object:
    """``r1 weight 3`` is ``{via: r1, weight: 3}``."""
    if not isinstance(value, str) or isinstance(value, Plain):
        return value
    match value.split():
        case [via]:
            return {"via": via}
        case [via, "weight", weight]:
            return {"via": via, "weight": _number(weight)}
        case _:
            raise wrong("E251", f"`{show(value)}` is not a next hop", "as in `r1 weight 3`")


def rule(value: object) -> object:
    """``from 10.0.0.0/24 table 100`` is ``{from: 10.0.0.0/24, table: 100}``."""
    if not isinstance(value, str) or isinstance(value, Plain):
        return value
    words = iter(value.split())
    found: dict[str, Any] = {}
    for word in words:
        if word in ACTIONS:
            _put(found, "action", word, value, is_rule=True)
        elif word in ("from", "to", "iif", "oif", "fwmark", "priority", "table", "family"):
            _put(found, word, _value(words), value, is_rule=True)
        elif word == "lookup":
            _put(found, "table", _value(words), value, is_rule=True)
        else:
            message = f"`{show(value)}` is not a routing rule: `{show(word)}`"
            raise wrong("E256", message, RULE_HINT)
    return found


def _value(words: Iterator[str]) -> object:
    word = next(words, "")
    return f"{word} {next(words, '')}" if word == "inet6" else _number(word)


def _number(word: str) -> object:
    return int(word) if re.fullmatch(r"[0-9]{1,10}", word) else word


def _put(
    into: dict[str, Any], key: str, value: object, text: str, *, is_rule: bool = False
) -> None:
    code, hint = ("E256", RULE_HINT) if is_rule else ("E251", ROUTE_HINT)
    if value == "":
        raise wrong(code, f"`{show(text)}`: nothing follows `{key}`", hint)
    if key in into:
        raise wrong(code, f"`{show(text)}` has `{key}` twice", hint)
    into[key] = value


def table(value: object) -> object:
    """A routing table by number, or by a name of the author's."""
    if isinstance(value, Plain):
        value = value.value if not value.trap else str(value)
    hint = "a number from 1 to 4294967295, or a name, as in `table: dsl`"
    if isinstance(value, str):
        if value in RESERVED:
            return RESERVED[value]
        if value == "local" or label_problem(value) or value[0].isdigit():
            raise wrong("E251", f"`{show(value)}` is not a table for routes", hint)
        return value
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 32:
        raise wrong("E251", f"`{show(str(value))}` is not a table for routes", hint)
    if value == 255:
        raise wrong("E251", "table 255 is the kernel's own (`local`)", hint)
    return value


def mark(value: object) -> object:
    """``7`` or ``0x10/0xff`` as a pair of value and mask."""
    text = str(value.value if isinstance(value, Plain) and not value.trap else value)
    number, slash, mask = text.partition("/")
    try:
        pair = int(number, 0), int(mask, 0) if slash else 0xFFFFFFFF
    except ValueError:
        pair = -1, 0
    if not (0 <= pair[0] < 1 << 32 and 0 < pair[1] < 1 << 32):
        raise wrong("E256", f"`{show(text)}` is not a mark", "as in 7 or 0x10/0xff")
    return pair
