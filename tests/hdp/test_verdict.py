from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.hdp import verdict

CASES = json.loads((Path(__file__).parents[1] / "data/hdp/verdicts.json").read_text("utf-8"))


def case(known: dict[str, Any]) -> verdict.Case:
    known = dict(known)
    watched = known.pop("server", True)
    blank = {
        "family": 4, "socket_error": None, "send_error": None, "sent": 0, "received": None,
        "arrived": 0 if watched else None, "reply": None,
    }  # fmt: skip
    filled = blank | {"on_wire": known.get("sent", 0)} | known
    filled["losses"] = tuple(verdict.Loss(*loss) for loss in filled.get("losses", ()))
    filled["clashed"] = frozenset(filled.get("clashed", ()))
    return verdict.Case(**filled)


@pytest.mark.parametrize("known", CASES, ids=lambda known: known["say"])
def test_judgement(known: dict[str, Any]) -> None:
    assert verdict.judge(case(known["case"])) == (known["outcome"], known["reason"])


def test_the_cases_cover_every_outcome() -> None:
    assert {known["outcome"] for known in CASES} == set(verdict.OUTCOMES)


COUNTS = st.integers(0, 3)
ERRORS = st.none() | st.integers(1, 133)


@given(
    st.builds(
        verdict.Case,
        st.sampled_from([4, 6]),
        st.integers(-1, 262),
        ERRORS,
        ERRORS,
        COUNTS,
        COUNTS,
        st.none() | COUNTS,
        st.none() | COUNTS,
        st.none() | st.just("icmp 3/2"),
        untranslated=st.booleans(),
    )
)
def test_every_case_has_a_reason(known: verdict.Case) -> None:
    outcome, reason = verdict.judge(known)
    assert outcome in verdict.OUTCOMES
    assert (outcome == "unsent") == (known.sent == 0)
    assert reason or outcome in ("lost", "partly")
