"""Segments for the tests, and a client that keeps the state which the server does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from netlab.stateless.interfaces import Rules
from netlab.stateless.segment import ACK, FIN, PSH, RST, SEQ_MASK, SYN, Segment, cut
from netlab.wire import tcp

if TYPE_CHECKING:
    from netlab.stateless.framing import Framing

SECRET = b"sixteen octets!!"
NOW = 1000.0
CLIENT, SERVER = bytes([192, 168, 1, 2]), bytes([198, 51, 100, 2])
CLIENT_6, SERVER_6 = bytes(15) + b"\x02", bytes(15) + b"\x01"

u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, SEQ_MASK)
address_pairs = st.tuples(st.binary(min_size=4, max_size=4), st.binary(min_size=4, max_size=4)) | (
    st.tuples(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
)
options = st.integers(0, 10).flatmap(
    lambda words: st.binary(min_size=4 * words, max_size=4 * words)
)


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    source, destination = draw(address_pairs)
    return Segment(
        source,
        destination,
        draw(u16),
        draw(u16),
        draw(u32),
        draw(u32),
        draw(st.integers(0, 0xFFF)),
        draw(u16),
        draw(st.binary(max_size=200)),
        draw(options),
    )


def syn(seq: int = 1000, mss: int | None = 1460, **fields: Any) -> Segment:
    segment = Segment(
        CLIENT,
        SERVER,
        40000,
        80,
        seq,
        0,
        SYN,
        64240,
        options=tcp.encode_options(tcp.Options(mss=mss)),
    )
    return segment._replace(**fields)


Respond = Callable[..., list[Segment]]


class Client:
    """An ordinary TCP client against ``respond``, on a wire that may lose single segments.

    It repeats everything that is not acknowledged when ``timer`` is called, in segments of its
    ``mss``, as Linux joins small ones. ``received`` is the answer in order; out-of-order data is
    kept like any TCP does.
    """

    def __init__(
        self,
        respond: Respond,
        rules: Rules,
        answer: Callable[[bytes], bytes | None],
        *,
        isn: int = 1000,
        mss: int = 1460,
        window: int = 64240,
        timestamps: bool = False,
        now: float = NOW,
    ) -> None:
        self._respond = respond
        self._rules = rules
        self._answer = answer
        self.mss, self.window, self.now = mss, window, now
        self.una = self.nxt = isn
        self.unsent = b""
        self.flight = b""
        self.pieces: dict[int, bytes] = {}
        self.received = b""
        self.fin_seen = self.reset = self.fin_sent = self.fin_acked = False
        self.fin_at: int | None = None
        self.lost: Callable[[Segment], bool] = lambda _: False
        self.sent: list[Segment] = []
        self.came: list[Segment] = []
        self.recent = 0
        self.stamped = timestamps
        given = tcp.Options(mss=mss, sack_permitted=True, timestamps=(7, 0) if timestamps else None)
        self.rcv_isn: int | None = None
        self._emit(
            Segment(CLIENT, SERVER, 40000, 80, isn, 0, SYN, window, b"", tcp.encode_options(given))
        )
        assert self.rcv_isn is not None, "no SYN+ACK"
        self.una = self.nxt = isn + 1 & SEQ_MASK

    @property
    def ack(self) -> int:
        assert self.rcv_isn is not None
        return self.rcv_isn + 1 + len(self.received) + self.fin_seen & SEQ_MASK

    def send(self, *writes: bytes) -> None:
        """Each write is a segment of its own, all sent before anything comes back."""
        batch = []
        for data in writes:
            self.flight += data
            batch.append(self._segment(self.nxt, ACK | PSH, data))
            self.nxt = self.nxt + len(data) & SEQ_MASK
        for segment in batch:
            self._emit(segment)

    def timer(self) -> None:
        """The retransmission timer: what is not acknowledged, from the start, in one segment."""
        if self.flight:
            self._emit(self._segment(self.una, ACK | PSH, self.flight[: self.mss]))

    def acknowledge(self) -> None:
        self._emit(self._segment(self.nxt, ACK))

    def close(self) -> None:
        self.fin_sent = True
        self._emit(self._segment(self.nxt, ACK | FIN))

    def _segment(self, seq: int, flags: int, data: bytes = b"") -> Segment:
        stamps = tcp.encode_options(tcp.Options(timestamps=(8, self.recent)))
        return Segment(
            CLIENT,
            SERVER,
            40000,
            80,
            seq,
            self.ack,
            flags,
            self.window,
            data,
            stamps if self.stamped else b"",
        )

    def _emit(self, segment: Segment) -> None:
        self.sent.append(segment)
        replies = self._respond(segment, self.now, SECRET, self._rules, self._answer)
        for piece in (piece for reply in replies for piece in cut(reply)):
            self._take(piece)

    def _take(self, segment: Segment) -> None:
        self.came.append(segment)
        if self.lost(segment):
            return
        stamps = tcp.parse_options(segment.options).timestamps
        if segment.flags & RST:
            self.reset = True
            return
        if segment.flags & SYN:
            self.rcv_isn = segment.seq
            self.stamped = self.stamped and stamps is not None
            if stamps:
                self.recent = stamps[0]
            return
        if stamps:
            assert stamps[0] >= self.recent, "PAWS would drop this"
            self.recent = stamps[0]
        acked = segment.ack - self.una & SEQ_MASK
        if 0 < acked <= len(self.flight) + self.fin_sent:
            self.fin_acked |= self.fin_sent and acked == len(self.flight) + 1
            self.flight = self.flight[acked:]
            self.una = segment.ack
        assert self.rcv_isn is not None
        at = segment.seq - self.rcv_isn - 1 & SEQ_MASK
        if at <= len(self.received) + self.window:  # within the window, or old
            self.pieces[at] = max(self.pieces.get(at, b""), segment.payload, key=len)
            if segment.flags & FIN:
                self.fin_at = at + len(segment.payload)
        for start in sorted(self.pieces):
            if start <= len(self.received):
                self.received += self.pieces[start][len(self.received) - start :]
        self.fin_seen = self.fin_at is not None and len(self.received) >= self.fin_at


def rules(framing: Framing, **fields: Any) -> Rules:
    return Rules(framing)._replace(**fields)


def sizes(replies: Iterable[Segment]) -> list[int]:
    return [len(reply.payload) for reply in replies]


def noting(asked: list[bytes], answer: bytes) -> Callable[[bytes], bytes]:
    """An application that gives ``answer`` and notes what it was asked."""

    def note(request: bytes) -> bytes:
        asked.append(request)
        return answer

    return note
