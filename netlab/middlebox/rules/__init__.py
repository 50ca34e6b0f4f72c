"""Kinds that nftables can express, as functions from parameters to rules.

They come before a node's own firewall: in the forward hook at priority -10, so that an ``accept``
of the firewall does not pass them by.
"""

from __future__ import annotations

from netlab.wire.protocols import number

BEFORE_FILTER = -10
BEFORE_DEFRAGMENTATION = -450
"""Conntrack puts fragments together at -400; after that none is seen any more."""
BEFORE_CONNTRACK = -300


def protocols(words: tuple[str, ...], *, unlike: bool = False) -> str:
    """A match on packets of these protocols, or on all others."""
    listed = ", ".join(str(number(word)) for word in words)
    return f"meta l4proto {'!= ' if unlike else ''}{{ {listed} }}"
