from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.hdp import sweep
from netlab.hdp.sweep import Hop, Probe, Reply, Seen
from netlab.wire import hdp, icmp, ipv4, ipv6
from netlab.wire.address import packed

from .conftest import imagined

A4, B4 = packed("192.0.2.1"), packed("192.0.2.2")
A6, B6 = packed("2001:db8::1"), packed("2001:db8::2")
RUN = 0xBEEF

PROBES = st.builds(Probe, st.integers(-1, 262), st.integers(0, 254))


def packet(probe: Probe, family: int, size: int = 0) -> bytes:
    data = sweep.datagram(probe, RUN, 1, size)
    number = probe.argument & 0xFF
    if family == 4:
        return ipv4.encode(ipv4.Header(A4, B4, number), data)
    return ipv6.encode(ipv6.Header(A6, B6, number), data)


def test_the_plan_goes_number_by_number() -> None:
    assert list(sweep.plan(4, 2, [7, 9])) == [Probe(7, 0), Probe(7, 1), Probe(9, 0), Probe(9, 1)]
    assert len(list(sweep.plan(4, 3))) == 264 * 3
    assert len(list(sweep.plan(6, 3))) == 256 * 3


@pytest.mark.parametrize("packets", [0, 256])
def test_a_plan_is_bounded(packets: int) -> None:
    with pytest.raises(ValueError, match=r"1 \.\.\. 255"):
        list(sweep.plan(4, packets))


@given(PROBES, st.sampled_from([4, 6]), st.integers(0, 200))
def test_a_probe_is_recognised_wherever_it_is_seen(probe: Probe, family: int, size: int) -> None:
    source = A4 if family == 4 else A6
    content = packet(probe, family, size)
    length = max(17, size) + (20 if family == 4 else 0)
    assert sweep.recognise(content, RUN) == Seen(probe, source, length)
    assert sweep.recognise(content, RUN ^ 1) is None


@given(PROBES, st.binary(min_size=12, max_size=12))
def test_a_header_that_a_kernel_wrote_into_hides_nothing(probe: Probe, header: bytes) -> None:
    data = header + sweep.datagram(probe, RUN, 1)[hdp.HEADER_LENGTH :]
    content = ipv6.encode(ipv6.Header(A6, B6, probe.argument & 0xFF), data)
    assert sweep.recognise(content, RUN) == Seen(probe, A6, 17)


def test_another_number_than_the_token_s_is_another_packet() -> None:
    content = ipv4.encode(ipv4.Header(A4, B4, 98), sweep.datagram(Probe(99, 0), RUN, 1))
    assert sweep.recognise(content, RUN) is None


@given(PROBES, st.integers(0, 100))
def test_an_icmp_error_is_about_the_probe_that_it_quotes(probe: Probe, size: int) -> None:
    about = icmp.unreachable(packet(probe, 4, size), icmp.PROTOCOL_UNREACHABLE)
    content = ipv4.encode(ipv4.Header(B4, A4, 1), icmp.encode(about, B4, A4))
    assert sweep.recognise(content, RUN) == Reply(probe, "icmp 3/2", B4)


@given(PROBES)
def test_an_icmpv6_error_is_not_misled_by_extension_numbers(probe: Probe) -> None:
    error = icmp.Message(icmp.V6_PARAMETER_PROBLEM, 1, 6, packet(probe, 6))
    content = ipv6.encode(ipv6.Header(B6, A6, 58), icmp.encode(error, B6, A6))
    assert sweep.recognise(content, RUN) == Reply(probe, "icmp6 4/1", B6)


def test_a_router_that_quotes_eight_octets_tells_the_number_only() -> None:
    error = icmp.Message(icmp.UNREACHABLE, 2, 0, packet(Probe(99, 2), 4)[:28])
    content = ipv4.encode(ipv4.Header(B4, A4, 1), icmp.encode(error, B4, A4))
    assert sweep.recognise(content, RUN) == Reply(Probe(99, 0), "icmp 3/2", B4)


def test_an_error_about_somebody_else_is_nothing() -> None:
    other = ipv4.encode(ipv4.Header(A4, B4, 17), b"x" * 40)
    content = ipv4.encode(ipv4.Header(B4, A4, 1), icmp.encode(icmp.unreachable(other, 3), B4, A4))
    assert sweep.recognise(content, RUN) is None


@given(st.binary(max_size=120))
def test_nothing_on_the_wire_raises(content: bytes) -> None:
    sweep.recognise(content, RUN)


@given(PROBES, st.sampled_from([4, 6]), st.integers(0, 100))
def test_a_witness_may_keep_the_first_octets_only(probe: Probe, family: int, size: int) -> None:
    content = packet(probe, family, size)
    start = content[: 60 if family == 6 else 40]
    assert sweep.glimpse(start, RUN) == probe
    assert sweep.glimpse(start, RUN ^ 1) is None


