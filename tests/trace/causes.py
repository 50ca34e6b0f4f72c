"""Every way for a packet to end that a lab can bring about: what to build, what to send.

Run as a program (``python -m tests.trace.causes``) it plays them all, or those that are named, and
prints what became of the packets as JSON: that is how an ordinary user's answers are tested.
"""

from __future__ import annotations

import json
import select
import socket
import sys
from typing import TYPE_CHECKING, NamedTuple

from netlab.capture.evidence import Evidence, Gap
from netlab.lab.lab import Lab
from netlab.topology import loads
from netlab.trace.build import build_traces
from netlab.trace.disposition import Disposition
from netlab.wire import ipv4, udp
from netlab.wire.address import packed

if TYPE_CHECKING:
    from collections.abc import Callable

SERVER, ROUTER_EAST, ROUTER_WEST = "198.51.100.2", "198.51.100.1", "203.0.113.1"

STRANGER = bytes.fromhex("020000000001")

D = Disposition

TOPOLOGY = """
nodes:
  client: {client}
  other:
  nat: {{kind: nat, outside: wan, {nat}}}
  router: {{kind: router, {router}}}
  server: {server}
links:
  - {{ends: [nat:lan, client:eth0], subnet: 192.168.1.0/24}}
  - {{ends: [nat:lan2, other:eth0], subnet: 192.168.2.0/24}}
  - {{ends: [router:west, nat:wan], subnet: 203.0.113.0/24}}
  - {{ends: [router:east, server:eth0], subnet: 198.51.100.0/24, {link}}}
"""


class Cause(NamedTuple):
    """``send`` brings it about; ``number`` packets of protocol ``proto`` end so at ``node``.

    ``source`` is who says so with all witnesses, ``blind`` what is said without drop reasons.
    """

    send: Callable[[Lab], object]
    proto: int
    node: str
    end: D
    source: str
    blind: D
    number: int = 1
    arrived: int = 0
    prepare: Callable[[Lab], object] = lambda _: None
    rule: str = ""
    topology: str = ""
    client: str = "{}"
    nat: str = ""
    router: str = ""
    server: str = "{}"
    link: str = ""


def raw(lab: Lab, node: str, proto: int, target: str, data: bytes, *, ttl: int = 64) -> None:
    with lab[node].socket(socket.AF_INET, socket.SOCK_RAW, proto) as s:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 0)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        s.sendto(data, (target, 0))


def whole(lab: Lab, node: str, packet: bytes) -> None:
    """A packet as it stands; the kernel corrects nothing but the IP checksum."""
    with lab[node].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        s.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))


def datagrams(
    lab: Lab, node: str, target: str, count: int = 1, *, size: int = 20, df: bool = False
) -> None:
    with lab[node].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        if df:
            s.setsockopt(socket.IPPROTO_IP, 10, 3)  # IP_MTU_DISCOVER, IP_PMTUDISC_PROBE
        for i in range(count):
            s.sendto(b"probe %06d" % i + bytes(size - 12), (target, 4000))


def syn(lab: Lab, node: str, target: str) -> None:
    with lab[node].socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(2)
        try:
            s.connect((target, 81))
        except ConnectionRefusedError:
            return
    raise AssertionError("not refused")


def clash(lab: Lab) -> None:
    raw(lab, "client", 255, SERVER, b"the first one")
    raw(lab, "other", 255, SERVER, b"the second one")


def bad_ip_checksum(lab: Lab) -> None:
    source, destination = packed(ROUTER_EAST), packed(SERVER)
    packet = bytearray(ipv4.encode(ipv4.Header(source, destination, 253), b"spoilt header"))
    packet[10] ^= 0x55
    frame = mac(lab, "server", "eth0") + mac(lab, "router", "east") + b"\x08\x00" + packet
    with lab["router"].socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
        s.bind(("east", 0))
        s.send(frame)


def mac(lab: Lab, node: str, interface: str) -> bytes:
    return next(
        bytes.fromhex(i.mac.replace(":", "")) for i in lab[node].interfaces if i.name == interface
    )


