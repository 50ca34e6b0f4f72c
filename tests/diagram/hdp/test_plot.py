from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from netlab.diagram.hdp import plot

SVG = "{http://www.w3.org/2000/svg}"
VALUES = st.lists(st.integers(1, 10**9), min_size=2, max_size=50)


def test_a_summary_in_microseconds() -> None:
    values = [1000 * n for n in range(1, 102)]
    assert plot.summary(values) == plot.Summary(1.0, 26.0, 51.0, 76.0, 96.0)


@given(st.dictionaries(st.sampled_from(["UDP, a <b>", "HDP & c", "d"]), VALUES, min_size=1))
def test_any_values_give_a_picture(samples: dict[str, list[int]]) -> None:
    root = ET.fromstring(plot.svg(samples, "t & t", "s"))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert set(samples) <= set(texts)
    assert len([path for path in root.iter(f"{SVG}path") if "fill" in path.attrib]) == len(samples)


def test_what_is_drawn_is_what_was_counted() -> None:
    root = ET.fromstring(plot.svg({"UDP": [10_000] * 99 + [20_000], "HDP": [30_000] * 100}, "t"))
    first, second = (path.attrib["d"] for path in root.iter(f"{SVG}path") if "fill" in path.attrib)
    bottom = plot._TOP + plot._BAND
    heights = {part.split("h")[0] for part in first.split("V")[1:-1]}
    assert len(heights) == 3  # nothing, one of a hundred, ninety-nine
    assert f"{bottom:.1f}" in heights
    assert f"{float(plot._TOP):.1f}" in heights
    assert len({part.split("h")[0] for part in second.split("V")[1:-1]}) == 2
