from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from netlab.diagram.topology import layers

if TYPE_CHECKING:
    from random import Random


def test_a_path_keeps_its_order_even_when_folding_would_fit_better() -> None:
    names = [f"n{n}" for n in range(12)]
    columns = layers.assign(names, list(itertools.pairwise(names)))
    assert columns == {name: n for n, name in enumerate(names)}


def test_a_star_spreads_to_both_sides() -> None:
    leaves = [f"leaf{n}" for n in range(8)]
    columns = layers.assign([*leaves, "hub"], [(leaf, "hub") for leaf in leaves])
    assert columns["hub"] == 1
    assert [columns[leaf] for leaf in leaves] == [0, 0, 0, 0, 2, 2, 2, 2]


def test_sides_turn_a_path_around() -> None:
    columns = layers.assign(
        ["server", "nat", "client"],
        [("server", "nat"), ("nat", "client")],
        frozenset({("client", "nat"), ("nat", "server")}),
    )
    assert columns == {"client": 0, "nat": 1, "server": 2}


@given(st.integers(1, 14), st.randoms(use_true_random=False))
def test_neighbours_never_share_a_column(count: int, random: Random) -> None:
    names = [str(n) for n in range(count)]
    tree = [(names[random.randrange(n)], names[n]) for n in range(1, count)]
    more = [(a, b) for a in names for b in names if a < b and random.random() < 0.1]
    columns = layers.assign(names, tree + more)
    assert set(columns) == set(names)
    assert min(columns.values()) == 0
    assert all(columns[a] != columns[b] for a, b in tree + more)
