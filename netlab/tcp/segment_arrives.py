"""SEGMENT ARRIVES: RFC 9293 section 3.10.7, step by step, in its order.

Each procedure works on a transmission control block (``Connection``). Numbers from the segment are
unwrapped first, so ``seq``, ``end`` and ``ack`` here are positions that compare as integers.

The two commonest segments, the next data and the next pure ACK of an open connection, take a short
way through all the steps at once (``_expected``); every other takes the long one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.tcp.events import CONNECTED, PEER_CLOSED, READABLE, URGENT, WRITABLE, End
from netlab.tcp.segment import CE, Segment, reset_for
from netlab.tcp.sender import NEVER
from netlab.tcp.seq import HALF, MASK, unwrap
from netlab.tcp.state import CAN_RECEIVE, TRANSITIONS, Event, Role, State
from netlab.wire.tcp import ACK, CWR, ECE, FIN, PSH, RST, SYN, URG

if TYPE_CHECKING:
    from netlab.tcp.connection import Connection

PAWS_IDLE = 24 * 86400.0  # RFC 7323 section 5.5: after so long, TS.Recent says nothing
QUICK_ACKS = 16  # after a loss, as Linux's TCP_MAX_QUICKACKS: ACKs get lost too
CHALLENGES_PER_SECOND = 10  # RFC 5961 section 7; enough for any tester, not for an ACK war


def segment_arrives(c: Connection, segment: Segment, now: float) -> None:
    """Process one segment in any state."""
    state = c.state
    if state is State.ESTABLISHED:
        if not _expected(c, segment, now):
            _in_any_other_state(c, segment, now)
    elif state is State.CLOSED:
        _in_closed(c, segment)
    elif state is State.LISTEN:
        _in_listen(c, segment, now)
    elif state is State.SYN_SENT:
        _in_syn_sent(c, segment, now)
    else:
        _in_any_other_state(c, segment, now)


def _expected(c: Connection, segment: Segment, now: float) -> bool:
    """Header prediction (RFC 7323 section 5.6): what most probably comes next in ESTABLISHED.

    Either only the stream goes on, or only SND.UNA does; then most of section 3.10.7.4 has nothing
    to test. False, and nothing done, if the segment is anything else.
    """
    seq, ack, flags, window, length, data, options, _, mss, ecn = segment
    receiver, sender, stamps = c.receiver, c.sender, options.timestamps
    nxt = receiver.nxt
    if (
        seq != nxt & MASK
        or flags & ~PSH != ACK
        or not window
        or stamps is None
        or not c.timestamps
        or stamps[0] - c.ts_recent & MASK >= HALF
        or receiver.holds
        or options.sack
    ):
        return False
    advance = ack - sender.una & MASK
    window <<= c.snd_shift
    if length:
        if (
            advance
            or window != sender.wnd
            or length > receiver.edge - nxt
            or c.orphaned
            or ecn == CE
        ):
            return False
        receiver.accept(nxt, length, data)
        c.events |= READABLE
        if (mss or length) > receiver.mss:
            receiver.mss = min(mss or length, c.mss)
        if not c.ack_due:
            _acknowledge_soon(c, now)
    else:
        if not 0 < advance <= sender.max - sender.una:
            return False
        sender.acknowledge(sender.una + advance, now, echoed=_echoed(c, segment, now))
        sender.set_window(window)
        c.events |= WRITABLE
    sender.wl1, sender.wl2 = nxt, sender.una
    if nxt == c.acked:
        c.ts_recent, c.ts_recent_at = stamps[0], now
    if c.settings.keepalive:
        c.heard(now)
    return True


def _in_closed(c: Connection, segment: Segment) -> None:
    """Section 3.10.7.1."""
    answer = reset_for(segment)
    if answer is not None:
        c.replies.append(answer)


def _in_listen(c: Connection, segment: Segment, now: float) -> None:
    """Section 3.10.7.2. Data that comes with a SYN is not taken: the peer will send it again."""
    if segment.flags & RST:
        return
    if segment.flags & ACK:
        c.replies.append(Segment(segment.ack, flags=RST))
    elif segment.flags & SYN:
        _take_syn(c, segment, now)
        c.step(Event.SYN)


def _in_syn_sent(c: Connection, segment: Segment, now: float) -> None:
    """Section 3.10.7.3."""
    flags, sender = segment.flags, c.sender
    ack = unwrap(segment.ack, sender.una)
    acceptable = bool(flags & ACK) and sender.una < ack <= sender.max
    if flags & ACK and not acceptable:
        if not flags & RST:
            c.replies.append(Segment(segment.ack, flags=RST))
        return
    if flags & RST:
        if acceptable:
            c.give_up(Event.RST, End.REFUSED)
        return
    if not flags & SYN:
        return
    _take_syn(c, segment, now)
    if acceptable:
        c.ecn = bool(c.settings.ecn and flags & (ECE | CWR) == ECE)
        sender.acknowledge(ack, now, echoed=_echoed(c, segment, now))
        c.step(Event.SYN_ACK)
        _established(c, segment.window, now)
        c.ack_due = True
        _take_urgent(c, segment, segment.seq + 1)
        _take_text(c, segment, segment.seq + 1, now)
    else:
        # Both sides opened at once (MUST-10): our SYN goes again, now with an ACK.
        c.step(Event.SYN)
        sender.resend_syn()


def _take_syn(c: Connection, segment: Segment, now: float) -> None:
    """Read the peer's SYN: its sequence number, and what its options offer."""
    offer, settings = segment.options, c.settings
    c.receiver.start(segment.seq)
    c.acked = c.receiver.nxt
    c.peer_mss = offer.mss
    c.timestamps = settings.timestamps and offer.timestamps is not None
    if offer.timestamps is not None:
        c.ts_recent, c.ts_recent_at = offer.timestamps[0], now
    c.scaling = settings.window_scaling and offer.window_scale is not None
    if c.scaling and offer.window_scale is not None:
        c.snd_shift = min(offer.window_scale, 14)  # RFC 7323 section 2.3
    else:
        c.receiver.shift = 0
    # A SYN, not a SYN and ACK, asks for ECN with both flags (RFC 3168 section 6.1.1).
    c.ecn = segment.flags & (ECE | CWR | ACK) == ECE | CWR
    c.sender.use(mss=c.effective_mss(), sack=settings.sack and offer.sack_permitted)
    c.sender.wl1 = segment.seq
    c.sender.set_window(segment.window)


