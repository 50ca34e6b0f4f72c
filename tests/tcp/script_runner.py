"""Running a script: what is the same for our core on a virtual clock and for Linux in a lab."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from netlab.tcp.events import End, UserError
from netlab.tcp.ip import Envelope, complete, read
from netlab.tcp.segment import Segment
from netlab.tcp.seq import wrap
from netlab.tcp.settings import Settings
from netlab.tcp.stack import Stack
from netlab.tcp.state import CAN_SEND, State
from netlab.wire.tcp import ACK, SYN, Options
from tests.tcp.script import Call, Step, Written

if TYPE_CHECKING:
    from netlab.tcp.ip import Packet
    from netlab.tcp.stack import Listener, Socket

PORT = 8080
PEER_ISS = 0x7FFF_FF00  # so that sequence numbers pass 2**31 in every script


class Runner(abc.ABC):
    """Keeps both initial sequence numbers, builds and compares segments."""

    ours: bytes
    peer: bytes
    passed_over = 0  # flags that are not compared

    def __init__(self, peer_port: int = 40_000) -> None:
        self.peer_port = peer_port
        self.iss: int | None = None
        self.local_port = PORT

    def run(self, steps: list[Step]) -> None:
        """All steps in order; then nothing more may be sent."""
        for step in steps:
            self.wait_until(step.at)
            if isinstance(step.what, Call):
                outcome = self.call(step.what)
                assert outcome == (step.what.result, step.what.error), f"{step.line}: {outcome}"
            elif step.what.incoming:
                self.inject(complete(self._packet(step.what)))
            else:
                self._compare(step, self.expect(step))
        extra = self.leftover()
        assert not extra, f"after the end: {extra}"

    @abc.abstractmethod
    def wait_until(self, at: float) -> None:
        """Let time pass."""

    @abc.abstractmethod
    def inject(self, packet: bytes) -> None:
        """Give a packet to the stack under test."""

    @abc.abstractmethod
    def expect(self, step: Step) -> Segment:
        """The next segment that it sends."""

    @abc.abstractmethod
    def leftover(self) -> list[Segment]:
        """Segments that nobody expected."""

    @abc.abstractmethod
    def call(self, call: Call) -> tuple[int, str]:
        """Do a system call: its result and the name of its error."""

    def _packet(self, written: Written) -> Packet:
        iss = self.iss or 0
        options = written.options or Options()
        if options.sack:
            options = options._replace(
                sack=tuple((wrap(iss + a), wrap(iss + b)) for a, b in options.sack)
            )
        segment = Segment(
            wrap(PEER_ISS + written.seq),
            0 if written.ack is None else wrap(iss + written.ack),
            written.flags,
            written.window or 0,
            written.length,
            (bytes(written.length),) if written.length else (),
            options,
        )
        key = self.ours + self.peer
        key += self.local_port.to_bytes(2, "big") + self.peer_port.to_bytes(2, "big")
        return Envelope(key).packet(segment)

    def _compare(self, step: Step, segment: Segment) -> None:
        written = step.what
        assert isinstance(written, Written)
        if segment.flags & SYN and self.iss is None:
            self.iss = segment.seq
        iss = self.iss or 0
        found = Written(
            False,
            segment.flags & ~self.passed_over,
            wrap(segment.seq - iss),
            segment.length,
            wrap(segment.ack - PEER_ISS) if segment.flags & ACK else None,
            None if written.window is None else segment.window,
            None,
        )
        wanted = written._replace(flags=written.flags & ~self.passed_over, options=None)
        assert found == wanted, f"{step.line}: it sent {found}"
        if written.options is not None:
            sack = tuple((wrap(a - PEER_ISS), wrap(b - PEER_ISS)) for a, b in segment.options.sack)
            got = segment.options._replace(sack=sack, timestamps=None)
            assert got == written.options, f"{step.line}: its options were {got}"


class OnTheCore(Runner):
    """Our stack, with sockets that are a thin skin over it, on a virtual clock."""

    ours, peer = b"\x0a\x01\x00\x02", b"\x0a\x01\x00\x64"
    tolerance = 0.002

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        settings = Settings(timestamps=False, congestion="reno")
        self.stack = Stack((self.ours,), bytes(16), settings)
        self.sent: list[tuple[float, Segment]] = []
        self.listeners: dict[int, Listener] = {}
        self.places: dict[int, Socket] = {}

    def _flush(self) -> None:
        for packet in self.stack.to_send(self.now):
            found = read(complete(packet), 0, verified=False)
            assert found is not None
            self.sent.append((self.now, found[1]))
            if found[1].flags & SYN and not found[1].flags & ACK:
                self.local_port = int.from_bytes(found[0][-4:-2], "big")

    def wait_until(self, at: float) -> None:
        """Let timers act on the way."""
        while (timer := self.stack.next_timer()) <= at:
            self.now = max(self.now, timer)
            self.stack.handle_timer(self.now)
            self._flush()
        self.now = max(self.now, at)

    def inject(self, packet: bytes) -> None:
        """It arrives now."""
        self.stack.receive(packet, self.now)
        self._flush()

    def expect(self, step: Step) -> Segment:
        """It must have been sent at this time, give or take a little."""
        if not self.sent:
            self.wait_until(step.at + self.tolerance)
        assert self.sent, f"{step.line}: it sent nothing"
        at, segment = self.sent.pop(0)
        assert abs(at - step.at) <= self.tolerance, f"{step.line}: it sent {segment} at {at:.3f}"
        return segment

    def leftover(self) -> list[Segment]:
        """What is in the queue."""
        return [segment for _, segment in self.sent]

    def call(self, call: Call) -> tuple[int, str]:
        """The calls of a socket on the calls of RFC 9293."""
        fd = int(call.arguments[0]) if call.arguments else 0
        number = int(call.arguments[1]) if len(call.arguments) > 1 else 0
        result: tuple[int, str] = (0, "")
        match call.name:
            case "listen":
                self.listeners[fd] = self.stack.listen(PORT, backlog=8)
            case "accept":
                place = self.listeners[fd].accept()
                if place is None:
                    return -1, "EAGAIN"
                self.places[fd + 1] = place
                result = fd + 1, ""
            case "connect":
                self.places[fd] = self.stack.connect(
                    self.peer, self.peer_port, self.now, settings=self.stack.settings
                )
                result = -1, "EINPROGRESS"
            case "nodelay":
                self.places[fd].connection.sender.nagle = False
            case _:
                result = self._on_connection(call.name, self.places[fd], number)
        if fd in self.places:
            self.stack.mark_dirty(self.places[fd])
        self._flush()
        return result

    def _on_connection(self, name: str, place: Socket, number: int) -> tuple[int, str]:
        core = place.connection
        try:
            match name:
                case "write":
                    return core.send(bytes(number)), ""
                case "read":
                    pieces = core.recv(number)
                    if pieces:
                        return sum(map(len, pieces)), ""
                    fin = core.receiver.fin
                    over = core.end is not None or (fin is not None and core.receiver.nxt > fin)
                    return (0, "") if over else (-1, "EAGAIN")
                case "shutdown":
                    core.close(self.now)
                case "close":
                    if core.state in CAN_SEND:
                        core.close(self.now)
                    core.desert(self.now)
                case _:
                    raise AssertionError(f"no such call: {name}")
        except UserError:
            errors = {
                End.RESET: "ECONNRESET",
                End.REFUSED: "ECONNREFUSED",
                End.TIMED_OUT: "ETIMEDOUT",
            }
            closing = core.end is None or core.state is not State.CLOSED
            return -1, "EPIPE" if closing or core.end is None else errors.get(core.end, "EPIPE")
        return 0, ""
