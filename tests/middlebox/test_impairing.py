"""Impairments of a link, told and changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from netlab.middlebox.factory import line
from netlab.middlebox.impairing import impaired, phrases

if TYPE_CHECKING:
    from netlab.middlebox import Direction


def impair(direction: str = "both", **parameters: object) -> dict[str, Any]:
    values = parameters | {"direction": direction}
    return {"kind": "impair", "parameters": values, "seed": 0, "topology": "lab.yaml:4"}


SPLIT = {"kind": "split", "parameters": {"size": 500}, "seed": 0, "topology": "lab.yaml:5"}
BOTH: dict[Direction, dict[str, str]] = {"outbound": {"loss": "3%"}, "inbound": {"loss": "3%"}}


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ([impair(delay="1s", seed=7)], BOTH, [impair(delay="1s", seed=7, loss="3%")]),
        (
            [impair(delay="1s", seed=7), SPLIT],
            {"inbound": {"loss": "3%"}},
            [
                impair("outbound", delay="1s", seed=7),
                impair("inbound", delay="1s", seed=7, loss="3%"),
                SPLIT,
            ],
        ),
        (
            [impair("outbound", delay="1s", seed=7)],
            {"inbound": {"rate": "1mbit"}},
            [impair("outbound", delay="1s", seed=7), impair("inbound", seed=7, rate="1mbit")],
        ),
        (
            [impair("outbound", delay="1s", seed=7)],
            BOTH,
            [
                impair("outbound", delay="1s", seed=7, loss="3%"),
                impair("inbound", seed=7, loss="3%"),
            ],
        ),
        (
            [impair("outbound", delay="1s", seed=7), impair("inbound", delay="2s", seed=7)],
            {"inbound": {"delay": "1s"}},
            [impair(delay="1s", seed=7)],
        ),
        ([impair(delay="1s"), SPLIT], {}, [impair(delay="1s"), SPLIT]),
    ],
)
def test_each_direction_changes_for_itself(before, changes, after):
    assert impaired(before, changes) == after
    line(after)


def test_a_link_with_other_boxes_alone_gets_impairments_before_them():
    [own, rest] = impaired([SPLIT], BOTH)
    assert own["parameters"] == {"seed": 0, "loss": "3%", "direction": "both"}
    assert rest == SPLIT


def test_boxes_in_a_few_words():
    mine = {"python": "/x/boxes.py:Mine", "parameters": {}, "seed": 3}
    boxes = [impair("outbound", delay="1s", loss="3%", seed=7), impair(), SPLIT, mine]
    assert list(phrases(boxes)) == [
        "outbound delay 1s, loss 3%, seed 7",
        "nothing",
        "split (size 500)",
        "Mine",
    ]
