"""Summing up equals what ipaddress does, for any choice of subnets that are apart."""

from ipaddress import IPv4Network, IPv6Network, collapse_addresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.topology.aggregate import Aggregate


@st.composite
def choices(draw):
    """Subnets of several sizes side by side, some left out, in any order; and a choice."""
    kind, bits = draw(st.sampled_from([(IPv4Network, 32), (IPv6Network, 128)]))
    networks, start = {}, draw(st.integers(0, 64)) << 16
    for key in range(draw(st.integers(1, 60))):
        size = draw(st.sampled_from([8, 8, 8, 7, 9]))
        start = -(-start // (1 << size)) << size
        if draw(st.integers(0, 5)):
            networks[key] = kind((start, bits - size))
        start += 1 << size
    keys = draw(st.permutations(list(networks)))
    return {key: networks[key] for key in keys}, draw(
        st.sets(st.sampled_from(keys))
    ) if keys else set()


@given(choices())
def test_equals_collapse_addresses(drawn):
    networks, chosen = drawn
    expected = list(collapse_addresses(networks[key] for key in chosen))
    assert Aggregate(networks).of(chosen) == expected


@pytest.mark.parametrize("n", [1, 2, 255, 256, 1000])
def test_subnets_side_by_side_become_few(n):
    networks = {i: IPv4Network((10 << 24 | i << 8, 24)) for i in range(n)}
    assert len(Aggregate(networks).of(networks)) == n.bit_count()
