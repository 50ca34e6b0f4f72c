from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from netlab.topology.model import Node
from netlab.topology.nat import Timeouts, Translator
from netlab.verify import timeouts
from netlab.verify.nat import alone
from netlab.verify.timeouts import KEPT, Resting, check_timeouts, measure

NAT = Translator("wan", (IPv4Address("203.0.113.1"),), filtering="endpoint-independent")


@pytest.mark.kernel
def test_hours_are_tried_in_seconds(netlab_state):
    checks = list(check_timeouts(Node("nat", "nat", nat=(NAT,))))
    assert [c.name for c in checks] == [
        "udp timeout, 300 s as 1 s",
        "tcp timeout, 7440 s as 1 s",
        "icmp timeout, 60 s as 1 s",
    ]
    assert [c.measured for c in checks] == [KEPT] * 3


@pytest.mark.kernel
def test_one_that_never_forgets_is_found_out(netlab_state, monkeypatch):
    def other(nat):
        return alone(replace(nat, timeouts=Timeouts()))

    monkeypatch.setattr(timeouts, "alone", other)
    assert measure(NAT) == dict.fromkeys(("udp", "tcp", "icmp"), "kept too long")


@pytest.mark.parametrize(("arrives", "verdict"), [(True, "kept too long"), (False, KEPT)])
def test_what_is_said_of_sessions_that_live_as_long_as_they_should(arrives, verdict):
    assert timeouts._verdict(Resting(lambda: None, lambda: arrives), lives=True) == verdict
    assert timeouts._verdict(Resting(lambda: None, lambda: arrives), lives=False) == (
        "forgotten early"
    )


def test_a_session_of_which_nothing_comes_in_time_did_not_live(monkeypatch):
    monkeypatch.setattr(timeouts, "SOON", 0)
    gone = Resting(lambda: None, lambda: False)
    assert timeouts._lives(None, lambda _: gone, 9) is False  # type: ignore[arg-type]
