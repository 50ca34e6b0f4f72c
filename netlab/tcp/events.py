"""What a connection tells its user."""

from __future__ import annotations

from enum import Enum

CONNECTED = 1
"""The handshake is done."""
READABLE = 2
"""There is data for ``recv``."""
WRITABLE = 4
"""The send buffer has room again."""
PEER_CLOSED = 8
"""The peer's FIN came: after the data that waits, nothing more."""
CLOSED = 16
"""The connection is gone; ``end`` says how."""
URGENT = 32
"""Urgent data was announced (MUST-32); ``urgent_octets`` says how much."""
TROUBLE = 64
"""A soft error, or R1 retransmissions without an answer; ``trouble`` says which (MUST-47)."""


class End(Enum):
    """How a connection ended (MUST-12)."""

    NORMAL = "closed"
    RESET = "connection reset"
    REFUSED = "connection refused"
    TIMED_OUT = "connection aborted due to user timeout"
    ABORTED = "connection aborted"
    UNREACHABLE = "destination unreachable"


class UserError(Exception):
    """A call that the state does not allow; the words are those of RFC 9293 section 3.10."""
