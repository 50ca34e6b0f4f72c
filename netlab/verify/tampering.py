"""What a saboteur can do to each kind of thing, so that it is something else than declared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from netlab.lab.reconfigure import REPLACE
from netlab.middlebox.catalogue import CATALOGUE
from netlab.plan import firewall as rules
from netlab.plan import nat as napt
from netlab.topology.model import Masquerade, Nat64, Nptv6, StaticNat
from netlab.topology.nat import DEPENDENCES, Translator, is_pool, problems
from netlab.verify.box_rows import names
from netlab.verify.expected import table
from netlab.verify.firewall_rows import changes_anything
from netlab.verify.nat64 import check_nat64, lab_of
from netlab.verify.nptv6 import check_nptv6
from netlab.verify.script import filled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlab.lab.lab import Lab
    from netlab.topology.model import Box, Node, Topology
    from netlab.verify.check import Check

    Tamper = Callable[[Lab], object]

_TIMES = "net.netfilter.nf_conntrack_"


@dataclass(frozen=True, slots=True)
class Tampering:
    """Other ``rules`` for the node's table, a table ``added`` to it, ``settings`` of its kernel."""

    what: str
    rules: str | None = None
    added: str = ""
    settings: tuple[tuple[str, str], ...] = ()

    TABLE: ClassVar[str] = "netlab_sabotage"
    DEFAULTS: ClassVar[tuple[tuple[str, str], ...]] = (
        (f"{_TIMES}udp_timeout", "30"),
        (f"{_TIMES}udp_timeout_stream", "120"),
        (f"{_TIMES}tcp_timeout_established", "432000"),
        (f"{_TIMES}tcp_timeout_syn_sent", "120"),
        (f"{_TIMES}icmp_timeout", "30"),
    )
    """The kernel's own, which a restored node has where the plan says nothing."""


def _added(hook: str, priority: str, statement: str, kind: str = "filter") -> str:
    return (
        f"table inet {Tampering.TABLE} {{\n chain {hook} {{\n"
        f"  type {kind} hook {hook} priority {priority};\n  {statement}\n }}\n}}\n"
    )


# NATs.


def of_nat(topology: Topology, node: Node) -> Iterator[Tampering]:
    """Every word of every NAT of a node, and faults that no word describes."""
    for at, nat in enumerate(node.nat):
        if isinstance(nat, Translator) and _has_ipv4_inside(node, nat.outside):
            for what, other in _other_words(nat):
                changed = replace(node, nat=(*node.nat[:at], other, *node.nat[at + 1 :]))
                settings = tuple(napt.sysctls(other))
                yield Tampering(what, rules=rules.ruleset(changed), settings=settings)
        if isinstance(nat, (Translator, Masquerade)) and _has_ipv4_inside(node, nat.outside):
            yield from _faults(topology, node, nat)
        if isinstance(nat, StaticNat):
            name = (
                f"{nat.protocol}/{nat.outside_port}" if nat.protocol else str(nat.outside_address)
            )
            without = replace(node, nat=(*node.nat[:at], *node.nat[at + 1 :]))
            yield Tampering(f"static {name} deleted", rules=rules.ruleset(without))
            if nat.inside_port:
                moved = replace(nat, inside_port=nat.inside_port % 65535 + 1)
                changed = replace(node, nat=(*node.nat[:at], moved, *node.nat[at + 1 :]))
                yield Tampering(f"static {name} to another port", rules=rules.ruleset(changed))


def _has_ipv4_inside(node: Node, outside: str) -> bool:
    return any(a.version == 4 for i in node.interfaces if i.name != outside for a in i.addresses)


