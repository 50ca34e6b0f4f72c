"""What NATs do that a STUN client does not ask about."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from netlab.lab.lab import Lab
from netlab.topology import loads
from netlab.topology.model import Masquerade
from netlab.topology.nat import Timeouts, Translator
from netlab.verify.nat import INSIDE, OTHER, SERVER, UNKNOWN, A, B, alone
from netlab.verify.probe import Probe, drain, one_cpu
from tests.helpers.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

BASE = Translator("wan", (IPv4Address("192.0.2.1"),))
POOL = tuple(IPv4Address("192.0.2.1") + i for i in range(3))


MORE = (OTHER, *(f"192.0.2.{n}" for n in range(110, 116)))


class Behind:
    """A NAT alone, and its two inside hosts."""

    def __init__(self, lab: Lab, probe: Probe) -> None:
        self.lab, self.probe = lab, probe

    def settle(self) -> None:
        """Wait until what ``a`` sent to the server is there, or never will be."""
        self.probe.settle(("a", A), ("nat", INSIDE))
        self.probe.settle(("nat", ""), ("server", SERVER))

    def outside(self, node: str, port: int = 0, target: str = SERVER) -> tuple[str, int] | None:
        """The outside endpoint that the server sees of a new datagram; ``None`` if none comes."""
        server = self.probe.udp("server", target)
        inside = {"a": A, "b": B}[node]
        self.probe.udp(node, inside, port).sendto(b"x", server.getsockname())
        self.probe.settle((node, inside), ("nat", INSIDE))
        self.probe.settle(("nat", ""), ("server", SERVER))
        arrived = drain(server)
        return arrived[0][1] if arrived else None

    def unknown(self, node: str, target: str) -> str | None:
        """The source that the server sees of a packet of a protocol nobody knows."""
        server = self.probe.open("server", socket.SOCK_RAW, UNKNOWN)
        inside = {"a": A, "b": B}[node]
        self.probe.open(node, socket.SOCK_RAW, UNKNOWN, (inside, 0)).sendto(b"x", (target, 0))
        self.probe.settle((node, inside), ("nat", INSIDE))
        self.probe.settle(("nat", ""), ("server", SERVER))
        arrived = drain(server)
        return arrived[0][1][0] if arrived else None


@pytest.fixture
def behind(netlab_state, request) -> Iterator[Behind]:
    with one_cpu(), Lab(alone(request.param)) as lab:
        for target in MORE:
            lab["server"].run(["ip", "address", "add", f"{target}/24", "dev", "eth0"], check=True)
            # So that no packet of a test has to wait for ARP.
            lab["nat"].run(["ping", "-c1", target], check=True)
        with Probe(lab) as probe:
            yield Behind(lab, probe)


def behind_a(nat: Translator | Masquerade) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("behind", [nat], indirect=True, ids=["nat"])


@behind_a(replace(BASE, port_range=(4000, 4001)))
def test_when_the_ports_are_gone_so_are_new_flows_but_old_ones_live(behind):
    first, second = behind.outside("a", 5001), behind.outside("b", 5002)
    assert {first[1], second[1]} == {4000, 4001}
    assert behind.outside("a", 5003) is None
    assert behind.outside("b", 5004, OTHER) is None, "not even towards another destination"
    assert behind.outside("a", 5001) == first


@behind_a(Masquerade("wan"))
def test_linux_shares_a_port_between_destinations(behind):
    assert behind.outside("a", 5001) == ("192.0.2.1", 5001)
    assert behind.outside("b", 5001, OTHER) == ("192.0.2.1", 5001)


@behind_a(replace(BASE, addresses=POOL))
def test_a_paired_pool_keeps_a_host_to_one_address(behind):
    for node in ("a", "b"):
        addresses = {behind.outside(node, target=t)[0] for t in (SERVER, OTHER) for _ in range(4)}
        assert len(addresses) == 1
        assert addresses <= {str(a) for a in POOL}


@behind_a(replace(BASE, addresses=POOL, mapping="address-dependent", pooling="arbitrary"))
def test_an_arbitrary_pool_goes_by_the_destination_too(behind):
    seen = {behind.outside("a", target=target)[0] for target in (SERVER, *MORE)}
    assert len(seen) > 1


@pytest.mark.parametrize(
    ("behind", "lives"),
    [(replace(BASE, timeouts=Timeouts(udp=2), inbound_refresh=r), r) for r in (True, False)],
    indirect=["behind"],
    ids=["refreshed", "not refreshed"],
)
def test_inbound_packets_refresh_a_mapping_or_not(behind, lives):
    server = behind.probe.udp("server", SERVER)
    client = behind.probe.udp("a", A)
    client.sendto(b"x", server.getsockname())
    outside = server.recvfrom(9)[1]
    for _ in range(5):
        time.sleep(0.7)  # the timeout is the subject: 3.5 s in all, with 2 s allowed
        server.sendto(b"keep", outside)
    client.settimeout(0.3)
    arrived = 0
    try:
        while client.recv(9):
            arrived += 1
    except TimeoutError:
        pass
    assert (arrived == 5) is lives


@behind_a(Masquerade("wan"))
def test_of_an_unknown_protocol_linux_lets_one_host_reach_a_server(behind):
    assert behind.unknown("a", SERVER) == "192.0.2.1"
    assert behind.unknown("b", SERVER) is None, "dies when conntrack confirms it"
    assert behind.unknown("a", SERVER) == "192.0.2.1"
    assert behind.unknown("b", OTHER) == "192.0.2.1", "another server is another tuple"


@behind_a(replace(BASE, addresses=POOL, unknown_protocols="pool"))
def test_a_pool_gives_each_host_an_address_for_unknown_protocols(behind):
    first, second = behind.unknown("a", SERVER), behind.unknown("b", SERVER)
    assert len({first, second} & {str(a) for a in POOL}) == 2
    assert behind.unknown("a", OTHER) == first
    assert behind.unknown("b", OTHER) == second


CARRIER = """
nodes:
  client: {}
  home: {kind: nat, outside: wan, nat: {preset: %s}}
  carrier: {kind: nat, outside: wan, nat: {preset: %s}}
  server: {}
