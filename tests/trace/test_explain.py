"""One sentence, right for every number of packets."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.trace.disposition import Disposition as End
from netlab.trace.explain import ProbeResult, sentence
from netlab.trace.model import PacketTrace, Reason
from netlab.trace.tree import end_of, receivers
from netlab.wire.view import view
from tests.trace import path


def packet_trace(
    number: int = 1, end: End = End.DENIED, reason: Reason | None = None, **more
) -> PacketTrace:
    packet = view(path.unknown(b"x"))
    assert packet
    reason = reason or Reason("nft", 'forward chain, rule "first-packet-only"', "", "nat.yaml:23")
    return PacketTrace(number, "", 255, end, "nat", "lan", reason, (), packet, **more)


ARRIVED = packet_trace(end=End.DELIVERED)


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ([ARRIVED], "1 sent, 1 arrived."),
        (
            [ARRIVED, packet_trace(), packet_trace()],
            (
                '3 sent, 1 arrived. #2 and #3 died in nat, forward chain, rule "first-packet-only"'
                " (nat.yaml:23)."
            ),
        ),
        (
            [packet_trace()] * 4,
            (
                "4 sent, none arrived. #1 to #4 died in nat, forward chain,"
                ' rule "first-packet-only" (nat.yaml:23).'
            ),
        ),
        ([None], "1 sent, none arrived. It never left: Network is unreachable."),
        (
            [packet_trace(end=End.NO_ROUTE, reason=Reason("inferred", "no route"))],
            "1 sent, none arrived. It probably died in nat: no route.",
        ),
        (
            [packet_trace(end=End.UNKNOWN, reason=Reason("inferred", "nobody saw why"))],
            "1 sent, none seen to arrive. It vanished in nat: nobody saw why.",
        ),
    ],
)
def test_says(results, says):
    outcomes = [
        ProbeResult(number, result, "" if result else "Network is unreachable")
        for number, result in enumerate(results, 1)
    ]
    assert sentence(outcomes) == says


def test_one_sentence_for_each_way_to_end():
    other = packet_trace(end=End.NO_ROUTE, reason=Reason("kernel", "no route"))
    said = sentence(
        [ProbeResult(1, packet_trace()), ProbeResult(2, other), ProbeResult(3, packet_trace())]
    )
    assert said.startswith("3 sent, none arrived. #1 and #3 died in nat, ")
    assert said.endswith(" #2 died in nat: no route.")


def test_a_packet_in_pieces_arrives_only_as_a_whole():
    whole = packet_trace(1, End.FRAGMENTED, children=(2, 3))
    first, second = (
        packet_trace(2, End.DELIVERED, parents=(1,)),
        packet_trace(3, End.DENIED, parents=(1,)),
    )
    everything = {1: whole, 2: first, 3: second}
    assert end_of([whole], everything) == second
    everything[3] = packet_trace(3, End.DELIVERED, parents=(1,))
    end = end_of([whole], everything)
    assert end is not None
    assert end.arrived


def test_nothing_in_particular_of_nothing():
    assert end_of([], {}) is None


def copies(first: End, second: End, third: End = End.IGNORED):
    """A packet that a switch flooded: what came of it and of two copies."""
    sent = packet_trace(1, first, children=(2, 3))
    everything = {
        1: sent,
        2: packet_trace(2, second, parents=(1,), copied=True),
        3: packet_trace(3, third, parents=(1,), copied=True),
    }
    return sent, everything


@pytest.mark.parametrize(
    ("ends", "decides"),
    [
        ((End.IGNORED, End.DELIVERED), End.DELIVERED),
        ((End.IGNORED, End.NO_LISTENER), End.NO_LISTENER),
        ((End.DENIED, End.DELIVERED), End.DELIVERED),
        ((End.DELIVERED, End.DENIED), End.DELIVERED),
        ((End.IGNORED, End.IGNORED), End.IGNORED),
    ],
)
def test_of_copies_the_one_that_got_furthest_decides(ends, decides):
    sent, everything = copies(*ends)
    end = end_of([sent], everything)
    assert end is not None
    assert end.disposition is decides


def test_who_got_a_multicast_is_named_once_each():
    sent, everything = copies(End.DELIVERED, End.DELIVERED, End.DENIED)
    everything[2] = everything[2]._replace(node="b")
    assert receivers([sent], everything) == ("nat", "b")
    said = sentence([ProbeResult(1, sent, receivers=("b", "c"))])
    assert said == "1 sent, 1 arrived. It reached b and c."


def test_an_answer_that_died_is_named():
    arrived = packet_trace(end=End.DELIVERED)
    lost = packet_trace(end=End.NO_ROUTE, reason=Reason("kernel", "no route to 10.0.0.2"))
    said = sentence([ProbeResult(1, arrived, answers=(lost,))])
    assert said == "1 sent, 1 arrived. Its answer died in nat: no route to 10.0.0.2."
    said = sentence([ProbeResult(number, arrived, answers=(arrived, lost)) for number in (1, 2)])
    assert said == (
        "2 sent, 2 arrived. The answers to #1 and #2 arrived; the ACK to it died in nat:"
        " no route to 10.0.0.2."
    )


def test_a_reason_with_braces_is_printed_as_it_is():
    lost = packet_trace(reason=Reason("nft", "rule `meta l4proto { 1, 2 }`"))
    assert "{ 1, 2 }" in sentence([ProbeResult(1, lost)])


def test_every_way_to_end_is_in_the_documentation():
    page = (Path(__file__).parents[2] / "docs" / "fate.md").read_text()
    assert [end for end in End if f"`{end}`" not in page] == []
