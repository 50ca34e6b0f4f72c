"""A topology file -> Topology, or every problem in it at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.topology import names, nat64, nptv6, shipped, source
from netlab.topology.addressing import give_addresses
from netlab.topology.boxes import link_boxes, node_boxes
from netlab.topology.builder import BRIDGE, TUN, TopologyBuilder
from netlab.topology.expand import expand
from netlab.topology.firewall import firewall
from netlab.topology.form import read_form
from netlab.topology.hosts import HostsFiles
from netlab.topology.model import Directory, Interface, Link, Node, Program, Ready, Topology
from netlab.topology.overrides import apply_overrides
from netlab.topology.problems import Problems
from netlab.topology.ranges import expand_ranges
from netlab.topology.reachability import check_reachable
from netlab.topology.routing import Routing
from netlab.topology.routing_rules import routing_rules
from netlab.topology.schema import TopologyForm
from netlab.topology.sysctls import check_sysctls
from netlab.topology.translation import translation
from netlab.topology.wiring import mac_address, mentions, wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netlab.topology.builder import End, Wiring
    from netlab.topology.schema import NodeForm, ProgramForm, ReadyForm

NOT_FOR = {
    "bridge": (
        "routes",
        "rules",
        "gateway",
        "firewall",
        "forwarding",
        "stack",
        "outside",
        "nat",
    ),
    "host": ("stack", "outside", "nat", "subnet"),
    "router": ("stack", "outside", "nat", "subnet"),
    "nat": ("stack", "subnet"),
    "stack": ("outside", "nat", "subnet", "forwarding"),
}
KIND_OF_KEY = {"stack": "stack", "outside": "nat", "nat": "nat", "subnet": "bridge"}


def load(path: str | Path, settings: Mapping[str, str] | None = None) -> Topology:
    """The topology in a file; InputError with all its problems if there are any.

    ``settings`` replace single values of nodes, see ``apply_overrides``.
    """
    problems = Problems(str(path))
    return _resolve(
        source.read(Path(path), problems), problems, shipped.stem(os.fspath(path)), settings
    )


def loads(text: str, file: str = "<string>") -> Topology:
    """The topology in a text; ``file`` is what messages call it."""
    problems = Problems(file)
    # A lone surrogate becomes bytes that are not UTF-8, and is refused as such.
    text = source.decode(text.encode("utf-8", "surrogatepass"), problems)
    return _resolve(text, problems, shipped.stem(file))


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of topology files, short forms included."""
    schema = TopologyForm.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _resolve(
    text: str, problems: Problems, stem: str, settings: Mapping[str, str] | None = None
) -> Topology:
    tree = source.parse(text, problems)
    if settings:
        apply_overrides(tree, settings, problems)
    return resolve(tree, problems, stem)


def resolve(tree: source.Mapping, problems: Problems, stem: str) -> Topology:
    """The topology in a tree, which is changed on the way; ``stem`` names a lab without a name."""
    expand_ranges(tree, problems)
    expand(tree, problems)
    nodes = tree.entries.get("nodes")
    written = frozenset(nodes[1].entries if nodes and isinstance(nodes[1], source.Mapping) else ())
    wanted = mentions(tree)
    form = read_form(tree, problems)
    if form is None:
        problems.raise_if_any()
        raise AssertionError("unreachable: a form is lost only with a problem")
    builder = TopologyBuilder(form, tree, problems, written - form.nodes.keys())
    _check_uplink(builder)
    _check_counts(builder)
    for name, node in form.nodes.items():
        _check_kind(builder, name, node)
    wiring = wire(builder)
    builder.incomplete = frozenset(
        name for name, ends in wiring.by_node.items() if len(ends) < wanted[name]
    )
    give_addresses(builder, wiring)
    nat64.attach(builder, wiring)
    nptv6.attach(builder, wiring)
    routing = Routing(builder, wiring)
    routing.check_overlaps()
    notes = check_reachable(builder, wiring)
    hosts = HostsFiles(builder, wiring, routing)
    resolved = [_node(builder, wiring, routing, hosts, name) for name in form.nodes]
    links = tuple(_link(builder, index, ends) for index, ends in wiring.links.items())
    problems.raise_if_any()
    return Topology(
        name=form.name or names.lab_name(stem),
        file=problems.file,
        description=form.description.strip(),
        nodes=tuple(resolved),
        links=links,
        notes=tuple(notes),
    )


def _check_uplink(builder: TopologyBuilder) -> None:
    if builder.form.uplink:
        builder.problems.add(
            "E209",
            "`uplink: true` is not supported yet: a lab has no way out of the machine",
            builder.at_key("uplink"),
            "leave it out",
        )


def _check_counts(builder: TopologyBuilder) -> None:
    """What is left of `count` did not come from a node itself."""
    for name, node in builder.form.nodes.items():
        if node.count is not None:
            builder.problems.add(
                "E231",
                "`count` has no meaning in a template or in defaults",
                builder.at_key("nodes", name, "count"),
                "write it at the node",
            )


