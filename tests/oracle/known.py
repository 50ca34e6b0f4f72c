"""Rows of the table that netlab does not get right yet. The lists must shrink.

A row whose disagreements are gone fails its test until it is taken off the list.
"""

EXPLAIN: frozenset[str] = frozenset()
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
    }
)
"""Where the lab itself does not do what the sample asks of it."""

PAIRS: frozenset[str] = frozenset()
"""Pairs of shipped topologies on which explain and ping disagree."""
