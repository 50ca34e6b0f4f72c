from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.siit.embedding import LENGTHS, WELL_KNOWN, Embedding

# RFC 6052 section 2.4, all of it: 192.0.2.33.
TABLE = [
    ("2001:db8::/32", "2001:db8:c000:221::"),
    ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
    ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
    ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
    ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
    ("2001:db8:122:344::/96", "2001:db8:122:344::c000:221"),
    ("64:ff9b::/96", "64:ff9b::c000:221"),
]


@pytest.mark.parametrize(("prefix", "address"), TABLE)
def test_the_table_of_the_rfc(prefix, address):
    embedding = Embedding(IPv6Network(prefix))
    inner = IPv4Address("192.0.2.33").packed
    assert IPv6Address(embedding.embed(inner)) == IPv6Address(address)
    assert embedding.extract(IPv6Address(address).packed) == inner


@given(st.sampled_from(LENGTHS), st.binary(min_size=16, max_size=16), st.ip_addresses(v=4))
def test_every_address_comes_back(length, base, inner):
    embedding = Embedding(IPv6Network((base, length), strict=False))
    outer = embedding.embed(inner.packed)
    assert outer in embedding
    assert embedding.extract(outer) == inner.packed


@pytest.mark.parametrize("length", sorted(set(range(129)) - set(LENGTHS)))
def test_other_lengths_hold_no_address(length):
    with pytest.raises(ValueError, match=f"{length} bits"):
        Embedding(IPv6Network(("::", length)))


def test_what_is_elsewhere_is_not_below():
    assert IPv6Address("64:ff9b::1").packed in Embedding(WELL_KNOWN)
    assert IPv6Address("64:ff9b:1::1").packed not in Embedding(WELL_KNOWN)
