"""NATs at the edges: hairpinned forwards, other outsides, closed connections, invalid packets."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import replace

import pytest

from netlab.lab.lab import Lab
from netlab.topology import loads
from netlab.topology.nat import Timeouts
from netlab.verify.nat import SERVER, A
from netlab.verify.probe import Probe, drain, one_cpu
from netlab.wire import ipv4, tcp
from netlab.wire.address import packed
from tests.helpers.waiting import wait_for
from tests.middlebox.test_nat_behaviour import BASE, behind, behind_a

pytestmark = pytest.mark.kernel
__all__ = ["behind"]

FORWARDS = """
nodes:
  client: {}
  web: {}
  lan: {kind: bridge, subnet: 192.168.1.0/24}
  nat:
    kind: nat
    nat:
      masquerade: wan
      hairpinning: true
      static:
        - {forward: udp/5000, to: "web:6000"}
        - {outside: 203.0.113.9, inside: client}
  outside: {}
links:
  - [nat:lan, lan]
  - [client:eth0, lan]
  - [web:eth0, lan]
  - {ends: [nat:wan, outside:eth0], subnet: 203.0.113.0/24}
"""


def test_static_mappings_hairpin_before_anybody_came_from_outside(netlab_state):
    """RFC 4787 REQ-9 (a), RFC 5508 REQ-7."""
    with one_cpu(), Lab(loads(FORWARDS)) as lab, Probe(lab) as probe:
        outside = next(a for a in lab["nat"].addresses if a.startswith("203."))
        web = probe.udp("web", lab["web"].address, 6000)
        client = probe.udp("client", lab["client"].address)
        client.sendto(b"there", (outside, 5000))
        data, source = web.recvfrom(9)
        assert (data, source[0]) == (b"there", "203.0.113.9")  # the client's own outside address
        web.sendto(b"back", source)
        assert client.recvfrom(9) == (b"back", (outside, 5000))
        # And 1:1, for protocols without ports too.
        assert lab["web"].run(["ping", "-c1", "-W2", "203.0.113.9"]).returncode == 0


TWO_OUTSIDES = """
nodes:
  client: {}
  nat: {kind: nat, outside: [w1, w2], nat: {preset: full-cone}}
  one: {}
  two: {}
links:
  - [client:eth0, nat:lan]
  - {ends: [nat:w1, one:eth0], subnet: 203.0.113.0/24}
  - {ends: [nat:w2, two:eth0], subnet: 198.51.100.0/24}
"""


def test_a_stranger_at_another_outside_interface_is_not_hairpinned(netlab_state):
    with one_cpu(), Lab(loads(TWO_OUTSIDES)) as lab, Probe(lab) as probe:
        one = probe.udp("one", lab["one"].address)
        client = probe.udp("client", lab["client"].address)
        client.sendto(b"x", one.getsockname())
        outside = one.recvfrom(9)[1]
        lab["two"].run(
            ["ip", "route", "replace", "203.0.113.0/24", "via", _at(lab, "w2")], check=True
        )
        probe.udp("two").sendto(b"stranger", outside)
        probe.settle(("nat", ""), ("two", lab["two"].address))
        one.sendto(b"known", outside)
        assert client.recv(9) == b"known"


def _at(lab: Lab, interface: str) -> str:
    (found,) = [i for i in lab["nat"].interfaces if i.name == interface]
    return found.addresses[0].partition("/")[0]


@behind_a(replace(BASE, timeouts=Timeouts(tcp_established=9000, tcp_transitory=100)))
def test_a_mapping_follows_the_state_of_its_connection(behind):
    """RFC 5382 REQ-5: open for hours, closed for minutes."""
    probe = behind.probe
    server = probe.open("server", socket.SOCK_STREAM, 0, (SERVER, 0))
    server.listen()
    client = probe.open("a", socket.SOCK_STREAM, 0, (A, 5001))
    client.connect(server.getsockname())
    accepted, _ = server.accept()
    client.send(b"x")
    accepted.recv(1)
    assert _left(behind) > 1000
    for each in (client, accepted):
        each.close()
    wait_for(lambda: _left(behind) <= 100)
    assert 0 < _left(behind) <= 100


def _left(behind) -> float:
    text = behind.lab["nat"].run(["nft", "list", "map", "inet", "netlab", "mapping_wan"]).stdout
    (left,) = re.findall(r"expires (\S+)", text)
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
    return sum(int(n) * units[u] for n, u in re.findall(r"(\d+)(ms|[dhms])", left))


@pytest.mark.parametrize(
    ("behind", "lives"),
    [
        (
            replace(
                BASE,
                filtering="endpoint-independent",
                timeouts=Timeouts(udp=2),
                inbound_refresh=refresh,
            ),
            refresh,
        )
        for refresh in (True, False)
    ],
    indirect=["behind"],
    ids=["refreshed", "not refreshed"],
)
def test_inbound_packets_of_a_flow_from_outside_refresh_or_not(behind, lives):
    """RFC 4787 REQ-6, where the stranger came after the mapping was made."""
    known, stranger = behind.probe.udp("server", SERVER), behind.probe.udp("server", SERVER)
    client = behind.probe.udp("a", A)
    client.sendto(b"x", known.getsockname())
    outside = known.recvfrom(9)[1]
    for _ in range(5):
        stranger.sendto(b"keep", outside)
        time.sleep(0.7)  # the timeout is the subject: 3.5 s in all, with 2 s allowed
    newcomer = behind.probe.udp("server", SERVER)
    for each in (stranger, newcomer):
        each.sendto(b"late", outside)
    # One CPU carries in order: what was sent before this has been decided.
    behind.probe.settle(("nat", ""), ("server", SERVER))
    behind.probe.settle(("nat", ""), ("a", A))
    assert [d for d, _ in drain(client)].count(b"late") == (2 if lives else 0)


@behind_a(BASE)
def test_what_conntrack_calls_invalid_does_not_show_the_inside(behind):
    server = behind.probe.open("server", socket.SOCK_RAW, tcp.PROTOCOL)
    raw = behind.probe.open("a", socket.SOCK_RAW, socket.IPPROTO_RAW)
    a, b = packed(A), packed(SERVER)
    for flags in (tcp.RST, tcp.SYN):
        segment = bytearray(tcp.encode(tcp.Header(5005, 80, 1, flags=flags), b"", a, b))
        if flags == tcp.SYN:
            segment[16] ^= 0xFF  # its checksum
        raw.sendto(ipv4.encode(ipv4.Header(a, b, tcp.PROTOCOL), bytes(segment)), (SERVER, 0))
    behind.settle()
    assert drain(server) == []


UNKNOWN_DROPPED = """
defaults: {families: [ipv4, ipv6]}
nodes:
  client: {}
  nat: {kind: nat, outside: wan, nat: {preset: corporate}}
  server: {}
links:
  - [client:eth0, nat:lan]
  - [nat:wan, server:eth0]
"""


def test_a_nat_that_drops_unknown_protocols_passes_icmpv6(netlab_state):
    with Lab(loads(UNKNOWN_DROPPED)) as lab:
        target = next(a for a in lab["server"].addresses if ":" in a)
        assert lab["client"].run(["ping", "-6", "-c1", "-W3", target]).returncode == 0
