"""What a receiving socket refuses has not arrived, however far it came."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from netlab.lab.lab import Lab
from netlab.topology import loads
from netlab.trace.disposition import Disposition as End
from netlab.wire import ipv4, tcp, udp
from netlab.wire.address import packed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.trace.model import PacketTrace

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.root,  # expects the kernel's own drop reasons, which only BPF sees
    pytest.mark.usefixtures("netlab_state"),
]

A, B = packed("10.0.0.1"), packed("10.0.0.2")
FIN, SYN, PSH, URG = tcp.FIN, tcp.SYN, tcp.PSH, tcp.URG


@pytest.fixture
def lab() -> Iterator[Lab]:
    text = "nodes: {a: , b: }\nlinks: [{ends: [a:eth0, b:eth0], subnet: 10.0.0.0/24}]\n"
    with Lab(loads(text, "pair.yaml"), name="sockets") as running:
        yield running


def fate(lab: Lab, packet: bytes, proto: int) -> PacketTrace:
    with (
        lab["b"].socket(socket.AF_INET, socket.SOCK_STREAM) as listener,
        lab["b"].socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        lab["a"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender,
    ):
        listener.bind(("10.0.0.2", 80))
        listener.listen()
        receiver.bind(("10.0.0.2", 53))
        receiver.settimeout(0.2)
        with lab.observe() as watch:
            sender.sendto(packet, ("10.0.0.2", 0))
            watch.settle()
            with pytest.raises(TimeoutError):
                receiver.recv(2000)
    [trace] = watch.traces.where(proto=proto, origin="a")
    return trace


@pytest.mark.parametrize("flags", [FIN, 0, FIN | PSH | URG, SYN | FIN])
def test_a_listener_refuses_what_opens_no_connection(lab: Lab, flags: int) -> None:
    segment = tcp.encode(tcp.Header(4000, 80, seq=7, flags=flags), b"", A, B)
    trace = fate(lab, ipv4.encode(ipv4.Header(A, B, 6), segment), 6)
    assert (trace.disposition, trace.node) == (End.UNACCEPTABLE, "b")
    assert trace.reason.source == "kernel"


def test_a_bad_checksum_is_seen(lab: Lab) -> None:
    datagram = bytearray(udp.encode(udp.Header(4000, 53), bytes(20), A, B))
    datagram[-1] ^= 0xFF
    trace = fate(lab, ipv4.encode(ipv4.Header(A, B, 17), bytes(datagram)), 17)
    assert (trace.disposition, trace.node) == (End.BAD_CHECKSUM, "b")
