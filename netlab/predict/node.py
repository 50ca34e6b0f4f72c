"""What a plan says of its nodes, as far as a prediction needs it, and what they remember."""

from __future__ import annotations

import re
from ipaddress import ip_interface
from typing import TYPE_CHECKING

from netlab.nft import ruleset
from netlab.plan import inline
from netlab.plan.operations import (
    AddAddress,
    AddNeighbour,
    AddRoute,
    AddRoutingRule,
    CreateNamespace,
    CreateVeth,
    Enslave,
    LoadRules,
    SetSysctl,
    StartProgram,
)
from netlab.predict.link_boxes import LinkBoxes
from netlab.predict.routes import Routes
from netlab.wire.address import packed
from netlab.wire.view import ICMP, ICMPV6, TCP, UDP, WITH_PORTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netlab.capture.evidence import NodeState
    from netlab.plan.operations import Plan
    from netlab.wire.view import View

_RP_FILTER = re.compile(r"net\.ipv4\.conf\.([^.]+)\.rp_filter")
_FORWARDING = re.compile(r"net\.ipv4\.conf\.([^.]+)\.forwarding")

SEEN_REPLY = 1 << 1
"""IPS_SEEN_REPLY of include/uapi/linux/netfilter/nf_conntrack_common.h."""

NUMBERED = WITH_PORTS | {ICMP, ICMPV6, TCP, UDP}
"""Protocols whose flows have ports or identifiers, which a NAT may change."""


class ConntrackEntry:
    """An entry of conntrack: the packet that made it as it came and as it left."""

    def __init__(self, came: View) -> None:
        self.came = came
        self.left = came
        self.packets = 0
        self.nat: frozenset[str] = frozenset()
        self.is_confirmed = False
        self.replied: bool | None = False
        """``None`` where it is not known whether somebody answered."""

    def tracked(self, *, is_reply: bool) -> ruleset.Tracked:
        """What rules see of it."""
        return ruleset.Tracked(
            is_reply,
            self.packets,
            self.replied,
            not self.is_confirmed,
            (self.came.source, self.came.destination),
            "dnat" in self.nat,
        )

    def arriving(self, packet: View, *, is_reply: bool) -> View:
        """Another packet of it, where destinations are translated."""
        if is_reply:
            source = self.came.source if "snat" in self.nat else packet.destination
            return packet._replace(destination=source)
        if "dnat" not in self.nat:
            return packet
        return packet._replace(
            destination=self.left.destination, destination_port=self.left.destination_port
        )

    def leaving(self, packet: View, *, is_reply: bool) -> View:
        """Another packet of it, where sources are translated."""
        if is_reply:
            target = self.came.destination if "dnat" in self.nat else packet.source
            return packet._replace(source=target)
        return packet._replace(source=self.left.source) if "snat" in self.nat else packet


