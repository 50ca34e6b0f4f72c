"""Which rule is meant: nft's trace says handles, people want the rule and where it came from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from netlab.wire.protocols import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

_TABLE = re.compile(r"table (\S+) (\S+) \{")
_CHAIN = re.compile(r"chain (\S+) \{")
_HOOK = re.compile(r"type (\S+) hook (\S+) ")
_OF_CHAIN = re.compile(r'comment "([^"]*)"$')
_HANDLE = re.compile(r"^(?P<text>.*) # handle (?P<number>\d+)$", re.DOTALL)
_PROTOCOL = re.compile(
    r"(?P<what>meta l4proto|ip protocol|ip6 nexthdr)(?P<value> (?:!= )?(?:\d+|\{[\d,\s-]+\}))"
)
_COMMENT = re.compile(r'^(?P<text>.*) comment "(?P<comment>[^"]*)"$', re.DOTALL)


class Rule(NamedTuple):
    """A rule as nft writes it, with names of protocols, without its comment; the comment apart."""

    text: str
    comment: str


class Base(NamedTuple):
    """What makes a base chain of a chain: its ``kind`` (filter, nat, route) and its hook."""

    kind: str
    hook: str


class Ruleset(NamedTuple):
    """The rules by (family, table, chain, handle); base chains, and comments of chains."""

    rules: Mapping[tuple[str, str, str, int], Rule]
    bases: Mapping[tuple[str, str, str], Base]
    comments: Mapping[tuple[str, str, str], str]


def parse(listing: str) -> Ruleset:
    """Read ``nft --handle --stateless --numeric-protocol list ruleset``."""
    rules: dict[tuple[str, str, str, int], Rule] = {}
    bases: dict[tuple[str, str, str], Base] = {}
    comments: dict[tuple[str, str, str], str] = {}
    family = table = chain = ""
    unfinished: list[str] = []
    for line in listing.splitlines():
        text = line.strip()
        if found := _TABLE.match(text):
            family, table = found.groups()
            chain = ""
        elif line.startswith("\t}"):
            chain = ""
        elif found := _CHAIN.match(text):
            chain, unfinished = found[1], []
        elif chain and not unfinished and (found := _HOOK.match(text)):
            bases[family, table, chain] = Base(found[1], found[2])
        elif chain and not unfinished and (found := _OF_CHAIN.match(text)):
            comments[family, table, chain] = found[1]
        elif chain:
            # A rule with a long anonymous set or map goes over several lines.
            unfinished.append(text)
            if found := _HANDLE.match(" ".join(unfinished)):
                rules[family, table, chain, int(found["number"])] = _rule(found["text"])
                unfinished = []
    return Ruleset(rules, bases, comments)


def _rule(text: str) -> Rule:
    text = _PROTOCOL.sub(_named, text)
    found = _COMMENT.match(text)
    return Rule(found["text"], found["comment"]) if found else Rule(text, "")


def _named(found: re.Match[str]) -> str:
    """The protocols by name where they have one, whatever /etc/protocols says here."""
    value = re.sub(r"\d+", lambda n: NAMES.get(int(n[0]), n[0]), found["value"])
    return found["what"] + value
