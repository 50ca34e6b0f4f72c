"""From a topology to the operations that build it; nothing is done here.

The order is one that also works by hand: every namespace with its settings, every wire, then
node by node what lies on the wires, and at last the programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.plan import boxes, firewall, inline, nat, nat64, sysctls, user_rules
from netlab.plan.operations import (
    AddAddress,
    AddNeighbour,
    AddRoute,
    AddRoutingRule,
    CreateBridge,
    CreateNamespace,
    CreateTun,
    CreateVeth,
    DisableOffloads,
    Enslave,
    InterfaceSummary,
    LoadRules,
    MakeDirectory,
    NodeSummary,
    Plan,
    SetSysctl,
    SetUp,
    StartProgram,
    VethEnd,
    WriteFile,
)
from netlab.topology.nat import Translator
from netlab.topology.sysctl_names import interface

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netlab.plan.operations import Operation
    from netlab.topology.model import Interface, Node, Program, Ready, Topology

WRITTEN = "from the topology file"


def build(topology: Topology) -> Plan:
    """The plan of a lab: equal topologies give equal plans."""
    topology = inline.insert_inline_nodes(topology)
    return Plan(
        name=topology.name,
        topology=topology.file,
        nodes=tuple(_summary(node) for node in topology.nodes),
        operations=tuple(_operations(topology)),
    )


def _operations(topology: Topology) -> Iterator[Operation]:
    for node in topology.nodes:
        yield CreateNamespace(node.name, node.kind, f"{node.kind} {node.name}")
        yield from _settings(node)
        if _has_ipv6(node):
            yield LoadRules(node.name, sysctls.NO_MLD, reason="no multicast listener reports")
    yield from _wires(topology)
    plain = set(inline.outer_ends(topology))
    for node in topology.nodes:
        yield from _interfaces(node, plain)
        yield from _paths(node)
        yield from _rules(node)
        for directory in node.directories:
            why = f"{node.name} has {directory.path} to itself"
            yield MakeDirectory(node.name, directory.path, directory.is_copy, why)
        for file in node.files:
            yield WriteFile(node.name, file.path, file.content, f"{node.name} sees {file.path}")
    # Before the programs of the file, which may have something to say to the other side.
    for node in topology.nodes:
        yield from _programs(node, nat64.programs(node))
    for node in topology.nodes:
        yield from _programs(node, node.programs)


def _settings(node: Node) -> Iterator[SetSysctl]:
    def each(settings: Iterable[sysctls.Setting], *, optional: bool = False) -> Iterator[SetSysctl]:
        for setting in settings:
            yield SetSysctl(node.name, setting.key, setting.value, optional, setting.why)

    yield from each(sysctls.EVERY_NODE)
    if _has_ipv6(node):
        yield from each(sysctls.IPV6)
        if node.forwards:
            yield from each(sysctls.FORWARDS_IPV6)
            if not node.neighbours and not node.ipv6_link_local:
                yield from each(sysctls.LINK_LOCAL)
        if node.ipv6_link_local:
            yield from each(sysctls.ASKED_LINK_LOCAL)
    else:
        yield from each(sysctls.NO_IPV6, optional=True)
    if node.forwards:
        yield from each(sysctls.FORWARDS_IPV4)
    if node.kind == "bridge":
        yield from each(sysctls.BRIDGE, optional=True)
    for translator in node.nat:
        if isinstance(translator, Translator):
            for key, value in nat.sysctls(translator):
                yield SetSysctl(node.name, key, value, reason="timeouts of the NAT")
            if translator.hairpinning:
                yield from each(sysctls.HAIRPINNING)
    for key, value in boxes.sysctls(node):
        yield SetSysctl(node.name, key, value, reason="a middlebox needs it")
    early = [(key, value) for key, value in node.sysctls if not interface(key)]
    for key, value in sorted(early, key=lambda setting: setting[0] not in sysctls.RESET_OTHERS):
        yield SetSysctl(node.name, key, value, reason=WRITTEN)


def _settings_of(node: Node, name: str) -> Iterator[SetSysctl]:
    """Those of one interface, which has to exist."""
    for key, value in node.sysctls:
        if interface(key) == name:
            yield SetSysctl(node.name, key, value, reason=WRITTEN)


def _has_ipv6(node: Node) -> bool:
    return node.ipv6_link_local or any(a.version == 6 for i in node.interfaces for a in i.addresses)


def _wires(topology: Topology) -> Iterator[CreateVeth]:
    interfaces = {(n.name, i.name): i for n in topology.nodes for i in n.interfaces}
    for link in topology.links:
        a, b = (_veth_end(node, interfaces[node, name]) for node, name in (link.a, link.b))
        networks = " ".join(str(n) for n in link.networks)
        yield CreateVeth(a, b, f"wire {networks}" if networks else "wire to a switch port")


def _veth_end(node: str, interface: Interface) -> VethEnd:
    return VethEnd(node, interface.name, interface.ifindex, interface.mac, interface.mtu)


def _interfaces(node: Node, plain: set[tuple[str, str]]) -> Iterator[Operation]:
    yield from _settings_of(node, "lo")
    yield SetUp(node.name, "lo", "programs expect a loopback")
    for i in node.interfaces:
        if i.kind == "bridge":
            yield CreateBridge(node.name, i.name, i.ifindex, i.mac, i.mtu, "the switch itself")
        elif i.kind == "tun":
            yield CreateTun(node.name, i.name, i.mtu, _tun_reason(node))
    for i in node.interfaces:
        if i.master:
            yield Enslave(node.name, i.name, i.master, f"port of {i.master}")
        yield from _settings_of(node, i.name)
        for address in i.addresses:
            yield AddAddress(node.name, i.name, str(address), "address")
        if (node.name, i.name) in plain:
            yield DisableOffloads(node.name, i.name, "a program carries its frames")
        yield SetUp(node.name, i.name, "in service")


def _tun_reason(node: Node) -> str:
    return "packets to translate" if node.kind == "nat" else "packets for the userspace stack"


def _paths(node: Node) -> Iterator[Operation]:
    for n in node.neighbours:
        yield AddNeighbour(node.name, n.interface, str(n.address), n.mac, "known, never asked for")
    for r in node.routes:
        yield AddRoute(
            node.name,
            str(r.destination),
            _text(r.gateway),
            r.interface,
            WRITTEN if r.origin else "shortest path",
            r.type,
            _text(r.source),
            r.metric,
            r.table,
            tuple((_text(h.gateway), h.interface, h.weight) for h in r.next_hops),
        )
    for rule in node.rules:
        yield AddRoutingRule(
            node.name,
            rule.version,
            rule.priority,
            _text(rule.source),
            _text(rule.destination),
            rule.incoming,
            rule.outgoing,
            "0x{:x}/0x{:x}".format(*rule.mark) if rule.mark else "",
            rule.table,
            rule.action,
            WRITTEN,
        )


def _text(address: object) -> str:
    return "" if address is None else str(address)


def _rules(node: Node) -> Iterator[LoadRules]:
    own = firewall.ruleset(node)
    if own:
        yield LoadRules(node.name, own, reason="NAT, middleboxes and firewall")
    if node.nftables:
        place, is_block = node.nftables_origin, node.nftables_is_block
        origin, text = "", node.nftables
        if place:
            origin = f"{place.file}:{place.line}"
            text = user_rules.located(text, place, is_block=is_block)
        yield LoadRules(node.name, text, origin, "the author's own rules", is_block)


def _programs(node: Node, programs: Iterable[Program]) -> Iterator[StartProgram]:
    for p in programs:
        yield StartProgram(
            node.name,
            p.name,
            p.argv,
            node.environment + p.environment,
            _readiness(p.ready),
            p.ready.timeout if p.ready else 0.0,
            f"program {p.name}",
            p.module,
            p.arguments,
            node.isolate and not p.module,
        )


def _readiness(ready: Ready | None) -> str:
    if ready is None:
        return ""
    if ready.port:
        return f"port {ready.port[0]} {ready.port[1]}"
    if ready.log is not None:
        return f"log {ready.log}"
    return f"exit {ready.exit}"


def _summary(node: Node) -> NodeSummary:
    return NodeSummary(
        node.name,
        node.kind,
        tuple(
            InterfaceSummary(
                i.name,
                tuple(str(a) for a in i.addresses),
                i.mac,
                ":".join(i.peer) if i.peer else "",
            )
            for i in node.interfaces
        ),
        node.environment,
        node.isolate,
    )
