"""Rows of the table that netlab does not get right yet. The lists must shrink.

A row whose disagreements are gone fails its test until it is taken off the list.
"""

EXPLAIN: frozenset[str] = frozenset()
"""Where ``explain`` is wrong, or cannot tell."""

PREDICT: frozenset[str] = frozenset()
"""Where ``explain --predict`` is wrong; it may say that it cannot tell."""

UNCONFIRMED: frozenset[str] = frozenset()
"""Where the lab itself does not do what the sample asks of it."""

PAIRS: frozenset[str] = frozenset()
"""Pairs of shipped topologies on which explain and ping disagree."""
