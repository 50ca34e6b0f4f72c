"""Links with middleboxes: a wire of its own between two pairs, with a program in it.

``client:eth0 -- server:eth0`` becomes ``client:eth0 -- wire1:a`` and ``wire1:b -- server:eth0``.
The wire is transparent: both ends keep their addresses, MAC addresses and neighbours, and know
nothing of it. ``a`` is towards the link's first end.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.nft.builder import place
from netlab.topology.model import Interface, Link, Node, Program, Ready, Topology

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.topology.model import Box

PROGRAM = "wire"
READY = "^ready$"
READY_SECONDS = 20.0


def spread(topology: Topology) -> Topology:
    """The same lab with each such link as two, and the wires as nodes of their own."""
    if not any(link.middleboxes for link in topology.links):
        return topology
    names = {node.name for node in topology.nodes}
    interfaces = {(n.name, i.name): i for n in topology.nodes for i in n.interfaces}
    links: list[Link] = []
    wires: list[Node] = []
    for link in topology.links:
        if not link.middleboxes:
            links.append(link)
            continue
        name = _name(names)
        wires.append(_wire(name, link, interfaces[link.a].mtu))
        links += [
            Link(link.a, (name, "a"), link.networks, link.origin),
            Link((name, "b"), link.b, link.networks, link.origin),
        ]
    return replace(topology, nodes=(*topology.nodes, *wires), links=tuple(links))


def outer_ends(topology: Topology) -> list[tuple[str, str]]:
    """The interfaces at the far ends of wires, of a topology that is ``spread``."""
    wires = {node.name for node in topology.nodes if node.kind == "wire"}
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
    return str(value) if isinstance(value, Fraction) else value


def _name(taken: set[str]) -> str:
    number = 1
    while (name := f"wire{number}") in taken:
        number += 1
    taken.add(name)
    return name


def _wire(name: str, link: Link, mtu: int) -> Node:
    number = int(name.removeprefix("wire"))
    return Node(
        name,
        "wire",
        interfaces=tuple(
            Interface(
                side,
                "veth",
                ifindex,
                # Never seen on the wire: a packet socket sends with the ends' own addresses.
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
                (
                    sys.executable,
                    "-m",
                    "netlab.io.inline.bridge",
                    json.dumps(describe(link.middleboxes)),
                ),
                # The lab's own netlab, installed or not.
                (("PYTHONPATH", os.fspath(Path(__file__).parents[2])),),
                Ready(log=READY, timeout=READY_SECONDS),
                link.origin,
            ),
        ),
        origin=link.origin,
    )
