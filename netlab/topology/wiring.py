"""From the links of the file to ends and broadcast domains."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING

import networkx as nx

from netlab.topology import names
from netlab.topology.builder import BRIDGE, NAT64, TUN, End, Lan, Wiring
from netlab.topology.problems import nearest
from netlab.topology.source import Listing, Mapping, Scalar

if TYPE_CHECKING:
    from netlab.topology.builder import TopologyBuilder
    from netlab.topology.schema import NodeForm, TopologyForm
    from netlab.topology.source import Tree


MOST_PORTS = 1023
"""A port's number has ten bits, and 0 is none (BR_PORT_BITS, net/bridge/br_private.h)."""


def mentions(tree: Mapping) -> Counter[str]:
    """How many ends of links each name has in the file, whatever else is wrong with them."""
    links, nodes = (tree.entries.get(key, (None, None))[1] for key in ("links", "nodes"))
    if links and not isinstance(links, Listing):
        # The broken link may have been any node's.
        return Counter(list(nodes.entries) if isinstance(nodes, Mapping) else [])
    found: Counter[str] = Counter()
    todo: list[Tree] = [links] if links else []
    while todo:
        node = todo.pop()
        if isinstance(node, Scalar):
            found[node.value.partition(":")[0]] += 1
        elif isinstance(node, Listing):
            todo += node.items
        elif "ends" in node.entries:
            todo.append(node.entries["ends"][1])
    return found


def wire(builder: TopologyBuilder) -> Wiring:
    """Check the links against the nodes and join them to segments."""
    form, problems = builder.form, builder.problems
    wiring = Wiring({}, [], {name: [] for name in form.nodes})
    generated = _Generated(form)
    used: dict[tuple[str, str], int] = {}
    for index, link in enumerate(form.links):
        ends = _ends(builder, index, generated)
        if ends is None:
            continue
        for end in ends:
            place = builder.at("links", index, "ends", end.side)
            first = used.setdefault((end.node, end.interface), index)
            reserved = _reserved(form.nodes[end.node])
            if first != index:
                line = builder.at("links", first).line
                problems.add(
                    "E225",
                    f"interface {end.node}:{end.interface} is used twice",
                    place,
                    f"first on line {line}; an interface is one end of one wire",
                )
            elif end.interface == reserved:
                problems.add(
                    "E222",
                    f"interface name `{reserved}` is taken: {end.node} has one of its own",
                    place,
                    names.INTERFACE_HINT,
                )
        end, other = ends
        end.peer, other.peer = other, end
        end.mtu = other.mtu = _mtu(builder, link.mtu, end.node, other.node)
        wiring.links[index] = ends
        for each in ends:
            wiring.by_node[each.node].append(each)
    for name, ports in wiring.by_node.items():
        if form.nodes[name].kind == "bridge" and len(ports) > MOST_PORTS:
            problems.add(
                "E205",
                f"bridge `{name}` has {len(ports)} ports; Linux allows {MOST_PORTS}",
                builder.at("nodes", name),
                "join several bridges by links",
            )
    _give_macs(builder, wiring)
    _find_segments(builder, wiring)
    return wiring


def _reserved(node: NodeForm) -> str | None:
    """The interface that netlab itself gives to a node."""
    if node.nat and node.nat.nat64:
        return NAT64
    return {"bridge": BRIDGE, "stack": TUN}.get(node.kind)


class _Generated:
    """Names for interfaces that the file leaves without one, next to those that it gives."""

    def __init__(self, form: TopologyForm) -> None:
        self._form = form
        self._taken: dict[str, set[str]] = {}
        for link in form.links:
            for text in link.ends:
                end, _, interface = text.partition(":")
                self._taken.setdefault(end, set()).add(interface)
        for name, node in form.nodes.items():
            own = {BRIDGE} if node.kind == "bridge" else {TUN, NAT64}
            self._taken.setdefault(name, set()).update(own)

    def name(self, node: str, peer: str, index: int) -> str:
        """``eth0``, ``eth1``, …; a bridge's port is named after the peer, or ``port3``."""
        taken = self._taken[node]
        if self._form.nodes[node].kind != "bridge":
            found = next(n for i in count() if (n := f"eth{i}") not in taken)
        elif not names.interface_problem(peer) and peer not in taken:
            found = peer
        else:
            found = next(n for i in count(index + 1) if (n := f"port{i}") not in taken)
        taken.add(found)
        return found


