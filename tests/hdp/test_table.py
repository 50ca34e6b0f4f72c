from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.hdp import table
from netlab.hdp.table import ClientRow, MergedRow, ServerRow, Unreadable

TIMES = st.integers(0, 1 << 62)
TEXTS = st.text("abc |\\()\"',\u00e9", max_size=12).map(str.strip)
CLIENT = st.builds(
    ClientRow,
    st.integers(-1, 262),
    st.booleans(),
    st.none() | TIMES,
    st.none() | st.integers(0, 65535),
    TEXTS.filter(lambda text: "\\" not in text),
)
SERVER = st.builds(
    ServerRow,
    st.integers(0, 255),
    TIMES,
    st.sampled_from(["192.0.2.1", "2001:db8::1"]),
    st.integers(0, 65535),
    st.none() | TIMES,
)

SENT = [
    ClientRow(-1, False, error="Invalid argument (os error 22)"),
    ClientRow(143, True, 1_000_000_500, 13),
    ClientRow(256, True, 1_000_020_000, 13),
]
CAME = [ServerRow(143, 1_000_024_500, "127.0.0.1", 33, 1_000_000_500)]


def test_markdown_of_the_client_is_the_original_s() -> None:
    sent = [SENT[0]._replace(error="os error 22"), *SENT[1:]]
    assert table.markdown(ClientRow, sent).splitlines() == [
        "| Protocol Number | Succeeded (Client) | Time (us) | Byte sum (Client) | Failure reason |",
        "|-----------------|--------------------|-----------|-------------------|----------------|",
        "| -1              | false              |           |                   | os error 22    |",
        "| 143             | true               | 1000000   | 13                |                |",
        "| 256             | true               | 1000020   | 13                |                |",
    ]


def test_markdown_of_the_server_is_the_original_s() -> None:
    assert table.markdown(ServerRow, CAME).splitlines() == [
        "| Protocol Number | Time (us) | Source IP | Byte Sum |",
        "|-----------------|-----------|-----------|----------|",
        "| 143             | 1000024   | 127.0.0.1 | 33       |",
    ]


@given(st.lists(CLIENT, max_size=5))
def test_csv_and_json_of_the_client_come_back(rows: list[ClientRow]) -> None:
    assert table.read(table.as_csv(ClientRow, rows)) == rows
    assert table.read(table.as_json(ClientRow, rows)) == rows


@given(st.lists(SERVER, max_size=5))
def test_csv_and_json_of_the_server_come_back(rows: list[ServerRow]) -> None:
    assert table.read(table.as_csv(ServerRow, rows)) == rows
    assert table.read(table.as_json(ServerRow, rows)) == rows


@given(st.lists(CLIENT, max_size=5))
def test_markdown_comes_back_in_microseconds(rows: list[ClientRow]) -> None:
    rounded = [
        row._replace(time=None if row.time is None else row.time // 1000 * 1000) for row in rows
    ]
    assert table.read(table.markdown(ClientRow, rows)) == rounded


def test_merging_says_what_arrived_and_how_long_it_took() -> None:
    assert table.merge(SENT, CAME) == [
        MergedRow(-1, False, False, error="Invalid argument (os error 22)"),
        MergedRow(143, True, True, 24_000, 13, 33, "127.0.0.1"),
        MergedRow(256, True, False, None, 13),
    ]


def test_the_time_in_the_datagram_tells_which_of_several_was_lost() -> None:
    sent = [ClientRow(200, True, serial * 1_000_000, 13) for serial in range(3)]
    came = [ServerRow(200, 2_000_900, "h", 33, 2_000_000), ServerRow(200, 900, "h", 33, 0)]
    assert [row.latency for row in table.merge(sent, came)] == [900, None, 900]


def test_without_times_the_order_tells() -> None:
    sent = [ClientRow(200, True, serial * 1_000_000, 13) for serial in range(3)]
    came = [ServerRow(200, 500, "h", 33), ServerRow(200, 1_000_500, "h", 33)]
    assert [row.received for row in table.merge(sent, came)] == [True, True, False]


def test_a_time_that_a_kernel_wrote_across_is_joined_by_order() -> None:
    sent = [ClientRow(135, True, 1_000_000, 13), ClientRow(135, True, 2_000_000, 13)]
    came = [ServerRow(135, 2_050_000, "h", 13, 99), ServerRow(135, 1_050_000, "h", 13, 1_000_000)]
    assert [row.latency for row in table.merge(sent, came)] == [50_000, 50_000]


def test_an_argument_above_255_is_joined_by_its_number_on_the_wire() -> None:
    [row] = table.merge([ClientRow(257, True, 5, 13)], [ServerRow(1, 9, "h", 33, 5)])
    assert (row.protocol, row.received, row.latency) == (257, True, 4)


def test_a_sender_that_failed_takes_nobody_s_datagram() -> None:
    rows = table.merge([ClientRow(5, False, 1), ClientRow(5, True, 2)], [ServerRow(5, 9, "h", 33)])
    assert [row.received for row in rows] == [False, True]


@given(st.lists(CLIENT, max_size=8), st.lists(SERVER, max_size=8))
def test_merging_keeps_the_client_s_rows_and_uses_each_arrival_once(
    sent: list[ClientRow], came: list[ServerRow]
) -> None:
    merged = table.merge(sent, came)
    assert [row.protocol for row in merged] == [row.protocol for row in sent]
    assert sum(row.received for row in merged) <= len(came)


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("", "an empty file", 1),
        ("a,b\n1,2\n", "unknown columns: a, b", 1),
        ("protocol,time,source,bytes,sent\n1,2,3\n", "3 cells under 5 headings", 2),
        ("protocol,time,source,bytes,sent\n\nx,2,h,3,\n", "Protocol Number", 3),
        ("protocol,succeeded,time,bytes,error\n1,perhaps,,,\n", "neither true nor false", 2),
        ("{", "Expecting property name", 1),
        ('{"kind": "Other", "rows": []}', "not a table of HDP", 1),
        ('{"kind": "ClientRow", "rows": [{"x": 1}]}', "not a table of HDP", 1),
    ],
)
def test_a_bad_table_is_refused_with_its_line(text: str, reason: str, line: int) -> None:
    with pytest.raises(Unreadable, match=reason) as caught:
        table.read(text)
    assert caught.value.line == line
