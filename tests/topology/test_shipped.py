"""What the comments of the shipped topologies promise, asked of the real kernel."""

from __future__ import annotations

import pytest

PING = "ping -c1 -W1 -q"
GET = (
    "import sys, urllib.request as u\n"
    "print(u.urlopen(f'http://{sys.argv[1]}/', timeout=3).status, end='')"
)
KNOCK = "import socket, sys\nsocket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"


def pings(lab, source, *target):
    return lab[source].run([*PING.split(), *target]).returncode == 0


def fetches(lab, source, target):
    return lab[source].run(["python3", "-c", GET, target]).stdout == "200"


@pytest.mark.kernel
@pytest.mark.netlab(topology="topologies/nat.yaml")
def test_a_client_reaches_the_server_through_its_nat(netlab):
    assert pings(netlab, "client", "server")
    assert fetches(netlab, "client", "server")
    assert not pings(netlab, "server", "client")


@pytest.mark.kernel
@pytest.mark.netlab(topology="topologies/two-clients.yaml")
def test_two_clients_share_an_address(netlab):
    assert fetches(netlab, "one", "server")
    assert fetches(netlab, "two", "server")
    assert pings(netlab, "one", "two")


@pytest.mark.kernel
@pytest.mark.netlab(topology="topologies/carrier-grade.yaml")
def test_two_homes_with_one_subnet_behind_a_carrier(netlab):
    assert netlab["anna"].address == netlab["boris"].address
    assert fetches(netlab, "anna", "server")
    assert fetches(netlab, "boris", "server")
    assert fetches(netlab, "server", "carrier:8080")


@pytest.mark.kernel
@pytest.mark.netlab(topology="topologies/dual-stack.yaml")
def test_both_families_go_out_and_neither_comes_in(netlab):
    assert pings(netlab, "client", "-4", "server")
    assert pings(netlab, "client", "-6", "server")
    assert not pings(netlab, "server", "-6", "client")
    assert fetches(netlab, "client", "server")


@pytest.mark.kernel
@pytest.mark.netlab(topology="topologies/lan.yaml")
def test_hosts_of_two_switches_find_each_other_by_arp(netlab):
    assert "192.168.0.100" not in netlab["a"].run(["ip", "neigh"]).stdout
    assert pings(netlab, "a", "d")
    assert "192.168.0.100" in netlab["a"].run(["ip", "neigh"]).stdout


@pytest.mark.kernel
@pytest.mark.netlab(topology="topologies/firewall.yaml")
def test_outbound_only_and_one_open_service(netlab):
    assert fetches(netlab, "desk", "server")
    assert fetches(netlab, "server", "web")
    assert not pings(netlab, "server", "desk")
    refused = netlab["desk"].run(["python3", "-c", KNOCK, "server", "25"])
    assert "ConnectionRefusedError" in refused.stderr


@pytest.mark.kernel
@pytest.mark.netlab(topology="topologies/stack.yaml")
def test_packets_for_the_stack_go_to_the_tun_device(netlab):
    probe = netlab["probe"]
    (route,) = probe.run(["ip", "route", "get", "192.168.1.100"]).stdout.splitlines()[:1]
    assert "dev tun0" in route
    assert pings(netlab, "probe", "server")
    # Nobody reads the device, and the kernel must not answer in the stack's place.
    assert not pings(netlab, "nat", "192.168.1.100")


@pytest.mark.kernel
@pytest.mark.netlab(topology="topologies/three-sites.yaml")
def test_three_sites_reach_what_their_firewalls_allow(netlab):
    assert fetches(netlab, "pc4", "web")
    assert fetches(netlab, "pc3", "files")
    assert not fetches(netlab, "pc4", "files")
    assert pings(netlab, "pc4", "pc1")
