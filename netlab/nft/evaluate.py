"""What the rules of a plan would do to a packet.

Only as much of nft's language is understood as netlab's own rules and simple ones need; of the rest
the answer is ``None``: only the kernel knows. A match is ``True``, ``False`` or
``None``, and so is a rule; a rule that decides and whose match is ``None`` makes all that follows
from it unknown. What only rewrites, counts or remembers can end no packet.

What rules count (``numgen``), measure (``limit``) and put into sets is the memory of a node.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple

from netlab.nft.lexer import Statement, Unreadable, statements
from netlab.wire.protocols import NUMBERS
from netlab.wire.view import ICMP, ICMPV6, TCP, UDP, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

PRIORITIES = {
    "raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100,
}  # fmt: skip
NAT_AT = {"prerouting": -100, "output": -100, "postrouting": 100, "input": 100}
"""The priority at which conntrack translates (NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC)."""
_ECN = {"not-ect": 0, "ect1": 1, "ect0": 2, "ce": 3}
_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32}

_BASE = re.compile(r"type (\w+) hook (\w+) priority ([\w-]+)(?: ([+-]) (\d+))?$")
_COMMENT = re.compile(r' comment "([^"]*)"$')
_MATCH = re.compile(
    r"(?P<what>iifname|oifname|meta nfproto|meta l4proto"
    r"|ip [sd]addr & [\d.]+|ip6? [sd]addr|ip protocol|ip6 nexthdr"
    r"|(?:tcp|udp|th) [sd]port|icmp(?:v6)? type|ip ttl|ip6 hoplimit|ip6? dscp|ip6? ecn"
    r"|ip frag-off & 0x1fff|frag frag-off|tcp flags(?: & (?:\([^)]*\)|\w+))?"
    r"|ct state|ct direction|ct original packets|ct original ip6? [sd]addr|ct status(?: & dnat)?"
    r")"
    r"(?: (?P<sign>!=|==|>=|<=|>|<))? (?P<value>\{[^}]*\}|\S+)(?: |$)"
)
_LIMIT = re.compile(r"limit rate (?P<over>over )?\d+/\w+(?: burst (?P<burst>\d+) packets)?(?: |$)")
_NUMBERED = re.compile(
    r"numgen inc mod (?P<mod>\d+)(?: (?P<sign>!=|==))? (?P<value>\{[^}]*\}|[\d-]+)(?: |$)"
)
# The value may also be what is looked up: snat ip to ip saddr map @lease
_LOOKED_UP = re.compile(
    r"(?=[^{}@]* @)(?!add|update|delete)(?:[\w-]+ (?:\. )?)+?(?P<not>!= )?@(?P<set>\w+)(?: |$)"
)
_SETS = re.compile(r"\b(?:set|map) (\w+) \{([^{}]*)")
_PASSING = re.compile(
    r"(?:counter(?: packets \d+ bytes \d+)?|log(?: prefix \"[^\"]*\")?"
    r"|(?:add|update|delete) @(?P<filled>\w+) \{[^}]*\}|(?:ct|meta) mark set \S+)(?: |$)"
)
_SET = re.compile(
    r"(?:ip6? (?P<field>ttl|hoplimit|dscp|ecn|id|saddr|daddr)|(?:tcp|udp|th) (?P<port>[sd]port)"
    r"|@nh,(?P<bit>64|192),(?P<bits>\d+))"
    r" set (?P<value>\S+)(?: |$)"
)
_NAT = re.compile(r"(?P<kind>masquerade|snat|dnat)(?: (?:ip6? )?to (?P<to>\S+))?")
_VERDICT = re.compile(
    r"\b(?:accept|drop|return|continue|masquerade|snat|dnat|redirect|tproxy|queue|synproxy|reject"
    r"|jump|goto|vmap|dup|fwd|notrack)\b"
)


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

    def sees(self, here: Situation) -> bool:
        """Whether the packet passes this chain."""
        if self.kind == "nat" and not here.tracked.is_first:
            return False
        return self.family in ("inet", "ip" if here.packet.version == 4 else "ip6")


class Effect(NamedTuple):
    """What a rule or a policy (``rule`` is ``None``) decided: see ``Ruled``."""

    verdict: str
    chain: Chain | None = None
    rule: Rule | None = None
    to: str = ""
    why: str = ""
    """Why it is unknown, if that is not the rule's language."""


