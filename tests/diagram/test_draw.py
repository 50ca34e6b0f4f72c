from __future__ import annotations

import re
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netlab.diagram.primitives.metrics import cells
from netlab.diagram.sequence import draw as drawing
from netlab.diagram.sequence import model
from netlab.diagram.sequence.model import Arrow, Column, Ladder, Note
from netlab.diagram.sequence.rows import clock, rows
from tests.diagram import shapes

if TYPE_CHECKING:
    from collections.abc import Callable

US = 1_000
MS = 1_000_000

COLUMNS = (
    Column("client", "host", "192.168.1.2"),
    Column("nat", "nat", "203.0.113.2"),
    Column("router", "router"),
    Column("server", "host", "198.51.100.2"),
)


def way(time_ns: int, label: str, detail: str, names: str, rewriting: str) -> list[Arrow]:
    """A packet that arrives, 12 µs a hop; the NAT rewrites it."""
    nodes = names.split()
    return [
        Arrow(
            time_ns + 12 * US * hop,
            source,
            target,
            label,
            detail,
            "rewritten" if source == "nat" else "delivered",
            note=rewriting if source == "nat" else "",
        )
        for hop, (source, target) in enumerate(pairwise(nodes))
    ]


OUT, BACK = "client nat router server", "server router nat client"
LADDER = Ladder(
    "One HTTP request through a NAT",
    COLUMNS,
    (
        *way(5 * MS, "SYN", "Seq=1000 Win=64240", OUT, "src 203.0.113.2:40000"),
        *way(5 * MS + 90 * US, "SYN, ACK", "Seq=7000 Ack=1001", BACK, "dst 192.168.1.2:40000"),
        *way(5 * MS + 150 * US, "ACK", "Seq=1001 Ack=7001", OUT, "src 203.0.113.2:40000"),
        *way(6 * MS, "GET / HTTP/1.1", "Seq=1001 Len=78", OUT, "src 203.0.113.2:40000"),
        Arrow(7 * MS, "server", "router", "HTTP/1.1 200 OK", "Seq=7001 Len=1460", "lost"),
        Arrow(207 * MS, "server", "router", "HTTP/1.1 200 OK", "Seq=7001 Len=1460"),
        Arrow(
            207 * MS + 12 * US,
            "router",
            "nat",
            "HTTP/1.1 200 OK",
            "Seq=7001 Len=1460",
            "dropped",
            note="no conntrack entry: the mapping expired",
        ),
        Arrow(300 * MS, "client", "nat", "FIN", "Seq=1079", "dropped", "client", "output policy"),
    ),
    (Note(206 * MS, "server", "RTO expires: cwnd = 1 MSS (RFC 5681, 3.1)"),),
    "Each row is a packet; each arrow of a row is one hop of it.",
)

_text = st.text('ab SYN,ACK 0123 :#;%<>&"→µ漢', max_size=60)
_titles = st.text("abcdefgWM-_.", min_size=1, max_size=18)


@st.composite
def ladders(draw: Callable[..., object]) -> Ladder:
    names: list[str] = draw(st.lists(_titles, min_size=1, max_size=6, unique=True))  # type: ignore[assignment]
    name, time = st.sampled_from(names), st.integers(0, 10**10)
    states = st.sampled_from(["delivered", "rewritten", "dropped", "lost"])
    arrow = st.builds(Arrow, time, name, name, _text, _text, states, note=_text)
    return draw(  # type: ignore[return-value]
        st.builds(
            Ladder,
            _text,
            st.tuples(*(st.builds(Column, st.just(n), st.just("host"), _text) for n in names)),
            st.lists(arrow, max_size=8).map(tuple),
            st.lists(st.builds(Note, time, name, _text), max_size=3).map(tuple),
            _text,
        )
    )


def test_looks_as_approved(golden: Callable[[str, str], None]) -> None:
    golden("ladder.txt", drawing.text(LADDER))
    golden("ladder.svg", drawing.svg(LADDER))
    golden("ladder.mmd", drawing.mermaid(LADDER))


def test_the_same_lines_in_ascii() -> None:
    picture = drawing.text(LADDER)
    plain = drawing.text(LADDER, unicode=False)
    assert plain.isascii()
    assert [len(line) for line in plain.splitlines()] == [len(x) for x in picture.splitlines()]


