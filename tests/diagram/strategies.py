"""Topologies nobody would draw by hand. Not all could be built; all must be drawn."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv6Interface
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from netlab.topology.model import (
    Firewall,
    Interface,
    Link,
    Masquerade,
    Node,
    Program,
    StaticNat,
    Topology,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_names = st.text("abcdefghijklmnopqrstuvwxyzWMQ0123456789-_.", min_size=1, max_size=20)
_words = st.text("the quick BROWN fox <&> über 漢字 ", max_size=200)
_addresses = st.one_of(
    st.builds(IPv4Interface, st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 30))),
    st.builds(IPv6Interface, st.tuples(st.integers(0, 2**128 - 1), st.integers(48, 64))),
)
_firewalls = st.builds(
    Firewall,
    st.just((("input", "drop"), ("forward", "drop"), ("output", "accept"))),
    st.just(()),
)


@st.composite
def topologies(draw: Callable[[st.SearchStrategy[Any]], Any], max_nodes: int = 10) -> Topology:
    names = draw(st.lists(_names, min_size=1, max_size=max_nodes, unique=True))
    ends = st.sampled_from(names)
    wires = draw(st.lists(st.tuples(ends, ends), max_size=2 * max_nodes))
    interfaces: dict[str, list[Interface]] = {name: [] for name in names}
    links = []
    for a, b in wires:
        pair = []
        for node, peer in ((a, b), (b, a)):
            name = f"{draw(st.sampled_from(['e', 'lan', 'interface-no-']))}{len(interfaces[node])}"
            pair.append((node, name))
            interfaces[node].append(
                Interface(
                    name,
                    "veth",
                    2,
                    "02:00:00:00:00:01",
                    draw(st.sampled_from([1500, 1500, 1280])),
                    tuple(draw(st.lists(_addresses, max_size=3))),
                    (peer, ""),
                )
            )
        networks = {address.network for address in interfaces[a][-1].addresses}
        links.append(Link(pair[0], pair[1], tuple(sorted(networks, key=str))))
    return Topology(
        draw(_names),
        "made-up.yaml",
        draw(_words),
        tuple(draw(_nodes(name, tuple(interfaces[name]))) for name in names),
        tuple(links),
    )


def _nodes(name: str, interfaces: tuple[Interface, ...]) -> st.SearchStrategy[Node]:
    outside = st.sampled_from([i.name for i in interfaces] or ["none"])
    rules = st.one_of(
        st.builds(Masquerade, outside),
        st.builds(
            StaticNat,
            outside,
            st.just(IPv4Address("203.0.113.200")),
            st.just(IPv4Address("192.168.100.200")),
        ),
    )
    return st.builds(
        Node,
        name=st.just(name),
        kind=st.sampled_from(["host", "router", "nat", "nat", "bridge", "stack"]),
        interfaces=st.just(interfaces),
        nat=st.lists(rules, max_size=2).map(tuple),
        firewall=st.none() | _firewalls,
        programs=st.lists(st.builds(Program, _names, st.just(("x",))), max_size=2).map(tuple),
    )