class Ruled(NamedTuple):
    """The packet behind the rules of a hook. ``end`` is what ended it: ``drop`` or ``unknown``.

    ``nat`` are the translations that it got here.
    """

    packet: View
    end: Effect | None = None
    nat: frozenset[str] = frozenset()


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


def _extended(chain: Chain, statement: Statement) -> Chain:
    text = " ".join(statement.text.replace("\\\n", " ").split())
    base = _BASE.match(text)
    if base:
        kind, hook, priority, sign, offset = base.groups()
        number = PRIORITIES.get(priority)
        level = int(priority) if number is None else number
        level += int(f"{sign}{offset}") if sign else 0
        return chain._replace(kind=kind, hook=hook, priority=level)
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


def at_hook(
    chains: Iterable[Chain],
    hook: str,
    here: Situation,
    conntrack: Callable[[View], View] | None = None,
) -> Ruled:
    """What all chains of a hook do, in order of priority.

    ``conntrack`` translates a packet of a flow that it knows, where chains of type nat are.
    """
    chains = list(chains)
    nat: set[str] = set()
    for chain in sorted((c for c in chains if c.hook == hook), key=lambda c: c.priority):
        if conntrack and chain.priority >= NAT_AT.get(hook, 0):
            here = here._replace(packet=conntrack(here.packet))
            conntrack = None
        if not chain.sees(here):
            continue
        known = {c.name: c for c in chains if (c.family, c.table) == (chain.family, chain.table)}
        effect, packet = _through(chain, chain, here, known)
        here = here._replace(packet=packet)
        if effect is None:
            effect = Effect("accept" if chain.policy == "accept" else chain.policy, chain)
        if effect.verdict in ("masquerade", "snat", "dnat"):
            after = translated(here.packet, effect, here.own)
            if after is None:
                return Ruled(here.packet, effect._replace(verdict="unknown"))
            nat.add("dnat" if effect.verdict == "dnat" else "snat")
            here = here._replace(packet=after)
        elif effect.verdict != "accept":
            return Ruled(here.packet, effect)
    return Ruled(conntrack(here.packet) if conntrack else here.packet, None, frozenset(nat))


def _through(
    chain: Chain, base: Chain, here: Situation, known: Mapping[str, Chain], depth: int = 0
) -> tuple[Effect | None, View]:
    """What a chain does; ``None`` if the packet comes out at its end. And the packet then."""
    for rule in chain.rules:
        matches, action, packet, why = _judge(rule, here)
        if matches is None and not _VERDICT.search(action):
            continue  # it may have rewritten something, but it ends nothing
        if matches is None:
            return Effect("unknown", base, rule, why=why), here.packet
        if matches is False:
            continue
        here = here._replace(packet=packet)
        word, _, target = action.partition(" ")
        if word in ("jump", "goto"):
            if target not in known or depth > 16:
                return Effect("unknown", base, rule), packet
            effect, packet = _through(known[target], base, here, known, depth + 1)
            here = here._replace(packet=packet)
            if effect is None and word == "jump":
                continue
            return effect, packet
        if word == "return":
            return None, packet
        nat = _NAT.match(action)
        if nat:
            return Effect(nat["kind"], base, rule, nat["to"] or ""), packet
        if word == "reject":
            return Effect("drop", base, rule, to="reject"), packet
        if word in ("accept", "drop"):
            return Effect(word, base, rule), packet
        if action and _VERDICT.search(action):
            return Effect("unknown", base, rule), packet
    return None, here.packet


def _judge(rule: Rule, here: Situation) -> tuple[bool | None, str, View, str]:
    """Whether a rule matches, its statement that decides, and the packet as it rewrites it.

    At last why it is not known whether it matches. What follows an unknown match is not read.
    """
    rest, packet = rule.text, here.packet
    doubt: str | None = None
    undecided = ""
    while rest:
        holds: bool | None = True
        why = ""
        if found := _PASSING.match(rest):
            here.memory.empty.discard(found["filled"] or "")
        elif found := _SET.match(rest):
            changed = _rewritten(packet, found)
            if changed is None:
                break
            packet = changed
        elif found := _LIMIT.match(rest):
            why = "depends on how fast packets come"
            before = here.memory.count(rule, surely=doubt is None)
            few = before is not None and before < int(found["burst"] or 5)
            holds = not found["over"] if few else None
        elif found := _NUMBERED.match(rest):
            why = "depends on how many packets it has counted"
            before = here.memory.count(rule, surely=doubt is None)
            holds = None if before is None else _meant(before, found)
        elif found := _LOOKED_UP.match(rest):
            why = f"depends on what is in {found['set']}"
            holds = here.memory.may_hold(found["set"])
            holds = holds if holds is None else holds != bool(found["not"])
        elif found := _MATCH.match(rest):
            what = found["what"]
            holds = _holds(what, found["sign"] or "==", found["value"], here)
            why = "depends on whether the flow was answered" if what == "ct state" else ""
        else:
            break
        if holds is False:
            return False, rest, packet, ""
        if holds is None and doubt is None:
            doubt, undecided = why, rest
        rest = rest[found.end() :]
    if doubt is not None:
        return None, undecided, packet, doubt
    return (True if not rest or _is_verdict(rest) else None), rest, packet, ""