links:
  - [client:eth0, home:lan]
  - {ends: [home:wan, carrier:lan], subnet: 100.64.0.0/24}
  - {ends: [carrier:wan, server:eth0], subnet: 192.0.2.0/24}
"""


@pytest.mark.parametrize(
    ("home", "carrier", "strangers"),
    [
        ("full-cone", "carrier-grade", True),
        ("home-router", "carrier-grade", False),
        ("full-cone", "symmetric", False),
    ],
)
def test_of_two_nats_the_stricter_counts(netlab_state, home, carrier, strangers):
    with one_cpu(), Lab(loads(CARRIER % (home, carrier))) as lab, Probe(lab) as probe:
        server = lab["server"].address
        known, stranger = probe.udp("server", server), probe.udp("server", server)
        client = probe.udp("client")
        client.sendto(b"x", known.getsockname())
        outside = known.recvfrom(9)[1]
        assert outside[0] == lab["carrier"].addresses[1]
        stranger.sendto(b"stranger", outside)
        known.sendto(b"known", outside)
        assert (client.recv(9) == b"stranger") is strangers


IPV6 = """
defaults: {families: [ipv6]}
nodes:
  client: {}
  nat: {kind: nat, outside: wan, nat: {ipv6: %s}}
  server: {}
links:
  - [client:eth0, nat:lan]
  - {ends: [nat:wan, server:eth0], families: [ipv4, ipv6]}
"""


@pytest.mark.parametrize("how", ["masquerade", "route"])
def test_ipv6_is_masqueraded_or_routed(netlab_state, how):
    with Lab(loads(IPV6 % how)) as lab:
        kind = (socket.AF_INET6, socket.SOCK_DGRAM)
        with lab["server"].socket(*kind) as server, lab["client"].socket(*kind) as client:
            for each in (server, client):
                each.settimeout(5)
            inside, server_address = lab["client"].address, lab["server"].addresses[1]
            server.bind((server_address, 0))
            client.sendto(b"x", server.getsockname())
            seen = server.recvfrom(9)[1]
            outside = lab["nat"].addresses[-1]
            assert seen[0] == (outside if how == "masquerade" else inside)
            server.sendto(b"back", seen)
            assert client.recv(9) == b"back"


@behind_a(replace(BASE, sessions_per_subscriber=3))
def test_a_subscriber_with_too_many_sessions_is_told_and_others_are_not_touched(behind):
    """RFC 6888 REQ-4 and REQ-11."""
    probe, server = behind.probe, behind.probe.udp("server", SERVER)
    clients = [probe.udp("a", A, 5000 + n) for n in range(5)]

    def arrives(client) -> bool:
        client.sendto(b"x", server.getsockname())
        behind.settle()
        return bool(drain(server))

    assert [arrives(client) for client in clients] == [True] * 3 + [False] * 2
    told = probe.udp("a", A)
    told.connect((SERVER, 9))
    told.send(b"x")
    # Linux's word for code 13, "communication administratively prohibited".
    with pytest.raises(OSError, match="No route to host"):
        told.recv(9)
    assert behind.outside("b", 5000) is not None
    assert arrives(clients[1]), "what is under way goes on"
    behind.lab["nat"].run(["conntrack", "-D", "-p", "udp", "--sport", "5001"], check=True)
    wait_for(lambda: arrives(clients[4]))  # Linux forgets a session that was refused within 8 ms
