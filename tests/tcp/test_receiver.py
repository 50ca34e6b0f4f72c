from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netlab.tcp.receiver import MAXIMUM_HELD_PIECES, Receiver

STREAM = bytes(i * 7 % 251 for i in range(6000))
arrivals = st.lists(
    st.tuples(st.integers(-200, 4500), st.integers(1, 1500), st.booleans()), max_size=60
)


def receiver(capacity: int = 4000) -> Receiver:
    fresh = Receiver(capacity, 536, scaling=True)
    fresh.start(99)
    return fresh


@given(arrivals)
def test_octets_come_out_as_they_went_in_whatever_the_order(
    script: list[tuple[int, int, bool]],
) -> None:
    r = receiver()
    read = bytearray()
    came: set[int] = set()
    for offset, length, reads in script:
        data = STREAM[max(offset, 0) : max(offset, 0) + length]
        padding = bytes(max(-offset, 0))
        whole = padding + data
        before, edge = r.nxt, r.edge
        r.accept(100 + offset, len(whole), (memoryview(whole),))
        came |= {p for p in range(100 + offset, 100 + offset + len(whole)) if 100 <= p < edge}
        assert r.edge == edge
        assert r.nxt >= before
        if reads:
            read += b"".join(r.read(700))
            r.advertise()
            assert r.edge >= edge
    expected = 100
    while expected in came:
        expected += 1
    assert r.nxt == expected
    read += b"".join(r.read(1 << 30))
    assert bytes(read) == STREAM[: len(read)]
    assert len(read) == r.nxt - 100
    for left, right in r.blocks(4):
        assert left < right
        assert all(p in came for p in range(max(left, 100), right))


def test_overlapping_and_recut_segments_are_taken() -> None:
    r = receiver()
    for start, end in ((10, 20), (30, 40), (5, 35), (0, 12)):
        r.accept(100 + start, end - start, (STREAM[start:end],))
    assert r.nxt == 140
    assert b"".join(r.read(100)) == STREAM[:40]


def test_what_came_first_stays() -> None:
    r = receiver()
    r.accept(110, 10, (b"a" * 10,))
    r.accept(105, 20, (b"b" * 20,))
    r.accept(100, 5, (b"c" * 5,))
    assert b"".join(r.read(100)) == b"ccccc" + b"bbbbb" + b"a" * 10 + b"bbbbb"


def test_the_block_that_changed_last_is_reported_first() -> None:
    r = receiver()
    r.accept(120, 10, (bytes(10),))
    r.accept(160, 10, (bytes(10),))
    r.accept(140, 10, (bytes(10),))
    assert r.blocks(3) == ((140, 150), (160, 170), (120, 130))
    r.accept(130, 10, (bytes(10),))
    assert r.blocks(3) == ((120, 150), (160, 170))


def test_a_duplicate_is_reported_once_and_first() -> None:
    r = receiver()
    r.accept(100, 10, (bytes(10),))
    r.accept(120, 10, (bytes(10),))
    r.accept(100, 10, (bytes(10),))
    assert r.blocks(3) == ((100, 110), (120, 130))
    assert r.blocks(3) == ((120, 130),)


def test_a_duplicate_of_what_is_held_is_followed_by_its_block() -> None:
    r = receiver()
    r.accept(120, 30, (bytes(30),))
    r.accept(160, 10, (bytes(10),))
    r.accept(130, 10, (bytes(10),))
    assert r.blocks(3) == ((130, 140), (120, 150), (160, 170))
    r.accept(160, 10, (bytes(10),))  # the whole block: it stands twice
    assert r.blocks(3) == ((160, 170), (160, 170), (120, 150))


def test_of_a_partial_overlap_only_the_first_duplicate_is_reported() -> None:
    r = receiver()
    r.accept(120, 10, (bytes(10),))
    r.accept(140, 10, (bytes(10),))
    r.accept(125, 20, (bytes(20),))
    assert r.blocks(3) == ((125, 130), (120, 150))
    r.accept(100, 30, (bytes(30),))
    assert r.nxt == 150
    assert r.blocks(3) == ((120, 130),)


def test_holes_cost_bounded_memory() -> None:
    r = receiver(1 << 20)
    r.advertise()
    for position in range(102, 102 + 4 * MAXIMUM_HELD_PIECES, 2):
        r.accept(position, 1, (b"x",))
    assert sum(right - left for left, right in r.blocks(1 << 20)) == MAXIMUM_HELD_PIECES


def test_single_octets_cost_bounded_memory() -> None:
    r = receiver(1 << 16)
    r.advertise()
    for position in range(100, 10_100):
        r.accept(position, 1, (b"x",))
    assert len(r.read(1 << 30)) <= 3


@given(st.lists(st.integers(1, 3000), max_size=40))
def test_the_window_never_shrinks_and_never_opens_by_a_little(reads: list[int]) -> None:
    r = receiver(8000)
    r.advertise()
    r.accept(100, 8000, (bytes(8000),))
    assert r.advertise() == 0
    for count in reads:
        edge = r.edge
        r.read(count)
        r.advertise()
        assert r.edge == edge or r.edge - edge >= min(536, 4000)


def test_a_large_buffer_is_said_with_a_shift() -> None:
    r = Receiver(4 << 20, 1460, scaling=True)
    r.start(0)
    assert r.advertise() << r.shift >= 4 << 20
    plain = Receiver(4 << 20, 1460, scaling=False)
    plain.start(0)
    assert plain.advertise() == 0xFFFF
    assert plain.edge == 1 + 0xFFFF
