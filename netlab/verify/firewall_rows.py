"""A firewall in its place: for each rule of the file a packet that it is about, and its fate.

The rules are read in their order, as the file has them: first match decides. What is asked is
whether the node does that.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.verify import crafted
from netlab.verify.bench import to
from netlab.verify.check import Check
from netlab.verify.crafted import datagram, segment
from netlab.verify.tap import NotMeasured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.middlebox import Packet
    from netlab.topology.model import Firewall, Node, Rule
    from netlab.verify.bench import Bench

SOURCE = "docs/topology.md (rules: the first that matches decides)"
OTHERWISE_UNUSED = 40_123
"""A port that rules seldom name."""

_MATCH = re.compile(r"(?P<what>[a-z0-9 ]+?) (?P<value>\"[^\"]*\"|\{[^}]*\}|\S+)$")
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
STATES = ("new", "established", "invalid")


class Question(NamedTuple):
    """A packet that a rule may be about."""

    hook: str
    entry: str
    """The interface that it comes in by."""
    leaves: str
    """The one that it would leave by; empty for the node itself."""
    source: str
    target: str
    protocol: int
    port: int
    state: str


def check(bench: Bench) -> Iterator[Check]:
    """A row for each rule, and one for each policy."""
    firewall = bench.node.firewall
    if firewall is None:
        return
    name = bench.node.name
    if bench.node.middleboxes or bench.node.nftables:
        why = "middleboxes or rules of the author's own share its node"
        yield Check(name, "firewall", "its rules", None, why=why, source=SOURCE)
        return
    asked = _Firewall(bench, firewall)
    for number, rule in enumerate(firewall.rules):
        yield asked.row(f"firewall: {rule.label}", number)
    for hook, policy in firewall.policies:
        yield asked.row(f"firewall: {hook} policy {policy}", hook)


class _Firewall:
    def __init__(self, bench: Bench, firewall: Firewall) -> None:
        self.bench, self.firewall = bench, firewall
        self.policies: dict[str, str] = dict(firewall.policies)
        outsides = {getattr(n, "outside", None) for n in bench.node.nat}
        self.outsides = outsides - {None}

    def row(self, label: str, about: int | str) -> Check:
        """A row for a rule by its number, or for a hook's policy."""
        bench = self.bench
        sent, came = bench.sent, bench.came
        declared, measured, why = "", None, ""
        try:
            question = self._question(about)
            verdict = self._decided(question)[1]
            declared = _words(verdict, question)
            measured = self._seen(question)
        except NotMeasured as error:
            why = str(error)
            declared = declared or self._verdict(about)
        how = f"{bench.sent - sent} packets sent, {bench.came - came} came out"
        return Check(bench.node.name, label, declared, measured, how, why, SOURCE)

    def _verdict(self, about: int | str) -> str:
        if isinstance(about, int):
            return self.firewall.rules[about].verdict.split()[0]
        return self.policies[about]

    # Which packet a rule is about.

    def _question(self, about: int | str) -> Question:
        """One that the rule decides, and none before it."""
        others: set[str] = set()
        hook = about if isinstance(about, str) else self.firewall.rules[about].hook
        if hook == "output":
            raise NotMeasured("what the node itself sends is not seen from its ends")
        for question in self._candidates(about, hook):
            decided, _ = self._decided(question)
            if decided == (about if isinstance(about, int) else None):
                return question
            if decided is not None:
                others.add(self.firewall.rules[decided].label)
        if others:
            raise NotMeasured(f"`{min(others)}` decides first")
        raise NotMeasured("no packet that it is about can be sent from the node's ends")

    def _candidates(self, about: int | str, hook: str) -> Iterator[Question]:
        matches = self.firewall.rules[about].matches if isinstance(about, int) else ()
        wanted = dict(_read(m) for m in matches)
        version = 6 if any(k.startswith("ip6") for k in wanted) else 4
        protocol, ports = _transport(wanted)
        family = "ip6" if version == 6 else "ip"
        states = [s for s in STATES if s in wanted["ct state"]] if "ct state" in wanted else ["new"]
        protocols = protocol or ((TCP, UDP, 253) if about != 0 else (UDP, TCP, 253))
        entries = wanted.get("iifname") or list(self.bench.at)
        exits = [""] if hook == "input" else wanted.get("oifname") or list(self.bench.at)
        for entry, leaves, number, state in product(entries, exits, protocols, states):
            if entry == leaves or entry not in self.bench.at:
                continue
            if hook == "forward" and entry in self.outsides and state != "established":
                continue  # that is for the NAT to let in
            try:
                sources = wanted.get(f"{family} saddr") or [self.bench.hosts(entry, 1, version)[0]]
                targets = wanted.get(f"{family} daddr") or [self._target(entry, leaves, version)]
            except NotMeasured:
                continue
            source, target = _one_of(sources[0]), _one_of(targets[0])
            if hook == "forward" and self._way(target) not in (leaves or None, leaves):
                continue
            port = ports[0] if ports else OTHERWISE_UNUSED
            yield Question(hook, entry, leaves, source, target, number, port, state)

    def _target(self, entry: str, leaves: str, version: int) -> str:
        if leaves:
            return self.bench.hosts(leaves, 1, version)[0]
        own = [str(a.ip) for a in self.bench.interface(entry).addresses if a.version == version]
        if not own:
            raise NotMeasured("no address")
        return own[0]

    def _way(self, target: str) -> str:
        """The interface by which the node would pass a packet on."""
        address = ip_address(target)
        best: tuple[int, str] = (-1, "")
        for i in self.bench.node.interfaces:
            for a in i.addresses:
                if address in a.network:
                    best = max(best, (a.network.prefixlen, i.name))
        for route in self.bench.node.routes:
            if address in route.destination:
                best = max(best, (route.destination.prefixlen, route.interface))
        return best[1]

    def _decided(self, question: Question) -> tuple[int | None, str]:
        """The rule that decides, by its number, and its verdict; ``None`` for the policy."""
        for number, rule in enumerate(self.firewall.rules):
            if rule.hook == question.hook and _is_about(rule, question):
                return number, rule.verdict
        return None, self.policies.get(question.hook, "accept")

    # What becomes of it.

    def _seen(self, question: Question) -> str:
        if question.hook == "input":
            if question.entry in self.outsides:
                raise NotMeasured("from outside that is for the NAT to let in")
            if self.policies.get("output") == "drop":
                raise NotMeasured("the node's answers are dropped by its output policy")
        for leaves in (question.leaves, question.entry):
            if leaves:
                self.bench.hosts(leaves, 1, 6 if ":" in question.target else 4)
        source = (question.source, self.bench.port())
        target = (question.target, question.port)
        entry = question.entry
        if question.state == "established":
            return self._established(question)
        flags = "R" if question.state == "invalid" else "S"
        came = self.bench.send(entry, _packet(question.protocol, source, target, flags))
        return _fate(question, came, source, target)

    def _established(self, question: Question) -> str:
        """An answer to a flow that the firewall lets begin, in either direction."""
        if question.hook != "forward":
            raise NotMeasured("answers to what the node itself sends are not seen from its ends")
        for begin in self._begins():
            a = (begin.source, self.bench.port())
            b = (begin.target, begin.port)
            # A real host there may answer first; its answer is as good as ours.
            first = self.bench.send(begin.entry, _packet(begin.protocol, a, b, "S"))
            seen = [p for p in first[begin.leaves] if crafted.ends(p)[1][0] == b[0]]
            if not seen:
                continue
            outside = crafted.ends(seen[0])[0]
            answer = _packet(begin.protocol, b, outside, "SA", ack=1001)
            came = self.bench.send(begin.leaves, answer)
            good = to(first[begin.entry] + came[begin.entry], a)
            return "passes" if good else "nothing comes back"
        raise NotMeasured("no flow can begin that could be answered")

    def _begins(self) -> Iterator[Question]:
        """Packets with which the firewall lets a flow begin."""
        about: list[int | str] = [
            n for n, rule in enumerate(self.firewall.rules)
            if rule.hook == "forward" and rule.verdict == "accept"
        ]  # fmt: skip
        for each in (*about, "forward"):
            try:
                begin = self._question(each)
            except NotMeasured:
                continue
            if begin.state == "new" and self._decided(begin)[1] == "accept":
                yield begin


