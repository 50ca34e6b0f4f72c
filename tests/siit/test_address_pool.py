from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from netlab.siit import AddressPool

SIX = IPv4Network("240.64.0.0/29")


@given(st.lists(st.integers(0, 20)))
def test_no_two_hosts_have_one_address(hosts):
    lending = AddressPool(SIX)
    for host in hosts:
        address = lending.lend(bytes([host]))
        assert lending.holder(address) == bytes([host])
        assert address in lending
        assert IPv4Address(address) in SIX.hosts()
    # The six that spoke last still have theirs.
    last = list(dict.fromkeys(reversed(hosts)))[:6]
    assert len({lending.lend(bytes([host])) for host in last}) == len(last)


def test_addresses_go_in_the_order_in_which_hosts_speak():
    lending = AddressPool(SIX)
    assert [lending.lend(host)[3] for host in (b"b", b"a", b"b", b"c")] == [1, 2, 1, 3]


def test_who_was_silent_longest_gives_his_away():
    lending = AddressPool(SIX)
    addresses = {host: lending.lend(host) for host in (b"a", b"b", b"c", b"d", b"e", b"f")}
    lending.lend(b"a")
    assert lending.lend(b"g") == addresses[b"b"]
    assert lending.holder(addresses[b"b"]) == b"g"
    assert lending.lend(b"a") == addresses[b"a"]


def test_an_address_that_nobody_has_has_no_holder():
    assert AddressPool(SIX).holder(IPv4Address("240.64.0.1").packed) is None
