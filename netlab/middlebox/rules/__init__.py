"""Kinds that nftables can express, as functions from parameters to rules.

They come before a node's own firewall: in the forward hook at priority -10, so that an ``accept``
of the firewall does not pass them by.
"""

from __future__ import annotations

BEFORE_FILTER = -10
BEFORE_DEFRAGMENTATION = -450
"""Conntrack puts fragments together at -400; after that none is seen any more."""
BEFORE_CONNTRACK = -300
