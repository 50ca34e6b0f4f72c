"""IPv6 hosts and an IPv4 server, as ``netlab verify`` sees them and as further sockets do."""

from __future__ import annotations

import errno
import socket
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Network

import pytest

from netlab.lab.lab import Lab
from netlab.topology import loads
from netlab.topology.model import Masquerade, Nat64
from netlab.topology.nat import Translator
from netlab.verify.nat import SERVER, alone
from netlab.verify.nat64 import LAB, A, B, _Ends, check_nat64
from netlab.verify.probe import Probe, one_cpu

pytestmark = pytest.mark.kernel

WELL_KNOWN, OF_ONES_OWN = "64:ff9b::/96", "2001:db8:64::/48"


def node(nat: str, prefix: str = WELL_KNOWN):
    text = LAB.format(prefix=prefix, lan=1500, wan=1500)
    return loads(text.replace("nat: {nat64:", f"nat: {{{nat}nat64:")).node("nat")


@pytest.mark.parametrize(
    ("nat", "prefix"),
    [
        ("", OF_ONES_OWN),
        ("preset: full-cone, ", WELL_KNOWN),
        ("preset: symmetric, ", WELL_KNOWN),
        ("preset: hotel, ", WELL_KNOWN),
    ],
)
def test_a_nat64_behaves_as_its_nat_does(netlab_state, nat, prefix):
    checks = list(check_nat64(node(nat, prefix)))
    assert [c for c in checks if not c.ok] == []
    assert len(checks) == 9


def test_behind_plain_masquerade(netlab_state):
    built = node("")
    translations = tuple(Masquerade("wan") if isinstance(n, Translator) else n for n in built.nat)
    checks = list(check_nat64(replace(built, nat=translations)))
    assert [c for c in checks if not c.ok] == []
    assert len(checks) == 9


def test_one_that_does_not_translate_errors_is_found_out(netlab_state, monkeypatch):
    built = node("")
    nat, _ = built.nat
    assert isinstance(nat, Translator)
    monkeypatch.setattr(
        "netlab.verify.nat64.alone",
        lambda made, text: alone(replace(made, icmp_errors=False), text),
    )
    assert {c.name for c in check_nat64(built) if not c.ok} == {"nat64 errors"}


BETWEEN = Nat64(
    IPv6Network(WELL_KNOWN), IPv4Network("240.64.0.0/16"), IPv4Address("192.0.2.1"),
    1500, ("wan",),
)  # fmt: skip


@pytest.fixture
def ends(netlab_state):
    """A LAN of 1280 octets, 1500 outside: what comes in has to shrink."""
    text = LAB.format(prefix=WELL_KNOWN, lan=1280, wan=1500)
    with one_cpu(), Lab(alone(Masquerade("wan"), text)) as lab, Probe(lab) as probe:
        yield _Ends(probe, BETWEEN)


def outside_of(ends, client, server):
    client.sendto(b"x", ends.to(server.getsockname()))
    return server.recvfrom(9)[1]


def test_a_server_learns_the_mtu_behind_the_translator(ends):
    server, client = ends.probe.udp("server", SERVER), ends.probe.udp("a", A)
    outside = outside_of(ends, client, server)
    server.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
    server.connect(outside)
    server.send(bytes(1300))
    ends.settle()
    assert server.getsockopt(socket.IPPROTO_IP, 14) == 1260  # IP_MTU
    assert server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.EMSGSIZE
    server.send(bytes(1260 - 28))
    assert len(client.recv(2000)) == 1260 - 28


def test_a_datagram_that_may_be_fragmented_is(ends):
    server, client = ends.probe.udp("server", SERVER), ends.probe.udp("a", A)
    outside = outside_of(ends, client, server)
    server.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_PMTUDISC_DONT
    server.sendto(bytes(1400), outside)
    assert client.recv(2000) == bytes(1400)


def test_a_datagram_without_checksum_arrives(ends):
    server, client = ends.probe.udp("server", SERVER), ends.probe.udp("a", A)
    outside = outside_of(ends, client, server)
    server.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK
    server.sendto(b"no checksum", outside)
    assert client.recv(99) == b"no checksum"


def test_what_nobody_asked_for_reaches_nobody(ends):
    """Neither hosts that were lent an address nor inside neighbours can be had from elsewhere."""
    server, client = ends.probe.udp("server", SERVER), ends.probe.udp("a", A, 7000)
    outside_of(ends, client, server)
    ends.probe.lab["server"].run(
        ["ip", "route", "add", "240.64.0.0/16", "via", "192.0.2.1"], check=True
    )
    server.sendto(b"to a lent address", ("240.64.0.1", 7000))
    stranger = ends.probe.udp("b", B)
    stranger.sendto(b"by the prefix", ends.to(("240.64.0.1", 7000)))
    ends.settle()
    known = outside_of(ends, client, server)
    server.sendto(b"known", known)
    assert client.recv(99) == b"known"


def test_hosts_have_addresses_in_the_order_in_which_they_speak(ends):
    server = ends.probe.udp("server", SERVER)
    for number, (name, address) in enumerate((("b", B), ("a", A)), 1):
        outside_of(ends, ends.probe.udp(name, address), server)
        listed = ends.probe.lab["nat"].run(["conntrack", "-L", "-p", "udp"], check=True).stdout
        assert f"src=240.64.0.{number} dst={SERVER}" in listed


SAID = "%{http_code} %{remote_ip}"


@pytest.mark.netlab(topology="topologies/nat64.yaml")
def test_what_the_shipped_topology_promises(netlab):
    """ping and curl by name; the gate is one hop of three, whichever way one counts."""
    for host in ("phone", "laptop"):
        assert netlab[host].run(["ping", "-c1", "-W5", "server"]).returncode == 0
        fetched = netlab[host].run(["curl", "-s", "-o", "/dev/null", "-w", SAID, "http://server/"])
        assert fetched.stdout == "200 64:ff9b::c633:6402"
    for limit, hop in ((1, "2001:db8:1::3"), (2, "64:ff9b::cb00:7101")):
        said = netlab["phone"].run(["ping", "-n", "-c1", "-W5", "-t", str(limit), "server"]).stdout
        assert f"From {hop}" in said
    assert netlab["phone"].run(["ping", "-c1", "-W5", "-t", "3", "server"]).returncode == 0


@pytest.mark.netlab(topology="topologies/nat64.yaml")
def test_two_hosts_share_the_outside_address(netlab):
    with Probe(netlab) as probe:
        server = probe.udp("server", "198.51.100.2")
        seen = set()
        for host, address in (("phone", "2001:db8:1::1"), ("laptop", "2001:db8:1::2")):
            client = probe.udp(host, address, 5000)
            client.sendto(b"x", ("64:ff9b::c633:6402", server.getsockname()[1]))
            seen.add(server.recvfrom(9)[1])
    assert {address for address, _ in seen} == {"203.0.113.2"}
    assert len(seen) == 2
