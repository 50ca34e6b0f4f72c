"""How segments are made: what ``Connection.to_send`` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.tcp.segment import ECT_0, Segment
from netlab.tcp.sender import NEVER
from netlab.tcp.seq import MASK
from netlab.tcp.state import State
from netlab.wire.tcp import ACK, CWR, ECE, FIN, NO_OPTIONS, PSH, SYN, URG, Options

if TYPE_CHECKING:
    from netlab.tcp.connection import Connection
    from netlab.tcp.recovery.spans import Span

SILENT = frozenset({State.CLOSED, State.LISTEN, State.TIME_WAIT})


def segments(connection: Connection, now: float) -> list[Segment]:
    """All that may go now: answers, then data as the sender decides, then an ACK if one is due.

    Data carries the ACK with it (MUST-58); a SACK needs a segment of its own, since there is room
    for it only where there is no data.
    """
    out = connection.replies
    if out:
        connection.replies = []
    else:
        out = []
    if connection.state not in SILENT:
        span = connection.sender.next(now)
        if span is not None and span[0] == connection.iss:
            out.append(_syn(connection, now))
            span = connection.sender.next(now)
        if span is not None:
            out += _sequenced(connection, span, now)
    if connection.ack_due:
        out.append(acknowledgment(connection, now))
    if connection.keepalive_probe:
        connection.keepalive_probe = False
        out.append(control(connection, ACK, connection.sender.nxt - 1 & MASK, now))
    return out


def control(connection: Connection, flags: int, seq: int, now: float | None = None) -> Segment:
    """A segment without data at ``seq``; an RST needs no time, it carries no timestamp."""
    receiver = connection.receiver
    options = NO_OPTIONS
    if connection.timestamps and now is not None:
        options = Options(None, None, False, timestamps(connection, now))
    return Segment(seq, receiver.nxt & MASK, flags, receiver.advertise(), options=options)


def acknowledgment(connection: Connection, now: float) -> Segment:
    """A pure ACK, with SACK blocks if something is missing."""
    receiver, sender = connection.receiver, connection.sender
    stamps = timestamps(connection, now) if connection.timestamps else None
    options = NO_OPTIONS
    if receiver.holds or receiver.duplicate is not None:
        blocks = receiver.blocks(3 if stamps else 4)
        if sender.scoreboard.selective:
            wrapped = tuple((left & MASK, right & MASK) for left, right in blocks)
            options = Options(None, None, False, stamps, wrapped)
        elif stamps:
            options = Options(None, None, False, stamps)
    elif stamps:
        options = Options(None, None, False, stamps)
    flags = ACK | ECE if connection.ece else ACK
    _acknowledged(connection)
    return Segment(
        sender.nxt & MASK, receiver.nxt & MASK, flags, receiver.advertise(), 0, (), options
    )


def _acknowledged(connection: Connection) -> None:
    connection.acked = connection.receiver.nxt
    connection.ack_due = False
    connection.delayed_ack_at = NEVER


def timestamps(connection: Connection, now: float) -> tuple[int, int]:
    """TSval, from a clock of milliseconds, and TSecr (RFC 7323 section 5.4)."""
    return int(now * 1000) + connection.clock_offset & MASK, connection.ts_recent


def _sequenced(connection: Connection, span: Span | None, now: float) -> list[Segment]:
    """The segments that carry the positions of ``span``, and of all spans that may go with it.

    They leave together, so they acknowledge the same and offer the same window.
    """
    sender, receiver = connection.sender, connection.receiver
    buffer, mss = sender.buffer, sender.mss
    marked = connection.snd_up is not None or connection.ecn or connection.ece
    ack, window = receiver.nxt & MASK, receiver.advertise()
    options = NO_OPTIONS
    if connection.timestamps:
        options = Options(None, None, False, timestamps(connection, now))
    if not ((receiver.holds or receiver.duplicate) and connection.ack_due):
        _acknowledged(connection)
    out = []
    while span is not None:
        start, end = span
        data_end = min(end, buffer.end)
        length = data_end - start
        flags = ACK
        if end > data_end:
            flags |= FIN
        if data_end == buffer.end and length:
            flags |= PSH  # MUST-61: the last of what is queued
        ecn = urgent_pointer = 0
        if marked:
            flags, ecn, urgent_pointer = _marks(connection, start, flags)
        data = buffer.slice(start, length) if length else ()
        cut = mss if length > mss else 0
        out.append(
            Segment(
                start & MASK, ack, flags, window, length, data, options, urgent_pointer, cut, ecn
            )
        )
        span = sender.next(now)
    return out


def _marks(connection: Connection, start: int, flags: int) -> tuple[int, int, int]:
    """ECN's flags (RFC 3168 section 6.1) and the urgent pointer, for those who use them."""
    sender = connection.sender
    if connection.ece:
        flags |= ECE
    ecn = 0
    # A retransmission carries neither ECT nor CWR (section 6.1.5).
    if connection.ecn and sender.fresh and start < sender.buffer.end:
        ecn = ECT_0
        if connection.cwr_due:
            connection.cwr_due = False
            flags |= CWR
    urgent_pointer = 0
    if connection.snd_up is not None:
        ahead = connection.snd_up - start
        if ahead > 0:
            # The octet after the urgent data (MUST-62), as near as sixteen bits come (MUST-31).
            flags |= URG
            urgent_pointer = min(ahead, 0xFFFF)
        elif sender.una >= connection.snd_up:
            connection.snd_up = None
    return flags, ecn, urgent_pointer


def _syn(connection: Connection, now: float) -> Segment:
    """SYN, or SYN and ACK, with the options that are offered or granted."""
    settings, receiver = connection.settings, connection.receiver
    active = connection.state is State.SYN_SENT
    granted_sack = connection.sender.scoreboard.selective
    options = Options(
        connection.mss,
        receiver.shift if connection.scaling else None,
        settings.sack if active else granted_sack,
        timestamps(connection, now) if connection.timestamps else None,
    )
    seq = connection.iss & MASK
    if active:
        flags = SYN
        if settings.ecn and not connection.sender.timeouts:
            flags |= ECE | CWR  # not again if it was lost: section 6.1.1.1
        window = min(receiver.capacity, 0xFFFF)
        return Segment(seq, 0, flags, window, options=options)
    flags = SYN | ACK
    if connection.ecn:
        flags |= ECE
    _acknowledged(connection)
    # The window of a SYN is never scaled (RFC 7323 section 2.2).
    window = min(receiver.wnd, 0xFFFF)
    return Segment(seq, receiver.nxt & MASK, flags, window, options=options)
