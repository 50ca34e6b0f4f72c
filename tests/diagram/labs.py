"""Topologies made by hand, one for every shape that a drawing must cope with."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface
from typing import TYPE_CHECKING, Any

from netlab.topology.model import (
    Firewall,
    Interface,
    Link,
    Masquerade,
    Node,
    Program,
    Ready,
    Rule,
    StaticNat,
    Topology,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOST: dict[str, Any] = {"kind": "host"}
ROUTER: dict[str, Any] = {"kind": "router"}
BRIDGE: dict[str, Any] = {"kind": "bridge"}
SERVER: dict[str, Any] = {
    "kind": "host",
    "programs": (Program("http", ("serve",), ready=Ready(port=("tcp", 80))),),
}
NAT: dict[str, Any] = {"kind": "nat", "nat": (Masquerade("wan"),)}
DROPPING = Firewall(
    (("forward", "drop"), ("input", "drop")),
    (Rule("forward", ("ct state established",), "accept", "replies"),),
)


def interface(name: str, addresses: Sequence[str] = (), **fields: Any) -> Interface:
    given = {"kind": "veth", "ifindex": 2, "mac": "02:00:00:00:00:01", "mtu": 1500, **fields}
    return Interface(name=name, addresses=tuple(map(ip_interface, addresses)), **given)


def lab(
    name: str, description: str, nodes: Mapping[str, Mapping[str, Any]], wires: Sequence[str]
) -> Topology:
    """A topology from wires such as ``client eth0 10.0.0.2/24 -- nat lan 10.0.0.1/24 @1400``."""
    interfaces: dict[str, list[Interface]] = {node: [] for node in nodes}
    links = []
    for wire in wires:
        ends, _, mtu = wire.partition(" @")
        (a, a_if, *a_addresses), (b, b_if, *b_addresses) = (e.split() for e in ends.split(" -- "))
        for node, name_, addresses, peer in (
            (a, a_if, a_addresses, (b, b_if)),
            (b, b_if, b_addresses, (a, a_if)),
        ):
            interfaces[node].append(interface(name_, addresses, mtu=int(mtu or 1500), peer=peer))
        lan = "bridge" in (nodes[a]["kind"], nodes[b]["kind"])
        links.append(
            Link(
                (a, a_if),
                (b, b_if),
                () if lan else tuple(ip_interface(address).network for address in a_addresses),
            )
        )
    return Topology(
        name,
        f"{name}.yaml",
        description,
        tuple(
            Node(
                name=node,
                interfaces=(*interfaces[node], *fields.get("interfaces", ())),
                **{key: value for key, value in fields.items() if key != "interfaces"},
            )
            for node, fields in nodes.items()
        ),
        tuple(links),
    )


_TO_SERVER = [
    "nat wan 203.0.113.2/30 -- router eth0 203.0.113.1/30",
    "router eth1 198.51.100.1/24 -- server eth0 198.51.100.2/24",
]


def _sites() -> Topology:
    nodes: dict[str, Mapping[str, Any]] = {}
    wires = []
    for site in (1, 2, 3):
        for client in (1, 2, 3):
            nodes[f"s{site}c{client}"] = HOST
            wires.append(f"s{site}c{client} eth0 10.{site}.0.{client + 1}/24 -- sw{site} p{client}")
        nodes |= {f"sw{site}": BRIDGE, f"site{site}": NAT}
        wires += [
            f"sw{site} p0 -- site{site} lan 10.{site}.0.1/24",
            (
                f"site{site} wan 203.0.113.{4 * site + 2}/30 -- "
                f"core site{site} 203.0.113.{4 * site + 1}/30"
            ),
        ]
    nodes |= {"core": ROUTER, "server": SERVER}
    wires.append("core srv 198.51.100.1/24 -- server eth0 198.51.100.2/24")
    return lab("three-sites", "Three sites with three clients each.", nodes, wires)


def star(leaves: int) -> Topology:
    return lab(
        f"star-{leaves}",
        "",
        {"hub": ROUTER} | {f"leaf{n}": HOST for n in range(leaves)},
        [f"leaf{n} eth0 10.0.{n}.2/24 -- hub p{n} 10.0.{n}.1/24" for n in range(leaves)],
    )


def chain(nodes: int) -> Topology:
    return lab(
        f"chain-{nodes}",
        "",
        {f"n{n}": ROUTER if 0 < n < nodes - 1 else HOST for n in range(nodes)},
        [f"n{n} r 10.0.{n}.1/30 -- n{n + 1} l 10.0.{n}.2/30" for n in range(nodes - 1)],
    )


LABS = {
    topology.name: topology
    for topology in (
        lab(
            "nat",
            "A client behind a NAT reaches a server through a router.",
            {"client": HOST, "nat": NAT, "router": ROUTER, "server": SERVER},
            ["client eth0 192.168.1.2/24 -- nat lan 192.168.1.1/24", *_TO_SERVER],
        ),
        lab(
            "two-clients",
            "Two clients behind one NAT that forwards a port and filters.",
            {
                "alice": HOST,
                "bob": HOST,
                "nat": {
                    "kind": "nat",
                    "nat": (
                        Masquerade("wan"),
                        StaticNat(
                            "wan",
                            ip_address("203.0.113.2"),
                            ip_address("192.168.2.2"),
                            "tcp",
                            8080,
                            80,
                        ),
                    ),
                    "firewall": DROPPING,
                },
                "router": ROUTER,
                "server": SERVER,
            },
            [
                "alice eth0 192.168.1.2/24 -- nat lan0 192.168.1.1/24",
                "bob eth0 192.168.2.2/24 -- nat lan1 192.168.2.1/24",
                *_TO_SERVER,
            ],
        ),
        lab(
            "cgn",
            "Carrier-grade NAT: the homes translate, and the carrier translates again.",
            {
                "alice": HOST,
                "bob": HOST,
                "home1": NAT,
                "home2": NAT,
                "nat": NAT,
                "router": ROUTER,
                "server": SERVER,
            },
            [
                "alice eth0 192.168.1.2/24 -- home1 lan 192.168.1.1/24",
                "bob eth0 192.168.1.2/24 -- home2 lan 192.168.1.1/24",
                "home1 wan 100.64.0.2/24 -- nat lan1 100.64.0.1/24",
                "home2 wan 100.64.1.2/24 -- nat lan2 100.64.1.1/24",
                *_TO_SERVER,
            ],
        ),
        lab(
            "dual-stack",
            "IPv4 behind a NAT, IPv6 end to end.",
            {"client": HOST, "nat": NAT, "server": SERVER},
            [
                (
                    "client eth0 192.168.1.2/24 2001:db8:1::2/64 -- "
                    "nat lan 192.168.1.1/24 2001:db8:1::1/64"
                ),
                (
                    "nat wan 203.0.113.2/30 2001:db8:2::2/64 -- "
                    "server eth0 203.0.113.1/30 2001:db8:2::1/64"
                ),
            ],
        ),
        lab(
            "lan",
            "A LAN with a switch, and a router to the rest.",
            {"h1": HOST, "h2": HOST, "h3": HOST}
            | {"switch": BRIDGE, "router": ROUTER, "server": SERVER},
            [
                *(f"h{n} eth0 10.0.0.{n + 1}/24 -- switch port{n}" for n in (1, 2, 3)),
                "switch port4 -- router lan 10.0.0.1/24",
                "router wan 10.0.9.1/24 -- server eth0 10.0.9.2/24",
            ],
        ),
        lab(
            "firewall",
            "Outbound only.",
            {
                "inside": HOST,
                "wall": {"kind": "router", "firewall": DROPPING, "nftables": "table ip x {}"},
                "outside": SERVER,
            },
            [
                "inside eth0 10.0.1.2/24 -- wall in 10.0.1.1/24",
                "wall out 10.0.2.1/24 -- outside eth0 10.0.2.2/24 @1280",
            ],
        ),
        lab(
            "stack",
            "A userspace stack on a TUN device, behind a NAT.",
            {
                "stack": {
                    "kind": "stack",
                    "interfaces": (interface("tun0", ["10.7.0.1/30"], kind="tun"),),
                    "stack_addresses": (ip_address("10.7.0.2"),),
                },
                "nat": NAT,
                "server": SERVER,
            },
            [
                "stack eth0 192.168.1.2/24 -- nat lan 192.168.1.1/24",
                "nat wan 203.0.113.2/30 -- server eth0 203.0.113.1/30",
            ],
        ),
        _sites(),
        lab(
            "ring",
            "A ring of routers with a chord.",
            dict.fromkeys("abcde", ROUTER) | {"h": HOST},
            [
                f"{p[0]} to-{p[1]} 10.{n}.0.1/30 -- {p[1]} to-{p[0]} 10.{n}.0.2/30"
                for n, p in enumerate(["ab", "bc", "cd", "de", "ea", "bd", "ha"])
            ],
        ),
        lab(
            "islands",
            "Two parts, one of them with two wires side by side.",
            dict.fromkeys("abcd", HOST),
            [
                "a eth0 10.0.0.1/24 -- b eth0 10.0.0.2/24",
                "c eth0 10.0.1.1/24 -- d eth0 10.0.1.2/24",
                "c eth1 10.0.2.1/24 -- d eth1 10.0.2.2/24",
            ],
        ),
        lab("single", "", {"alone": SERVER}, []),
        star(6),
        star(39),
        chain(40),
    )
}
