from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.stateless.cookie import (
    SEGMENT_SIZES,
    SLOT,
    Position,
    initial_sequence_number,
    position,
)
from netlab.stateless.segment import ACK, SEQ_MASK, Segment
from tests.stateless.peers import CLIENT, NOW, SECRET, SERVER, syn, u16, u32

REACH = 1 << 17


def later(first: Segment, isn: int, received: int = 0, sent: int = 0) -> Segment:
    """What the client sends after it sent ``received`` and got ``sent`` octets."""
    return first._replace(
        seq=first.seq + 1 + received & SEQ_MASK,
        ack=isn + 1 + sent & SEQ_MASK,
        flags=ACK,
        options=b"",
    )


@given(u32, u16, st.integers(0, 70000), st.integers(0, 70000), st.floats(0, 4e9))
def test_every_later_segment_proves_the_address(
    seq: int, mss: int, received: int, sent: int, now: float
) -> None:
    first = syn(seq)
    isn = initial_sequence_number(first, now, SECRET, mss)
    found = position(later(first, isn, received, sent), now + SLOT, SECRET, -REACH, REACH)
    assert found is not None
    assert found.balance == sent - received
    assert found.segment_size in SEGMENT_SIZES
    assert found.segment_size <= max(mss, SEGMENT_SIZES[0])
    bigger = [size for size in SEGMENT_SIZES if found.segment_size < size]
    assert not bigger or mss < bigger[0]


@pytest.mark.parametrize(
    "change",
    [
        {"source": bytes([192, 168, 1, 3])},
        {"source_port": 40001},
        {"destination": bytes([198, 51, 100, 3])},
        {"destination_port": 81},
        {"seq": 1002},
        {"ack": 5},
    ],
)
def test_any_other_segment_proves_nothing(change: dict[str, Any]) -> None:
    first = syn(1000)
    isn = initial_sequence_number(first, NOW, SECRET, 1460)
    right = later(first, isn)
    assert position(right, NOW, SECRET, 0, 0) == Position(1460, 0)
    assert position(right._replace(**change), NOW, SECRET, 0, 0) is None
    assert position(right, NOW, b"another secret!!", 0, 0) is None


def test_the_proof_ends_two_slots_after_the_syn() -> None:
    first = syn()
    isn = initial_sequence_number(first, 0.0, SECRET, 1460)
    assert position(later(first, isn), 2 * SLOT - 1, SECRET, 0, 0)
    assert position(later(first, isn), 2 * SLOT, SECRET, 0, 0) is None


def test_a_blind_guess_passes_sixteen_times_in_four_billion() -> None:
    """Counted over a stretch of the number space around each number that passes."""
    first = syn()
    right = [
        initial_sequence_number(first, now, SECRET, mss) + 1 & SEQ_MASK
        for now in (NOW, NOW - SLOT)
        for mss in SEGMENT_SIZES
    ]
    assert len(set(right)) == 16
    passing = {
        ack + step & SEQ_MASK
        for ack in right
        for step in range(-20, 21)
        if position(
            Segment(CLIENT, SERVER, 40000, 80, 1001, ack + step & SEQ_MASK, ACK), NOW, SECRET, 0, 0
        )
    }
    assert passing == set(right)
