"""Verdicts: an expectation that is wrong fails, and says what was seen."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.scenario.judge import Observation, judge, rows_of
from netlab.scenario.model import Command, End, Expected, Published, Scenario, Step, Table
from netlab.scenario.outcome import Done, Outcome, Run
from netlab.scenario.packets import Packet

PACKETS = (
    Packet(1, "UDP", "a", "delivered", "b", "", ("a:eth0", "b:eth0"), ("nat IP::Source",)),
    Packet(2, "UDP", "a", "denied", "nat", "allow-list", ("a:eth0",), ()),
)


def step(**expected) -> Step:
    return Step("it", Command(("ls",)), Expected(**expected))


def passes(seen: Observation, **expected) -> bool:
    verdicts = list(judge(step(**expected), seen))
    assert verdicts
    return all(verdict.passed for verdict in verdicts)


@pytest.mark.parametrize(
    ("number", "end", "good"),
    [
        (1, End("delivered"), True),
        (1, End("delivered", what="UDP", changed="Source"), True),
        (2, End("denied", "nat", "allow"), True),
        (1, End("denied"), False),
        (1, End("delivered", "nat"), False),
        (1, End("delivered", what="SYN"), False),
        (1, End("delivered", changed="TTL"), False),
        (2, End("denied", "nat", "other"), False),
        (2, End("denied", "b"), False),
        (3, End("denied"), False),
    ],
)
def test_the_end_of_a_packet(number, end, good):
    assert passes(Observation(packets=PACKETS), packets=((number, end),)) == good


def test_packets_beyond_those_that_are_named():
    first = ((1, End("delivered")),)
    assert passes(Observation(packets=PACKETS[:1]), packets=first, no_more=True)
    assert not passes(Observation(packets=PACKETS), packets=first, no_more=True)


def test_exit_and_output():
    seen = Observation("hello\nworld\n", "", 3)
    assert passes(seen, exit=3, output=("^world$",), not_output=("bye",))
    assert not passes(seen, exit=0)
    assert not passes(seen, output=("bye",))
    assert not passes(seen, not_output=("hello",))


def test_a_step_that_could_not_be_done_fails_and_shows_what_it_printed():
    [verdict] = judge(step(exit=0), Observation("half\n", "oh", failure="too slow"))
    assert not verdict.passed
    assert "too slow" in verdict.observed
    assert "half" in verdict.observed


CELLS = st.text(alphabet='abc,"1', max_size=3)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=5), st.lists(st.tuples(CELLS, CELLS), max_size=5))
def test_tables_are_equal_as_bags_of_rows(wanted, found):
    seen = Observation(table=tuple({"a": a, "b": b, "time": "1"} for a, b in found))
    good = passes(seen, table=Table(("a", "b"), tuple(wanted)))
    assert good == (sorted(wanted) == sorted(found))


def test_rows_from_json_and_csv():
    assert rows_of('{"rows": [{"a": 1, "b": null, "c": "x"}]}') == ({"a": "1", "b": "", "c": "x"},)
    assert rows_of("a,b\n1,\n") == ({"a": "1", "b": ""},)
    assert rows_of("") is None


def run(**seen) -> Run:
    it = step(exit=0)
    observation = Observation(**{"exit": 0, **seen})
    return Run((Done(it, observation, tuple(judge(it, observation))),))


def test_digests_tell_what_happened_and_not_what_was_printed():
    assert run(output="at 12:30").digest == run(output="at 12:31").digest
    assert run(exit=0).digest != run(exit=1).digest
    assert run(packets=PACKETS).digest != run(packets=PACKETS[:1]).digest


def test_the_json_of_an_outcome():
    scenario = Scenario("n", "t", Path("f"), Path("l"), "s", (), published=(Published("", "", ""),))
    outcome = Outcome(scenario, (run(packets=PACKETS), run()), 7, {"kernel": "6"})
    found = outcome.to_json()
    assert {k: found[k] for k in ("scenario", "passed", "runs", "digests_equal", "seed")} == {
        "scenario": "n", "passed": False, "runs": 2, "digests_equal": False, "seed": 7,
    }  # fmt: skip
    assert found["expectations"] == [{"text": "it: exit code 0", "passed": True, "observed": "0"}]
    assert [packet_trace["number"] for packet_trace in found["fates"]] == [1, 2]
    assert found["environment"] == {"kernel": "6"}