def _is_verdict(rest: str) -> bool:
    decides = ("accept", "drop", "return", "jump", "goto", "reject", "masquerade", "snat", "dnat")
    return rest.partition(" ")[0] in decides


def _rewritten(packet: View, statement: re.Match[str]) -> View | None:
    """The packet with a field set; ``None`` if it is not known to what."""
    field, value = statement["field"], statement["value"]
    try:
        match field:
            case "ttl" | "hoplimit":
                return packet._replace(ttl=int(value, 0))
            case "dscp":
                return packet._replace(traffic_class=int(value, 0) << 2 | packet.traffic_class & 3)
            case "ecn":
                return packet._replace(
                    traffic_class=packet.traffic_class & 0xFC | _ECN.get(value, 0)
                )
            case "id":
                return packet._replace(identification=int(value, 0))
            case "saddr":
                return packet._replace(source=ip_address(value).packed)
            case "daddr":
                return packet._replace(destination=ip_address(value).packed)
        if statement["bit"]:
            return _with_prefix(packet, statement["bit"], int(statement["bits"]), int(value, 0))
        if statement["port"] == "dport":
            return packet._replace(destination_port=int(value))
        return packet._replace(source_port=int(value))
    except ValueError:
        return None


def _with_prefix(packet: View, offset: str, bits: int, value: int) -> View | None:
    """The packet with the first bits of an IPv6 address written, as NPTv6 does it."""
    is_source = offset == "64"
    address = packet.source if is_source else packet.destination
    if len(address) != 16:
        return None
    rest = int.from_bytes(address, "big") & (1 << 128 - bits) - 1
    written = (value << 128 - bits | rest).to_bytes(16, "big")
    return packet._replace(source=written) if is_source else packet._replace(destination=written)


def _meant(before: int, found: re.Match[str]) -> bool | None:
    """Whether a packet that is counted is one of those that are meant."""
    turn = before % int(found["mod"])
    try:
        meant = any(_within(turn, one) for one in _values(found["value"]))
    except ValueError:
        return None
    return meant != (found["sign"] == "!=")


def _values(value: str) -> list[str]:
    return [v.strip().strip('"') for v in value.strip("{}").split(",") if v.strip()]


def _within(number: int, value: str) -> bool:
    first, _, last = value.partition("-")
    return int(first, 0) <= number <= int(last or first, 0)


def _holds(what: str, sign: str, value: str, here: Situation) -> bool | None:
    wanted = _values(value)
    if not _has(what, here.packet):
        return False
    try:
        if what == "ct state" or what.startswith("ct status"):
            found = _of_flow(what, wanted, here.tracked)
            return found if found is None or sign == "==" else not found
        number = _number(what, here)
        if number is not None and sign not in ("==", "!="):
            other = int(wanted[0], 0)
            return {
                ">": number > other, "<": number < other, ">=": number >= other,
                "<=": number <= other,
            }[sign]  # fmt: skip
        if sign not in ("==", "!="):
            return None
        if number is not None:
            return any(_within(number, one) for one in wanted) == (sign == "==")
        if what.startswith("tcp flags"):
            return _flagged(what, value, here.packet) == (sign == "==")
        return any(_is(what, one, here.packet, here) for one in wanted) == (sign == "==")
    except (ValueError, LookupError):
        return None


def _has(what: str, packet: View) -> bool:
    """Whether the packet has such a field; nft passes over rules about what is not there."""
    for word, there in (
        ("ip ", packet.version == 4),
        ("ip6 ", packet.version == 6),
        ("frag ", packet.version == 6),
        ("tcp ", packet.protocol == TCP),
        ("udp ", packet.protocol == UDP),
        ("icmp ", packet.protocol == ICMP),
        ("icmpv6 ", packet.protocol == ICMPV6),
    ):
        if what.removeprefix("ct original ").startswith(word):
            return there
    return True


