"""Where packets are marked: before the first rule that they meet, once, and not for nothing."""

import pytest

from netlab.capture.nft_trace import marks
from netlab.nft.listing import Base

FIRST = ("ct status & confirmed == 0 meta nftrace set 1 accept",)
EACH = ("meta nftrace set 1 accept",)
EACH_OTHER = ("ct status & confirmed == 0 return", "meta nftrace set 1 accept")


def table(*chains: tuple[str, str], family: str = "inet"):
    return {(family, "t", f"c{n}"): Base(*chain) for n, chain in enumerate(chains)}


@pytest.mark.parametrize(
    ("bases", "expected"),
    [
        ({}, []),
        # A NAT by itself: the first packet of each flow, and what is for the NAT.
        (table(("nat", "postrouting")), [("prerouting", -199, FIRST), ("output", -199, FIRST)]),
        (
            table(("nat", "postrouting"), ("filter", "input")),
            [("prerouting", -199, FIRST), ("input", -500, EACH_OTHER), ("output", -199, FIRST)],
        ),
        # A host: what is for it.
        (table(("filter", "input")), [("input", -500, EACH)]),
        (table(("filter", "output")), [("output", -500, EACH)]),
        (table(("route", "output")), [("output", -500, EACH)]),
        # A filter in the way: everything.
        (table(("filter", "forward")), [("prerouting", -500, EACH)]),
        (
            table(("nat", "prerouting"), ("filter", "forward"), ("filter", "input")),
            [("prerouting", -500, EACH), ("output", -199, FIRST)],
        ),
        (
            table(("filter", "postrouting"), family="ip6"),
            [("prerouting", -500, EACH), ("output", -500, EACH)],
        ),
        (table(("filter", "forward"), family="bridge"), []),
        (table(("filter", "ingress"), family="netdev"), []),
    ],
)
def test_a_packet_is_marked_where_it_begins_to_meet_rules(bases, expected):
    assert marks(bases) == expected
