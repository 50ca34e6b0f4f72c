"""A super-packet that one node cuts into segments, and each of these into fragments."""

from __future__ import annotations

import socket

import pytest

from netlab.lab.lab import Lab
from netlab.topology import loads
from netlab.trace.disposition import Disposition as End
from netlab.trace.tree import end_of

LAB = """
nodes:
  a: {sysctls: {net.ipv4.ip_no_pmtu_disc: 1}}
  r: {kind: router}
  s: {kind: router}
  b:
links:
  - {ends: [a:eth0, r:x], subnet: 10.0.0.0/24}
  - {ends: [r:y, s:x], subnet: 10.0.1.0/24, mtu: 1000}
  - {ends: [s:y, b:eth0], subnet: 10.0.2.0/24}
"""


@pytest.mark.kernel
@pytest.mark.usefixtures("netlab_state")
def test_what_is_cut_and_fragmented_in_one_node_is_one_tree() -> None:
    with Lab(loads(LAB, "cut.yaml"), name="cut-twice") as lab:
        address = lab["b"].address
        with (
            lab["b"].socket(socket.AF_INET, socket.SOCK_STREAM) as listener,
            lab["a"].socket(socket.AF_INET, socket.SOCK_STREAM) as client,
        ):
            listener.bind((address, 80))
            listener.listen()
            client.settimeout(10)
            client.connect((address, 80))
            peer, _ = listener.accept()
            with peer, lab.observe() as watch:
                client.sendall(bytes(n % 251 for n in range(20_000)))
                client.shutdown(socket.SHUT_WR)
                peer.settimeout(10)
                while peer.recv(1 << 16):
                    pass
                watch.settle()
    traces = watch.traces
    everything = {one.id: one for one in traces}
    large = [
        one for one in traces.where(origin="a") if one.packet.payload_length > 1460 and one.children
    ]
    assert large, "the kernel sent no super-packet"
    for one in large:
        pieces = [everything[child] for child in one.children]
        assert one.disposition is End.FRAGMENTED
        assert sum(piece.packet.length for piece in pieces) > one.packet.payload_length
        end = end_of([one], everything)
        assert end is not None
        assert (end.disposition, end.node) == (End.DELIVERED, "b")
    orphans = [one for one in traces if one.packet.is_fragment and not one.parents]
    assert not orphans
