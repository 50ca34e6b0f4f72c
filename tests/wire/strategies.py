"""Hypothesis strategies for what stands in headers."""

from __future__ import annotations

from hypothesis import strategies as st

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
v4_addresses = st.binary(min_size=4, max_size=4)
v6_addresses = st.binary(min_size=16, max_size=16)
address_pairs = st.one_of(
    st.tuples(v4_addresses, v4_addresses), st.tuples(v6_addresses, v6_addresses)
)
payloads = st.binary(max_size=200)


def words(maximum: int) -> st.SearchStrategy[bytes]:
    """Octet strings that fill whole 32-bit words."""
    return st.integers(0, maximum // 4).flatmap(
        lambda count: st.binary(min_size=4 * count, max_size=4 * count)
    )
