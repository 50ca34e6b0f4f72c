"""One sentence, right for every number of packets."""

from __future__ import annotations

import pytest

from netlab.trace.disposition import Disposition as End
from netlab.trace.explain import ProbeResult, decisive, sentence
from netlab.trace.model import PacketTrace, Reason
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
            "1 sent, none arrived. It vanished in nat: nobody saw why.",
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
    assert decisive([whole], everything) == second
    everything[3] = packet_trace(3, End.DELIVERED, parents=(1,))
    end = decisive([whole], everything)
    assert end is not None
    assert end.arrived


def test_nothing_in_particular_of_nothing():
    assert decisive([], {}) is None
