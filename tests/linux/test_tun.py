"""TUN devices: a program is their carrier, and the kernel has noted it before anything is sent."""

import os
import select
import socket

import pytest

from netlab.lab.lab import Lab
from netlab.linux import rtnetlink, tun
from netlab.topology import loads

TOPOLOGY = """
nodes: {a: {kind: stack, stack: 10.0.0.80}, b: }
links: [{ends: [a:eth0, b:eth0], subnet: 10.0.0.0/24}]
"""

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("netlab_leaves_no_trace")]


def state() -> int:
    link = rtnetlink.open_route_socket()
    try:
        return rtnetlink.operational_state(link, socket.if_nametoindex("tun0"))
    finally:
        link.close()


def test_what_is_sent_to_a_device_that_has_settled_is_there():
    with Lab(loads(TOPOLOGY, "tun")) as lab:
        a, b = lab["a"], lab["b"]
        for _ in range(3):
            device = a.inside(lambda: tun.attach("tun0"))
            a.inside(lambda: tun.settle("tun0"))
            assert a.inside(state) == rtnetlink.IF_OPER_UP
            with b.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
                sending.sendto(b"at once", ("10.0.0.80", 9))
            assert select.select([device], [], [], 10)[0], "it is lost"
            assert os.read(device, 2000).endswith(b"at once")
            os.close(device)


def test_a_device_that_nobody_holds_does_not_settle(monkeypatch):
    monkeypatch.setattr(tun, "CARRIER_TIMEOUT", 0.05)
    with Lab(loads(TOPOLOGY, "tun")) as lab, pytest.raises(TimeoutError, match="tun0"):
        lab["a"].inside(lambda: tun.settle("tun0"))