def test_hops_of_one_packet_share_a_row() -> None:
    first, second, *_ = rows(LADDER)
    assert [(leg.start, leg.end) for leg in first.legs] == [(0, 1), (1, 2), (2, 3)]
    assert [leg.above for leg in first.legs] == ["SYN", "", ""]
    assert [leg.rewritten for leg in first.legs] == [False, True, False]
    assert [(leg.start, leg.end) for leg in second.legs] == [(3, 2), (2, 1), (1, 0)]
    assert second.time_ns == 90 * US


def test_an_answer_does_not_share_the_row_of_its_question() -> None:
    ping = Ladder(
        "", COLUMNS, (Arrow(0, "client", "nat", "ping"), Arrow(1, "nat", "client", "ping"))
    )
    assert [len(row.legs) for row in rows(ping)] == [1, 1]


def test_nothing_follows_a_dropped_packet() -> None:
    dead = Ladder(
        "",
        COLUMNS,
        (Arrow(0, "client", "nat", "x", state="dropped"), Arrow(1, "nat", "router", "x")),
    )
    assert [len(row.legs) for row in rows(dead)] == [1, 1]


@pytest.mark.parametrize(
    ("state", "at", "cross"),
    [
        ("delivered", "", None),
        ("dropped", "", 1),
        ("dropped", "nat", 1),
        ("dropped", "client", 0),
        ("lost", "", 0.5),
    ],
)
def test_where_a_packet_dies(state: model.State, at: str, cross: float | None) -> None:
    (row,) = rows(Ladder("", COLUMNS, (Arrow(0, "client", "nat", "x", "", state, at),)))
    assert row.legs[0].cross == cross


@pytest.mark.parametrize(
    ("columns", "arrows", "notes"),
    [
        (COLUMNS, (Arrow(0, "client", "nobody", "x"),), ()),
        (COLUMNS, (), (Note(0, "nobody", "x"),)),
        (COLUMNS, (Arrow(0, "client", "nat", "x", at="server"),), ()),
        ((Column("a"), Column("a")), (), ()),
    ],
)
def test_refuses_what_cannot_be_drawn(
    columns: tuple[Column, ...], arrows: tuple[Arrow, ...], notes: tuple[Note, ...]
) -> None:
    with pytest.raises(ValueError, match=r"column|not at"):
        Ladder("", columns, arrows, notes)


@pytest.mark.parametrize(
    ("time_ns", "shown"),
    [(0, "0"), (999, "999 ns"), (1_000, "1 µs"), (1_250_000, "1.25 ms"), (3 * 10**9, "3 s")],
)
def test_clock(time_ns: int, shown: str) -> None:
    assert clock(time_ns) == shown


def legible(document: str) -> None:
    picture = shapes.read(document)
    for text in picture.texts:
        assert picture.page.holds(text), text
    for one, other in combinations(picture.texts, 2):
        assert not one.meets(other), (one, other)
    for line in picture.lines:
        for text in picture.texts:
            assert not any(
                text.left < x < text.right and text.top < y < text.bottom for x, y in line
            ), text


def test_every_text_can_be_read() -> None:
    legible(drawing.svg(LADDER))


@given(ladders())
@example(Ladder("0000000000000000000<<<<漢漢", (Column("M"),), ()))  # wider than its letters' usual
@settings(max_examples=150, deadline=None)
def test_every_text_of_any_ladder_can_be_read(ladder: Ladder) -> None:
    legible(drawing.svg(ladder))


@given(ladders())
@settings(max_examples=150, deadline=None)
def test_any_ladder_fits_a_terminal(ladder: Ladder) -> None:
    lines = drawing.text(ladder).splitlines()
    assert max(map(cells, lines)) <= max(100, cells(ladder.title))
    told = "".join("".join(lines).split())
    for arrow in ladder.arrows:
        if arrow.source == arrow.target:
            continue
        for word in arrow.detail.split():
            if cells(word) < 8:
                assert word in told


_MERMAID_LABEL = r"(?:[\w .,:/()=→⇄✗-]|\#\d+;|<br/>)*"
_MERMAID = re.compile(
    rf"""sequenceDiagram | \ \ title\ {_MERMAID_LABEL}
    | \ \ participant\ c\d+\ as\ {_MERMAID_LABEL} | \ \ Note\ over\ c\d+:\ {_MERMAID_LABEL}
    | \ \ c\d+(?:->>|-x|--x)c\d+:\ {_MERMAID_LABEL}""",
    re.VERBOSE,
)


@given(ladders())
@settings(max_examples=100, deadline=None)
def test_only_known_statements_of_mermaid(ladder: Ladder) -> None:
    for line in drawing.mermaid(ladder).splitlines():
        assert _MERMAID.fullmatch(line), line
