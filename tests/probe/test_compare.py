from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.probe import compare
from tests.probe.imagined import swept

if TYPE_CHECKING:
    from netlab.probe.rows import Sweep


def test_a_sweep_equals_itself_whatever_the_time(all_received: Sweep) -> None:
    later = all_received._replace(
        rows=tuple(row._replace(latency_us=1e6) for row in all_received.rows)
    )
    assert compare.changes(all_received, later, way=True) == []


def test_a_change_says_before_and_after(all_received: Sweep) -> None:
    other = swept(lambda p: "rule" if p.argument == 143 else "received")
    [change] = compare.changes(all_received, other, way=True)
    assert change.argument == 143
    assert {"outcome", "reason", "arrived", "received", "hops"} <= set(change.fields)
    assert compare.lines([change]) == [
        " 143  - received: received",
        '      + lost: died in nat, forward chain, rule "allow-list" (nat.yaml:9)',
    ]


def test_a_number_that_one_side_did_not_try(all_received: Sweep) -> None:
    fewer = all_received._replace(rows=all_received.rows[:-1])
    copy = "a copy: the kernel takes this number too"
    assert compare.lines(compare.changes(all_received, fewer)) == [
        f" 262  - received: received; leaves as protocol 6; {copy}",
        "      + not tried",
    ]


def test_a_change_that_the_words_do_not_show_is_named(all_received: Sweep) -> None:
    rows = tuple(row._replace(length=99) for row in all_received.rows[-1:])
    changed = all_received._replace(rows=all_received.rows[:-1] + rows)
    assert compare.changes(all_received, changed) == []
    assert compare.lines(compare.changes(all_received, changed, way=True))[1].endswith(
        "(length differ)"
    )
