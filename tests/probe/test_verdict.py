from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.probe import verdict
from netlab.probe.rows import OUTCOMES
from netlab.trace.disposition import Disposition
from netlab.trace.model import Hop, PacketTrace, Reason
from netlab.wire.view import view
from tests.trace.path import datagram

CASES = json.loads((Path(__file__).parents[1] / "data/hdp/sweep-verdicts.json").read_text("utf-8"))


def case(known: dict[str, Any]) -> verdict.Case:
    known = dict(known)
    watched = known.pop("server", True)
    blank = {
        "family": 4, "socket_error": None, "send_error": None, "sent": 0, "received": None,
        "arrived": 0 if watched else None, "reply": None,
    }  # fmt: skip
    filled = blank | {"on_wire": known.get("sent", 0)} | known
    filled["reply"] = filled["reply"] and tuple(filled["reply"])
    return verdict.Case(**filled)


@pytest.mark.parametrize("known", CASES, ids=lambda known: known["say"])
def test_judgement(known: dict[str, Any]) -> None:
    assert verdict.judge(case(known["case"])) == (known["outcome"], known["reason"])


def test_the_cases_cover_every_outcome() -> None:
    losses = {"lost", "partly"}
    assert {known["outcome"] for known in CASES} | losses == set(OUTCOMES)


PACKET = view(datagram(b"x"))


def ended(
    node: str, disposition: Disposition, *, at: str = "", direction: str = "in"
) -> PacketTrace:
    hop = Hop(at or node, "eth0", direction, 1)  # type: ignore[arg-type]
    reason = Reason("kernel", "so it was")
    return PacketTrace(1, "", 143, disposition, node, "eth0", reason, (hop,), PACKET)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("nodes", "sent", "reason"),
    [
        ("aa", 2, "died in a: so it was"),
        ("aa", 3, "#1 and #2 died in a: so it was"),
        ("abb", 3, "#1 died in a: so it was; #2 and #3 died in b: so it was"),
        ("-", 1, "was seen nowhere"),
        ("a-", 2, "#1 died in a: so it was; #2 was seen nowhere"),
    ],
)
def test_losses_are_worded_as_explain_words_them(nodes: str, sent: int, reason: str) -> None:
    losses = tuple(
        verdict.Loss(number, None if node == "-" else ended(node, Disposition.DENIED))
        for number, node in enumerate(nodes, 1)
    )
    arrived = sent - len(losses)
    known = verdict.Case(4, 143, None, None, sent, sent, arrived, arrived, None, losses)
    assert verdict.judge(known) == ("partly" if arrived else "lost", reason)


@pytest.mark.parametrize(
    ("end", "protocol", "reached"),
    [
        (ended("server", Disposition.DELIVERED), 143, True),
        (ended("server", Disposition.NO_LISTENER), 143, True),
        (ended("server", Disposition.DENIED), 143, False),
        (ended("server", Disposition.DENIED), 17, False),
        (ended("server", Disposition.BAD_CHECKSUM), 143, False),  # of its IP header
        (ended("server", Disposition.BAD_CHECKSUM), 1, True),  # the kernel's ICMP refused it
        (ended("server", Disposition.MALFORMED), 17, True),
        (ended("nat", Disposition.DENIED), 143, False),
        (ended("server", Disposition.LOST_ON_LINK, at="nat"), 143, False),
        (ended("server", Disposition.DELIVERED, direction="out"), 143, False),
    ],
)
def test_what_has_reached_the_server(end: PacketTrace, protocol: int, *, reached: bool) -> None:
    assert verdict.has_reached(end, "server", protocol) is reached
    assert not verdict.has_reached(end, None, protocol)


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
        st.none() | st.just((3, 2)),
        losses=st.just(()),
        untranslated=st.booleans(),
    )
)
def test_every_case_has_a_reason(known: verdict.Case) -> None:
    outcome, reason = verdict.judge(known)
    assert outcome in OUTCOMES
    assert (outcome == "unsent") == (known.sent == 0)
    assert reason or outcome in ("lost", "partly")