def bad_udp_checksum(lab: Lab) -> None:
    with lab["server"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((SERVER, 4000))
        source, destination = packed(ROUTER_EAST), packed(SERVER)
        datagram = bytearray(
            udp.encode(udp.Header(5000, 4000), b"spoilt data", source, destination)
        )
        datagram[-1] ^= 0xFF
        header = ipv4.Header(source, destination, 17, identification=77)
        whole(lab, "router", ipv4.encode(header, bytes(datagram)))
        datagrams(lab, "router", SERVER)
        assert select.select([s], [], [], 2)[0]


def full_socket(lab: Lab) -> None:
    with lab["server"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
        s.bind((SERVER, 4000))
        datagrams(lab, "router", SERVER, 40, size=900)


def full_raw_socket(lab: Lab) -> None:
    with lab["server"].socket(socket.AF_INET, socket.SOCK_RAW, 253) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
        # Fewer ICMP errors than net.ipv4.icmp_msgs_burst, of which the kernel takes some at random.
        for number in range(25):
            raw(lab, "router", 253, SERVER, b"%03d" % number + bytes(900))


def spoofed(lab: Lab) -> None:
    header = ipv4.Header(packed("203.0.113.77"), packed("203.0.113.2"), 253, identification=5)
    whole(lab, "server", ipv4.encode(header, b"from elsewhere"))


def no_neighbour(lab: Lab) -> None:
    raw(lab, "server", 253, "203.0.113.99", b"anybody there?")
    with lab["server"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
        assert select.select([s], [], [], 5)[0], "the router gave no answer"


def delivered(lab: Lab) -> None:
    with lab["server"].socket(socket.AF_INET, socket.SOCK_RAW, 253) as s:
        for i in range(3):
            raw(lab, "client", 253, SERVER, b"hello %d" % i)
            assert select.select([s], [], [], 2)[0]
            s.recv(2048)


def shape(lab: Lab) -> None:
    words = "qdisc add dev east root tbf rate 8kbit burst 2000 limit 2000"
    lab["router"].run(["tc", *words.split()], check=True)


def refusing(kind: str) -> Callable[[Lab], object]:
    return lambda lab: lab["router"].run(["ip", "route", "add", kind, "192.0.2.0/24"], check=True)


def link_down(lab: Lab) -> None:
    lab["server"].run(["ip", "link", "set", "eth0", "down"], check=True)


def at_router(lab: Lab, header: ipv4.Header, target: bytes = b"") -> None:
    """A packet in a frame of the NAT's, to the router or another Ethernet address."""
    target = target or mac(lab, "router", "west")
    frame = target + mac(lab, "nat", "wan") + b"\x08\x00" + ipv4.encode(header, b"on the link")
    with lab["nat"].socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
        s.bind(("wan", 0))
        s.send(frame)


def forward_policy(lab: Lab) -> None:
    text = "add table ip t; add chain ip t f { type filter hook forward priority 5; policy drop; }"
    lab["router"].run(["nft", text], check=True)


def settings(node: str, **values: int) -> Callable[[Lab], object]:
    """Write sysctls that exist only once the interfaces do."""
    words = [f"net.ipv4.{key.replace('__', '.')}={value}" for key, value in values.items()]
    return lambda lab: lab[node].run(["sysctl", "-qw", *words], check=True)


CAUSES: dict[str, Cause] = {
    "delivered": Cause(delivered, 253, "server", D.DELIVERED, "kernel", D.DELIVERED, 3, 3),
    "rule": Cause(
        lambda lab: raw(lab, "client", 255, SERVER, b"to be dropped"),
        255, "nat", D.DENIED, "nft", D.DENIED,
        nat="firewall: {rules: [drop protocol 255]}",
        rule="meta l4proto 255", topology="lab.yaml:5",
    ),
    "policy": Cause(
        lambda lab: raw(lab, "client", 255, SERVER, b"to be dropped"),
        255, "router", D.DENIED, "nft", D.DENIED, prepare=forward_policy,
    ),
    "author's rule": Cause(
        lambda lab: raw(lab, "client", 255, SERVER, b"to be dropped"),
        255, "router", D.DENIED, "nft", D.DENIED,
        router=r'nftables: "table ip t {\n chain f {\n  type filter hook forward priority 5;\n'
        r'  meta l4proto { 254,\n   255 } counter drop comment \"mine\"\n }\n}"',
        rule="meta l4proto { 254, 255 } counter drop", topology="lab.yaml:6",
    ),
    "author's policy": Cause(
        lambda lab: raw(lab, "client", 255, SERVER, b"to be dropped"),
        255, "router", D.DENIED, "nft", D.DENIED,
        router='nftables: "add table ip t; table ip t { chain f {'
        ' type filter hook forward priority 5; policy drop; }; }"', topology="lab.yaml:6",
    ),
    "output": Cause(
        lambda lab: _refused(lambda: raw(lab, "client", 255, SERVER, b"never leaves")),
        255, "client", D.DENIED, "nft", D.DENIED,
        client="{firewall: {rules: [drop output protocol 255]}}", topology="lab.yaml:3",
    ),
    "clash": Cause(
        clash, 255, "nat", D.NAT_CLASH, "conntrack", D.NAT_CLASH,
        server="{firewall: {rules: [drop input icmp]}}",
    ),
    "closed port": Cause(
        lambda lab: datagrams(lab, "client", SERVER),
        17, "server", D.NO_LISTENER, "kernel", D.NO_LISTENER,
    ),
    "closed tcp port": Cause(
        lambda lab: syn(lab, "client", SERVER),
        6, "server", D.NO_LISTENER, "kernel", D.NO_LISTENER, arrived=1,
    ),
    "no listener": Cause(
        lambda lab: raw(lab, "client", 253, SERVER, b"hello?"),
        253, "server", D.NO_LISTENER, "kernel", D.NO_LISTENER,
    ),
    "no route": Cause(
        lambda lab: raw(lab, "client", 253, "192.0.2.1", b"where to?"),
        253, "router", D.NO_ROUTE, "kernel", D.NO_ROUTE,
    ),
    "ttl": Cause(
        lambda lab: raw(lab, "client", 253, SERVER, b"two hops", ttl=2),
        253, "router", D.TTL_EXPIRED, "kernel", D.TTL_EXPIRED,
    ),
    "not forwarding": Cause(
        lambda lab: raw(lab, "client", 253, SERVER, b"over there"),
        253, "router", D.NOT_FORWARDING, "kernel", D.NOT_FORWARDING,
        router="sysctls: {net.ipv4.ip_forward: 0}",
    ),
    "too big": Cause(
        lambda lab: datagrams(lab, "client", SERVER, size=1200, df=True),
        17, "router", D.TOO_BIG, "kernel", D.TOO_BIG, link="mtu: 1000",
    ),
    "reverse path": Cause(
        spoofed, 253, "router", D.RPF_FAILED, "kernel", D.RPF_FAILED,
        prepare=settings("router", conf__east__rp_filter=1),
    ),
    "neighbour": Cause(
        no_neighbour, 253, "router", D.NEIGHBOUR_UNREACHABLE, "kernel", D.NEIGHBOUR_UNREACHABLE,
        prepare=settings(
            "router", neigh__west__mcast_solicit=1, neigh__west__retrans_time_ms=100
        ),
    ),
    "ip checksum": Cause(
        bad_ip_checksum, 253, "server", D.BAD_CHECKSUM, "kernel", D.BAD_CHECKSUM,
    ),
    "udp checksum": Cause(
        bad_udp_checksum, 17, "server", D.BAD_CHECKSUM, "kernel", D.BAD_CHECKSUM, arrived=1,
    ),
    "socket full": Cause(
        full_socket, 17, "server", D.SOCKET_FULL, "kernel", D.UNKNOWN, number=39, arrived=1,
    ),
    "raw socket full": Cause(
        # Linux passes over a raw socket that is full, and then there is nobody left.
        full_raw_socket,
        253, "server", D.NO_LISTENER, "kernel", D.NO_LISTENER, number=24, arrived=1,
    ),
    "queue full": Cause(
        lambda lab: datagrams(lab, "client", SERVER, 40, size=500),
        17, "router", D.QUEUE_FULL, "kernel", D.UNKNOWN, prepare=shape, number=34,
    ),
    "unreachable": Cause(
        lambda lab: raw(lab, "client", 253, "192.0.2.1", b"refused"),
        253, "router", D.UNREACHABLE_ROUTE, "kernel", D.UNREACHABLE_ROUTE,
        prepare=refusing("unreachable"),
    ),
    "prohibit": Cause(
        lambda lab: raw(lab, "client", 253, "192.0.2.1", b"refused"),
        253, "router", D.PROHIBIT_ROUTE, "kernel", D.PROHIBIT_ROUTE, prepare=refusing("prohibit"),
    ),
    "link down": Cause(
        lambda lab: datagrams(lab, "client", SERVER),
        17, "router", D.LINK_DOWN, "kernel", D.UNKNOWN, prepare=link_down,
    ),
    "martian": Cause(
        lambda lab: at_router(lab, ipv4.Header(packed("127.0.0.9"), packed(SERVER), 253)),
        253, "router", D.MARTIAN, "kernel", D.UNKNOWN,
    ),
    "source route": Cause(
        lambda lab: at_router(lab, ipv4.Header(
            packed("203.0.113.2"), packed(ROUTER_WEST), 253,
            options=bytes([131, 7, 4]) + packed(SERVER) + bytes(1),
        )),
        253, "router", D.BAD_OPTION, "kernel", D.DELIVERED,
    ),
    "strangers frame": Cause(
        lambda lab: at_router(
            lab, ipv4.Header(packed("203.0.113.2"), packed(SERVER), 253), STRANGER
        ),
        253, "router", D.IGNORED, "kernel", D.IGNORED,
    ),
    "blackhole": Cause(
        lambda lab: raw(lab, "client", 253, "192.0.2.1", b"into the dark"),
        253, "router", D.BLACKHOLE_ROUTE, "kernel", D.BLACKHOLE_ROUTE,
        prepare=refusing("blackhole"),
    ),
}  # fmt: skip


def _refused(send: Callable[[], object]) -> None:
    try:
        send()
    except PermissionError:
        return
    raise AssertionError("the kernel let it pass")


def play(cause: Cause, name: str = "causes") -> Evidence:
    """Build the lab of a cause, bring it about, and return what was seen."""
    text = TOPOLOGY.format(
        **{k: getattr(cause, k) for k in ("client", "nat", "router", "server", "link")}
    )
    with Lab(loads(text, "lab.yaml"), name=name) as lab:
        cause.prepare(lab)
        with lab.observe() as watch:
            cause.send(lab)
        return watch.evidence


def without_reasons(evidence: Evidence) -> Evidence:
    """What a user without BPF would have seen."""
    gaps = tuple(g for g in evidence.gaps if g.collector != "drops")
    return evidence._replace(drops=(), gaps=(*gaps, Gap("drops", "not possible here")))


if __name__ == "__main__":
    chosen = sys.argv[1:] or list(CAUSES)
    print(json.dumps({name: build_traces(play(CAUSES[name])).to_json() for name in chosen}))