def changes_anything(node: Node, about: int | str, other: Firewall) -> bool:
    """Whether a packet that a rule is about fares otherwise by ``other`` rules."""
    wall = node.firewall
    assert wall is not None
    hook = about if isinstance(about, str) else wall.rules[about].hook
    if hook == "output":
        return False
    if isinstance(about, str):
        return True
    rule = wall.rules[about]
    later = [r for r in other.rules[about:] if r.hook == hook]
    policies: dict[str, str] = dict(other.policies)
    verdicts = {r.verdict for r in later} | {policies.get(hook, "accept")}
    return verdicts != {rule.verdict}


def _fate(
    question: Question,
    came: dict[str, list[Packet]],
    source: tuple[str, int],
    target: tuple[str, int],
) -> str:
    arrived = [
        p for name, found in came.items() if name != question.entry for p in found
        if crafted.ends(p)[1][0] == target[0] and not p.is_icmp_error
    ]  # fmt: skip
    if question.hook == "forward" and arrived:
        return "passes"
    back = [p for p in came[question.entry] if p.is_icmp_error or p.tcp or question.leaves == ""]
    back = [p for p in back if crafted.about(p) or to([p], source) or crafted.is_icmp(p)]
    if not back:
        return "nothing comes back"
    if question.hook == "input":
        return "an answer"
    return "refused"


