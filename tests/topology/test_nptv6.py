from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from netlab.topology import loads
from netlab.topology.model import Nptv6
from netlab.topology.nptv6 import counterpart
from netlab.wire.checksum import ones_complement_sum


def test_the_example_of_the_rfc():
    """RFC 6296 section 3.4 with appendix B: the adjustment is 0xD54F."""
    inside, outside = IPv6Network("fd01:203:405::/48"), IPv6Network("2001:db8:1::/48")
    there = counterpart(IPv6Address("fd01:203:405:1::1234"), inside, outside)
    assert there is not None
    assert there == IPv6Address("2001:db8:1:d550::1234")
    assert counterpart(there, outside, inside) == IPv6Address("fd01:203:405:1::1234")


PREFIXES = st.integers(16, 64).flatmap(
    lambda n: st.tuples(*[st.binary(min_size=16, max_size=16).map(
        lambda b: IPv6Network((b, n), strict=False))] * 2)
)  # fmt: skip


@given(PREFIXES, st.binary(min_size=16, max_size=16))
def test_checksums_stay_and_the_way_back_is_known(prefixes, rest):
    inside, outside = prefixes
    bits = int.from_bytes(rest, "big") & int(inside.hostmask)
    address = IPv6Address(int(inside.network_address) | bits)
    there = counterpart(address, inside, outside)
    assume(there is not None)
    assert there is not None
    assert there in outside
    before, after = ones_complement_sum(address.packed), ones_complement_sum(there.packed)
    assert before % 0xFFFF == after % 0xFFFF
    assert counterpart(there, outside, inside) == address


@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        ("fd00:1:2:ffff::1", "fd00:1:2::/48"),
        ("fd00:1:2:3:ffff:ffff:ffff:ffff", "fd00:1:2:3::/64"),
    ],
)
def test_all_ones_have_no_counterpart(address, prefix):
    inside = IPv6Network(prefix)
    outside = IPv6Network((int(IPv6Address("2001:db8::")), inside.prefixlen))
    assert counterpart(IPv6Address(address), inside, outside) is None


def test_behind_a_long_prefix_the_interface_identifier_changes():
    """Section 3.5: the first of its words that is not all ones."""
    inside, outside = IPv6Network("fd00:1:2:3::/64"), IPv6Network("2001:db8:1:2::/64")
    for address, word in (("fd00:1:2:3::1", 4), ("fd00:1:2:3:ffff::1", 5)):
        there = counterpart(IPv6Address(address), inside, outside)
        before, after = (IPv6Address(a).exploded.split(":") for a in (address, there))
        assert [i for i in range(4, 8) if before[i] != after[i]] == [word]


FILE = """
defaults: {families: [ipv6]}
nodes:
  a: {}
  lan: {kind: bridge, subnet: "fd00:1:0:5::/64"}
  gate: {kind: nat, outside: wan, nat: {nptv6: {inside: "%s", outside: "%s"}}}
  far: {kind: router}
  server: {}
links:
  - [lan, a:eth0]
  - [lan, gate:lan]
  - {ends: [far:west, gate:wan], subnet: "2001:db8:ffff::/64"}
  - [far:east, server:eth0]
"""


def test_the_outside_prefix_is_routed_and_named_and_the_inside_is_not():
    topology = loads(FILE % ("fd00:1::/48", "2001:db8:a::/48"))
    routes = {str(r.destination): str(r.gateway) for r in topology.node("far").routes}
    assert routes == {"2001:db8:a::/48": "2001:db8:ffff::2"}
    (hosts,) = topology.node("server").files
    assert "2001:db8:a:cf43::1\ta\n" in hosts.content
    assert "fd00:1" not in hosts.content
    (inside,) = topology.node("a").files
    assert "fd00:1:0:5::1\ta\n" in inside.content


@pytest.mark.parametrize(
    ("inside", "outside", "blocks"),
    [
        ("fd00:1::/48", "2001:db8:a::/48", [("fd00:1:0:5::/64", "2001:db8:a:cf43::/64")]),
        ("fd00:1::/32", "3fff::/32", [("fd00:1:0:5::/64", "3fff:0:0:bd07::/64")]),
        ("fd00:1:0:5::/64", "2001:db8:a:5::/64",
         [("fd00:1:0:5::/80", "2001:db8:a:5:cf3e::/80")]),
    ],
)  # fmt: skip
def test_what_the_lab_has_is_translated_in_blocks(inside, outside, blocks):
    *_, nat = loads(FILE % (inside, outside)).node("gate").nat
    assert isinstance(nat, Nptv6)
    assert [tuple(map(str, pair)) for pair in nat.blocks] == blocks