@given(st.binary(max_size=60))
def test_a_glimpse_of_anything_raises_nothing(start: bytes) -> None:
    sweep.glimpse(start, RUN)


def test_the_kernel_s_reason_counts_where_the_packet_was_last() -> None:
    evidence = imagined(lambda probe: "rule" if probe.argument == 99 else "received")
    drops = tuple(
        sweep.Drop(drop.probe, node, reason=reason)
        for drop in evidence.drops
        for node, reason in (("nat", "IP_CSUM"), ("client", "OTHER"))
    )
    made = sweep.join(evidence._replace(drops=drops))
    assert row(made, 99).reason == "nat: dropped, IP_CSUM"


def row(made: sweep.Sweep, argument: int) -> sweep.Row:
    return next(row for row in made.rows if row.argument == argument)


def test_every_number_has_one_row_in_order(all_received: sweep.Sweep) -> None:
    assert [row.argument for row in all_received.rows] == list(range(-1, 263))
    assert all_received.packets == 3


def test_a_row_tells_counts_latency_and_hops(all_received: sweep.Sweep) -> None:
    assert row(all_received, 200) == sweep.Row(
        argument=200, protocol=200, socket_error=None, send_error=None, sent=3, on_wire=3,
        arrived=3, received=3, reply=None, latency_us=50.0, outcome="received",
        reason="received", length=37,
        hops=(
            Hop("client", "eth0", True, 3), Hop("nat", "lan", False, 3),
            Hop("nat", "wan", True, 3), Hop("server", "eth0", False, 3),
        ),
    )  # fmt: skip


def test_an_argument_that_gave_no_socket(all_received: sweep.Sweep) -> None:
    minus, zero = all_received.rows[:2]
    assert (minus.socket_error, minus.protocol, minus.outcome) == (22, None, "unsent")
    assert (zero.socket_error, zero.sent, zero.hops) == (93, 0, ())


@pytest.mark.parametrize(
    ("packet_trace", "outcome", "reason"),
    [
        ("refused", "refused", "no listener: icmp 3/2 protocol unreachable"),
        ("taken", "taken", "no raw socket got it and no reply came"),
        ("untranslated", "received", "received; left the NAT untranslated"),
        ("rule", "lost", "nat: rule allow-list dropped"),
        ("clash", "lost", "nat: conntrack clash (insert_failed), dropped"),
    ],
)
def test_one_number_fares_otherwise(packet_trace: str, outcome: str, reason: str) -> None:
    made = sweep.join(imagined(lambda probe: packet_trace if probe.argument == 99 else "received"))
    assert (row(made, 99).outcome, row(made, 99).reason) == (outcome, reason)
    assert {row.outcome for row in made.rows if row.argument not in (-1, 0, 99)} == {"received"}


def test_without_a_nat_nothing_is_untranslated() -> None:
    made = sweep.join(imagined(lambda _: "untranslated"))
    assert {row.reason for row in made.rows if row.sent and row.argument in range(200, 250)} == {
        "received"
    }


def test_only_the_first_packet_arrives() -> None:
    made = sweep.join(imagined(lambda probe: "rule" if probe.serial else "received"))
    assert row(made, 143).reason == "nat: rule allow-list dropped #2 #3"
    assert (row(made, 143).outcome, row(made, 143).arrived) == ("partly", 1)


def test_an_interrupted_sweep_has_what_it_has() -> None:
    evidence = imagined(lambda _: "received")._replace(interrupted=True)
    evidence = evidence._replace(attempts=evidence.attempts[:100])
    made = sweep.join(evidence)
    assert made.interrupted
    assert made.rows[-1].sent == 1
    assert len(made.rows) == 34


def test_nobody_watched_at_the_target() -> None:
    evidence = imagined(lambda _: "received")._replace(server=None, listening=False)
    made = sweep.join(evidence._replace(deliveries=()))
    assert (row(made, 9).arrived, row(made, 9).received, row(made, 9).outcome) == (
        None, None, "unknown",
    )  # fmt: skip


def test_json_goes_there_and_back(all_received: sweep.Sweep) -> None:
    stored: dict[str, Any] = json.loads(json.dumps(all_received.to_json()))
    assert sweep.Sweep.from_json(stored) == all_received
    assert stored["family"] == 4
    assert set(stored["rows"][0]) >= {
        "argument", "protocol", "socket_error", "send_error", "on_wire", "received", "reply",
        "latency_us", "reason",
    }  # fmt: skip


@pytest.mark.parametrize("content", [{}, {"rows": [{}]}, {"rows": 5}, {"rows": [], "x": 1}])
def test_other_json_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a sweep"):
        sweep.Sweep.from_json(content)
