"""What a plan says of its nodes, as far as a prediction needs it, and what they remember."""

from __future__ import annotations

import re
from ipaddress import ip_interface
from typing import TYPE_CHECKING

from netlab.nft import evaluate
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

if TYPE_CHECKING:
    from netlab.plan.operations import Plan
    from netlab.wire.view import View

_RP_FILTER = re.compile(r"net\.ipv4\.conf\.([^.]+)\.rp_filter")
_FORWARDING = re.compile(r"net\.ipv4\.conf\.([^.]+)\.forwarding")


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

    def tracked(self, *, is_reply: bool) -> evaluate.Tracked:
        """What rules see of it."""
        return evaluate.Tracked(
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
        self.mtu: dict[str, int] = {"lo": 65536}
        self.peers: dict[str, tuple[str, str]] = {}
        self.masters: dict[str, str] = {}
        self.macs: dict[str, str] = {}
        self.neighbours: dict[tuple[str, bytes], str] = {}
        """MAC addresses that are known from the start, by interface and address."""
        self.forwards = {4: kind in ("router", "nat", "stack"), 6: False}
        self.chains: list[evaluate.Chain] = []
        self.is_clear = True
        self.wire: LinkBoxes | None = None
        self.flows: dict[int, ConntrackEntry] = {}
        """Entries of conntrack, by the number that a prediction gives a flow."""
        self.memory = evaluate.Memory()

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


def nodes(plan: Plan, *, is_fresh: bool) -> dict[str, Node]:
    """The nodes by name; what has counted already in a lab that is not fresh is not known."""
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
                chains, clear = evaluate.parse(operation.text)
                found[operation.node].chains += chains
                found[operation.node].is_clear &= clear
                found[operation.node].memory.empty |= evaluate.empty_sets(operation.text)
            case StartProgram(module=inline.MODULE):
                found[operation.node].wire = LinkBoxes(operation.arguments)
    if not is_fresh:
        for node in found.values():
            node.doubt()
    return found


def _setting(node: Node, operation: SetSysctl) -> None:
    on = operation.value != "0"
    if operation.key in ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding"):
        node.forwards[4] = on
    elif operation.key == "net.ipv6.conf.all.forwarding":
        node.forwards[6] = on
    elif name := _RP_FILTER.fullmatch(operation.key):
        node.rp_filter[name[1]] = int(operation.value)
    elif name := _FORWARDING.fullmatch(operation.key):
        node.forwards_from[name[1]] = on