def _packet(
    protocol: int, source: tuple[str, int], target: tuple[str, int], flags: str, ack: int = 0
) -> Packet:
    if protocol == TCP:
        return segment(source, target, flags, ack=ack, seq=5000 if ack else 1000)
    if protocol == UDP:
        return datagram(source, target)
    if protocol in (ICMP, ICMPV6):
        return crafted.echo(source[0], target[0], source[1])
    return crafted.other(source[0], target[0], protocol)


def _words(verdict: str, question: Question) -> str:
    if question.hook == "input":
        return "nothing comes back" if verdict == "drop" else "an answer"
    return {"accept": "passes", "drop": "nothing comes back"}.get(verdict, "refused")


def _read(match: str) -> tuple[str, list[Any]]:
    """An nft match as its key and the values that it lists."""
    found = _MATCH.fullmatch(match)
    if found is None:
        raise NotMeasured(f"`{match}` is not understood")
    value = found["value"].strip()
    listed = value.strip("{} ").split(",")
    return found["what"], [v.strip().strip('"') for v in listed]


def _transport(wanted: dict[str, list[Any]]) -> tuple[list[int], list[int]]:
    """Protocols and ports that a rule speaks of."""
    for name, number in (("tcp dport", TCP), ("udp dport", UDP)):
        if name in wanted:
            return [number], [int(str(p).partition("-")[0]) for p in wanted[name]]
    return [int(p) for p in wanted.get("meta l4proto", [])], []


def _one_of(text: str) -> str:
    """An address of a subnet, or the address itself."""
    network = ip_network(text, strict=False)
    if network.num_addresses <= 2:
        return str(network.network_address)
    return str(network[min(network.num_addresses - 2, 0xFFFD)])


def _is_about(rule: Rule, question: Question) -> bool:
    return all(_fits(*_read(match), question) for match in rule.matches)


def _fits(what: str, values: list[Any], question: Question) -> bool:
    match what:
        case "iifname":
            return question.entry in values
        case "oifname":
            return question.leaves in values
        case "ct state":
            return question.state in values
        case "meta l4proto":
            return str(question.protocol) in values
        case "tcp dport" | "udp dport":
            right = question.protocol == (TCP if what[0] == "t" else UDP)
            return right and any(_within(question.port, v) for v in values)
    family, side = what.split()
    address = ip_address(question.source if side == "saddr" else question.target)
    if (family == "ip6") is not (address.version == 6):
        return False
    return any(address in ip_network(v, strict=False) for v in values)


def _within(port: int, text: str) -> bool:
    first, _, last = text.partition("-")
    return int(first) <= port <= int(last or first)
