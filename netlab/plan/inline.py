"""Links with middleboxes: an inline node between two veth pairs, with a program in it.

``client:eth0 -- server:eth0`` becomes ``client:eth0 -- client~server:a`` and
``client~server:b -- server:eth0``. The inline node is a bump in the wire: both ends keep their
addresses, MAC addresses and neighbours. Interface ``a`` faces the link's first end.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from netlab.nft.builder import place
from netlab.topology.model import Interface, Link, Node, Program, Ready, Topology

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.topology.model import Box

PROGRAM = "inline"
MODULE = "netlab.io.inline.bridge"
READY = "^ready$"
READY_SECONDS = 20.0


def insert_inline_nodes(topology: Topology) -> Topology:
    """The same lab with each such link split in two around an inline node."""
    if not any(link.middleboxes for link in topology.links):
        return topology
    names = {node.name for node in topology.nodes}
    interfaces = {(n.name, i.name): i for n in topology.nodes for i in n.interfaces}
    links: list[Link] = []
    inline: list[Node] = []
    for link in topology.links:
        if not link.middleboxes:
            links.append(link)
            continue
        name = _name(link, names)
        inline.append(_inline_node(name, len(inline) + 1, link, interfaces[link.a].mtu))
        links += [
            Link(link.a, (name, "a"), link.networks, link.origin),
            Link((name, "b"), link.b, link.networks, link.origin),
        ]
    return replace(topology, nodes=(*topology.nodes, *inline), links=tuple(links))


def outer_ends(topology: Topology) -> list[tuple[str, str]]:
    """The interfaces at the far ends of wires, of a topology that is ``insert_inline_nodes``."""
    wires = {node.name for node in topology.nodes if node.kind == "inline"}
    return [
        end
        for link in topology.links
        for end, other in ((link.a, link.b), (link.b, link.a))
        if other[0] in wires
    ]


def describe(boxes: Sequence[Box]) -> list[dict[str, Any]]:
    """The boxes as ``middlebox.make`` reads them."""
    return [
        {
            **({"python": box.python} if box.python else {"kind": box.kind}),
            "parameters": {name: _plain(value) for name, value in box.parameters},
            "seed": box.seed,
            "topology": place(box.origin),
        }
        for box in boxes
    ]


def _plain(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Fraction) else value


def _name(link: Link, taken: set[str]) -> str:
    """Named after the link; a second link between the same nodes is ``client~server~2``."""
    name = between = f"{link.a[0]}~{link.b[0]}"
    number = 1
    while name in taken:
        number += 1
        name = f"{between}~{number}"
    taken.add(name)
    return name


def _inline_node(name: str, number: int, link: Link, mtu: int) -> Node:
    return Node(
        name,
        "inline",
        interfaces=tuple(
            Interface(
                side,
                "veth",
                ifindex,
                # Never seen on the link: a packet socket sends with the ends' own addresses.
                f"02:77:{number >> 8 & 0xFF:02x}:{number & 0xFF:02x}:00:{ifindex:02x}",
                mtu,
                (),
                end,
                origin=link.origin,
            )
            for side, ifindex, end in (("a", 2, link.a), ("b", 3, link.b))
        ),
        programs=(
            Program(
                PROGRAM,
                ready=Ready(log=READY, timeout=READY_SECONDS),
                origin=link.origin,
                module=MODULE,
                arguments=describe(link.middleboxes),
            ),
        ),
        origin=link.origin,
    )
