"""The labs that are built: a star and a chain of N hosts, told once for every builder.

The text that the C program reads and the commands for ``ip`` and ``nft`` are made from the same
plan that netlab applies, so all of them build the same lab.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from netlab.plan import operations as op

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RULES = """\
table inet bench {
	chain post {
		type filter hook postrouting priority filter; policy accept;
		counter
	}
}
"""


def star(hosts: int) -> op.Plan:
    """A router and ``hosts`` hosts, each on a link of its own."""
    wires = [("hub", f"h{i}") for i in range(hosts)]
    return _plan(f"bench-star{hosts}", ["hub", *(f"h{i}" for i in range(hosts))], wires, {"hub"})


def chain(hosts: int) -> op.Plan:
    """``hosts`` nodes in a line, all of them forwarding; each sends on to its right."""
    nodes = [f"h{i}" for i in range(hosts)]
    return _plan(f"bench-chain{hosts}", nodes, list(pairwise(nodes)), set(nodes))


SHAPES: dict[str, Callable[[int], op.Plan]] = {"star": star, "chain": chain}


def address(wire: int, end: int) -> str:
    """The address of an end of a wire: each wire is a /30 of 10.0.0.0/8."""
    return f"10.{wire >> 14 & 255}.{wire >> 6 & 255}.{(wire & 63) * 4 + 1 + end}"


def _mac(wire: int, end: int) -> str:
    return f"02:00:{wire >> 16 & 255:02x}:{wire >> 8 & 255:02x}:{wire & 255:02x}:{end:02x}"


def _plan(
    name: str, nodes: list[str], wires: list[tuple[str, str]], forwarding: set[str]
) -> op.Plan:
    interfaces: dict[str, list[tuple[str, int, int]]] = {node: [] for node in nodes}
    operations: list[op.Operation] = []
    for node in nodes:
        operations.append(op.CreateNamespace(node, "host"))
        if node in forwarding:
            operations.append(op.SetSysctl(node, "net.ipv4.ip_forward", "1"))
    for wire, pair in enumerate(wires):
        ends = []
        for end, node in enumerate(pair):
            index = len(interfaces[node]) + 2
            ends.append(op.VethEnd(node, f"e{index}", index, _mac(wire, end), 1500))
            interfaces[node].append((f"e{index}", wire, end))
        operations.append(op.CreateVeth(ends[0], ends[1]))
    for node in nodes:
        operations.append(op.SetUp(node, "lo"))
        for interface, wire, end in interfaces[node]:
            operations += [
                op.AddAddress(node, interface, f"{address(wire, end)}/30"),
                op.SetUp(node, interface),
                op.AddNeighbour(node, interface, address(wire, 1 - end), _mac(wire, 1 - end)),
            ]
        if node != "hub":
            interface, wire, end = interfaces[node][-1]
            operations.append(op.AddRoute(node, "0.0.0.0/0", address(wire, 1 - end), interface))
    operations.append(op.LoadRules(nodes[0], RULES))
    summaries = tuple(op.NodeSummary(node, "host", ()) for node in nodes)
    return op.Plan(name, "benchmark", summaries, tuple(operations))


def without_rules(plan: op.Plan) -> op.Plan:
    """The same lab with no nftables ruleset."""
    kept = tuple(o for o in plan.operations if not isinstance(o, op.LoadRules))
    return plan._replace(operations=kept)


def for_c(plan: op.Plan) -> str:
    """The plan as ``floor.c`` reads it: one operation a line, nodes and devices as numbers."""
    numbers = {node.name: number for number, node in enumerate(plan.nodes)}
    return "".join(f"{line}\n" for line in _lines(plan, numbers))


def _lines(plan: op.Plan, numbers: dict[str, int]) -> Iterator[str]:
    for o in plan.operations:
        match o:
            case op.CreateNamespace(node):
                yield f"node {numbers[node]}"
            case op.SetSysctl(node):
                yield f"forward {numbers[node]}"
            case op.CreateVeth(a, b):
                ends = (f"{numbers[e.node]} {e.name} {e.ifindex} {e.mac}" for e in (a, b))
                yield " ".join(("veth", *ends))
            case op.SetUp(node, name):
                yield f"up {numbers[node]} {_index(name)}"
            case op.AddAddress(node, name, address):
                yield f"address {numbers[node]} {_index(name)} {address.replace('/', ' ')}"
            case op.AddNeighbour(node, name, address, mac):
                yield f"neighbour {numbers[node]} {_index(name)} {address} {mac}"
            case op.AddRoute(node, _, gateway, name):
                yield f"route {numbers[node]} {_index(name)} {gateway}"


def _index(name: str) -> int:
    return 1 if name == "lo" else int(name[1:])
