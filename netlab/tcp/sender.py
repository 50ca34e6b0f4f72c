"""The sending half of a connection: SND.UNA, the peer's window, and what goes out next.

    acknowledged |        under way         |  may be sent now  | has to wait
    -------------+--------------------------+-------------------+------------
              SND.UNA                    SND.NXT     SND.UNA + min(SND.WND, cwnd)

Positions are unwrapped sequence numbers; the SYN lies at ISS, the data behind it, the FIN behind
the data. Retransmission needs no queue of its own: whatever part of this space is sent again is cut
from the send buffer anew, so its boundaries need not be those of the first time.

``next`` answers one question, again and again: which range of positions goes out now? It is asked
after anything that may change the answer: an ACK, a timer, a SEND.

What is lost, and how it is repaired, is ``netlab.tcp.recovery``'s to say; here its parts are
joined.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from netlab.tcp.congestion import ALGORITHMS
from netlab.tcp.recovery.episode import Episode
from netlab.tcp.recovery.frto import SEGMENTS, ForwardRto, Verdict
from netlab.tcp.recovery.prr import ProportionalRate
from netlab.tcp.recovery.rack import Rack
from netlab.tcp.recovery.scoreboard import DuplicateAcks, Scoreboard
from netlab.tcp.recovery.spans import Span, duplicate_report
from netlab.tcp.recovery.tail_loss_probe import TailLossProbe
from netlab.tcp.recovery.undo import Undo
from netlab.tcp.rto import RetransmissionTimeout
from netlab.tcp.send_buffer import SendBuffer

if TYPE_CHECKING:
    from netlab.tcp.settings import Settings

NEVER = math.inf
LEAST_AHEAD = 1 << 16
TIMESTAMP_TICK = 0.001
DETECTORS = {"rack": Rack, "rfc6675": Scoreboard}


class Sender:
    """Flow control, congestion control, loss recovery and their timers.

    ``nxt`` is where new data begins, ``max`` the highest position that was ever on the wire: a
    window probe does not move ``nxt``. ``mss`` is the effective send MSS (MUST-16), ``largest`` the
    payload that may go as one segment for someone else to cut. Deadlines are ``NEVER`` when their
    timer does not run.
    """

    __slots__ = (
        "_forced",
        "_nagle_edge",
        "_past",
        "_probe_due",
        "_probes",
        "_retransmitted_at",
        "_sent_at",
        "_settings",
        "_timed_at",
        "_timed_end",
        "buffer",
        "congestion",
        "cork",
        "episode",
        "fin",
        "fresh",
        "iss",
        "largest",
        "max",
        "max_wnd",
        "more",
        "mss",
        "nagle",
        "nxt",
        "persist_at",
        "probe",
        "progress_at",
        "retransmissions",
        "retransmit_at",
        "rto",
        "scoreboard",
        "timeouts",
        "una",
        "wl1",
        "wl2",
        "wnd",
    )

    def __init__(self, iss: int, mss: int, settings: Settings) -> None:
        self._settings = settings
        self.iss = self.una = self.nxt = self.max = iss
        self.wnd = self.max_wnd = self.wl1 = self.wl2 = 0
        self.buffer = SendBuffer(iss + 1)
        self.fin = False
        self.fresh = True  # the last span that ``next`` gave was not a retransmission
        self.nagle, self.cork = settings.nagle, settings.cork
        self.more = False  # the user has said that more follows at once (MSG_MORE)
        self.mss = mss
        self.largest = max(settings.largest_segment, mss)
        self.scoreboard: Scoreboard = DuplicateAcks(iss, mss)
        self.congestion = ALGORITHMS[settings.congestion](mss)
        self.rto = RetransmissionTimeout(settings)
        self.retransmit_at = self.persist_at = NEVER
        self.progress_at = 0.0
        self.timeouts = self.retransmissions = 0
        self._nagle_edge = iss
        self._forced: Span | None = None
        self.episode: Episode | None = None
        self._past: Undo | None = None  # of the last recovery, until a late D-SACK clears it
        self.probe = TailLossProbe()
        self._timed_end: int | None = None
        self._timed_at = self._sent_at = 0.0
        self._retransmitted_at = -NEVER
        self._probes = 0
        self._probe_due = False

    def use(self, *, mss: int, sack: bool) -> None:
        """The handshake has shown what the peer and the path can do."""
        self.set_mss(mss)
        self.congestion = ALGORITHMS[self._settings.congestion](mss)
        if self.timeouts:
            self.congestion.cwnd = mss  # the SYN was lost: RFC 5681 section 3.1
        if sack:
            self.scoreboard = DETECTORS[self._settings.loss_detection](self.una, mss)

    def configure(self, settings: Settings) -> None:
        """Other settings from now on."""
        self._settings = settings
        self.nagle, self.cork = settings.nagle, settings.cork

    def set_mss(self, mss: int) -> None:
        """The effective send MSS changed: the peer's option was read, or the path's MTU is less."""
        self.mss = self.scoreboard.mss = self.congestion.mss = mss
        self.largest = max(self._settings.largest_segment // mss * mss, mss)

    # -- facts --

    @property
    def end(self) -> int:
        """The position after all that the user gave, the FIN included."""
        return self.buffer.end + self.fin

    @property
    def fin_acknowledged(self) -> bool:
        """True once the peer has acknowledged the FIN."""
        return self.fin and self.una > self.buffer.end

    @property
    def capacity(self) -> int:
        """How much the send buffer may hold now: twice what may be under way, and some more.

        A thousand writers that could each put megabytes into a narrow path would fill the memory
        with data that nobody can send for seconds.
        """
        if self._settings.send_buffer_fixed:
            return self._settings.send_buffer
        ahead = 2 * self.congestion.cwnd + max(2 * self.largest, LEAST_AHEAD)
        return min(self._settings.send_buffer, ahead)

    @property
    def room(self) -> int:
        """Octets that the send buffer can still take."""
        return max(self.capacity - len(self.buffer), 0)

    @property
    def in_recovery(self) -> bool:
        """True from the discovery of a loss until all that was under way then has arrived."""
        return self.episode is not None

    # -- what goes out --

    def next(self, now: float) -> Span | None:
        """The next range of positions to put into a segment, ``None`` if all has to wait.

        The range counts as sent.
        """
        if self._forced is not None:
            start, end = self._forced
            self._forced = None
            if end > self.una:
                return self._sent(max(start, self.una), end, now)
        if self._probe_due:
            self._probe_due = False
            self.max = max(self.max, self.nxt + 1)
            return self.nxt, self.nxt + 1
        held_back = self.episode is not None and self.episode.held_back
        if self.scoreboard.has_lost and not held_back:
            lost = self._lost_span(self.scoreboard.next_hole(self.una))
            if lost is not None:
                self.scoreboard.high_rxt = lost[1]
                return self._sent(*lost, now)
        if self.una == self.iss:
            # Data waits for the end of the handshake (RFC 9293 section 3.10.2).
            return self._sent(self.iss, self.iss + 1, now) if self.nxt == self.iss else None
        if self.nxt < self.end:
            found = self._new_span(now)
            if found is not None or self.episode is None:
                return found
        if self.episode is not None and not held_back:
            return self._guess(self.episode, now)
        return None

    def _guess(self, episode: Episode, now: float) -> Span | None:
        """Nothing is surely lost, nothing is new: NextSeg() rules 3 and 4 (RFC 6675 section 4)."""
        board = self.scoreboard
        if (found := self._lost_span(board.speculative(self.una))) is not None:
            board.high_rxt = found[1]
            return self._sent(*found, now)
        if not episode.rescued and board.high_rxt > self.una:
            found = self._lost_span(board.rescue(self.una, self.nxt))
            if found is not None:
                episode.rescued = True
                return self._sent(*found, now)
        return None

    def _lost_span(self, hole: Span | None) -> Span | None:
        """What of a hole may go again now: RFC 6675 section 5 (4.3) and (C)."""
        if hole is None:
            return None
        start, end = hole
        if start == self.iss:
            return start, start + 1
        allowed = self.congestion.cwnd - self.scoreboard.pipe(self.una, self.nxt)
        if allowed < min(self.mss, end - start):
            return None
        # A window that shrank is obeyed (SHLD-16), but the octet that it waits for may always go.
        end = min(end, max(self.una + self.wnd, self.una + 1))
        length = min(end - start, self.largest, max(allowed - allowed % self.mss, self.mss))
        return (start, start + length) if length > 0 else None

    def _new_span(self, now: float) -> Span | None:
        start = self.nxt
        flight = start - self.una
        if not flight and now - self._sent_at > self.rto.value and self._sent_at:
            self.congestion.restart()
        waiting = self.end - start
        window = self.una + self.wnd - start
        allowed = self.congestion.cwnd - self.scoreboard.pipe(self.una, start)
        length = min(waiting, window, self.largest, allowed)
        if length < waiting:
            length = self._worthwhile(length, flight, window, allowed)
        elif length % self.mss and self._nagle_holds(length):
            length -= length % self.mss
        if length > 0:
            return self._sent(start, start + length, now)
        if not flight and self.persist_at == NEVER:
            self.persist_at = now + self.rto.value
            self.progress_at = now
        return None

    def _worthwhile(self, length: int, flight: int, window: int, allowed: int) -> int:
        """How much of ``length`` octets to send, if a window does not let all of them go.

        Whole segments only, or half of the largest window that the peer ever had (silly window
        avoidance, MUST-38, RFC 9293 section 3.8.6.2.1).
        """
        if length >= self.mss:
            if flight and length < self.largest and length < self.congestion.cwnd // 4:
                # More ACKs are due; waiting for them makes one large segment of many small ones.
                return 0
            return length - length % self.mss
        if allowed < min(window, self.mss):
            return 0  # the congestion window opens when what is under way arrives
        return length if length > 0 and length * 2 >= self.max_wnd else 0

    def _nagle_holds(self, length: int) -> bool:
        """True if the last, small part has to wait: corked, or by RFC 9293 section 3.7.4.

        Nagle's algorithm is in Minshall's form, as in Linux: only while another small segment is
        unacknowledged, so that the end of a long message is not held back by its own beginning.
        """
        if (self.cork or self.more) and not self.fin:
            return True
        if not self.nagle or self.fin or self._nagle_edge <= self.una:
            return False
        return not (length < self.mss and length * 2 >= self.max_wnd)

    def _sent(self, start: int, end: int, now: float) -> Span:
        self.fresh = fresh = start >= self.max
        self.scoreboard.sent(start, end, now, again=not fresh)
        if self.episode is not None:
            self.episode.sent(start, end, now, again=not fresh)
        if not fresh:
            self.retransmissions += 1
            self._retransmitted_at = now
            self._timed_end = None  # Karn: an ACK could now be for either of the two
        elif self._timed_end is None:
            self._timed_end, self._timed_at = end, now
        if start == self.nxt:
            if self.una == start:
                self.progress_at = now
            self.nxt = end
            if (end - start) % self.mss:
                self._nagle_edge = end
        self.max = max(self.max, end)
        if self.retransmit_at == NEVER or start == self.una:
            self.retransmit_at = now + self.rto.value
            self.persist_at = NEVER
        if fresh:
            self._schedule_probe(now)
        self._sent_at = now
        return start, end

    # -- what comes back --

    def acknowledge(
        self,
        ack: int,
        now: float,
        blocks: tuple[Span, ...] = (),
        echoed: float | None = None,
        *,
        duplicate: bool = False,
    ) -> None:
        """Take an acceptable ACK: SND.UNA <= ``ack`` <= ``max``, or an old one for its ``blocks``.

        ``duplicate`` if it is one by RFC 5681 section 2; ``echoed`` is the age of the timestamp
        that it echoes, in seconds.
        """
        board, episode = self.scoreboard, self.episode
        reported, ack = ack, max(ack, self.una)
        flight, octets, sacked = self.nxt - self.una, ack - self.una, board.sacked
        if octets:
            self._advance(ack, now, echoed)
            self.more = False
            if episode is None and not board.ranges and not blocks:
                # Nothing is missing: the way of nearly all ACKs.
                if flight * 2 > self.congestion.cwnd:
                    # Only a window that is used may grow (RFC 7661 tells why).
                    self.congestion.acknowledged(octets, now, self.rto.srtt)
                if self.probe.end is not None:
                    self._probe_answered(None, flight, now, empty=False)
                self._schedule_probe(now)
                return
        repeated = duplicate_report(blocks, reported)
        if blocks:
            board.update(blocks, self.una, self.nxt, now)
            if repeated is not None:
                board.duplicate_arrived(self.una, self.nxt)
                self._late_report(repeated)
        elif duplicate:
            board.duplicate(self.una, self.nxt)
        self._probe_answered(repeated, flight, now, empty=duplicate and not blocks)
        if episode is not None and self._false_alarm(episode, octets, repeated, now, echoed):
            episode = None
        if episode is not None and self.una >= episode.point:
            self._end(episode)
            episode = None
        known = board.pipe(self.una, self.nxt)
        board.detect(now, self.rto.srtt, in_recovery=episode is not None)
        if episode is not None:
            delivered = max(octets + board.sacked - sacked, 0)
            safe = octets > 0 and board.pipe(self.una, self.nxt) == known
            self._repair(episode, octets, delivered, now, safe=safe)
        elif board.has_lost:
            self._enter_recovery(flight, octets + board.sacked - sacked, now)
        elif octets and flight * 2 > self.congestion.cwnd:
            self.congestion.acknowledged(octets, now, self.rto.srtt)
        self._schedule_probe(now)

    def _repair(
        self, episode: Episode, octets: int, delivered: int, now: float, *, safe: bool
    ) -> None:
        """An ACK in a recovery that goes on."""
        board, congestion = self.scoreboard, self.congestion
        if octets and board.partial(self.una, self.nxt):
            self._forced = (self.una, min(self.una + self.mss, self.nxt))
        if episode.rate is None:
            if octets:
                congestion.acknowledged(octets, now, self.rto.srtt)
        elif delivered:
            pipe = board.pipe(self.una, self.nxt)
            congestion.cwnd = episode.rate.window(delivered, pipe, self.mss, safe=safe)

    def _late_report(self, repeated: Span) -> None:
        """A D-SACK may show that the recovery before was needless, even while the next goes on."""
        past = self._past
        if past is None or not past.duplicate(repeated):
            return
        self._past = None
        if self.episode is None:
            self.congestion.undo(past.cwnd, past.ssthresh)
        elif self.episode.undo is not None:
            self.episode.undo.inherit(past)

    def _end(self, episode: Episode) -> None:
        """All that was under way when the loss was found has arrived."""
        if episode.rate is not None:
            self.congestion.cwnd = max(episode.rate.ssthresh, self.mss)
        self._past = episode.undo
        self.episode = None
        self.scoreboard.recovered()

    def _false_alarm(
        self,
        episode: Episode,
        octets: int,
        repeated: Span | None,
        now: float,
        echoed: float | None,
    ) -> bool:
        """True if nothing was lost; the window is then what it was, and the recovery over."""
        undo = episode.undo
        if undo is None:
            return False
        found = octets > 0 and echoed is not None and undo.echoed(now - echoed)
        if repeated is not None:
            found = undo.duplicate(repeated) or found
        if not found and episode.frto is not None:
            if octets and echoed is not None:
                episode.frto = None  # the timestamp has said it
            else:
                found = self._forward(episode, episode.frto, octets)
        if found:
            self.congestion.undo(undo.cwnd, undo.ssthresh)
            self.scoreboard.unmark()
            self.episode = None
        return found

    def _forward(self, episode: Episode, frto: ForwardRto, octets: int) -> bool:
        verdict = frto.acknowledged(self.una, moved=octets > 0, sacked=self.scoreboard.ranges)
        if verdict is Verdict.NEW_DATA and self.nxt < self.end:
            flight = self.scoreboard.pipe(self.una, self.nxt)
            self.congestion.cwnd = max(self.congestion.cwnd, flight + SEGMENTS * self.mss)
            return False
        if verdict is not Verdict.OPEN:
            episode.frto = None
        return verdict is Verdict.SPURIOUS

    def _schedule_probe(self, now: float) -> None:
        """After a transmission or an ACK: when will it be time to ask? (RFC 8985 section 7.2)."""
        board = self.scoreboard
        if self.episode is not None or board.sacked or not board.probes or self.nxt <= self.una:
            self.probe.at = NEVER
            return
        self.probe.schedule(
            now,
            flight=self.nxt - self.una,
            mss=self.mss,
            srtt=self.rto.srtt,
            rto=self.retransmit_at,
        )

    def _probe_answered(
        self, repeated: Span | None, flight: int, now: float, *, empty: bool
    ) -> None:
        if self.probe.acknowledged(self.una, repeated, empty=empty) and self.episode is None:
            self.congestion.lost(flight, now)

    def _advance(self, ack: int, now: float, echoed: float | None) -> None:
        octets = ack - self.una
        self.una = ack
        self.nxt = max(self.nxt, ack)
        if ack > self.buffer.start:
            self.buffer.release(min(ack, self.buffer.end))
        rtt = self._round_trip(ack, now, echoed)
        if rtt is not None:
            self.rto.sample(rtt)
            self.congestion.sample(rtt, ack, self.nxt)
        elif self.timeouts and ack == self.iss + 1:
            self.rto.after_syn_loss()
        elif echoed is not None:
            self.rto.forward_progress()
        self.scoreboard.advance(ack, octets, now)
        self.timeouts = 0
        self.progress_at = now
        # RFC 6298 sections 5.2 and 5.3.
        self.retransmit_at = now + self.rto.value if ack < self.nxt else NEVER

    def _round_trip(self, ack: int, now: float, echoed: float | None) -> float | None:
        """The round-trip time that an advancing ACK shows; ``None`` if it is ambiguous.

        An echoed timestamp says which transmission the ACK answers (RFC 7323 section 4.1), with
        one exception. If an ACK is lost, the retransmission is a duplicate, and the peer answers it
        with the timestamp of the first transmission (section 4.3): the time since then includes the
        wait for the retransmission timer. An echo older than the last retransmission is therefore
        no sample, just as Karn's algorithm has it.
        """
        timed = None
        if self._timed_end is not None and ack >= self._timed_end:
            timed = now - self._timed_at
            self._timed_end = None
        if self.timeouts and ack == self.iss + 1:
            return None  # the SYN+ACK may be a retransmission that echoes our last SYN
        if echoed is None:
            return timed
        if echoed > now - self._retransmitted_at + TIMESTAMP_TICK:
            return None
        # The timestamp clock ticks once in a millisecond; our own clock is finer.
        return timed if timed is not None and abs(timed - echoed) <= TIMESTAMP_TICK else echoed

    def _enter_recovery(self, flight: int, delivered: int, now: float) -> None:
        """A loss was found: fast retransmit and fast recovery."""
        board, congestion = self.scoreboard, self.congestion
        undo = Undo(congestion.cwnd, congestion.ssthresh)
        congestion.lost(flight, now)
        rate = ProportionalRate(flight, congestion.ssthresh)
        self.episode = Episode(self.nxt, rate=rate, undo=undo)
        board.high_rxt = self.una
        pipe = board.pipe(self.una, self.nxt)
        congestion.cwnd = rate.window(max(delivered, 0), pipe, self.mss, safe=False)

    def update_window(self, seq: int, ack: int, window: int) -> None:
        """SND.WND from a segment that is not older than the one that set it (section 3.10.7.4)."""
        if self.wl1 < seq or (self.wl1 == seq and self.wl2 <= ack):
            self.wl1, self.wl2 = seq, ack
            self.set_window(window)

    def set_window(self, window: int) -> None:
        """SND.WND is ``window`` octets."""
        if window > 0:
            self.persist_at = NEVER
            self._probes = 0
        self.wnd = window
        self.max_wnd = max(self.max_wnd, window)

    def congested(self, now: float) -> None:
        """ECN: the network asks for less (RFC 3168 section 6.1.2); nothing was lost."""
        self.congestion.lost(self.nxt - self.una, now)

    # -- timers --

    def on_retransmit_timer(self, now: float) -> None:
        """RFC 6298 sections 5.4 to 5.7: the earliest octet goes again, the timer doubles."""
        self.retransmit_at = NEVER
        self.rto.back_off()
        self.timeouts += 1
        self._timed_end = None
        if self.wnd == 0 and self.iss < self.una < self.buffer.end:
            # The window was closed over what is under way: this is a window probe (MUST-35).
            self._forced = (self.una, self.una + 1)
            return
        self._forced = None
        congestion, before = self.congestion, self.episode
        undo = Undo(congestion.cwnd, congestion.ssthresh)
        if before is None:
            congestion.timed_out(self.nxt - self.una, now)
        else:
            congestion.cwnd = self.mss  # one loss, one reduction: ssthresh knows of it already
            undo = before.undo or undo
        self.scoreboard.timed_out(self.una, self.nxt, now, self.rto.srtt)
        self.probe.at, self.probe.end = NEVER, None
        frto = None
        hole = self.scoreboard.next_hole(self.una)
        if hole is not None:
            self._forced = head = self.una, min(hole[1], self.una + self.mss)
            self.scoreboard.high_rxt = head[1]
            if self.timeouts == 1 and before is None and self.una > self.iss:
                frto = ForwardRto(head[1], self.nxt)
        self.episode = Episode(self.nxt, undo=undo, frto=frto)

    def on_detect_timer(self, now: float) -> None:
        """The reordering timer or the probe timeout: RFC 8985 sections 6.2 and 7.3."""
        board = self.scoreboard
        if board.due <= now:
            flight = self.nxt - self.una
            board.detect(now, self.rto.srtt, in_recovery=self.episode is not None)
            if self.episode is None and board.has_lost:
                self._enter_recovery(flight, 0, now)
        if self.probe.at <= now:
            end = min(self.nxt + self.mss, self.end, self.una + self.wnd)
            if end > self.nxt:
                self._forced = (self.nxt, end)
            else:
                self._forced = (max(self.nxt - self.mss, self.una), self.nxt)
            self.probe.sent(self._forced[1], again=end <= self.nxt)
            self.retransmit_at = now + self.rto.value
            self._timed_end = None

    def on_persist_timer(self, now: float) -> None:
        """Send an octet into a closed window (MUST-36), or as much as a silly one takes.

        The interval doubles (SHLD-30). The probe is not "under way": the peer is not obliged to
        take it, and what it answers is what counts.
        """
        self._probes += 1
        interval = self.rto.value * (1 << min(self._probes, 16))
        self.persist_at = now + min(interval, self._settings.maximum_rto)
        length = min(self.end - self.nxt, self.wnd, self.mss)
        if length > 0:
            self._forced = (self.nxt, self.nxt + length)
        elif self.end > self.nxt:
            self._probe_due = True

    def stop(self) -> None:
        """No timer runs any more."""
        self.retransmit_at = self.persist_at = self.probe.at = self.scoreboard.due = NEVER

    def resend_syn(self) -> None:
        """The peer repeats its SYN: it has not seen the answer."""
        self._forced = (self.iss, self.iss + 1)

    def resend_all(self, now: float) -> None:
        """What is under way was too large for the path: it goes again, and nobody is to blame."""
        if self.nxt > self.una > self.iss:
            self.scoreboard.lose_all(self.una, self.nxt, forget=False)
            self.episode = Episode(self.nxt)
            self._timed_end = None
            self.retransmit_at = now + self.rto.value