def _other_words(nat: Translator) -> Iterator[tuple[str, Translator]]:
    """The NAT with one word changed, wherever that makes one that can be."""

    def wanted() -> Iterator[dict[str, Any]]:
        for word in DEPENDENCES:
            if word != nat.mapping:
                yield {"mapping": word} | ({"ports": "random"} if word == DEPENDENCES[2] else {})
            if word != nat.filtering:
                yield {"filtering": word}
        for assignment in ("preserve", "preserve-parity", "random", "sequential", "overload"):
            if assignment != nat.ports:
                yield {"ports": assignment}
        for name in ("hairpinning", "icmp_errors", "inbound_refresh"):
            yield {name: not getattr(nat, name)}
        for treatment in ("translate", "drop", "leak", "pool"):
            if treatment != nat.unknown_protocols:
                yield {"unknown_protocols": treatment}
        yield {"unsolicited": "reset" if nat.unsolicited == "drop" else "drop"}
        low, high = nat.port_range
        if high - low > 2000:
            yield {"port_range": (low, low + 500)}
        if is_pool(nat):
            yield {"pooling": "arbitrary" if nat.pooling == "paired" else "paired"}
        if nat.sessions_per_subscriber:
            yield {"sessions_per_subscriber": 0}
            yield {"sessions_per_subscriber": nat.sessions_per_subscriber + 1}
        times = nat.timeouts
        for name in ("udp", "tcp_established", "tcp_transitory", "icmp"):
            for factor in (3, 1 / 3):
                seconds = max(1, round(getattr(times, name) * factor))
                yield {"timeouts": replace(times, **{name: seconds})}

    for change in wanted():
        other = replace(nat, **change)
        if list(problems(other)):
            continue
        (name, value), *_ = change.items()
        if name == "timeouts":
            moved = next(
                n for n in type(value).__dataclass_fields__
                if getattr(value, n) != getattr(nat.timeouts, n)
            )  # fmt: skip
            yield f"timeout {moved.replace('_', ' ')} {getattr(value, moved)} s", other
        else:
            said = (
                {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
            )
            yield f"{name.replace('_', ' ')}: {said}", other


def _faults(topology: Topology, node: Node, nat: Translator | Masquerade) -> Iterator[Tampering]:
    """What goes wrong with NATs beside their words."""
    del topology
    out, arriving = f'oifname "{nat.outside}"', f'iifname "{nat.outside}"'
    words = nat if isinstance(nat, Translator) else None
    address = next(
        str(a.ip) for i in node.interfaces if i.name == nat.outside
        for a in i.addresses if a.version == 4
    )  # fmt: skip
    if isinstance(nat, Translator):
        address = str(nat.addresses[0])
    host = next(
        (str(a.network[-2]) for i in node.interfaces if i.name != nat.outside
         for a in i.addresses if a.version == 4 and a.network.num_addresses > 8), "")  # fmt: skip
    forward = ("forward", "-5")
    yield Tampering(
        "answers dropped", added=_added(*forward, f"{arriving} ct state established drop")
    )
    yield Tampering("TCP SYNs dropped", added=_added(*forward, f"{out} tcp flags syn counter drop"))
    yield Tampering("echo dropped", added=_added(*forward, f"{out} icmp type echo-request drop"))
    yield Tampering(
        "all UDP on one outside port",
        added=_added("postrouting", "srcnat - 1",
                     f"{out} meta nfproto ipv4 meta l4proto udp snat ip to {address}:5555", "nat"),
    )  # fmt: skip
    if host:
        yield Tampering(
            "a host that is not translated",
            added=_added("postrouting", "srcnat - 1",
                         f"{out} ip saddr {host} snat ip to {host}", "nat"),
        )  # fmt: skip
    if words is None or words.icmp_errors:
        errors = "icmp type { destination-unreachable, time-exceeded }"
        yield Tampering("ICMP errors dropped", added=_added(*forward, f"{arriving} {errors} drop"))
    if words is None or words.unknown_protocols != "drop":
        yield Tampering(
            "unknown protocols dropped",
            added=_added(*forward, f"{out} meta nfproto ipv4 meta l4proto 253 drop"),
        )
    if words is None or words.ports != "random":
        yield Tampering(
            "TCP on random ports",
            added=_added(
                "postrouting",
                "srcnat - 1",
                f"{out} meta nfproto ipv4 meta l4proto tcp"
                f" snat ip to {address}:30000-60000 fully-random",
                "nat",
            ),
        )
    if words is None or words.unsolicited == "drop":
        yield Tampering(
            "resets to the unsolicited",
            added=_added("input", "-5", f"{arriving} tcp flags syn reject with tcp reset"),
        )
    if words is None or words.filtering != DEPENDENCES[0]:
        anybody = f"{arriving} meta nfproto ipv4 ct state new udp dport 1024-65535"
        yield Tampering(
            "a stranger let in",
            added=_added("prerouting", "dstnat - 1", f"{anybody} dnat ip to {host}", "nat"),
        )
    if words is None:
        for what, key, seconds in (
            ("udp", "udp_timeout", 1),
            ("udp", "udp_timeout", 3600),
            ("tcp established", "tcp_timeout_established", 60),
            ("tcp transitory", "tcp_timeout_syn_sent", 1),
            ("icmp", "icmp_timeout", 1),
        ):
            keys = [f"{_TIMES}{key}"] + ([f"{_TIMES}udp_timeout_stream"] if what == "udp" else [])
            yield Tampering(
                f"timeout {what} {seconds} s", settings=tuple((k, str(seconds)) for k in keys)
            )


# Firewalls.


def of_firewall(node: Node) -> Iterator[Tampering]:
    """Each rule deleted, and reversed; each policy reversed."""
    wall = node.firewall
    if wall is None or node.middleboxes or node.nftables:
        return
    for at, rule in enumerate(wall.rules):
        without = replace(wall, rules=(*wall.rules[:at], *wall.rules[at + 1 :]))
        verdict = "drop" if rule.verdict == "accept" else "accept"
        turned = replace(
            wall, rules=(*wall.rules[:at], replace(rule, verdict=verdict), *wall.rules[at + 1 :])
        )
        for what, changed in ((f"rule deleted: {rule.label}", without),
                              (f"rule turned into {verdict}: {rule.label}", turned)):  # fmt: skip
            if changes_anything(node, at, changed):
                tampered = replace(node, firewall=changed)
                yield Tampering(what, rules=rules.ruleset(tampered))
    for hook, policy in wall.policies:
        if hook == "output":
            continue
        policies = dict(wall.policies) | {hook: "accept" if policy == "drop" else "drop"}
        turned = replace(wall, policies=tuple(policies.items()))
        if changes_anything(node, hook, turned):
            tampered = replace(node, firewall=turned)
            yield Tampering(f"{hook} policy {policies[hook]}", rules=rules.ruleset(tampered))


# Boxes.


def of_box(box: Box) -> Iterator[tuple[str, Box | None]]:
    """Each box without effect, and with other parameters, as the table of expectations has them."""
    if not box.kind:
        return
    yield "without effect", None
    values = names(box)
    given = dict(box.parameters)
    if box.kind == "impair":
        yield from _impair(box, values)
        return
    for change in table("boxes")[box.kind].get("moved", ()):
        moved = filled(change, values)
        if list(CATALOGUE[box.kind].problems(given | moved)):
            continue
        said = ", ".join(f"{k} {v}" for k, v in moved.items() if given.get(k) != v)
        yield said, replace(box, parameters=tuple((given | moved).items()))


def _impair(box: Box, values: dict[str, Any]) -> Iterator[tuple[str, Box]]:
    given = dict(box.parameters)
    nothing = {"delay": "0s", "jitter": "0s", "rate": "0bit"}
    ways = ("delay", "jitter", "rate", "loss", "duplicate", "reorder")
    changes: list[tuple[str, dict[str, object]]] = [
        (f"no {name}", {name: nothing.get(name, "0%")}) for name in ways if values[name]
    ]
    if values["delay"]:
        changes.append(("a longer delay", {"delay": f"{float(values['delay']) * 2 + 0.1:g}s"}))
    if values["loss"] and float(values["loss"]) * 3 < 1:
        changes.append(("more loss", {"loss": f"{float(values['loss']) * 300:.6g}%"}))
    if values["rate"]:
        changes.append(("a third of the rate", {"rate": f"{float(values['rate']) / 3:.0f}bit"}))
    if values["direction"] == "both" and values["delay"]:
        changes.append(("outbound alone", {"direction": "outbound"}))
    for what, change in changes:
        yield what, replace(box, parameters=tuple((given | change).items()))


# Prefixes.


def of_prefix(
    node: Node,
) -> Iterator[tuple[list[tuple[str, Tamper]], Callable[[Tamper | None], Iterator[Check]]]]:
    """NAT64 and NPTv6: rows by a lab that is tampered with as soon as it is up."""

    def nft(statement: str) -> Tamper:
        return lambda lab: lab["nat"].run(["nft", statement], check=True)

    def load(text: str) -> Tamper:
        return lambda lab: lab["nat"].run(["nft", "-f", "-"], input=REPLACE + text, check=True)

    def chain(hook: str, statement: str) -> Tamper:
        text = _added(hook, "-5", statement)
        return lambda lab: lab["nat"].run(["nft", "-f", "-"], input=text, check=True)

    if any(isinstance(n, Nat64) for n in node.nat):
        ways = [
            ("nat64: rules deleted", nft("flush ruleset")),
            ("nat64: nothing comes back", chain("forward", 'oifname "lan" drop')),
            ("nat64: TCP dropped", chain("forward", "meta l4proto tcp drop")),
            (
                "nat64: ICMP errors dropped",
                chain("forward", "icmp type destination-unreachable drop"),
            ),
        ]
        nat = next(n for n in node.nat if isinstance(n, (Masquerade, Translator)))
        between = next(n for n in node.nat if isinstance(n, Nat64))
        if isinstance(nat, Translator):
            for what, other in _other_words(nat):
                if what.split(":")[0] in ("mapping", "filtering", "hairpinning", "icmp errors"):
                    text = rules.ruleset(lab_of(other, between).node("nat"))
                    ways.append((f"nat64: {what}", load(text)))
        yield ways, lambda tamper: check_nat64(node, tamper)
    if any(isinstance(n, Nptv6) for n in node.nat):
        ways = [
            ("nptv6: rules deleted", nft("flush ruleset")),
            ("nptv6: nothing comes in", chain("forward", 'iifname "wan" drop')),
            ("nptv6: TCP dropped", chain("forward", "meta l4proto tcp drop")),
            ("nptv6: ICMP errors dropped",
             chain("forward", "icmpv6 type destination-unreachable drop")),
        ]  # fmt: skip
        yield ways, lambda tamper: check_nptv6(node, tamper)
