"""Rows of the table that netlab does not get right yet. The lists must shrink.

A row whose disagreements are gone fails its test until it is taken off the list.
"""

EXPLAIN: frozenset[str] = frozenset(
    {
        "NAT64",
        "NAT64, packets copied",
        "closed port behind NAT64",
        "closed port behind NAT64, packets copied",
        "link down: the other end",
        "missing way back",
        "missing way back, packets copied",
        "wrong UDP checksum",
    }
)
"""Where ``explain`` is wrong, or cannot tell."""

PREDICT: frozenset[str] = frozenset(
    {
        "TTL expires",
        "TTL expires, packets copied",
        "cut at a router",
        "cut at a router, packets copied",
        "link down: the other end",
        "link down: this end",
        "refusing route at a router",
        "refusing route at the sender",
        "reverse path filter at a router",
        "reverse path filter at a router, packets copied",
        "reverse path filter at the receiver",
        "rule at a switch",
        "rule at a switch, packets copied",
        "the NAT's mapping is taken",
        "the NAT's mapping is taken, packets copied",
        "the sender's link is down",
    }
)
"""Where ``explain --predict`` is wrong; it may say that it cannot tell."""

UNCONFIRMED: frozenset[str] = frozenset(
    {
        "hairpin",
        "nobody behind a router has the address",
        "nobody behind a router has the address, packets copied",
    }
)
"""Where the lab itself does not do what the sample asks of it."""

PAIRS: frozenset[str] = frozenset(
    {
        "carrier-grade anna boris",
        "carrier-grade anna home-b",
        "carrier-grade boris anna",
        "carrier-grade boris home-a",
        "carrier-grade home-a boris",
        "carrier-grade home-a home-b",
        "carrier-grade home-b anna",
        "carrier-grade home-b home-a",
        "nat64 laptop internet",
        "nat64 laptop phone",
        "nat64 laptop server",
        "nat64 phone internet",
        "nat64 phone laptop",
        "nat64 phone server",
        "nptv6 internet gate",
        "nptv6 internet laptop",
        "nptv6 internet web",
        "nptv6 laptop web",
        "nptv6 server gate",
        "nptv6 server laptop",
        "nptv6 server web",
        "nptv6 web laptop",
        "three-sites berlin-r pc2",
        "three-sites berlin-r pc3",
        "three-sites core-1 pc1",
        "three-sites core-1 pc2",
        "three-sites core-1 pc3",
        "three-sites core-2 pc1",
        "three-sites core-2 pc2",
        "three-sites core-2 pc3",
        "three-sites files pc1",
        "three-sites files pc3",
        "three-sites lagos-r pc1",
        "three-sites lagos-r pc2",
        "three-sites lagos-r pc3",
        "three-sites lima-nat pc1",
        "three-sites lima-nat pc2",
        "three-sites lima-nat pc3",
        "three-sites lima-nat pc4",
        "three-sites pc1 pc2",
        "three-sites pc1 pc3",
        "three-sites pc2 pc1",
        "three-sites pc2 pc3",
        "three-sites pc3 pc1",
        "three-sites pc3 pc2",
        "three-sites pc4 pc1",
        "three-sites pc4 pc2",
        "three-sites pc4 pc3",
        "three-sites pc5 pc1",
        "three-sites pc5 pc2",
        "three-sites pc5 pc3",
        "three-sites web pc1",
        "three-sites web pc2",
    }
)
"""Pairs of shipped topologies on which explain and ping disagree."""
