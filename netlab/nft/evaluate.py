"""What the rules of a plan would do to a packet.

Only as much of nft's language is understood as netlab's own rules and simple ones need; of the rest
the answer is ``None``: only the kernel knows. A match is ``True``, ``False`` or
``None``, and so is a rule; a rule that decides and whose match is ``None`` makes all that follows
from it unknown. What only rewrites, counts or remembers can end no packet.

What rules count (``numgen``), measure (``limit``) and put into sets is the memory of a node.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from netlab.nft.matches import ECN, flags, matched, values, within
from netlab.wire.view import TCP, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from netlab.nft.ruleset import Chain, Rule, Situation

NAT_AT = {"prerouting": -100, "output": -100, "postrouting": 100, "input": 100}
"""The priority at which conntrack translates (NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC)."""
_MATCH = re.compile(
    r"(?P<what>iifname|oifname|meta nfproto|meta l4proto"
    r"|ip [sd]addr & [\d.]+|ip6? [sd]addr|ip protocol|ip6 nexthdr"
    r"|(?:tcp|udp|th) [sd]port|icmp(?:v6)? type|ip ttl|ip6 hoplimit|ip6? dscp|ip6? ecn"
    r"|ip frag-off & 0x1fff|frag frag-off|tcp flags(?: & (?:\([^)]*\)|\w+))?"
    r"|ct state|ct direction|ct original packets|ct original ip6? [sd]addr|ct status(?: & dnat)?"
    r")"
    r"(?: (?P<sign>!=|==|>=|<=|>|<))? (?P<value>\{[^}]*\}|\S+)(?: |$)"
)
_FLAGS_UNDER = re.compile(
    r"tcp flags (?:(?P<sign>==|!=|!) )?(?P<value>[\w,|]+|\([^)]*\)) / (?P<mask>[\w,|]+|\([^)]*\))"
    r"(?: |$)"
)
_VERDICTS = re.compile(
    r"(?P<what>ct state|iifname|oifname|meta l4proto|ip6? [sd]addr|ip protocol"
    r"|(?:tcp|udp|th) [sd]port) vmap (?P<value>\{[^}]*\})(?: |$)"
)
_WRITES = re.compile(
    r"\b(?:ip6?|tcp|udp|th|icmp|icmpv6) (?:checksum|length|version|protocol|hdrlength|nexthdr"
    r"|frag-off|saddr|daddr|sport|dport|sequence|ackseq|doff|flags|type|code) set "
)
"""Statements that write what decides how a packet fares."""
_LIMIT = re.compile(r"limit rate (?P<over>over )?\d+/\w+(?: burst (?P<burst>\d+) packets)?(?: |$)")
_NUMBERED = re.compile(
    r"numgen inc mod (?P<mod>\d+)(?: (?P<sign>!=|==))? (?P<value>\{[^}]*\}|[\d-]+)(?: |$)"
)
# The value may also be what is looked up: snat ip to ip saddr map @lease
_LOOKED_UP = re.compile(
    r"(?=[^{}@]* @)(?!add|update|delete)(?:[\w-]+ (?:\. )?)+?(?P<not>!= )?@(?P<set>\w+)(?: |$)"
)
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
        if matches is None and _WRITES.search(action) and not _VERDICT.search(action):
            return Effect("unknown", base, rule, why=why), here.packet
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
            holds = _in_set(found, here)
        elif found := _FLAGS_UNDER.match(rest):
            under = packet.flags & flags(found["mask"]) == flags(found["value"])
            is_same = found["sign"] in (None, "==")
            holds = packet.protocol == TCP and under == is_same
        elif found := _VERDICTS.match(rest):
            said = _verdict_of(found["what"], found["value"], here)
            if said is None:
                break
            if said:
                rest = said
                break
        elif found := _MATCH.match(rest):
            what = found["what"]
            holds = matched(what, found["sign"] or "==", found["value"], here)
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


def _in_set(found: re.Match[str], here: Situation) -> bool | None:
    """Whether what a rule looks up is in the set; ``None`` if that is not known."""
    elements = here.memory.elements.get(found["set"])
    if elements is None:
        holds = here.memory.may_hold(found["set"])
    else:
        what = found[0].partition(" @")[0].removesuffix("!=").strip()
        holds = matched(what, "==", f"{{ {', '.join(elements)} }}", here)
    return holds if holds is None else holds != bool(found["not"])


def _verdict_of(what: str, value: str, here: Situation) -> str | None:
    """What an anonymous verdict map says, empty if nothing; ``None`` if that is not known."""
    for element in value.strip("{} ").split(","):
        key, colon, verdict = element.rpartition(" : ")
        holds = matched(what, "==", key.strip(), here) if colon else None
        if holds is None:
            return None
        if holds:
            return verdict.strip()
    return ""


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
                    traffic_class=packet.traffic_class & 0xFC | ECN.get(value, 0)
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
        meant = any(within(turn, one) for one in values(found["value"]))
    except ValueError:
        return None
    return meant != (found["sign"] == "!=")


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