def _check_kind(builder: TopologyBuilder, name: str, node: NodeForm) -> None:
    for key in NOT_FOR[node.kind]:
        if key in node.model_fields_set and getattr(node, key) not in (None, [], {}):
            kind = KIND_OF_KEY.get(key)
            builder.problems.add(
                "E210",
                f"`{key}` has no meaning at `{name}`, which is a {node.kind}",
                builder.at_key("nodes", name, key),
                f"it is for `kind: {kind}`" if kind else "leave it out",
            )


def _node(
    builder: TopologyBuilder, wiring: Wiring, routing: Routing, hosts: HostsFiles, name: str
) -> Node:
    node = builder.form.nodes[name]
    path = ("nodes", name)
    interfaces = tuple(_interfaces(builder, wiring.by_node[name], name))
    check_sysctls(builder, name, interfaces)
    answers = tuple(a for e in wiring.by_node[name] for a in e.answers)
    has_nftables = bool(node.nftables.strip())
    begins, is_block = builder.origin_of_text(*path, "nftables")
    return Node(
        name=name,
        kind=node.kind,
        interfaces=interfaces,
        routes=routing.routes(name),
        rules=routing_rules(builder, routing, name),
        neighbours=routing.neighbours(name),
        nat=translation(builder, routing, name),
        firewall=firewall(builder, routing, name),
        middleboxes=node_boxes(builder, wiring, name),
        nftables=node.nftables if has_nftables else "",
        nftables_origin=begins if has_nftables else None,
        nftables_is_block=has_nftables and is_block,
        sysctls=tuple(node.sysctls.items()),
        files=hosts.files(name),
        directories=_directories(builder, name),
        environment=tuple(node.environment.items()),
        isolate=node.isolate,
        programs=tuple(_program(builder, name, p, form) for p, form in node.programs.items()),
        stack_addresses=answers,
        ipv6_link_local=node.ipv6_link_local and node.kind != "bridge",
        forwarding=node.forwarding,
        origin=builder.origin_key(*path),
    )


def _interfaces(builder: TopologyBuilder, ends: list[End], name: str) -> list[Interface]:
    node = builder.form.nodes[name]
    found: list[Interface] = []
    mtu = min((e.mtu for e in ends), default=node.mtu or builder.form.defaults.mtu)
    is_bridge = node.kind == "bridge"
    if is_bridge:
        mac = mac_address(name, BRIDGE, {e.mac for e in ends})
        found.append(Interface(BRIDGE, "bridge", 2, mac, mtu, ()))
    for end in ends:
        if end.peer is None:
            # What ends at the node itself: a prefix behind a device, or behind rules.
            if end.interface:
                found.append(Interface(end.interface, "tun", len(found) + 2, "", end.mtu, ()))
            continue
        found.append(
            Interface(
                end.interface,
                "veth",
                len(found) + 2,
                end.mac,
                end.mtu,
                tuple(end.addresses),
                (end.peer.node, end.peer.interface),
                BRIDGE if is_bridge else None,
                builder.origin("links", end.link, "ends", end.side),
            )
        )
    if node.kind == "stack":
        found.append(Interface(TUN, "tun", len(found) + 2, "", mtu, ()))
    return found


def _link(builder: TopologyBuilder, index: int, ends: tuple[End, End]) -> Link:
    a, b = ends
    wire = a.lan if a.lan and not a.lan.bridges else None
    networks = [n for _, n in sorted(wire.networks.items())] if wire else []
    return Link(
        (a.node, a.interface),
        (b.node, b.interface),
        tuple(networks),
        builder.origin("links", index),
        link_boxes(builder, index),
    )


def _directories(builder: TopologyBuilder, name: str) -> tuple[Directory, ...]:
    node = builder.form.nodes[name]
    found: list[Directory] = []
    for i, form in enumerate(node.directories):
        path = f"{form.path}/"
        taken = [d.path for d in found if path.startswith(f"{d.path}/")]
        taken += [d.path for d in found if f"{d.path}/".startswith(path)]
        taken += [file for file in node.files if path.startswith(f"{file}/")]
        clash = next(iter(taken), "")
        if clash:
            builder.problems.add(
                "E206",
                f"directory `{form.path}` is, holds or is within `{clash}`",
                builder.at("nodes", name, "directories", i),
                "one of the two is enough",
            )
        found.append(Directory(form.path, form.copy_))
    return tuple(found)


def _program(builder: TopologyBuilder, node: str, name: str, form: ProgramForm) -> Program:
    return Program(
        name,
        tuple(form.run),
        tuple(form.environment.items()),
        _ready(form.ready) if form.ready else None,
        builder.origin_key("nodes", node, "programs", name),
    )


def _ready(form: ReadyForm) -> Ready:
    port = None
    if form.port:
        protocol, number = form.port
        port = ("tcp" if protocol == "tcp" else "udp", number)
    return Ready(port, form.log, form.exit, form.timeout)  # type: ignore[arg-type]