class Node:
    """What the plan says of one node."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.addresses: dict[str, list[bytes]] = {}
        self.routes = Routes()
        self.rp_filter = {"all": 0, "default": 0}
        self.forwards_from: dict[str, bool] = {}
        self.settings: dict[str, str] = {}
        """Sysctls that the plan sets, the last value of each."""
        self.state: NodeState | None = None
        """What is known of it as it runs."""
        self.mtu: dict[str, int] = {"lo": 65536}
        self.peers: dict[str, tuple[str, str]] = {}
        self.masters: dict[str, str] = {}
        self.macs: dict[str, str] = {}
        self.neighbours: dict[tuple[str, bytes], str] = {}
        """MAC addresses that are known from the start, by interface and address."""
        self.forwards = {4: kind in ("router", "nat", "stack"), 6: False}
        self.chains: list[ruleset.Chain] = []
        self.is_clear = True
        self.wire: LinkBoxes | None = None
        self.flows: dict[int, ConntrackEntry] = {}
        """Entries of conntrack, by the number that a prediction gives a flow."""
        self.memory = ruleset.Memory()

    @property
    def own(self) -> set[bytes]:
        """Every address of it."""
        return {address for found in self.addresses.values() for address in found}

    def doubt(self) -> None:
        """Packets may have passed that the model knows nothing of."""
        self.memory.is_known = False
        if self.wire:
            self.wire.is_fresh = False
        for flow in self.flows.values():
            flow.replied = flow.replied or None

    def passes(self, version: int, incoming: str) -> bool:
        """Whether what came in by an interface may go on."""
        per_interface = self.forwards_from.get(incoming) if version == 4 else None
        return self.forwards[version] if per_interface is None else per_interface

    def reverse_filter(self, interface: str) -> int:
        """The mode of `rp_filter` there: the kernel takes the larger of two (ip-sysctl.rst)."""
        own = self.rp_filter.get(interface, self.rp_filter["default"])
        return max(self.rp_filter["all"], own)

    def setting(self, key: str, default: str = "0") -> str:
        """What the plan sets a sysctl to."""
        return self.settings.get(key, default)

    def ttl(self, version: int, interface: str) -> int:
        """What packets start with that are made here."""
        if version == 4:
            return int(self.setting("net.ipv4.ip_default_ttl", "64"))
        by_default = self.setting("net.ipv6.conf.default.hop_limit", "64")
        return int(self.setting(f"net.ipv6.conf.{interface}.hop_limit", by_default))

    def sends_fragments(self, version: int) -> bool:
        """Whether what it sends may be cut on the way (``ip_no_pmtu_disc``)."""
        return version == 4 and self.setting("net.ipv4.ip_no_pmtu_disc") not in ("0", "3")

    def filters_frames(self, version: int) -> bool:
        """Whether its bridge passes frames through the hooks of IP (br_netfilter)."""
        name = "iptables" if version == 4 else "ip6tables"
        return self.setting(f"net.bridge.bridge-nf-call-{name}", "1") != "0"

    def known_flow(self, packet: View) -> ConntrackEntry | None:
        """The entry that a packet without ports finds in conntrack, if one was read there."""
        if not self.state or packet.protocol in NUMBERED:
            return None
        ends = (packet.source, packet.destination)
        for original, reply, status in self.state.flows:
            ways = (original.source, original.destination), (reply.source, reply.destination)
            if original.protocol != packet.protocol or ends not in ways:
                continue
            came = packet._replace(source=original.source, destination=original.destination)
            entry = ConntrackEntry(came)
            entry.left = packet._replace(source=reply.destination, destination=reply.source)
            entry.nat = frozenset(
                kind
                for kind, is_so in (
                    ("snat", original.source != reply.destination),
                    ("dnat", original.destination != reply.source),
                )
                if is_so
            )
            entry.is_confirmed, entry.replied = True, bool(status & SEEN_REPLY)
            return entry
        return None

    def has_taken(self, entry: ConntrackEntry, left: View) -> bool:
        """Whether conntrack had another flow whose answers look like this one's, when it was read.

        Then nothing tells the two apart, where there are no ports to change.
        """
        if not self.state or left.protocol in NUMBERED:
            return False
        back = (left.destination, left.source, left.protocol)
        came = (entry.came.source, entry.came.destination)
        return any(
            (reply.source, reply.destination, reply.protocol) == back
            and (original.source, original.destination) != came
            for original, reply, _ in self.state.flows
        )

    def is_down(self, interface: str) -> bool:
        """Whether nothing can leave by it, as far as that is known."""
        return self.state is not None and interface in self.state.down


def nodes(
    plan: Plan, *, is_fresh: bool, state: Mapping[str, NodeState] | None = None
) -> dict[str, Node]:
    """The nodes by name; what has counted already in a lab that is not fresh is not known.

    ``state`` is what was read of the nodes as they run.
    """
    found: dict[str, Node] = {}
    for operation in plan.operations:
        match operation:
            case CreateNamespace():
                found[operation.node] = Node(operation.kind)
            case CreateVeth(a=a, b=b):
                for one, other in ((a, b), (b, a)):
                    found[one.node].peers[one.name] = (other.node, other.name)
                    found[one.node].mtu[one.name] = one.mtu
                    found[one.node].macs[one.name] = one.mac
            case AddNeighbour():
                entry = (operation.name, packed(operation.address))
                found[operation.node].neighbours[entry] = operation.mac
            case AddAddress(node=name, name=interface, address=text):
                node, address = found[name], ip_interface(text)
                node.addresses.setdefault(interface, []).append(address.packed)
                node.routes.connect(str(address.network), interface)
            case AddRoute():
                found[operation.node].routes.add(operation)
            case AddRoutingRule():
                found[operation.node].routes.add_rule(operation)
            case Enslave():
                found[operation.node].masters[operation.name] = operation.master
            case SetSysctl():
                _setting(found[operation.node], operation)
            case LoadRules():
                chains, clear = ruleset.parse(operation.text)
                found[operation.node].chains += chains
                found[operation.node].is_clear &= clear
                found[operation.node].memory.empty |= ruleset.empty_sets(operation.text)
                found[operation.node].memory.elements |= ruleset.known_sets(operation.text)
            case StartProgram(module=inline.MODULE):
                found[operation.node].wire = LinkBoxes(operation.arguments)
    for name, running in (state or {}).items():
        found[name].state = running
        found[name].routes.replace(running.routes)
    if not is_fresh:
        for node in found.values():
            node.doubt()
    return found


def _setting(node: Node, operation: SetSysctl) -> None:
    on = operation.value != "0"
    node.settings[operation.key] = operation.value
    if operation.key in ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding"):
        node.forwards[4] = on
    elif operation.key == "net.ipv6.conf.all.forwarding":
        node.forwards[6] = on
    elif name := _RP_FILTER.fullmatch(operation.key):
        node.rp_filter[name[1]] = int(operation.value)
    elif name := _FORWARDING.fullmatch(operation.key):
        node.forwards_from[name[1]] = on
