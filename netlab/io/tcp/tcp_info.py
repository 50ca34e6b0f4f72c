"""``struct tcp_info`` of a connection, as Linux lays it out (include/uapi/linux/tcp.h)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from netlab.tcp.state import State

if TYPE_CHECKING:
    from netlab.tcp.connection import Connection

# <netinet/tcp.h> numbers the states in this order, from 1.
_STATES = (
    State.ESTABLISHED,
    State.SYN_SENT,
    State.SYN_RECEIVED,
    State.FIN_WAIT_1,
    State.FIN_WAIT_2,
    State.TIME_WAIT,
    State.CLOSED,
    State.CLOSE_WAIT,
    State.LAST_ACK,
    State.LISTEN,
    State.CLOSING,
)


def tcp_info(core: Connection) -> bytes:
    """The first 104 octets of ``struct tcp_info``: times in microseconds, windows in segments."""
    sender, rto = core.sender, core.sender.rto
    mss = sender.mss
    head = struct.pack(
        "=8B",
        _STATES.index(core.state) + 1,
        3 if sender.in_recovery else 0,
        min(sender.timeouts, 255),
        0,
        min(rto.backoff, 255),
        core.timestamps | core.scaling << 2 | core.ecn << 3,
        core.snd_shift | core.receiver.shift << 4,
        0,
    )
    words = [0] * 24
    words[0] = int(rto.value * 1e6)
    words[2], words[3] = mss, core.receiver.mss
    words[4] = -(-(sender.nxt - sender.una) // mss)
    words[5] = sender.scoreboard.sacked // mss
    words[13] = core.mss + 40
    words[15], words[16] = int(rto.srtt * 1e6), int(rto.var * 1e6)
    words[17] = min(sender.congestion.ssthresh // mss, 0x7FFF_FFFF)
    words[18] = sender.congestion.cwnd // mss
    words[19] = core.mss
    words[23] = sender.retransmissions
    return head + struct.pack("=24I", *words)
