from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netlab.tcp.send_buffer import SendBuffer

steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 5000)),
        st.tuples(st.just("release"), st.integers(0, 5000)),
        st.tuples(st.just("slice"), st.integers(0, 10_000)),
    ),
    max_size=60,
)


@given(st.integers(0, 1 << 40), steps)
def test_it_is_a_window_on_a_stream(start: int, script: list[tuple[str, int]]) -> None:
    buffer = SendBuffer(start)
    stream = b""
    for step, number in script:
        if step == "append":
            data = bytes((len(stream) + i) % 251 for i in range(number))
            buffer.append(data)
            stream += data
        elif step == "release":
            buffer.release(min(buffer.start + number, buffer.end))
        elif len(buffer):
            offset = number % len(buffer)
            length = min(len(buffer) - offset, number + 1)
            views = buffer.slice(buffer.start + offset, length)
            at = buffer.start - start + offset
            assert b"".join(views) == stream[at : at + length]
        assert len(buffer) == buffer.end - buffer.start
        assert buffer.end - start == len(stream)


def test_large_pieces_are_never_copied() -> None:
    buffer = SendBuffer(0)
    data = bytes(100_000)
    buffer.append(data)
    assert all(view.obj is data for view in buffer.slice(1, 65_000))


def test_a_writer_of_single_octets_does_not_make_a_piece_of_each() -> None:
    buffer = SendBuffer(0)
    for _ in range(1000):
        buffer.append(b"x")
    assert len(buffer.slice(0, 1000)) == 1
