from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.wire.checksum import VALID, checksum, ones_complement_sum, pseudo_header, update


def by_definition(data: bytes) -> int:
    """RFC 1071 section 1, word by word with an end-around carry."""
    data += bytes(len(data) % 2)
    total = 0
    for at in range(0, len(data), 2):
        total += data[at] << 8 | data[at + 1]
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_the_example_of_rfc_1071_section_3() -> None:
    assert ones_complement_sum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2


@given(st.binary(max_size=400))
def test_the_modulus_is_the_sum_of_words(data: bytes) -> None:
    assert ones_complement_sum(data) == by_definition(data)
    assert ones_complement_sum(memoryview(data)) == by_definition(data)


@given(st.binary(max_size=100).map(lambda b: b + bytes(len(b) % 2)), st.binary(max_size=100))
def test_a_sum_continues_where_another_ended(first: bytes, second: bytes) -> None:
    assert ones_complement_sum(second, ones_complement_sum(first)) == by_definition(first + second)


@given(st.binary(max_size=100).map(lambda b: b + bytes(len(b) % 2)))
def test_data_with_its_checksum_sums_to_all_ones(data: bytes) -> None:
    assert ones_complement_sum(data + checksum(data).to_bytes(2, "big")) == VALID


@given(
    st.lists(st.integers(0, 0xFFFF), min_size=2, max_size=20),
    st.integers(0, 0xFFFF),
    st.data(),
)
def test_an_update_equals_a_recomputation(words: list[int], new: int, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(words) - 1))
    before = b"".join(w.to_bytes(2, "big") for w in words)
    after = before[: 2 * at] + new.to_bytes(2, "big") + before[2 * at + 2 :]
    updated = update(checksum(before), before[2 * at : 2 * at + 2], after[2 * at : 2 * at + 2])
    # All-zero data is the one case where the two zeros of ones' complement cannot be told apart.
    assert updated == checksum(after) or not any(after) or not any(before)
    assert ones_complement_sum(after + updated.to_bytes(2, "big")) in {VALID, 0}


def test_the_case_that_rfc_1141_gets_wrong() -> None:
    assert update(0xDD2F, b"\x55\x55", b"\x32\x85") == 0x0000


def test_an_update_of_odd_or_unequal_pieces_is_refused() -> None:
    with pytest.raises(ValueError, match="16-bit words"):
        update(0, b"abc", b"abd")
    with pytest.raises(ValueError, match="16-bit words"):
        update(0, b"ab", b"abcd")


@given(
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 255),
    st.integers(0, 2**32 - 1),
)
def test_one_pseudo_header_serves_both_layouts(
    s: bytes, d: bytes, protocol: int, length: int
) -> None:
    v6 = s + d + length.to_bytes(4, "big") + bytes([0, 0, 0, protocol])
    assert pseudo_header(s, d, protocol, length) == by_definition(v6)
    short = length & 0xFFFF
    v4 = s[:4] + d[:4] + bytes([0, protocol]) + short.to_bytes(2, "big")
    assert pseudo_header(s[:4], d[:4], protocol, short) == by_definition(v4)
