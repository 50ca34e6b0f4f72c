"""One TCP connection, without a socket, a clock, a thread or a random source.

Segments and the time go in; segments, events and the next deadline come out:

    connection.receive(segment, now)       a segment arrived
    connection.to_send(now)                segments that are to go out now
    connection.next_timer()                when to call handle_timer, at the latest
    connection.handle_timer(now)
    connection.take_events()               what the user should know

and the user's calls are those of RFC 9293 section 3.9.1: ``open``, ``send``, ``recv`` (RECEIVE),
``close``, ``abort``. After any of these, call ``to_send``. ``now`` is in seconds on any clock that
does not run backwards.

What happens to a segment that arrives is in ``netlab.tcp.segment_arrives``, how one is made in
``netlab.tcp.output``; the states are those of the table in ``netlab.tcp.state``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.tcp import output, segment_arrives
from netlab.tcp.events import CLOSED, TROUBLE, End, UserError
from netlab.tcp.receiver import Receiver
from netlab.tcp.sender import NEVER, Sender
from netlab.tcp.seq import wrap
from netlab.tcp.settings import DEFAULTS, Settings
from netlab.tcp.state import CAN_RECEIVE, CAN_SEND, SYNCHRONISED, TRANSITIONS, Event, Role, State
from netlab.wire.tcp import ACK, RST

if TYPE_CHECKING:
    from netlab.tcp.segment import Segment
    from netlab.wire import Buffer

TIMESTAMPS_LENGTH = 12


class Connection:
    """A transmission control block, the user's calls and the timers.

    ``iss`` is the initial send sequence number, ``mss`` what the path can carry (its MTU less 40 or
    60 octets), ``default_mss`` what to assume of a peer that does not say (536 or 1220, MUST-15),
    ``clock_offset`` what hides our uptime in the timestamps (RFC 7323 section 5.4).
    """

    __slots__ = (
        "ack_due",
        "acked",
        "challenges",
        "clock_offset",
        "cwr_due",
        "cwr_point",
        "default_mss",
        "delayed_ack_at",
        "ece",
        "ecn",
        "end",
        "events",
        "iss",
        "keepalive_at",
        "keepalive_probe",
        "keepalive_probes",
        "mss",
        "orphaned",
        "peer_mss",
        "quick_acks",
        "rcv_up",
        "receiver",
        "replies",
        "reset_in",
        "role",
        "scaling",
        "sender",
        "settings",
        "snd_shift",
        "snd_up",
        "state",
        "timestamps",
        "trouble",
        "ts_recent",
        "ts_recent_at",
        "user_timeout",
        "wait_at",
    )

    def __init__(
        self,
        iss: int,
        settings: Settings = DEFAULTS,
        *,
        mss: int = 1460,
        default_mss: int = 536,
        clock_offset: int = 0,
    ) -> None:
        self.settings = settings
        self.state = State.CLOSED
        self.role = Role.ACTIVE
        self.end: End | None = None
        self.reset_in: State | None = None  # the state in which the peer's RST came
        self.iss = iss
        self.mss = mss
        self.default_mss = default_mss
        self.clock_offset = clock_offset
        self.user_timeout = settings.user_timeout
        self.reset()

    def reset(self) -> None:
        """Know no peer, as in LISTEN and CLOSED."""
        settings = self.settings
        self.sender = Sender(self.iss, self.default_mss, settings)
        self.receiver = Receiver(
            settings.receive_buffer, self.default_mss, scaling=settings.window_scaling
        )
        self.replies: list[Segment] = []  # segments that do not take sequence space
        self.events = 0
        self.trouble = ""
        self.peer_mss: int | None = None

        self.scaling = settings.window_scaling
        self.snd_shift = 0
        self.timestamps = settings.timestamps
        self.ts_recent = 0  # TS.Recent and when it was set (RFC 7323 section 4.3)
        self.ts_recent_at = 0.0

        self.acked = 0  # Last.ACK.sent, as a position
        self.ack_due = False
        self.delayed_ack_at = NEVER
        self.quick_acks = 0  # ACKs that are not to be delayed
        self.challenges: tuple[int, int] = (0, 0)  # the second, and how many ACKs it has seen

        self.wait_at = NEVER  # the end of TIME-WAIT, or of a deserted FIN-WAIT-2
        self.orphaned = False
        self.keepalive_at = NEVER
        self.keepalive_probe = False
        self.keepalive_probes = 0

        self.ecn = False
        self.ece = self.cwr_due = False
        self.cwr_point = self.iss
        self.snd_up: int | None = None  # SND.UP and RCV.UP, the ends of urgent data
        self.rcv_up: int | None = None

    # -- what comes in, what goes out --

    def receive(self, segment: Segment, now: float) -> None:
        """A segment of this connection arrived, and its checksum was right."""
        segment_arrives.segment_arrives(self, segment, now)

    def to_send(self, now: float) -> list[Segment]:
        """The segments that are to go out now, in order."""
        return output.segments(self, now)

    def take_events(self) -> int:
        """What happened since the last call, as bits."""
        events, self.events = self.events, 0
        return events

    # -- the user's calls (RFC 9293 section 3.9.1) --

    def open(self, role: Role) -> None:
        """OPEN: wait for a SYN, or send one. A connection that listens may still become active.

        Raises:
            UserError: the connection exists already.
        """
        event = Event.ACTIVE_OPEN if role is Role.ACTIVE else Event.PASSIVE_OPEN
        if event not in TRANSITIONS[role][self.state]:
            raise UserError("connection already exists")
        self.role = role
        self.step(event)

    def send(self, data: Buffer, *, urgent: bool = False) -> int:
        """SEND: take as many octets of ``data`` as the buffer has room for; returns their number.

        The data is kept, not copied, if it cannot change (``bytes``, or a view of them).

        Raises:
            UserError: the connection is closing or gone.
        """
        if self.state not in CAN_SEND:
            raise self._refusal()
        view = memoryview(data)[: self.sender.room]
        taken = len(view)
        if taken:
            self.sender.buffer.append(view if view.readonly else bytes(view))
            if urgent:
                self.snd_up = self.sender.buffer.end
        return taken

    def recv(self, limit: int = 1 << 62) -> list[Buffer]:
        """RECEIVE: the octets that have come, as pieces; none if there are none.

        When the peer has closed, none means the end of the stream. ``UserError`` if there are none
        because the connection ended in another way.

        Raises:
            UserError: the connection is gone.
        """
        pieces = self.receiver.read(limit)
        if not pieces:
            if self.end not in {None, End.NORMAL} or self.state is State.LISTEN:
                raise self._refusal()
        elif self.receiver.update_due and self.state in CAN_RECEIVE:
            self.ack_due = True
        return pieces

    def close(self, now: float) -> None:
        """CLOSE: no more will be sent; what ``send`` has taken will be, and then the FIN.

        The other direction stays open: ``recv`` goes on until the peer closes too.

        Raises:
            UserError: the connection is closing or gone.
        """
        if Event.CLOSE not in TRANSITIONS[self.role][self.state]:
            raise self._refusal()
        self.step(Event.CLOSE)
        if self.state is State.CLOSED:
            self.ended(End.NORMAL)
        else:
            self.sender.fin = True
            self.wait_if_orphaned(now)

    def desert(self, now: float) -> None:
        """Nobody will ``recv`` any more: if data is unread, or comes later, the peer gets an RST.

        With this, CLOSE also says "I will not listen" (SHLD-3), and a connection whose peer never
        closes does not stay for ever.
        """
        self.orphaned = True
        if self.receiver.waiting:
            self.abort()
        else:
            self.wait_if_orphaned(now)

    def abort(self) -> None:
        """ABORT: forget everything; a peer that knows of us gets an RST."""
        if self.state is State.CLOSED:
            return
        knows = self.state in SYNCHRONISED or self.state is State.SYN_RECEIVED
        if knows and self.state is not State.TIME_WAIT:
            self.replies.append(output.control(self, RST | ACK, wrap(self.sender.nxt)))
        self.step(Event.ABORT)
        self.ended(End.ABORTED)

    def configure(self, settings: Settings, now: float) -> None:
        """Other settings from now on, as far as they can still change: not what a SYN has said."""
        self.settings = settings
        self.user_timeout = settings.user_timeout
        self.sender.configure(settings)
        self.keepalive_at = NEVER
        if self.state in SYNCHRONISED:
            self.heard(now)

    @property
    def urgent_octets(self) -> int:
        """Octets that are still to be read before the urgent data ends (MUST-33)."""
        if self.rcv_up is None:
            return 0
        return max(self.rcv_up - (self.receiver.nxt - self.receiver.waiting), 0)

    def _refusal(self) -> UserError:
        if self.end is not None and self.end is not End.NORMAL:
            return UserError(self.end.value)
        if self.state in {State.CLOSED, State.LISTEN}:
            return UserError("connection does not exist")
        return UserError("connection closing")

    # -- what the path tells --

    def set_path_mss(self, mss: int, now: float) -> None:
        """The path carries less than was thought (RFC 1191): smaller segments from now on.

        What is under way did not arrive, so it goes again at once.
        """
        self.mss = mss
        effective = self.effective_mss()
        if effective < self.sender.mss:
            self.sender.set_mss(effective)
        self.sender.resend_all(now)

    def effective_mss(self) -> int:
        """Eff.snd.MSS (MUST-16): what the peer and the path can take, less the usual options."""
        mss = min(self.peer_mss or self.default_mss, self.mss)
        return max(mss - (TIMESTAMPS_LENGTH if self.timestamps else 0), 1)

    def soft_error(self, text: str) -> None:
        """Something that may pass (MUST-56): the user is informed and nothing else happens."""
        self.trouble = text
        self.events |= TROUBLE

    def hard_error(self, text: str, *, refused: bool = False) -> None:
        """An ICMP error after which it is of no use to go on (SHLD-26).

        ``refused`` if it says that nobody listens there; to an active OPEN that is what an RST is.
        """
        if Event.TIMEOUT in TRANSITIONS[self.role][self.state]:
            self.trouble = text
            refused = refused and self.state is State.SYN_SENT
            self.give_up(Event.TIMEOUT, End.REFUSED if refused else End.UNREACHABLE)

    # -- timers --

    def next_timer(self) -> float:
        """The earliest time at which ``handle_timer`` has something to do; ``inf`` if never."""
        sender = self.sender
        return min(
            sender.retransmit_at,
            sender.scoreboard.due,
            sender.probe.at,
            sender.persist_at,
            self.delayed_ack_at,
            self.wait_at,
            self.keepalive_at,
        )

    def handle_timer(self, now: float) -> None:
        """Act on every timer whose time has come."""
        sender = self.sender
        if self.delayed_ack_at <= now:
            self.delayed_ack_at = NEVER
            self.ack_due = True
        if sender.scoreboard.due <= now or sender.probe.at <= now:
            sender.on_detect_timer(now)
        if sender.retransmit_at <= now:
            if now - sender.progress_at >= self._give_up_after():
                self.give_up(Event.TIMEOUT, End.TIMED_OUT)
                return
            sender.on_retransmit_timer(now)
            if sender.timeouts == self.settings.r1:
                self.soft_error(f"no answer to {sender.timeouts} retransmissions")
            if self.settings.black_hole_detection and sender.timeouts == 2:
                self._suspect_black_hole(now)
        if sender.persist_at <= now:
            if now - sender.progress_at >= self._give_up_after():
                self.give_up(Event.TIMEOUT, End.TIMED_OUT)
                return
            sender.on_persist_timer(now)
        if self.wait_at <= now:
            self.wait_at = NEVER
            self.step(Event.EXPIRY if self.state is State.TIME_WAIT else Event.TIMEOUT)
            self.ended(End.NORMAL)
        if self.keepalive_at <= now:
            self._keepalive(now)

    def _give_up_after(self) -> float:
        """R2 (MUST-20, MUST-23)."""
        if self.sender.una == self.iss:
            return max(self.user_timeout, self.settings.syn_timeout)
        return self.user_timeout

    def _suspect_black_hole(self, now: float) -> None:
        """Large segments vanish and nobody says why: try with those that every path carries."""
        base = 1220 if self.default_mss == 1220 else 536
        if self.sender.mss > base:
            self.set_path_mss(base, now)

    def _keepalive(self, now: float) -> None:
        """RFC 9293 section 3.8.4; one probe without an answer proves nothing (MUST-29)."""
        settings = self.settings
        if self.sender.nxt > self.sender.una:
            self.keepalive_at = now + settings.keepalive_idle  # MUST-26: data is the better probe
        elif self.keepalive_probes >= settings.keepalive_count:
            self.give_up(Event.TIMEOUT, End.TIMED_OUT)
        else:
            self.keepalive_probes += 1
            self.keepalive_probe = True
            self.keepalive_at = now + settings.keepalive_interval

    def heard(self, now: float) -> None:
        """The peer is there: the keep-alive timer starts again."""
        self.keepalive_probes = 0
        if self.settings.keepalive and self.state not in {State.TIME_WAIT, State.CLOSED}:
            self.keepalive_at = now + self.settings.keepalive_idle

    # -- state, for the procedures of this package --

    def step(self, event: Event) -> None:
        """Follow the table; an event that it does not have in this state is a bug."""
        self.state = TRANSITIONS[self.role][self.state][event]

    def ended(self, end: End) -> None:
        """No timer runs any more, nothing more will be sent but ``replies``."""
        self.end = end
        self.events |= CLOSED
        self.delayed_ack_at = self.wait_at = self.keepalive_at = NEVER
        self.sender.stop()
        self.ack_due = self.keepalive_probe = False

    def give_up(self, event: Event, end: End) -> None:
        """An RST, or silence for too long: CLOSED, or LISTEN again (MUST-11)."""
        self.step(event)
        if self.state is State.LISTEN:
            self.reset()
        else:
            self.ended(end)

    def wait(self, now: float) -> None:
        """Begin, or begin again, the 2 MSL of TIME-WAIT (MUST-13)."""
        self.wait_at = now + 2 * self.settings.msl
        self.keepalive_at = NEVER

    def wait_if_orphaned(self, now: float) -> None:
        """A FIN-WAIT-2 that nobody listens to ends some day, though the RFC has no timer for it."""
        if self.orphaned and self.state is State.FIN_WAIT_2:
            self.wait_at = now + 2 * self.settings.msl
