"""The same shapes with Mininet's own API; run by Debian's Python, which has the package.

``python3 mininet_peer.py star|chain HOSTS`` prints two numbers: milliseconds to build, to remove.
"""

import sys
import time
from itertools import pairwise

from mininet.link import Link
from mininet.log import setLogLevel
from mininet.net import Mininet


def address(wire: int, end: int) -> str:
    """As in shapes.py: each wire is a /30."""
    return f"10.{wire >> 14 & 255}.{wire >> 6 & 255}.{(wire & 63) * 4 + 1 + end}/30"


def main() -> None:
    """Build, remove, print."""
    shape, hosts = sys.argv[1], int(sys.argv[2])
    setLogLevel("error")
    # Mininet's own init() raises limits of the whole machine (tcp_rmem, gc_thresh, ...), for good.
    Mininet.inited = True
    began = time.perf_counter()
    net = Mininet(controller=None, link=Link, build=False)
    nodes = [net.addHost(f"h{i}", ip=None) for i in range(hosts)]
    if shape == "star":
        hub = net.addHost("hub", ip=None)
        pairs = [(hub, node) for node in nodes]
        hub.cmd("sysctl -q -w net.ipv4.ip_forward=1")
    else:
        pairs = list(pairwise(nodes))
        for node in nodes:
            node.cmd("sysctl -q -w net.ipv4.ip_forward=1")
    for wire, (a, b) in enumerate(pairs):
        net.addLink(a, b, params1={"ip": address(wire, 0)}, params2={"ip": address(wire, 1)})
        if shape == "star":
            b.setDefaultRoute(f"via {address(wire, 0).partition('/')[0]}")
    net.build()
    built = time.perf_counter()
    net.stop()
    print((built - began) * 1000, (time.perf_counter() - built) * 1000)


if __name__ == "__main__":
    main()