def _number(what: str, here: Situation) -> int | None:
    """The number that is looked at, if it is one."""
    packet = here.packet
    match what.split():
        case ["ct", "original", "packets"]:
            return here.tracked.packets
        case ["ip", "ttl"] | ["ip6", "hoplimit"] | ["ip" | "ip6", "dscp"]:
            return packet.traffic_class >> 2 if what.endswith("dscp") else packet.ttl
        case ["ip", "frag-off", *_] | ["frag", "frag-off"]:
            if packet.is_fragment or not packet.dont_fragment:
                raise LookupError("it may come in pieces")
            return 0
    return None


def _of_flow(what: str, wanted: list[str], tracked: Tracked) -> bool | None:
    if what == "ct state":
        may = tracked.states
        return True if may <= {*wanted} else None if may & {*wanted} else False
    if what.endswith("& dnat"):
        return tracked.has_dnat == (wanted[0] not in ("0", "0x0"))
    if wanted == ["dnat"]:
        return tracked.has_dnat
    return None


def _flagged(what: str, value: str, packet: View) -> bool:
    """``tcp flags & (fin | syn) == syn``; without a mask any of the flags will do."""
    wanted = _flags(value)
    _, _, mask = what.partition(" & ")
    if not mask:
        return bool(packet.flags & wanted)
    return packet.flags & _flags(mask) == wanted


def _flags(words: str) -> int:
    total = 0
    for word in words.strip("(){}").replace(",", "|").split("|"):
        total |= _FLAGS[word.strip()] if word.strip() in _FLAGS else int(word, 0)
    return total


def _is(what: str, value: str, packet: View, here: Situation) -> bool:
    """Whether one value fits; ``ValueError`` or ``LookupError`` if that cannot be decided."""
    match what.split():
        case ["iifname" | "oifname" as side]:
            name = here.incoming if side == "iifname" else here.outgoing
            return name.startswith(value[:-1]) if value.endswith("*") else name == value
        case ["meta", "nfproto"]:
            return {"ipv4": 4, "ipv6": 6}[value] == packet.version
        case ["meta", "l4proto"] | ["ip", "protocol"] | ["ip6", "nexthdr"]:
            if value in NUMBERS:
                return packet.protocol == NUMBERS[value]
            return _within(packet.protocol, value)
        case ["ip", "saddr" | "daddr" as side, "&", mask]:
            address = packet.source if side == "saddr" else packet.destination
            masked = bytes(a & b for a, b in zip(address, ip_address(mask).packed, strict=True))
            return masked == ip_address(value).packed
        case ["ip" | "ip6", "saddr" | "daddr" as side]:
            return _inside(packet.source if side == "saddr" else packet.destination, value)
        case ["ct", "original", _, "saddr" | "daddr" as side]:
            return _inside(here.tracked.original[side == "daddr"], value)
        case ["ip" | "ip6", "ecn"]:
            return packet.traffic_class & 3 == _ECN[value]
        case [_, "sport" | "dport" as side]:
            port = packet.source_port if side == "sport" else packet.destination_port
            if not port:
                raise LookupError("the kernel will choose it")
            return _within(port, value)
        case ["icmp" | "icmpv6", "type"]:
            # The only such packets that are asked for are an echo request and its reply.
            return value == ("echo-reply" if here.tracked.is_reply else "echo-request")
        case ["ct", "direction"]:
            return value == ("reply" if here.tracked.is_reply else "original")
    raise LookupError(what)


def _inside(packed: bytes, value: str) -> bool:
    address = ip_address(packed)
    first, dash, last = value.partition("-")
    if dash:
        return int(ip_address(first)) <= int(address) <= int(ip_address(last))
    return address in ip_network(value, strict=False)


def translated(packet: View, effect: Effect, own: Iterable[bytes]) -> View | None:
    """The packet after a NAT; ``own`` are the outgoing interface's addresses. ``None``: unknown."""
    if effect.verdict == "masquerade":
        source = next((a for a in own if len(a) == len(packet.source)), None)
        return packet._replace(source=source) if source else None
    target = re.fullmatch(r"\[?([0-9a-fA-F.:]+?)\]?(?::(?:(\d+)(?:-\d+)?|numgen))?", effect.to)
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
