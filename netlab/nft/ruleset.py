"""A ruleset as data: its chains and sets, and what of them a node remembers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from netlab.nft.lexer import Statement, Unreadable, statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.wire.view import View

PRIORITIES = {
    "raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100,
}  # fmt: skip
BRIDGE_PRIORITIES = {"dstnat": -300, "filter": -200, "out": 100, "srcnat": 300}

_BASE = re.compile(
    r"type (\w+) hook (\w+)(?: devices?(?: =)? (\{[^}]*\}|\S+))?"
    r" priority ([\w-]+)(?: ([+-]) (\d+))?$"
)
_COMMENT = re.compile(r' comment "([^"]*)"$')
_SETS = re.compile(r"\b(?:set|map) (\w+) \{([^{}]*)")
_ELEMENTS = re.compile(r"\bset (\w+) \{[^{}]*elements = \{([^{}]*)\}")
_FILLED = re.compile(r"\b(?:add|update|delete) @(\w+)|\b(?:add|delete) element \S+ \S+ (\w+)")


class Tracked(NamedTuple):
    """What conntrack knows of the packet's flow; ``None`` is what the model does not know of it.

    ``packets`` are those of the original direction, this one included. ``is_first`` is whether
    there is no entry yet, so that chains of type nat see the packet.
    """

    is_reply: bool = False
    packets: int = 1
    replied: bool | None = False
    is_first: bool = True
    original: tuple[bytes, bytes] = (b"", b"")
    has_dnat: bool = False

    @property
    def states(self) -> frozenset[str]:
        """What ``ct state`` may be."""
        if self.is_reply or self.replied:
            return frozenset({"established"})
        return frozenset({"new"} if self.replied is False else {"new", "established"})


class Memory:
    """What the rules of a node have counted and put into their sets, as long as that is known."""

    def __init__(self) -> None:
        self.is_known = True
        self.empty: set[str] = set()
        """Sets and maps that nothing was put into yet."""
        self.elements: dict[str, tuple[str, ...]] = {}
        """What is in a set that no rule changes."""
        self._counts: dict[tuple[str, int], int | None] = {}

    def count(self, rule: Rule, *, surely: bool = True) -> int | None:
        """How many packets the rule has counted before this one, which it counts now, if at all."""
        before = self._counts.get(rule.place, 0)
        self._counts[rule.place] = None if before is None or not surely else before + 1
        return before if self.is_known else None

    def may_hold(self, name: str) -> bool | None:
        """``False`` if a set is empty; what is in one that is not is unknown."""
        return False if self.is_known and name in self.empty else None


class Situation(NamedTuple):
    """A packet where rules look at it; an interface is empty where there is none (yet).

    ``own`` are the addresses of the interface that it leaves by.
    """

    packet: View
    incoming: str
    outgoing: str
    memory: Memory
    tracked: Tracked = Tracked()
    own: Sequence[bytes] = ()
    layer: Literal["ip", "bridge", "netdev"] = "ip"
    """Whose hooks these are: a switch has some of its own, and so has a device."""


class Rule(NamedTuple):
    """A rule's text without its comment, its chain and its number there."""

    text: str
    comment: str
    place: tuple[str, int] = ("", 0)


class Chain(NamedTuple):
    """A base chain, or one to jump to (``hook`` empty); ``comment`` is what it says of itself."""

    name: str
    family: str
    table: str
    kind: str
    hook: str
    priority: int
    policy: str
    rules: tuple[Rule, ...]
    comment: str = ""
    devices: tuple[str, ...] = ()
    """Whose ingress or egress it is at."""

    def sees(self, here: Situation) -> bool:
        """Whether the packet passes this chain."""
        if here.layer == "netdev":
            return here.incoming in self.devices
        if here.layer == "bridge" or self.family in ("bridge", "netdev"):
            return here.layer == self.family
        if self.kind == "nat" and not here.tracked.is_first:
            return False
        return self.family in ("inet", "ip" if here.packet.version == 4 else "ip6")


def parse(text: str) -> tuple[list[Chain], bool]:
    """The chains of a ruleset, and whether all of it was understood as far as its form goes."""
    chains: dict[tuple[str, str, str], Chain] = {}
    clear = True
    try:
        for statement in statements(text):
            if statement.chain:
                key = (statement.family, statement.table, statement.chain)
                empty = Chain(statement.chain, *key[:2], "", "", 0, "accept", ())
                chains[key] = _extended(chains.get(key, empty), statement)
            elif not statement.table:
                # Definitions and tables without anything do nothing; commands may do all.
                clear = clear and statement.text.startswith(("define", "add table", "table"))
    except Unreadable:
        return [], False
    return list(chains.values()), clear


def empty_sets(text: str) -> set[str]:
    """The sets and maps of a ruleset that begin empty."""
    return {name for name, begins in _SETS.findall(text) if "elements" not in begins}


def known_sets(text: str) -> dict[str, tuple[str, ...]]:
    """The elements of those sets of a ruleset that no rule changes and that can be read."""
    filled = {name for names in _FILLED.findall(text) for name in names}
    return {
        name: tuple(
            element.strip().strip('"') for element in elements.split(",") if element.strip()
        )
        for name, elements in _ELEMENTS.findall(text)
        if name not in filled and not re.search(r"[.:] |\b(?:timeout|counter|limit)\b|\$", elements)
    }


def _extended(chain: Chain, statement: Statement) -> Chain:
    text = " ".join(statement.text.replace("\\\n", " ").split())
    base = _BASE.match(text)
    if base:
        kind, hook, devices, priority, sign, offset = base.groups()
        names = BRIDGE_PRIORITIES if chain.family == "bridge" else PRIORITIES
        number = names.get(priority)
        level = int(priority) if number is None else number
        level += int(f"{sign}{offset}") if sign else 0
        found = tuple(re.findall(r"[^\s{},\"]+", devices or ""))
        return chain._replace(kind=kind, hook=hook, priority=level, devices=found)
    if text.startswith("policy "):
        return chain._replace(policy=text.split()[1])
    comment = _COMMENT.search(" " + text)
    if not statement.is_rule:
        return chain._replace(comment=comment[1]) if comment else chain
    rule = Rule(
        text[: comment.start() - 1] if comment else text,
        comment[1] if comment else "",
        (f"{chain.family} {chain.table} {chain.name}", len(chain.rules)),
    )
    return chain._replace(rules=(*chain.rules, rule))
