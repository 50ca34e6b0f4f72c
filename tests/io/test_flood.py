"""Floods: all that is sent is sent once, stamped, and no more than was asked for."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from netlab.errors import LabError
from netlab.hdp import endpoint
from netlab.io.hdp import flood
from netlab.linux import namespaces
from netlab.wire import hdp, ipv4, ipv6
from tests.io.taps import everything

if TYPE_CHECKING:
    from netlab.lab.lab import Lab

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.root,  # receives floods, with buffers beyond net.core.rmem_max
    pytest.mark.netlab(topology="topologies/hdp/site.yaml"),
]

COUNT = 700
"""More than a batch, and less than what the machine's processors queue between namespaces (1000):
beyond that a busy machine drops packets, those of other tests too."""


def sent_and_seen(netlab: Lab, family: int, size: int) -> list[bytes]:
    """A flood; the packets as the server's neighbour passes them on."""
    from netlab.linux.raw_socket import Tap

    address = next(a for a in netlab["server"].addresses if (":" in a) == (family == 6))
    with namespaces.inside(netlab["router"].namespace, Tap) as tap:

        def run() -> flood.Flooded:
            template = flood.learn(family, 200, address, size)
            return flood.flood(template, count=COUNT, seconds=30)

        done = namespaces.inside(netlab["client"].namespace, run)
        frames = [frame.data for frame in everything(tap) if frame.outgoing]
        assert tap.lost == 0
    assert (done.sent, done.refused) == (COUNT, 0)
    assert done.rate > 0
    return [frame for frame in frames if frame[9 if family == 4 else 6] == 200]


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("size", [17, 1400])
def test_each_datagram_arrives_once_with_its_time(netlab: Lab, family: int, size: int) -> None:
    packets = sent_and_seen(netlab, family, size)
    serials, times = set(), set()
    for packet in packets:
        if family == 4:
            header = ipv4.parse(packet)
            assert ipv4.verify(packet, header)
            datagram = ipv4.payload(packet, header)
        else:
            datagram = ipv6.payload(packet, ipv6.parse(packet))
        assert len(datagram) == size
        times.add(hdp.parse(datagram).timestamp)
        serials.add(struct.unpack_from("!BHH", hdp.payload(datagram)))
    # One more is what learn() sent, whose five octets are random.
    assert len(packets) == COUNT + 1
    assert len(serials) >= COUNT
    assert len(times) >= COUNT // flood.BATCH
    assert max(times) - min(times) < 60e9


def test_a_server_reads_a_flood(netlab: Lab) -> None:
    packets = sent_and_seen(netlab, 4, 17)
    assert len(packets) == COUNT + 1
    server = endpoint.Server()
    assert all(isinstance(server.packet(p, 0), endpoint.Received) for p in packets)


def test_time_bounds_a_flood(netlab: Lab) -> None:
    def run() -> flood.Flooded:
        template = flood.learn(4, 200, netlab["server"].address)
        return flood.flood(template, count=10**9, seconds=0)

    assert namespaces.inside(netlab["client"].namespace, run).sent == 0


def test_a_flood_to_nowhere_is_told(netlab: Lab) -> None:
    netlab["client"].run(["ip", "route", "add", "blackhole", "192.0.2.7"], check=True)
    with pytest.raises(LabError, match="E614"):
        namespaces.inside(netlab["client"].namespace, lambda: flood.learn(4, 200, "192.0.2.7"))


def test_an_interface_that_is_down_is_told(netlab: Lab) -> None:
    client = netlab["client"]
    template = namespaces.inside(
        client.namespace, lambda: flood.learn(4, 200, netlab["server"].address)
    )
    client.run(["ip", "link", "set", "eth0", "down"], check=True)
    with pytest.raises(LabError, match="E614"):
        namespaces.inside(client.namespace, lambda: flood.flood(template, count=10, seconds=5))