def _established(c: Connection, window: int, now: float) -> None:
    c.sender.set_window(window)
    c.events |= CONNECTED | WRITABLE
    c.heard(now)


def _in_any_other_state(c: Connection, segment: Segment, now: float) -> None:
    """Section 3.10.7.4; the third step, security and compartment, is obsolete."""
    receiver, flags = c.receiver, segment.flags
    seq = unwrap(segment.seq, receiver.nxt)
    stamps = segment.options.timestamps

    if c.timestamps and not flags & RST and not _in_time(c, stamps, seq, segment.length, now):
        return
    # First, check sequence number.
    if flags & (SYN | FIN) or not segment.length:
        if not _acceptable(c, segment, seq, now):
            return
        if flags & SYN:
            # Only what _acceptable let pass: the SYN that c knows, with the ACK of its own.
            seq += 1
            flags &= ~SYN
    elif seq >= receiver.edge or seq + segment.length <= receiver.nxt:
        if flags & RST or not _closed_window(c, segment, seq, now):
            return
        segment = segment._replace(length=0, data=())
    # Second, check the RST bit.
    if flags & RST:
        _take_reset(c, seq, now)
        return
    # Fourth, check the SYN bit: done with the first.
    # Fifth, check the ACK field.
    if not flags & ACK:
        return
    if stamps is not None and seq <= c.acked and c.timestamps:
        c.ts_recent, c.ts_recent_at = stamps[0], now  # RFC 7323 section 4.3
    if not _take_ack(c, segment, seq, now):
        return
    # Sixth, check the URG bit.
    if flags & URG:
        _take_urgent(c, segment, seq)
    # Seventh, process the segment text. Eighth, check the FIN bit.
    if segment.length or flags & FIN:
        _take_text(c, segment, seq, now)
    if c.settings.keepalive:
        c.heard(now)


# -- first: may this segment be from the present? --


def _in_time(
    c: Connection, stamps: tuple[int, int] | None, seq: int, length: int, now: float
) -> bool:
    """Protection against wrapped sequence numbers: RFC 7323 section 5.3 R1."""
    if stamps is None:
        return False  # section 3.2: once agreed on, timestamps are in every segment
    if stamps[0] - c.ts_recent & MASK < HALF or now - c.ts_recent_at > PAWS_IDLE:
        return True
    _challenge(c, now)
    if length:
        c.receiver.duplicate = (seq, min(seq + length, c.receiver.nxt))
    return False


