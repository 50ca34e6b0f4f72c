"""Every hand-made message is read back by pyroute2, which knows nothing of our encoder."""

import socket
from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from netlab.lab.lab import Lab
from netlab.linux import rtnetlink
from netlab.linux.rtnetlink import End, Request
from netlab.topology import loads


def decode(kind: type[Any], request: Request, sequence: int = 7) -> Any:
    message = kind(rtnetlink.encode([request], sequence))
    message.decode()
    assert message["header"]["sequence_number"] == sequence
    assert message["header"]["length"] == 16 + len(request.body)
    assert message["header"]["type"] == request.type
    return message


def test_a_veth_pair_carries_both_identities_and_the_peers_namespace() -> None:
    near = End("eth0", 2, "02:00:00:00:00:01", 1500)
    far = End("to-client", 9, "02:00:00:00:00:02", 1400)
    message = decode(ifinfmsg, rtnetlink.new_veth(near, far, 42))
    assert message["index"] == 2
    assert message.get_attr("IFLA_IFNAME") == "eth0"
    assert message.get_attr("IFLA_ADDRESS") == "02:00:00:00:00:01"
    assert message.get_attr("IFLA_MTU") == 1500
    info = message.get_attr("IFLA_LINKINFO")
    assert info.get_attr("IFLA_INFO_KIND") == "veth"
    peer = info.get_attr("IFLA_INFO_DATA").get_attr("VETH_INFO_PEER")
    assert peer["index"] == 9
    assert peer.get_attr("IFLA_IFNAME") == "to-client"
    assert peer.get_attr("IFLA_ADDRESS") == "02:00:00:00:00:02"
    assert peer.get_attr("IFLA_MTU") == 1400
    assert peer.get_attr("IFLA_NET_NS_FD") == 42


def test_a_bridge_and_its_port() -> None:
    bridge = decode(ifinfmsg, rtnetlink.new_bridge("br0", 2, "02:00:00:00:00:03", 1500))
    assert bridge.get_attr("IFLA_IFNAME") == "br0"
    assert bridge.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_KIND") == "bridge"
    port = decode(ifinfmsg, rtnetlink.set_master(5, 2))
    assert (port["index"], port.get_attr("IFLA_MASTER")) == (5, 2)


def test_a_device_goes_up_and_changes_its_mtu() -> None:
    up = decode(ifinfmsg, rtnetlink.set_up(3))
    assert (up["index"], up["flags"], up["change"]) == (3, 1, 1)
    mtu = decode(ifinfmsg, rtnetlink.set_mtu(3, 1280))
    assert (mtu["index"], mtu["change"], mtu.get_attr("IFLA_MTU")) == (3, 0, 1280)


@pytest.mark.parametrize(
    ("address", "family", "length", "flags"),
    [
        ("10.0.0.2/24", socket.AF_INET, 24, 0),
        ("192.0.2.1", socket.AF_INET, 32, 0),
        ("2001:db8::2/64", socket.AF_INET6, 64, 0x02),
    ],
)
def test_addresses(address: str, family: int, length: int, flags: int) -> None:
    message = decode(ifaddrmsg, rtnetlink.add_address(4, address))
    assert (message["family"], message["prefixlen"], message["index"]) == (family, length, 4)
    assert message["flags"] == flags
    plain = address.partition("/")[0]
    assert message.get_attr("IFA_LOCAL") == message.get_attr("IFA_ADDRESS") == plain


@pytest.mark.parametrize(
    ("destination", "gateway", "family", "scope"),
    [
        ("0.0.0.0/0", "10.0.0.1", socket.AF_INET, 0),
        ("198.51.100.0/24", "10.0.0.1", socket.AF_INET, 0),
        ("198.51.100.0/24", "", socket.AF_INET, 253),
        ("::/0", "2001:db8::1", socket.AF_INET6, 0),
        ("2001:db8:1::/48", "", socket.AF_INET6, 0),
    ],
)
def test_routes(destination: str, gateway: str, family: int, scope: int) -> None:
    message = decode(rtmsg, rtnetlink.add_route(4, destination, gateway))
    network, _, length = destination.partition("/")
    assert (message["family"], message["dst_len"], message["scope"]) == (family, int(length), scope)
    assert (message["table"], message["proto"], message["type"]) == (254, 3, 1)
    assert message.get_attr("RTA_DST") == (network if int(length) else None)
    assert message.get_attr("RTA_GATEWAY") == (gateway or None)
    assert message.get_attr("RTA_OIF") == 4


@pytest.mark.parametrize("address", ["10.0.0.1", "2001:db8::1"])
def test_neighbours_are_permanent(address: str) -> None:
    message = decode(ndmsg, rtnetlink.add_neighbour(4, address, "02:00:00:00:00:09"))
    assert (message["ifindex"], message["state"]) == (4, 0x80)
    assert message.get_attr("NDA_DST") == address
    assert message.get_attr("NDA_LLADDR") == "02:00:00:00:00:09"


def test_only_the_last_of_a_batch_asks_for_an_answer() -> None:
    requests = [rtnetlink.set_up(index) for index in range(1, 4)]
    data = rtnetlink.encode(requests, 10)
    size = 16 + len(requests[0].body)
    messages = [ifinfmsg(data[i * size : (i + 1) * size]) for i in range(3)]
    for message in messages:
        message.decode()
    assert [m["header"]["sequence_number"] for m in messages] == [10, 11, 12]
    assert [m["header"]["flags"] & rtnetlink.NLM_F_ACK for m in messages] == [0, 0, 4]


@pytest.mark.kernel
def test_an_address_is_local_where_packets_for_it_are_taken(netlab_state: object) -> None:
    text = "{nodes: {a: {}, b: {}}, links: [{ends: [a:e, b:e], families: [ipv4, ipv6]}]}"
    with Lab(loads(text, "local.yaml")) as lab:

        def asked() -> list[bool]:
            link = rtnetlink.open_route_socket()
            try:
                addresses = ("fd00::1", "fd00::2", "2001:db8::1", "10.0.0.1", "10.0.0.2")
                return [rtnetlink.is_local(link, address) for address in addresses]
            finally:
                link.close()

        assert lab["a"].inside(asked) == [True, False, False, True, False]
