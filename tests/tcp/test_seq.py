from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netlab.tcp.seq import HALF, MASK, unwrap, wrap

positions = st.integers(-(1 << 20), 1 << 70)


@given(positions, st.integers(-HALF, HALF - 1))
def test_what_was_wrapped_near_a_position_is_found_again(near: int, distance: int) -> None:
    assert unwrap(wrap(near + distance), near) == near + distance


@given(positions, st.integers(0, MASK))
def test_the_nearest_position_is_taken(near: int, number: int) -> None:
    position = unwrap(number, near)
    assert wrap(position) == number
    assert -HALF <= position - near < HALF
