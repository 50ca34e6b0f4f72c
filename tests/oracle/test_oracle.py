"""netlab's answers against those of an oracle that shares no code with them.

``NETLAB_ORACLE_SEED=7`` draws other samples; what disagrees is written to ``NETLAB_ORACLE_SAVE``,
or else to the test's temporary directory.
"""

import ast
import math
import os
import random
from pathlib import Path

import pytest

from tests.oracle import known
from tests.oracle.play import Finding, Row, keep, make, play, rows, seed_of
from tests.oracle.truth import Answer, Cause, End, Said, Truth, Verdict, judge

SEED = int(os.environ.get("NETLAB_ORACLE_SEED", "0"))
FLOWS, SOAK_FLOWS = 300, 10_000

FORBIDDEN = ("netlab.capture", "netlab.trace", "netlab.predict")


@pytest.fixture
def directory(tmp_path, netlab_state):
    """Where topologies of samples go, with the labs of this worker only."""
    return tmp_path


def _ask(row: Row, flows: int, directory: Path) -> list[Finding]:
    """At least this many flows of a row; with a slow kind, one sample."""
    found: list[Finding] = []
    number = 0
    while len(found) < flows and not (row.kind.slow and found):
        found += play(row, seed_of(SEED, row, number), directory)
        number += 1
    return found


def _said(
    findings: list[Finding], who: str, verdicts: tuple[Verdict, ...], kept: Path
) -> list[str]:
    """A line for each answer of that verdict, and where its topology is."""
    return [
        f"{verdict} {asked} [{f.seed}] {why}\n    {keep(f, kept)}"
        for f in findings
        for asked, (verdict, why) in f.judged.items()
        if asked.startswith(who) and verdict in verdicts
    ]


def _check(row: Row, flows: int, directory: Path) -> None:
    findings = _ask(row, flows, directory)
    kept = Path(os.environ.get("NETLAB_ORACLE_SAVE", directory / "disagreements"))
    explain = _said(findings, "explain", (Verdict.WRONG, Verdict.UNKNOWN), kept)
    predict = _said(findings, "predict", (Verdict.WRONG,), kept)
    unconfirmed = [
        f"not seen: {', '.join(f.missing)} [{f.seed}]\n    {keep(f, kept)}"
        for f in findings
        if f.missing
    ]
    if len(unconfirmed) < len(findings):
        unconfirmed = []  # some are discarded: the others are judged
    unexpected, stale = [], []
    for name, lines, listed in (
        ("EXPLAIN", explain, known.EXPLAIN),
        ("PREDICT", predict, known.PREDICT),
        ("UNCONFIRMED", unconfirmed, known.UNCONFIRMED),
    ):
        if lines and str(row) not in listed:
            unexpected += lines
        if not lines and str(row) in listed:
            stale.append(f"{row!s}: take it off known.{name}")
    assert not unexpected, "\n".join(unexpected)
    assert not stale or SEED or flows > FLOWS, "\n".join(stale)
    if explain or predict or unconfirmed:
        pytest.xfail("known: " + "\n".join([*explain, *predict, *unconfirmed]))


@pytest.mark.kernel
@pytest.mark.root
@pytest.mark.parametrize("row", rows(), ids=str)
def test_netlab_says_what_the_witnesses_say(row, directory):
    _check(row, math.ceil(FLOWS / len(rows())), directory)


@pytest.mark.kernel
@pytest.mark.root
@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("row", rows(), ids=str)
def test_netlab_says_what_the_witnesses_say_for_long(row, directory):
    _check(row, math.ceil(SOAK_FLOWS / len(rows())), directory)


def test_the_oracle_shares_no_code_with_what_it_judges():
    for file in Path(__file__).parent.glob("*.py"):
        for part in ast.walk(ast.parse(file.read_text())):
            names = [part.module or ""] if isinstance(part, ast.ImportFrom) else []
            names = [a.name for a in part.names] if isinstance(part, ast.Import) else names
            assert not [name for name in names if name.startswith(FORBIDDEN)], file.name


@pytest.mark.parametrize("row", rows(), ids=str)
def test_a_seed_draws_the_same_sample_again(row):
    one, other = (make(row, "9/again") for _ in range(2))
    assert one.path.text() == other.path.text()
    assert [q.flow for q in one.questions] == [q.flow for q in other.questions]
    assert [q.truth for q in one.questions] == [q.truth for q in other.questions]


DROPPED = Truth((End("r1", Cause.RULE, "drop tcp/25"),))
ANSWERED = Truth((End("b", Cause.ARRIVED),), End("a", Cause.ARRIVED))
UNANSWERED = Truth((End("b", Cause.ARRIVED),), End("b", Cause.NO_ROUTE))


@pytest.mark.parametrize(
    ("truth", "said", "reply", "verdict"),
    [
        (DROPPED, Said("denied", "r1", 'rule "drop tcp/25"'), None, "right"),
        (DROPPED, Said("denied", "r1", 'rule "drop tcp/80"'), None, "wrong"),
        (DROPPED, Said("denied", "r2", 'rule "drop tcp/25"'), None, "wrong"),
        (DROPPED, Said("delivered", "b", ""), None, "wrong"),
        (DROPPED, Said("no-route", "r1", "no route"), None, "wrong"),
        (DROPPED, Said("unknown", "r1", ""), None, "unknown"),
        (ANSWERED, Said("delivered", "b", ""), None, "right"),
        (ANSWERED, Said("denied", "b", ""), None, "wrong"),
        (UNANSWERED, Said("delivered", "b", ""), None, "wrong"),
        (UNANSWERED, Said("delivered", "b", ""), Said("no-route", "b", "no route"), "right"),
        (UNANSWERED, Said("delivered", "b", ""), Said("delivered", "a", ""), "wrong"),
    ],
)
def test_answers_are_judged_by_end_place_and_cause(truth, said, reply, verdict):
    assert judge(Answer((said,), reply), truth).verdict == verdict


@pytest.mark.kernel
@pytest.mark.root
def test_a_sample_whose_obstacle_does_not_act_is_discarded(directory, monkeypatch):
    [row] = [row for row in rows() if str(row) == "forward rule"]
    whole = make(row, "0/mutant")

    def harmless(draw):
        sample = row.kind.make(draw)
        for form in sample.path.forms.values():
            form.pop("firewall", None)
        return sample

    assert "firewall" in whole.path.text()
    mutant = row._replace(kind=row.kind._replace(make=harmless))
    first, *_ = play(mutant, "0/mutant", directory)
    assert first.missing
    assert not first.judged


def test_shapes_differ():
    drawn = {make(rows()[0], f"{random.Random(n).random()}").path.text() for n in range(50)}
    assert len(drawn) == 50
