from __future__ import annotations

from statistics import median

from netlab.probe import published


def test_the_table_is_whole() -> None:
    made = published.macos()
    assert [row.argument for row in made.rows] == [*range(256), 255, 256]


def test_it_says_what_the_author_says() -> None:
    rows = {row.argument: row for row in published.macos().rows}
    assert {n for n, row in rows.items() if row.outcome == "lost"} == {1, 2, 6, 17}
    assert {n: row.socket_error for n, row in rows.items() if row.outcome == "unsent"} == {
        50: 102, 51: 102, 256: 22,
    }  # fmt: skip
    latencies = [row.latency_us for row in rows.values() if row.latency_us is not None]
    assert (min(latencies), median(latencies), max(latencies)) == (24, 80, 150)
    assert {row.length for row in rows.values() if row.received} == {373}
