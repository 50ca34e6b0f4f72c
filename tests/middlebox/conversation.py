"""Two ends that talk TCP through a wire, on its virtual clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.middlebox import Direction, SimulatedLink, opposite
from netlab.tcp.connection import Connection
from netlab.tcp.ip import Envelope, complete, read
from netlab.tcp.settings import DEFAULTS, Settings
from netlab.tcp.state import CAN_SEND, Role, State
from netlab.wire.address import packed

if TYPE_CHECKING:
    from netlab.middlebox import Packet
    from netlab.tcp.events import End

A, B = packed("10.0.0.1"), packed("10.0.0.2")
PORT_A, PORT_B = (40000).to_bytes(2, "big"), (80).to_bytes(2, "big")
LONG = 3600.0
"""Virtual seconds after which a conversation hangs."""


class Talker:
    """One end: it sends its data, closes, and keeps what it gets."""

    def __init__(self, role: Role, key: bytes, data: bytes, settings: Settings) -> None:
        self.connection = Connection(1000 if role is Role.ACTIVE else 5_000_000, settings)
        self.connection.open(role)
        self.got = b""
        self.segments = 0
        self._envelope = Envelope(key)
        self._left = memoryview(data)

    def step(self, now: float, packets: list[Packet]) -> list[bytes]:
        """What it sends because of what came."""
        tcp = self.connection
        for packet in packets:
            found = read(packet.octets, 0, verified=False)
            if found:
                tcp.receive(found[1], now)
        if tcp.next_timer() <= now:
            tcp.handle_timer(now)
        if self._left and tcp.state in CAN_SEND:
            self._left = self._left[tcp.send(self._left) :]
        if tcp.receiver.waiting:
            self.got += b"".join(bytes(piece) for piece in tcp.recv())
        if not self._left and tcp.state in (State.ESTABLISHED, State.CLOSE_WAIT):
            tcp.close(now)
        out = [complete(self._envelope.packet(s)) for s in tcp.to_send(now)]
        self.segments += len(out)
        return out


class Conversation:
    """``client`` connects to ``server`` through ``wire``; both send and close."""

    def __init__(
        self, wire: SimulatedLink, forth: bytes, back: bytes, settings: Settings = DEFAULTS
    ) -> None:
        self.wire = wire
        self.client = Talker(Role.ACTIVE, B + A + PORT_B + PORT_A, forth, settings)
        self.server = Talker(Role.PASSIVE, A + B + PORT_A + PORT_B, back, settings)

    @property
    def is_over(self) -> bool:
        """Both have closed, one of them waits at most."""
        done = (State.CLOSED, State.TIME_WAIT, State.LISTEN)
        return all(end.connection.state in done for end in (self.client, self.server))

    def run(self) -> None:
        """Until both have closed; ``AssertionError`` if that takes too long."""
        ends: dict[Direction, Talker] = {"inbound": self.client, "outbound": self.server}
        wire = self.wire
        arrived = wire.advance(0)
        first = True
        while first or not self.is_over:
            first = False
            for direction, end in ends.items():
                packets = [a.packet for a in arrived if a.direction == direction]
                wire.send(opposite(direction), end.step(wire.now, packets))
            timers = [end.connection.next_timer() for end in ends.values()]
            due = min((t for t in (wire.next_due(), *timers) if t is not None), default=LONG)
            arrived = wire.advance(max(due - wire.now, 0))
            assert wire.now < LONG, "it hangs"

    @property
    def ends(self) -> tuple[End | None, End | None]:
        """How it ended for each."""
        return self.client.connection.end, self.server.connection.end
