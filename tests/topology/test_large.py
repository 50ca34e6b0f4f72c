"""Labs of a thousand nodes: not how fast, but how much comes of them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from netlab.errors import InputError
from netlab.topology import loads
from netlab.topology.routing import FULL_MESH, SUM_UP
from tests.topology.test_properties import Forwarding


def star(n):
    hosts = "".join(f"  h{i}:\n" for i in range(n))
    links = "".join(f"  - [r:p{i}, h{i}:eth0]\n" for i in range(n))
    return f"nodes:\n  r: {{kind: router}}\n{hosts}links:\n{links}"


def chain(n):
    routers = "".join(f"  r{i}: {{kind: router}}\n" for i in range(n))
    links = "".join(f"  - [r{i}:east, r{i + 1}:west]\n" for i in range(n - 1))
    return f"nodes:\n{routers}links:\n{links}"


def lan(n):
    hosts = "".join(f"  h{i}:\n" for i in range(n))
    links = "".join(f"  - [h{i}:eth0, sw]\n" for i in range(n))
    nodes = f"nodes:\n  sw: {{kind: bridge}}\n  r: {{kind: router}}\n{hosts}"
    return f"{nodes}links:\n  - [r:lan, sw]\n{links}"


def test_a_star_has_one_route_a_host():
    topology = loads(star(1000))
    assert sum(len(n.routes) for n in topology.nodes) == 1000
    assert topology.node("h999").interfaces[0].addresses[0].ip == ip_address("10.3.231.2")


def test_routes_of_a_chain_are_summed_up_and_still_lead_everywhere():
    topology = loads(chain(1000))
    assert max(len(n.routes) for n in topology.nodes) <= 2 * SUM_UP
    way = Forwarding(loads(chain(60))).path("r0", ip_address("10.0.58.2"))
    assert way == [f"r{i}" for i in range(60)]


@pytest.mark.parametrize("at", [0, 500, 999])
def test_a_summed_up_route_holds_nothing_of_the_other_side(at):
    topology = loads(chain(1000))
    routes = topology.node(f"r{at}").routes
    for number, link in enumerate(topology.links):
        (network,) = link.networks
        leading = {r.interface for r in routes if network.network_address in r.destination}
        if number in (at - 1, at):
            assert not leading, "on the link itself"
        else:
            assert leading == {"west" if number < at else "east"}


def test_a_lan_outgrows_a_24_and_the_full_mesh():
    topology = loads(lan(1000))
    host = topology.node("h999")
    assert host.interfaces[0].addresses[0].network.prefixlen < 24
    assert [n.address for n in host.neighbours] == [
        topology.node("r").interfaces[0].addresses[0].ip
    ]
    assert len(topology.node("r").neighbours) == 1000
    assert len(loads(lan(FULL_MESH - 1)).node("h0").neighbours) == FULL_MESH - 1


def test_a_bridge_has_as_many_ports_as_linux_allows():
    assert len(loads(lan(1022)).nodes) == 1024
    with pytest.raises(InputError) as failed:
        loads(lan(1023))
    [problem] = failed.value.diagnostics
    assert problem.code == "E205"
    assert "1024 ports; Linux allows 1023" in problem.message
