"""NAT and firewall of a node as nftables text.

One table, ``inet netlab``, holds all that netlab makes itself. Every rule carries a counter and
a comment ``LABEL FILE:LINE``, so that whoever finds a drop is led back to the topology.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from netlab.topology.model import Masquerade, StaticNat

if TYPE_CHECKING:
    from netlab.errors import Position
    from netlab.topology.model import Firewall, Node

COMMENT_BYTES = 128
"""NFTNL_UDATA_COMMENT_MAXLEN: nft refuses a longer comment."""

HOOK_PRIORITY = {
    "prerouting": "dstnat",
    "postrouting": "srcnat",
    "input": "filter",
    "forward": "filter",
    "output": "filter",
}


def ruleset(node: Node) -> str:
    """The whole ruleset of ``node`` as nft text; empty if it has none."""
    chains = _Chains()
    for nat in node.nat:
        if isinstance(nat, StaticNat):
            _static_nat(chains, nat)
    for nat in node.nat:
        # After every static mapping: the first rule that matches decides a NAT chain.
        if isinstance(nat, Masquerade):
            _masquerade(chains, nat)
    if node.firewall:
        _firewall(chains, node.firewall)
    return chains.text()


class _Chains:
    """Rules collected by hook, in the order in which they were added."""

    def __init__(self) -> None:
        self._rules: dict[str, list[str]] = {}
        self._policies: dict[str, str] = {}

    def add(self, hook: str, statement: str, label: str, origin: Position | None) -> None:
        rule = f'{statement} comment "{comment(label, origin)}"'
        self._rules.setdefault(hook, []).append(rule)

    def policy(self, hook: str, verdict: str) -> None:
        self._rules.setdefault(hook, [])
        self._policies[hook] = verdict

    def text(self) -> str:
        if not self._rules:
            return ""
        lines = ["table inet netlab {"]
        for hook, priority in HOOK_PRIORITY.items():
            if hook not in self._rules:
                continue
            kind = "nat" if priority.endswith("nat") else "filter"
            policy = self._policies.get(hook, "accept")
            lines.append(f"\tchain {hook} {{")
            lines.append(f"\t\ttype {kind} hook {hook} priority {priority}; policy {policy};")
            lines += [f"\t\t{rule}" for rule in self._rules[hook]]
            lines.append("\t}")
        lines.append("}\n")
        return "\n".join(lines)


def comment(label: str, origin: Position | None) -> str:
    """What a rule says of itself, within nft's limit; quotes cannot be escaped in nft text."""
    place = f" {PurePath(origin.file).name}:{origin.line}" if origin else ""
    place = place.replace('"', "'")
    room = COMMENT_BYTES - 1 - len(place.encode())
    label = " ".join(label.replace('"', "'").split())
    return label.encode()[: max(room, 0)].decode(errors="ignore") + place


def _static_nat(chains: _Chains, nat: StaticNat) -> None:
    family = "ip" if nat.outside_address.version == 4 else "ip6"
    arriving = f'iifname "{nat.outside}" {family} daddr {nat.outside_address}'
    target = str(nat.inside_address)
    if nat.protocol:
        if family == "ip6":
            target = f"[{target}]"
        chains.add(
            "prerouting",
            f"{arriving} {nat.protocol} dport {nat.outside_port} counter"
            f" dnat {family} to {target}:{nat.inside_port}",
            "port forward",
            nat.origin,
        )
        return
    chains.add(
        "prerouting", f"{arriving} counter dnat {family} to {target}", "static NAT", nat.origin
    )
    chains.add(
        "postrouting",
        f'oifname "{nat.outside}" {family} saddr {nat.inside_address} counter'
        f" snat {family} to {nat.outside_address}",
        "static NAT",
        nat.origin,
    )


def _masquerade(chains: _Chains, nat: Masquerade) -> None:
    chains.add(
        "postrouting",
        f'oifname "{nat.outside}" meta nfproto ipv4 counter masquerade',
        "masquerade",
        nat.origin,
    )
    # An unsolicited packet would make a conntrack entry here and take the tuple that the next
    # flow from inside needs: the NAT would then look symmetric.
    chains.add(
        "input",
        f'iifname "{nat.outside}" meta nfproto ipv4 ct state new,invalid counter drop',
        "unsolicited to the NAT",
        nat.origin,
    )


def _firewall(chains: _Chains, firewall: Firewall) -> None:
    for hook, policy in firewall.policies:
        chains.policy(hook, policy)
    for rule in firewall.rules:
        statement = " ".join((*rule.matches, "counter", rule.verdict))
        chains.add(rule.hook, statement, rule.label, rule.origin)
    for hook, policy in firewall.policies:
        if policy == "drop":
            # The policy would drop too, but namelessly: a trace cannot point at a policy.
            chains.add(hook, "counter drop", f"{hook} policy drop", firewall.origin)
