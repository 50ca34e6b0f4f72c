"""Firewall rules in the short form of the file -> nft matches.

::

    rule     = verdict [hook] { match }
    verdict  = "accept" | "drop" | "reject"
    hook     = "input" | "forward" | "output"
    match    = "established" | "new" | "invalid"
             | "icmp" | "tcp" | "udp" | ("tcp" | "udp") "/" ports
             | "protocol" number
             | ("from" | "to") (interface | node | address | subnet)
    ports    = port [ "-" port ] { "," port [ "-" port ] }

Without a hook a rule is for ``forward`` at a node that forwards, else for ``input``. No text of
the file goes into an nft statement: only words made here, checked interface names, numbers and
addresses that were parsed.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from netlab.topology.model import Firewall, Rule
from netlab.topology.names import show
from netlab.topology.problems import nearest
from netlab.topology.routing_domain import forwards
from netlab.topology.source import Scalar
from netlab.wire.protocols import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.errors import Position
    from netlab.topology.builder import TopologyBuilder
    from netlab.topology.model import Network
    from netlab.topology.routing import Routing

Hook: TypeAlias = Literal["input", "forward", "output"]

HOOKS: dict[str, Hook] = {"input": "input", "forward": "forward", "output": "output"}
VERDICTS = ("accept", "drop", "reject")
STATES = {"established": "established,related", "new": "new", "invalid": "invalid"}
TRANSPORTS = ("tcp", "udp")
MATCHES = (*STATES, "icmp", *TRANSPORTS, "protocol", "from", "to")
LONGEST = 100
"""Characters of a rule: it becomes the comment of the nft rule, which holds 128 bytes."""


class Token(NamedTuple):
    """A word of a rule and the column, from 0, at which it begins."""

    text: str
    column: int


class _Wrong(Exception):
    def __init__(self, message: str, column: int, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        self.hint = hint


def firewall(builder: TopologyBuilder, routing: Routing, name: str) -> Firewall | None:
    """The firewall of a node, if it has one."""
    node = builder.form.nodes[name]
    form = node.firewall
    if form is None or node.kind == "bridge":
        return None
    path = ("nodes", name, "firewall")
    default: Hook = "forward" if forwards(node) else "input"
    rules: list[Rule] = []
    for i, text in enumerate(form.rules):
        place = builder.at(*path, "rules", i)
        try:
            rules += _Parser(routing, name, text, default).rules(builder.origin(*path, "rules", i))
        except _Wrong as wrong:
            quote = isinstance(place, Scalar) and place.quoted
            builder.problems.add("E263", wrong.message, place, wrong.hint, wrong.column + quote)
    policies = tuple(
        (hook, verdict)
        for hook, verdict in zip(
            HOOKS.values(), (form.input, form.forward, form.output), strict=True
        )
        if verdict
    )
    return Firewall(policies, tuple(rules), builder.origin_key(*path))


class _Parser:
    """Reads one rule at one node."""

    def __init__(self, routing: Routing, node: str, text: str, default: Hook) -> None:
        if len(text) > LONGEST:
            raise _Wrong(f"a rule of {len(text)} characters", LONGEST, f"at most {LONGEST}")
        self.routing = routing
        self.wiring = routing.wiring
        self.node = node
        self.tokens = [Token(m[0], m.start()) for m in re.finditer(r"\S+", text)]
        self.label = " ".join(t.text for t in self.tokens)
        self.hook = default
        self.transport = ""
        self.end = len(text)
        self._said: dict[str, str] = {}

    def rules(self, origin: Position) -> Iterator[Rule]:
        """One rule, or one for each family where addresses of both are named."""
        tokens = iter(self.tokens)
        verdict = next(tokens, Token("", 0))
        if verdict.text not in VERDICTS:
            raise _Wrong(
                f"a rule begins with a verdict, not `{show(verdict.text)}`",
                verdict.column,
                nearest(verdict.text, VERDICTS),
            )
        matches: list[str] = []
        families: list[dict[int, str]] = []
        for position, token in enumerate(tokens):
            if position == 0 and token.text in HOOKS:
                self.hook = HOOKS[token.text]
            elif token.text in ("from", "to"):
                what = next(tokens, None)
                found = self._place(token, what)
                if isinstance(found, str):
                    self._once(f"{token.text} an interface", token, what)
                    matches.append(found)
                else:
                    self._once(f"{token.text} an address", token, what)
                    families.append(found)
            elif token.text == "protocol":
                number = next(tokens, None)
                matches.append(self._protocol(number))
                self._once("protocol", token, number)
            else:
                matches.append(self._simple(token))
        statement = verdict.text
        if statement == "reject" and self.transport == "tcp":
            # What a closed port would answer (RFC 9293 section 3.10.7.1).
            statement = "reject with tcp reset"
        versions = [v for v in (4, 6) if all(v in f for f in families)]
        if not versions:
            raise _Wrong(
                "`from` and `to` are of different IP versions", 0, "write a rule for each version"
            )
        for version in versions if families else (0,):
            own = (*(f[version] for f in families), *matches)
            yield Rule(self.hook, own, statement, self.label, origin)

    def _once(self, what: str, token: Token, value: Token | None = None) -> None:
        """A packet has one protocol, one state, one source: a second match can never hold, too."""
        text = f"{token.text} {value.text}" if value else token.text
        first = self._said.setdefault(what, text)
        if first is not text and first == text:
            raise _Wrong(f"`{show(text)}` is there twice", token.column, "keep one")
        if first is not text:
            ports = first.partition("/")[0] == text.partition("/")[0] and "/" in first
            raise _Wrong(
                f"no packet is both `{show(first)}` and `{show(text)}`",
                token.column,
                f"write `{first},{text.partition('/')[2]}`"
                if ports and "/" in text
                else "all parts of a rule must match: write a rule for each",
            )

    def _simple(self, token: Token) -> str:
        word, slash, ports = token.text.partition("/")
        if token.text in STATES:
            self._once("state", token)
        elif word in (*TRANSPORTS, "icmp"):
            self._once("protocol", token)
        if word in TRANSPORTS:
            self.transport = word
            if slash:
                return f"{word} dport {self._ports(ports, token.column + len(word) + 1)}"
            return f"meta l4proto {NUMBERS[word]}"
        if token.text in STATES:
            return f"ct state {STATES[token.text]}"
        if token.text == "icmp":
            return f"meta l4proto {{ {NUMBERS['icmp']}, {NUMBERS['icmpv6']} }}"
        raise _Wrong(
            f"unexpected `{show(token.text)}` in a rule", token.column, nearest(word, MATCHES)
        )

    def _ports(self, text: str, column: int) -> str:
        found = []
        for part in text.split(","):
            first, dash, last = part.partition("-")
            ends = [first, last] if dash else [first]
            if not all(
                e.isascii() and e.isdigit() and len(e) < 6 and 0 < int(e) < 65536 for e in ends
            ):
                raise _Wrong(f"`{show(part)}` is not a port", column, "as in tcp/80,443,8000-8080")
            if int(ends[0]) > int(ends[-1]):
                raise _Wrong(
                    f"port range `{part}` runs backwards", column, "the smaller port first"
                )
            found.append("-".join(str(int(e)) for e in ends))
            column += len(part) + 1
        return found[0] if len(found) == 1 else "{ " + ", ".join(found) + " }"

    def _protocol(self, token: Token | None) -> str:
        number = token.text if token else ""
        if not (number.isascii() and number.isdigit() and len(number) < 4 and int(number) < 256):
            raise _Wrong(
                "`protocol` is followed by a number from 0 to 255",
                token.column if token else self.end,
                "as in `drop protocol 255`",
            )
        return f"meta l4proto {int(number)}"

    def _place(self, token: Token, what: Token | None) -> str | dict[int, str]:
        """An interface of this node, else a node, an address or a subnet."""
        if what is None:
            raise _Wrong(
                f"`{token.text}` is followed by an interface, node, address or subnet",
                self.end,
                f"as in `accept {token.text} 10.0.0.0/24`",
            )
        side = "saddr" if token.text == "from" else "daddr"
        if self.wiring.end(self.node, what.text):
            lost = "output" if token.text == "from" else "input"
            if self.hook == lost:
                raise _Wrong(
                    f"at hook `{self.hook}` no packet is {token.text} an interface",
                    what.column,
                    "match an address instead",
                )
            return f'{"iifname" if token.text == "from" else "oifname"} "{what.text}"'
        network = _network(what.text)
        if network:
            family = "ip" if network.version == 4 else "ip6"
            single = network.prefixlen == network.max_prefixlen
            shown = network.network_address if single else network
            return {network.version: f"{family} {side} {shown}"}
        if what.text not in self.wiring.by_node:
            known = [e.interface for e in self.wiring.by_node[self.node]]
            raise _Wrong(
                f"`{show(what.text)}` is neither an interface of {self.node} nor a node, an address"
                " or a subnet",
                what.column,
                nearest(what.text, [*known, *self.wiring.by_node]),
            )
        found = {}
        every = self.routing.addresses(self.node, what.text)
        for version, family in ((4, "ip"), (6, "ip6")):
            addresses = [str(a) for a in every if a.version == version]
            if addresses:
                listed = ", ".join(addresses)
                shown_all = f"{{ {listed} }}" if len(addresses) > 1 else listed
                found[version] = f"{family} {side} {shown_all}"
        if not found:
            raise _Wrong(f"node `{what.text}` has no address", what.column, "a bridge has none")
        return found


def _network(text: str) -> Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None
