from __future__ import annotations

import json
from typing import Any

import pytest

from netlab.probe.rows import Hop, Row, Sweep
from netlab.trace.kernel_reasons import CLASH
from tests.probe.imagined import imagined, joined, swept


def row(made: Sweep, argument: int) -> Row:
    return next(row for row in made.rows if row.argument == argument)


def test_every_number_has_one_row_in_order(all_received: Sweep) -> None:
    assert [row.argument for row in all_received.rows] == list(range(-1, 263))
    assert all_received.packets == 3


def test_a_row_tells_counts_latency_and_hops(all_received: Sweep) -> None:
    assert row(all_received, 200) == Row(
        argument=200, protocol=200, socket_error=None, send_error=None, sent=3, on_wire=3,
        arrived=3, received=3, reply=None, latency_us=5.0, outcome="received",
        reason="received", length=37,
        hops=(
            Hop("client", "eth0", "out", 3), Hop("nat", "lan", "in", 3),
            Hop("nat", "wan", "out", 3), Hop("router", "west", "in", 3),
            Hop("router", "east", "out", 3), Hop("server", "eth0", "in", 3),
        ),
    )  # fmt: skip


def test_an_argument_that_gave_no_socket(all_received: Sweep) -> None:
    minus, zero = all_received.rows[:2]
    assert (minus.socket_error, minus.protocol, minus.outcome) == (22, None, "unsent")
    assert (zero.socket_error, zero.sent, zero.hops) == (93, 0, ())


@pytest.mark.parametrize(
    ("end", "outcome", "reason"),
    [
        ("refused", "refused", "no listener: icmp 3/2 protocol unreachable"),
        ("taken", "taken", "no raw socket got it and no reply came"),
        ("untranslated", "received", "received; left the NAT untranslated"),
        ("rule", "lost", 'died in nat, forward chain, rule "allow-list" (nat.yaml:9)'),
        (
            "clash",
            "lost",
            f"died in nat: {CLASH}",
        ),
    ],
)
def test_one_number_fares_otherwise(end: str, outcome: str, reason: str) -> None:
    made = swept(lambda probe: end if probe.argument == 99 else "received")
    assert (row(made, 99).outcome, row(made, 99).reason) == (outcome, reason)
    assert {row.outcome for row in made.rows if row.argument not in (-1, 0, 99)} == {"received"}


def test_without_a_nat_nothing_is_untranslated() -> None:
    made = swept(lambda _: "untranslated")
    assert {row.reason for row in made.rows if row.sent and row.argument in range(200, 250)} == {
        "received"
    }


def test_only_the_first_packet_arrives() -> None:
    made = swept(lambda probe: "rule" if probe.serial else "received")
    assert row(made, 143).reason == (
        '#2 and #3 died in nat, forward chain, rule "allow-list" (nat.yaml:9)'
    )
    assert (row(made, 143).outcome, row(made, 143).arrived) == ("partly", 1)


def test_an_interrupted_sweep_has_what_it_has() -> None:
    sent, evidence = imagined(lambda _: "received")
    made = joined(sent._replace(interrupted=True, attempts=sent.attempts[:100]), evidence)
    assert made.interrupted
    assert made.rows[-1].sent == 1
    assert len(made.rows) == 34


def test_nobody_watched_at_the_target() -> None:
    sent, evidence = imagined(lambda _: "received")
    made = joined(sent._replace(server=None, listening=False, deliveries=()), evidence)
    assert (row(made, 9).arrived, row(made, 9).received, row(made, 9).outcome) == (
        None, None, "unknown",
    )  # fmt: skip


def test_json_goes_there_and_back(all_received: Sweep) -> None:
    stored: dict[str, Any] = json.loads(json.dumps(all_received.to_json()))
    assert Sweep.from_json(stored) == all_received
    assert stored["family"] == 4
    assert set(stored["rows"][0]) >= {
        "argument", "protocol", "socket_error", "send_error", "on_wire", "received", "reply",
        "latency_us", "reason",
    }  # fmt: skip


@pytest.mark.parametrize(
    "content", [{}, {"rows": [{}]}, {"rows": 5}, {"rows": [], "gaps": [], "x": 1}]
)
def test_other_json_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a sweep"):
        Sweep.from_json(content)
