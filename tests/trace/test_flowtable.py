"""A router whose flow table takes TCP and UDP past the kernel's rules: what netlab says of packets.

Needs a kernel with flow tables (NF_FLOW_TABLE): Debian's have them, see `make vm`.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from netlab.lab.lab import Lab
from netlab.topology import loads

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPOLOGY = """
nodes:
  client:
  router:
    kind: router
    nftables: |
      table inet engine {
        flowtable fast { hook ingress priority 0; devices = { inner, outer }; }
        chain forward {
          type filter hook forward priority 0; policy accept;
          counter comment "slow path"
          meta l4proto { tcp, udp } flow add @fast
        }
      }
  server:
links:
  - {ends: [router:inner, client:eth0], subnet: 192.168.1.0/24}
  - {ends: [router:outer, server:eth0], subnet: 198.51.100.0/24}
"""
PORT = 4000
ROUNDS = 20


@pytest.fixture
def lab(netlab_state) -> Iterator[Lab]:
    with Lab(loads("nodes: {router: {kind: router}}", "tables.yaml")) as tried:
        tried["router"].run(["nft", "add table inet t"], check=True)
        table = "add flowtable inet t f { hook ingress priority 0; devices = { lo }; }"
        probe = tried["router"].run(["nft", table])
        if "Operation not supported" in probe.stderr or "No such file" in probe.stderr:
            pytest.skip("this kernel has no flow tables")
        assert not probe.returncode, probe.stderr
    with Lab(loads(TOPOLOGY, "flowtable.yaml")) as running:
        yield running


def slow_path(lab: Lab) -> int:
    """Packets that the rule at the forward hook has counted."""
    said = lab["router"].run(["nft", "-j", "list", "ruleset"], check=True)
    items = json.loads(said.stdout)["nftables"]
    [rule] = [item["rule"] for item in items if "slow path" in str(item.get("rule"))]
    return next(int(part["counter"]["packets"]) for part in rule["expr"] if "counter" in part)


def talk(lab: Lab, kind: socket.SocketKind, proto: int) -> None:
    """``ROUNDS`` questions, each answered: there and back, so that the flow is established."""
    with (
        lab["server"].socket(socket.AF_INET, kind, proto) as server,
        lab["client"].socket(socket.AF_INET, kind, proto) as client,
    ):
        for side in (server, client):
            side.settimeout(10)
        if kind == socket.SOCK_DGRAM:
            server.bind(("", PORT))
        for _ in range(ROUNDS):
            client.sendto(b"question", (lab["server"].address, PORT))
            _, peer = server.recvfrom(2048)
            server.sendto(b"answer", peer)
            client.recvfrom(2048)


@pytest.mark.kernel
def test_udp_takes_the_fast_path_and_is_followed_there(lab: Lab) -> None:
    with lab.observe() as watch:
        talk(lab, socket.SOCK_DGRAM, 0)
        watch.settle()
    assert slow_path(lab) < 10 < 2 * ROUNDS  # question, answer, and what came before the table
    packets = watch.traces.where(proto=17)
    assert len(packets.arrived) == len(packets) == 2 * ROUNDS


@pytest.mark.kernel
def test_an_unknown_protocol_stays_on_the_slow_path(lab: Lab) -> None:
    talk(lab, socket.SOCK_RAW, 253)
    assert slow_path(lab) == 2 * ROUNDS
