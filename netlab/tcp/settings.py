"""What a user may choose, each value with the document it comes from."""

from __future__ import annotations

from typing import NamedTuple


class Settings(NamedTuple):
    """Octets, seconds and counts; the defaults are those of the RFC named, or of Linux."""

    send_buffer: int = 4 << 20
    send_buffer_fixed: bool = False
    """Take as much as ``send_buffer`` says, however narrow the path is."""
    receive_buffer: int = 4 << 20
    mtu: int = 1500
    maximum_segment: int = 0
    """The largest MSS to offer and to use (TCP_MAXSEG); 0: what the MTU allows."""
    largest_segment: int = 0
    """Payload of a segment that someone else cuts to MSS size (GSO); 0 if nobody does."""

    nagle: bool = True
    """RFC 9293 section 3.7.4."""
    cork: bool = False
    """Hold back what does not fill a segment, for one RTO at most (Linux, TCP_CORK)."""
    delayed_ack: float = 0.04
    """Below 0.5 s (MUST-40); Linux' shortest. 0 acknowledges at once."""
    window_scaling: bool = True
    timestamps: bool = True
    sack: bool = True
    """RFC 7323, RFC 7323, RFC 2018: offered in a SYN, and used if the peer offers it too."""
    ecn: bool = False
    """RFC 3168: asked for in a SYN. A peer that asks is always granted it."""
    loss_detection: str = "rack"
    """With SACK: ``rack`` (RFC 8985, with tail loss probes) or ``rfc6675``."""
    congestion: str = "cubic"
    """A name in ``netlab.tcp.congestion.ALGORITHMS``."""

    initial_rto: float = 1.0
    minimum_rto: float = 0.2
    maximum_rto: float = 60.0
    """RFC 6298; its minimum of 1 s is a SHOULD that no widespread stack follows, this is Linux'."""
    r1: int = 3
    """Retransmissions of one segment after which the user is informed (SHLD-9, SHLD-10)."""
    user_timeout: float = 924.6
    """R2: the time without progress after which a connection is given up: at least 100 s (SHLD-11).
    This is Linux's, 15 retransmissions (``tcp_retries2``): at 20 % loss each way a third of all
    retransmissions fails, and of a thousand transfers some would meet eight of these in a row."""
    syn_timeout: float = 180.0
    """R2 for a SYN: at least three minutes (MUST-23)."""
    msl: float = 30.0
    """TIME-WAIT lasts twice this. RFC 9293 says two minutes and calls that a choice; Linux' 60 s
    of TIME-WAIT is this value."""

    keepalive: bool = False
    keepalive_idle: float = 7200.0
    keepalive_interval: float = 75.0
    keepalive_count: int = 9
    """RFC 9293 section 3.8.4."""
    black_hole_detection: bool = False
    """A smaller MSS after repeated timeouts, in the spirit of RFC 4821 (RFC 2923 section 2.1)."""

    ttl: int = 64
    dscp: int = 0


DEFAULTS = Settings()
