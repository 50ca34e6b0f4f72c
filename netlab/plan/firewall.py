"""NAT, middleboxes and firewall of a node as nftables text.

One table, ``inet netlab``, holds all that netlab makes itself; ``chains`` puts it together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.nft.builder import Chains
from netlab.plan import boxes, nat64, nptv6
from netlab.plan import nat as napt
from netlab.topology.model import Masquerade, Nat64, Nptv6, StaticNat
from netlab.topology.nat import Translator

if TYPE_CHECKING:
    from netlab.topology.model import Firewall, Node


def ruleset(node: Node) -> str:
    """The whole ruleset of ``node`` as nft text; empty if it has none."""
    chains = Chains()
    for nat in node.nat:
        if isinstance(nat, StaticNat):
            _static_nat(chains, nat)
    outsides = [n.outside for n in node.nat if isinstance(n, (Masquerade, Translator))]
    static = [n for n in node.nat if isinstance(n, StaticNat)]
    for nat in node.nat:
        # After every static mapping: the first rule that matches decides a NAT chain.
        if isinstance(nat, Masquerade):
            _masquerade(chains, nat)
        elif isinstance(nat, Translator):
            napt.translate(chains, nat, outsides, static)
        elif isinstance(nat, Nat64):
            nat64.guard(chains, nat)
        elif isinstance(nat, Nptv6):
            nptv6.translate(chains, nat)
    if node.middleboxes:
        boxes.add(chains, node)
    if node.firewall:
        _firewall(chains, node.firewall)
    return chains.text()


def _static_nat(chains: Chains, nat: StaticNat) -> None:
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


def _masquerade(chains: Chains, nat: Masquerade) -> None:
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


def _firewall(chains: Chains, firewall: Firewall) -> None:
    for hook, policy in firewall.policies:
        chains.policy(hook, policy)
    for rule in firewall.rules:
        statement = " ".join((*rule.matches, "counter", rule.verdict))
        chains.add(rule.hook, statement, rule.label, rule.origin)
    for hook, policy in firewall.policies:
        if policy == "drop":
            # The policy would drop too, but namelessly: a trace cannot point at a policy.
            chains.add(hook, "counter drop", f"{hook} policy drop", firewall.origin)
