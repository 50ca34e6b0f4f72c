from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netlab.diagram.primitives.metrics import cells, wrap


@given(st.text("ab 漢e\u0301", max_size=80), st.integers(2, 20))
def test_wrapped_lines_fit_and_lose_nothing(paragraph: str, room: int) -> None:
    lines = wrap(paragraph, room)
    assert all(cells(line) <= room for line in lines)
    assert "".join("".join(lines).split()) == "".join(paragraph.split())


def test_only_long_words_are_broken() -> None:
    assert wrap("to 2001:db8::1 via", 7) == ["to", "2001:db", "8::1", "via"]