def _ends(builder: TopologyBuilder, index: int, generated: _Generated) -> tuple[End, End] | None:
    form, problems = builder.form, builder.problems
    texts = form.links[index].ends
    nodes = [text.partition(":")[0] for text in texts]
    ends = []
    before = len(problems)
    for side, text in enumerate(texts):
        node, _, interface = text.partition(":")
        place = builder.at("links", index, "ends", side)
        known = form.nodes.get(node)
        if known is None:
            if node not in builder.broken:
                problems.add("E224", f"unknown node `{node}`", place, nearest(node, form.nodes))
            continue
        interface = interface or generated.name(node, nodes[1 - side], index)
        ends.append(End(node, interface, index, side))
    if len(ends) == 2 and nodes[0] == nodes[1]:
        problems.add(
            "E227",
            f"both ends of this link are at `{nodes[0]}`",
            builder.at("links", index),
            "a link joins two nodes",
        )
    return (ends[0], ends[1]) if len(problems) == before and len(ends) == 2 else None


def _mtu(builder: TopologyBuilder, own: int | None, *ends: str) -> int:
    """The link's own MTU, or the smallest that a node at its ends asks for."""
    if own is not None:
        return own
    asked = [m for n in ends if (m := builder.form.nodes[n].mtu) is not None]
    return min(asked) if asked else builder.form.defaults.mtu


def _give_macs(builder: TopologyBuilder, wiring: Wiring) -> None:
    """What the file gives first, so that no other is like it."""
    taken: dict[str, str] = {}
    for index, pair in wiring.links.items():
        written = dict(builder.form.links[index].mac)
        for end in pair:
            mac = written.pop(end.node, "")
            if mac and mac in taken:
                builder.problems.add(
                    "E249",
                    f"MAC address {mac} is given twice",
                    builder.at("links", index, "mac", end.node),
                    f"`{taken[mac]}` has it already",
                )
            elif mac:
                taken[mac] = end.node
                end.mac = mac
        for node in written:
            builder.problems.add(
                "E244",
                f"`{node}` is not an end of this link",
                builder.at_key("links", index, "mac", node),
                f"ends: {pair[0].node}, {pair[1].node}",
            )
    every = set(taken)
    for pair in wiring.links.values():
        for end in pair:
            end.mac = end.mac or mac_address(end.node, end.interface, every)


def mac_address(node: str, interface: str, taken: set[str]) -> str:
    """A locally administered unicast address (02:…) that follows from the names alone.

    Forty bits of a hash: where two names meet all the same, the later one hashes again.
    """
    text = f"{node}:{interface}"
    while True:
        digest = hashlib.sha256(text.encode()).hexdigest()
        mac = "02:" + ":".join(digest[i : i + 2] for i in range(0, 10, 2))
        if mac not in taken:
            taken.add(mac)
            return mac
        text += "'"


def _find_segments(builder: TopologyBuilder, wiring: Wiring) -> None:
    nodes = builder.form.nodes
    joined: nx.Graph[str] = nx.Graph()
    joined.add_nodes_from(name for name, node in nodes.items() if node.kind == "bridge")
    for index, (a, b) in wiring.links.items():
        if a.node in joined and b.node in joined:
            if nx.has_path(joined, a.node, b.node):
                builder.problems.add(
                    "E228",
                    f"bridges {a.node} and {b.node} are joined already: this closes a loop",
                    builder.at("links", index),
                    "netlab's bridges run no spanning tree: frames would circle for ever",
                )
            joined.add_edge(a.node, b.node)
    lans: dict[str, Lan] = {}
    for component in nx.connected_components(joined):
        lan = Lan(bridges=sorted(component, key=list(nodes).index))
        lans.update(dict.fromkeys(component, lan))
    for index, (a, b) in wiring.links.items():
        lan = lans.get(a.node) or lans.get(b.node) or Lan()
        lan.links.append(index)
        if len(lan.links) == 1:
            lan.index = len(wiring.lans)
            wiring.lans.append(lan)
        for end in (a, b):
            if end.node not in lans:
                lan.ends.append(end)
                end.lan = lan
