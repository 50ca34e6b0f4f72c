"""What the kernel holds after ``up`` is what the model says, for topologies drawn at random."""

from __future__ import annotations

import json
from ipaddress import ip_network

import pytest
from hypothesis import HealthCheck, given, settings

from netlab.errors import Unavailable
from netlab.lab import Lab
from netlab.topology import loads
from tests.topology.strategies import topologies

DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}


def read(node, *words):
    """What iproute2 says, as data."""
    ran = node.run(["ip", "-j", *words], check=True)
    return json.loads(ran.stdout or "[]")


def held_interfaces(node):
    return {
        link["ifname"]: (
            link["ifindex"],
            link["address"] if link["link_type"] == "ether" else "",
            link["mtu"],
            [
                f"{a['local']}/{a['prefixlen']}"
                for a in link["addr_info"]
                if not a["local"].startswith("fe80:")
            ],
        )
        for link in read(node, "addr")
        if link["ifname"] != "lo"
    }


def held_routes(node):
    return {
        (
            str(ip_network(DEFAULT[version] if r["dst"] == "default" else r["dst"])),
            r.get("gateway", ""),
            r["dev"],
        )
        for version in (4, 6)
        for r in read(node, f"-{version}", "route")
        if r.get("protocol") != "kernel"
        and not r["dst"].startswith(("fe80:", "ff00:", "multicast"))
    }


def held_neighbours(node):
    return {
        (n["dev"], n["dst"], n["lladdr"]) for n in read(node, "neigh", "show", "nud", "permanent")
    }


@pytest.mark.kernel
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(drawn=topologies(3))
def test_the_kernel_holds_the_model(drawn, tmp_path):
    path = tmp_path / "drawn.yaml"
    path.write_text(drawn.text)
    model = loads(drawn.text, str(path))
    lab = Lab(path)
    try:
        lab.start()
    except Unavailable as error:
        pytest.skip(str(error))
    try:
        for expected in model.nodes:
            node = lab[expected.name]
            assert held_interfaces(node) == {
                i.name: (i.ifindex, i.mac, i.mtu, [str(a) for a in i.addresses])
                for i in expected.interfaces
            }
            assert held_routes(node) == {
                (str(r.destination), str(r.gateway or ""), r.interface) for r in expected.routes
            }
            assert held_neighbours(node) == {
                (n.interface, str(n.address), n.mac) for n in expected.neighbours
            }
    finally:
        lab.stop()