def _acceptable(c: Connection, segment: Segment, seq: int, now: float) -> bool:
    """The acceptability test for segments that are not just data.

    Wider than the RFC's table in two ways: a segment that begins before the window and ends behind
    it is acceptable, and so is one without data at the window's right edge, where a peer is
    that has filled the window.
    """
    receiver, flags = c.receiver, segment.flags
    if flags & SYN and not flags & RST:
        return _known_syn(c, segment, seq, now)
    space = segment.space
    if not segment.length:
        # A FIN alone needs no room: it is welcome in a closed window.
        acceptable = receiver.nxt <= seq <= receiver.edge
    else:
        acceptable = seq < receiver.edge and seq + space > receiver.nxt
    if acceptable:
        if c.state is State.TIME_WAIT and seq != receiver.nxt and not flags & RST:
            c.ack_due = True  # only old segments are expected there; Linux answers this one too
        return True
    if flags & RST:
        return False
    if c.state is State.TIME_WAIT and flags & FIN:
        c.ack_due = True  # our last ACK was lost
        c.wait(now)
        return False
    return _closed_window(c, segment, seq, now)


def _closed_window(c: Connection, segment: Segment, seq: int, now: float) -> bool:
    """An unacceptable segment: answer, and drop it; True if it is a probe of a closed window.

    Of that the ACK, URG and RST still count (MUST-66), its text does not.
    """
    receiver = c.receiver
    if segment.space and seq == receiver.nxt:
        c.ack_due = True
        # A FIN would need an octet of window too.
        return not segment.flags & FIN
    if segment.length and seq < receiver.nxt:
        receiver.duplicate = (seq, min(seq + segment.length, receiver.nxt))
        c.ack_due = True
    else:
        _challenge(c, now)
    return False


def _known_syn(c: Connection, segment: Segment, seq: int, now: float) -> bool:
    """A SYN in a state other than LISTEN and SYN-SENT: the fourth step.

    True if only its ACK is news: the SYN and ACK of a peer that opened at the same time. Its
    sequence number makes the RFC's own test refuse it, though figure 8 needs it.
    """
    if c.state is State.SYN_RECEIVED:
        if seq == c.receiver.irs:
            if segment.flags & ACK:
                return True
            c.sender.resend_syn()
            return False
        if c.role is Role.PASSIVE and c.receiver.nxt <= seq < c.receiver.edge:
            c.give_up(Event.RST, End.RESET)
            return False
    _challenge(c, now)
    return False


def _challenge(c: Connection, now: float) -> None:
    """An ACK that tells a peer, or an impostor, where we are (RFC 5961), but not without end."""
    second, count = c.challenges
    if second != int(now):
        second, count = int(now), 0
    c.challenges = second, count + 1
    if count < CHALLENGES_PER_SECOND:
        c.ack_due = True


# -- second: reset --


def _take_reset(c: Connection, seq: int, now: float) -> None:
    """RFC 5961 section 3: only the very next sequence number resets at once."""
    if seq != c.receiver.nxt:
        _challenge(c, now)
        return
    state = c.reset_in = c.state
    if state in {State.CLOSING, State.LAST_ACK, State.TIME_WAIT}:
        c.give_up(Event.RST, End.NORMAL)  # both sides had closed
    elif state is State.SYN_RECEIVED:
        c.give_up(Event.RST, End.REFUSED)
    else:
        c.give_up(Event.RST, End.RESET)


# -- fifth: the acknowledgment --


def _echoed(c: Connection, segment: Segment, now: float) -> float | None:
    """The age of the timestamp that the peer echoes, in seconds (RFC 7323 section 4.1)."""
    stamps = segment.options.timestamps
    if not c.timestamps or stamps is None or not stamps[1]:
        return None
    elapsed = int(now * 1000) + c.clock_offset - stamps[1] & MASK
    return elapsed / 1000 if elapsed < HALF else None


def _take_ack(c: Connection, segment: Segment, seq: int, now: float) -> bool:
    """Process the ACK field; False if the segment is to be dropped."""
    sender = c.sender
    ack = unwrap(segment.ack, sender.una)
    if c.state is State.SYN_RECEIVED:
        if not sender.una < ack <= sender.max:
            c.replies.append(Segment(segment.ack, flags=RST))
            return False
        c.step(Event.ACK_OF_SYN)
        _established(c, _window(c, segment), now)
    if ack > sender.max:
        _challenge(c, now)
        return False
    if ack < sender.una:
        # An old ACK; one that is too old is not answered (RFC 5961 section 5, MAY-12).
        if ack < sender.una - sender.max_wnd:
            _challenge(c, now)
            return False
        if segment.options.sack:
            # It was overtaken, but what it says of duplicates nobody says again.
            sender.acknowledge(ack, now, _blocks(segment, ack))
        return True
    window = _window(c, segment)
    sack = segment.options.sack
    if ack > sender.una or sack or not segment.length:
        _advance(c, segment, ack, window, now)
    if window != sender.wnd or sender.wl1 < seq:
        sender.update_window(seq, ack, window)
    if not window:
        sender.progress_at = now  # MUST-37: a peer that answers probes is alive
    return True


