"""What the rules of a plan would do to the first packet of a flow.

Only as much of nft's language is understood as netlab's own rules and simple ones need; of the rest
the answer is ``None``: nobody can tell without the kernel. A match is ``True``, ``False`` or
``None``, and so is a rule; a rule whose match is ``None`` makes all that follows from it unknown.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple

from netlab.fate.packet import ICMP, ICMPV6, TCP, UDP, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PRIORITIES = {
    "raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100,
}  # fmt: skip
_PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "icmpv6": ICMPV6, "ipv6-icmp": ICMPV6}

_CHAIN = re.compile(r"chain (\S+) \{$")
_BASE = re.compile(
    r"type (\w+) hook (\w+) priority ([\w-]+)(?: ([+-]) (\d+))?;(?: policy (\w+);)?$"
)
_COMMENT = re.compile(r' comment "([^"]*)"$')
_MATCH = re.compile(
    r"(?P<what>iifname|oifname|meta nfproto|meta l4proto|ip6? [sd]addr|ip protocol|ip6 nexthdr"
    r"|(?:tcp|udp|th) [sd]port|icmp(?:v6)? type|ct state|ct direction|ct original packets)"
    r"(?: (?P<sign>!=|==|>|<))? (?P<value>\{[^}]*\}|\S+)(?: |$)"
)
_PASSING = re.compile(r"(?:counter(?: packets \d+ bytes \d+)?|log(?: prefix \"[^\"]*\")?)(?: |$)")
_NAT = re.compile(r"(?P<kind>masquerade|snat|dnat)(?: (?:ip6? )?to (?P<to>\S+))?")


class Situation(NamedTuple):
    """A packet where rules look at it; an interface is empty where there is none (yet)."""

    packet: View
    incoming: str
    outgoing: str


class Rule(NamedTuple):
    """A rule as it stands, without its comment."""

    text: str
    comment: str


class Chain(NamedTuple):
    """A base chain, or one to jump to (``hook`` empty)."""

    name: str
    hook: str
    priority: int
    policy: str
    rules: tuple[Rule, ...]


class Effect(NamedTuple):
    """What the rules at a hook do: ``verdict`` is ``accept``, ``drop``, a NAT or ``unknown``.

    ``rule`` decided it, ``None`` for a policy. ``to`` is where a NAT leads.
    """

    verdict: str
    chain: Chain | None = None
    rule: Rule | None = None
    to: str = ""


PASS = Effect("accept")


def parse(text: str) -> tuple[list[Chain], bool]:
    """The chains of a ruleset, and whether all of it was understood as far as its form goes."""
    chains: list[Chain] = []
    depth, clear = 0, True
    chain: Chain | None = None
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if chain is not None and depth == 2 and line != "}":
            chain = _extended(chain, line)
            continue
        opened = _CHAIN.match(line)
        if opened:
            chain = Chain(opened[1], "", 0, "accept", ())
        depth += line.count("{") - line.count("}")
        if line == "}" and depth == 1 and chain:
            chains.append(chain)
            chain = None
        clear = clear and (depth == 0 or not line.startswith("table") or line.endswith("{"))
        clear = clear and " chain " not in line
    return chains, clear and depth == 0


def _extended(chain: Chain, line: str) -> Chain:
    base = _BASE.match(line)
    if base:
        _, hook, priority, sign, offset, policy = base.groups()
        number = PRIORITIES.get(priority)
        level = int(priority) if number is None else number
        level += int(f"{sign}{offset}") if sign else 0
        return chain._replace(hook=hook, priority=level, policy=policy or "accept")
    comment = _COMMENT.search(line)
    text = line[: comment.start()] if comment else line
    return chain._replace(rules=(*chain.rules, Rule(text, comment[1] if comment else "")))


def at_hook(chains: Iterable[Chain], hook: str, here: Situation) -> Effect:
    """What all chains of a hook do, in order of priority; the first drop or NAT ends it."""
    known = {chain.name: chain for chain in chains if not chain.hook}
    for chain in sorted((c for c in chains if c.hook == hook), key=lambda c: c.priority):
        effect = _through(chain, chain, here, known)
        if effect is None:
            effect = PASS if chain.policy == "accept" else Effect(chain.policy, chain)
        if effect.verdict != "accept":
            return effect
    return PASS


def _through(
    chain: Chain, base: Chain, here: Situation, known: dict[str, Chain], depth: int = 0
) -> Effect | None:
    """What a chain does; ``None`` if the packet comes out at its end."""
    for rule in chain.rules:
        matches, action = _judge(rule.text, here)
        if matches is False or action == "":
            continue
        if matches is None:
            return Effect("unknown", base, rule)
        word, _, target = action.partition(" ")
        if word in ("jump", "goto"):
            if target not in known or depth > 16:
                return Effect("unknown", base, rule)
            effect = _through(known[target], base, here, known, depth + 1)
            if effect is None and word == "jump":
                continue
            return effect
        if word == "return":
            return None
        if word == "reject":
            return Effect("drop", base, rule)
        nat = _NAT.match(action)
        if nat:
            return Effect(nat["kind"], base, rule, nat["to"] or "")
        if word in ("accept", "drop"):
            return Effect(word, base, rule)
        return Effect("unknown", base, rule)
    return None


def _judge(text: str, here: Situation) -> tuple[bool | None, str]:
    """Whether a rule matches, and the statement that decides, empty if it has none."""
    rest = text
    while rest:
        passing = _PASSING.match(rest)
        if passing:
            rest = rest[passing.end() :]
            continue
        found = _MATCH.match(rest)
        if not found:
            break
        holds = _holds(found["what"], found["sign"] or "==", found["value"], here)
        if holds is not True:
            return holds, rest
        rest = rest[found.end() :]
    first = rest.partition(" ")[0]
    decides = ("accept", "drop", "return", "jump", "goto", "reject", "masquerade", "snat", "dnat")
    if rest and first not in decides:
        return None, rest
    return True, rest


def _holds(what: str, sign: str, value: str, here: Situation) -> bool | None:
    wanted = [v.strip().strip('"') for v in value.strip("{}").split(",") if v.strip()]
    packet = here.packet
    if what == "ct original packets":
        # The first packet of its flow.
        number = int(wanted[0])
        return {">": number < 1, "<": number > 1, "==": number == 1, "!=": number != 1}[sign]
    if sign not in ("==", "!="):
        return None
    try:
        found = any(_is(what, one, packet, here) for one in wanted)
    except (ValueError, LookupError):
        return None
    return found if sign == "==" else not found


def _is(what: str, value: str, packet: View, here: Situation) -> bool:
    """Whether one value fits; ``ValueError`` or ``LookupError`` if that cannot be told."""
    match what.split():
        case ["iifname" | "oifname" as side]:
            name = here.incoming if side == "iifname" else here.outgoing
            return name.startswith(value[:-1]) if value.endswith("*") else name == value
        case ["meta", "nfproto"]:
            return {"ipv4": 4, "ipv6": 6}[value] == packet.version
        case ["meta", "l4proto"] | ["ip", "protocol"] | ["ip6", "nexthdr"]:
            return packet.protocol == _PROTOCOLS.get(value, -1) or value == str(packet.protocol)
        case ["ip" | "ip6" as family, side]:
            if (family == "ip") != (packet.version == 4):
                return False
            address = ip_address(packet.source if side == "saddr" else packet.destination)
            first, dash, last = value.partition("-")
            if dash:
                return int(ip_address(first)) <= int(address) <= int(ip_address(last))
            return address in ip_network(value, strict=False)
        case [transport, "sport" | "dport" as side]:
            if packet.protocol not in (TCP, UDP) or transport not in ("th", _name(packet)):
                return False
            port = packet.source_port if side == "sport" else packet.destination_port
            if side == "sport" and not port:
                raise LookupError("the kernel will choose it")
            first, _, last = value.partition("-")
            return int(first) <= port <= int(last or first)
        case ["icmp" | "icmpv6" as transport, "type"]:
            # The only such packet that is asked for is an echo request.
            return packet.protocol == _PROTOCOLS[transport] and value == "echo-request"
        case ["ct", "state"]:
            return value == "new"
        case ["ct", "direction"]:
            return value == "original"
    raise LookupError(what)


def _name(packet: View) -> str:
    return "tcp" if packet.protocol == TCP else "udp"


def translated(packet: View, effect: Effect, own: Iterator[bytes]) -> View | None:
    """The packet after a NAT; ``own`` are the outgoing interface's addresses. ``None``: unknown."""
    if effect.verdict == "masquerade":
        source = next((a for a in own if len(a) == len(packet.source)), None)
        return packet._replace(source=source) if source else None
    target = re.fullmatch(r"\[?([0-9a-fA-F.:]+?)\]?(?::(\d+)(?:-\d+)?)?", effect.to)
    if not target:
        return None
    try:
        address = ip_address(target[1]).packed
    except ValueError:
        return None
    if effect.verdict == "snat":
        return packet._replace(source=address)
    port = int(target[2]) if target[2] else packet.destination_port
    return packet._replace(destination=address, destination_port=port)
