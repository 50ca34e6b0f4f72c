"""``netlab explain`` against ping, on what ships."""

import random

import pytest

from tests.oracle import known
from tests.oracle.pairs import Pair, disagreement, pairs, topologies

pytestmark = [pytest.mark.kernel, pytest.mark.root]


def _listed(topology: str) -> list[Pair]:
    return sorted(pair for pair in pairs(topology) if str(pair) in known.PAIRS)


def _some() -> list[Pair]:
    """Of each topology one pair, and one of those that are known to disagree."""
    rng = random.Random(0)
    found: list[Pair] = []
    for topology in topologies():
        good = [pair for pair in pairs(topology) if str(pair) not in known.PAIRS]
        found += [rng.choice(good)] if good else []
        found += _listed(topology)[:1]
    return found


@pytest.fixture(autouse=True)
def _state(netlab_state):
    """Labs of this worker only."""


def _check(pair: Pair) -> None:
    said = disagreement(pair)
    if str(pair) in known.PAIRS:
        assert said, f"{pair!s}: take it off known.PAIRS"
        pytest.xfail(said)
    assert not said, said


@pytest.mark.parametrize("pair", _some(), ids=str)
def test_explain_agrees_with_ping(pair):
    _check(pair)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("topology", topologies())
def test_explain_agrees_with_ping_on_every_ordered_pair(topology):
    said = {pair: disagreement(pair) for pair in pairs(topology)}
    wrong = [why for pair, why in said.items() if why and str(pair) not in known.PAIRS]
    stale = [str(pair) for pair, why in said.items() if not why and str(pair) in known.PAIRS]
    assert not wrong, "\n".join(wrong)
    assert not stale, f"take off known.PAIRS: {stale}"


def test_every_listed_pair_exists():
    every = {str(pair) for topology in topologies() for pair in pairs(topology)}
    assert every >= known.PAIRS