def _window(c: Connection, segment: Segment) -> int:
    return segment.window if segment.flags & SYN else segment.window << c.snd_shift


def _advance(c: Connection, segment: Segment, ack: int, window: int, now: float) -> None:
    """Give the ACK to the sender, and look whether it covers our FIN."""
    sender = c.sender
    una = sender.una
    blocks = _blocks(segment, ack) if segment.options.sack else ()
    # RFC 5681 section 2, for a peer without SACK. The answers to window probes are alike too, but
    # they are not a sign of loss.
    duplicate = (
        ack == una
        and sender.nxt > una
        and not segment.length
        and not segment.flags & FIN
        and window == sender.wnd > 0
    )
    echoed = _echoed(c, segment, now) if ack > una else None
    sender.acknowledge(ack, now, blocks, echoed, duplicate=duplicate)
    if segment.flags & ECE and c.ecn and ack > c.cwr_point:
        sender.congested(now)
        c.cwr_point = sender.nxt
        c.cwr_due = True
    if ack > una:
        c.events |= WRITABLE
        if sender.fin_acknowledged and Event.ACK_OF_FIN in TRANSITIONS[c.role][c.state]:
            c.step(Event.ACK_OF_FIN)
            _after_our_fin(c, now)


def _blocks(segment: Segment, ack: int) -> tuple[tuple[int, int], ...]:
    """The SACK blocks of a segment, as positions."""
    return tuple((unwrap(left, ack), unwrap(right, ack)) for left, right in segment.options.sack)


def _after_our_fin(c: Connection, now: float) -> None:
    if c.state is State.TIME_WAIT:
        c.wait(now)
    elif c.state is State.CLOSED:
        c.ended(End.NORMAL)
    else:
        c.wait_if_orphaned(now)


# -- sixth to eighth: urgent data, text, FIN --


def _take_urgent(c: Connection, segment: Segment, seq: int) -> None:
    """RCV.UP moves only forward; the data itself stays in its place in the stream."""
    if not segment.flags & URG or c.state not in CAN_RECEIVE:
        return
    pointer = seq + segment.urgent_pointer
    if c.rcv_up is None or pointer > c.rcv_up:
        c.rcv_up = pointer
        c.events |= URGENT


def _take_text(c: Connection, segment: Segment, seq: int, now: float) -> None:
    """Segment text, and the FIN behind it."""
    if c.state not in CAN_RECEIVE:
        c.ack_due = True  # the peer sends what lies behind its FIN, or its FIN again
        return
    receiver = c.receiver
    end = seq + segment.length
    moved = False
    if segment.length:
        if c.orphaned:
            # SHLD-3: data that nobody will read. As if the connection did not exist any more.
            c.step(Event.ABORT)
            c.ended(End.ABORTED)
            _in_closed(c, segment)
            return
        size = segment.mss or segment.length
        if size > receiver.mss:
            receiver.mss = min(size, c.mss)
        gap = receiver.holds
        moved = receiver.accept(seq, segment.length, segment.data)
        if moved:
            c.events |= READABLE
        if not moved or gap:
            c.ack_due = True  # RFC 5681 section 4.2: out of order, or a gap is being filled
            c.quick_acks = QUICK_ACKS
        if segment.ecn == CE and c.ecn:
            c.ece = True
        if segment.flags & CWR:
            c.ece = segment.ecn == CE
    if segment.flags & FIN:
        c.ack_due = True
        if end <= receiver.edge:
            receiver.fin = end
    if receiver.fin == receiver.nxt:
        receiver.nxt += 1
        receiver.edge = max(receiver.edge, receiver.nxt)
        c.ack_due = True
        c.events |= PEER_CLOSED | READABLE
        c.step(Event.FIN)
        c.delayed_ack_at = NEVER
        if c.state is State.TIME_WAIT:
            c.wait(now)
    elif moved and not c.ack_due:
        _acknowledge_soon(c, now)


def _acknowledge_soon(c: Connection, now: float) -> None:
    """Delay the ACK (SHLD-18), but never for two full segments (SHLD-19)."""
    receiver = c.receiver
    if receiver.nxt - c.acked >= 2 * receiver.mss or not c.settings.delayed_ack:
        c.ack_due = True
    elif c.quick_acks:
        c.quick_acks -= 1
        c.ack_due = True
    elif c.delayed_ack_at == NEVER:
        c.delayed_ack_at = now + c.settings.delayed_ack
