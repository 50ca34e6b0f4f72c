"""A transparent proxy: two connections in the place of one, with the addresses of the ends.

::

    client ==== near connection [ proxy ] far connection ==== server
                 as the server                as the client

What comes in by the one goes out by the other, as octets; nothing else of a segment does. Both are
connections of ``netlab.tcp``, with all that belongs to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.middlebox.box import Back, Direction, Drop, Middlebox, opposite
from netlab.middlebox.flow_table import FlowTable, Timers
from netlab.middlebox.packet import Packet
from netlab.tcp.connection import Connection
from netlab.tcp.events import PEER_CLOSED, End
from netlab.tcp.ip import Envelope, complete, read_any
from netlab.tcp.segment import Segment, reset_for
from netlab.tcp.settings import Settings
from netlab.tcp.state import CAN_SEND, Role, State
from netlab.wire import Malformed
from netlab.wire.tcp import ACK, SYN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

    from netlab.middlebox.box import Verdict

OLDEST = 64
"""Connections, the longest silent, among which one is looked for that has not begun."""

IP_AND_TCP = {4: 40, 6: 60}
DEFAULT_MSS = {4: 536, 6: 1220}
ENDED = frozenset({State.CLOSED, State.TIME_WAIT})


class _Side:
    """One of the two connections: with the end that lies in ``direction``."""

    def __init__(
        self, key: bytes, direction: Direction, link: bytes, rng: Random, settings: Settings
    ) -> None:
        self.envelope = Envelope(key)
        self.direction = direction
        self.link = link
        version = self.envelope.version
        self.connection = Connection(
            rng.randrange(1 << 32),
            settings,
            mss=settings.mtu - IP_AND_TCP[version],
            default_mss=DEFAULT_MSS[version],
            clock_offset=rng.randrange(1 << 32),
        )
        self.finished = False
        """Whether this end has closed, and all that it said was read."""

    def packets(self, now: float) -> Iterator[Packet]:
        """What goes out to this end."""
        for segment in self.connection.to_send(now):
            yield self.packet(segment)

    def packet(self, segment: Segment) -> Packet:
        """A segment on its way to this end."""
        return Packet(complete(self.envelope.packet(segment)), self.link)


class _Pair:
    """Two connections, and what passes between them."""

    def __init__(self, near: _Side, far: _Side, syn: Segment, *, at_once: bool) -> None:
        self.near, self.far = near, far
        self._syn: Segment | None = syn
        self._at_once = at_once
        near.connection.open(Role.PASSIVE)
        far.connection.open(Role.ACTIVE)

    @property
    def is_over(self) -> bool:
        """Whether a SYN of the same ports would be another connection."""
        return all(side.connection.state in ENDED for side in (self.near, self.far))

    @property
    def has_begun(self) -> bool:
        """Whether the client has answered the proxy, or the server has."""
        before = (State.LISTEN, State.SYN_RECEIVED, State.CLOSED)
        return self.near.connection.state not in before

    @property
    def next_timer(self) -> float:
        """The earliest time at which one of them has something to do."""
        return min(self.near.connection.next_timer(), self.far.connection.next_timer())

    def receive(self, side: _Side, segment: Segment, now: float) -> None:
        """A segment from one of the ends."""
        if side is self.near and self._syn is not None and segment.flags & (SYN | ACK) == SYN:
            return  # the client asks again, and the server has not answered yet
        side.connection.receive(segment, now)

    def handle_timer(self, now: float) -> None:
        """Act on the timers of both."""
        for side in (self.near, self.far):
            if side.connection.next_timer() <= now:
                side.connection.handle_timer(now)

    def pump(self, now: float) -> Segment | None:
        """Pass octets, ends and resets on; a reset for a client that was not accepted."""
        refused = self._accept(now)
        near = self.near.connection
        if self._syn is None and near.state is State.LISTEN:
            near.abort()  # reset before the handshake was over: a listener would wait for another
        for one, other in ((self.near, self.far), (self.far, self.near)):
            self._pass(one, other, now)
        return refused

    def _accept(self, now: float) -> Segment | None:
        """Take the client's SYN, at once or when the server has taken the proxy's."""
        syn, server = self._syn, self.far.connection
        if syn is None:
            return None
        if self._at_once or server.state is State.ESTABLISHED:
            self.near.connection.receive(syn, now)
        elif server.state is State.CLOSED:
            self.near.connection.abort()
        else:
            return None
        self._syn = None
        return reset_for(syn) if self.near.connection.state is State.CLOSED else None

    def _pass(self, one: _Side, other: _Side, now: float) -> None:
        source, target = one.connection, other.connection
        if source.take_events() & PEER_CLOSED:
            one.finished = True
        if target.state in CAN_SEND:
            while source.receiver.waiting and target.sender.room:
                for piece in source.recv(target.sender.room):
                    target.send(bytes(piece))
            # CLOSE in SYN-SENT would forget what is still to be sent.
            if one.finished and not source.receiver.waiting and target.state is not State.SYN_SENT:
                one.finished = False
                target.close(now)
        if source.end not in {None, End.NORMAL} and target.state is not State.LISTEN:
            target.abort()


class TransparentProxy(Middlebox):
    """Ends the connections of both ends and opens others in their place."""

    def __init__(self, *, at_once: bool, flows: int, idle: float, buffer: int) -> None:
        self._at_once = at_once
        self._settings = Settings(send_buffer=buffer, receive_buffer=buffer)
        self._table: FlowTable[bytes, _Pair] = FlowTable(flows, idle, None, self._is_over)
        self._backwards: dict[bytes, bytes] = {}
        self._timers: Timers[bytes] = Timers()

    @property
    def forgotten(self) -> Mapping[str, int]:
        """Connections that it gave up, and SYNs that it had no room for."""
        return self._table.forgotten

    def _is_over(self, key: bytes, pair: _Pair) -> None:
        self._timers.set(key, None)
        self._backwards.pop(pair.far.envelope.key, None)

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """What goes to either end because of a segment; other protocols pass."""
        try:
            found = read_any(pkt.octets)
        except (Malformed, IndexError):
            found = None
        if found is None:
            yield pkt
            return
        key, segment = found
        name = self._backwards.get(key, key)
        pair = self._table.get(name, now)
        if segment.flags & (SYN | ACK) == SYN and (pair is None or pair.is_over):
            if pair is None and not self._makes_room():
                yield Drop("the proxy has no room for another connection")
                return
            if pair is not None:
                self._close(name, pair)
            name, pair = key, self._open(key, segment, pkt, direction, now)
        elif pair is None:
            yield Drop("it belongs to no connection of the proxy")
            reset = reset_for(segment)
            if reset:
                yield Back(Packet(complete(Envelope(key).packet(reset)), _returned(pkt.link)))
            return
        else:
            side = pair.near if key == pair.near.envelope.key else pair.far
            pair.receive(side, segment, now)
        yield Drop("it ends at the proxy")
        for way, packet in self._out(pair, now):
            yield packet if way == direction else Back(packet)
        self._look(name, pair)

    def _makes_room(self) -> bool:
        """Whether there is room for one more connection; one that has not begun yields to it."""
        if not self._table.is_full():
            return True
        self._table.forgotten["flows"] += 1
        for key, pair in self._table.oldest(OLDEST):
            if not pair.has_begun:
                self._close(key, pair)
                return True
        return False

    def _close(self, key: bytes, pair: _Pair) -> None:
        self._table.pop(key)
        self._is_over(key, pair)

    def _look(self, key: bytes, pair: _Pair) -> None:
        """When it is to be woken, unless it is over."""
        if pair.near.connection.state is pair.far.connection.state is State.CLOSED:
            self._close(key, pair)
        else:
            self._timers.set(key, pair.next_timer)

    def _open(
        self, key: bytes, syn: Segment, pkt: Packet, direction: Direction, now: float
    ) -> _Pair:
        size = len(key) // 2 - 2
        source, target, ports = key[:size], key[size : 2 * size], key[2 * size :]
        back = target + source + ports[2:] + ports[:2]
        rng, settings = self.rng, self._settings
        near = _Side(key, opposite(direction), _returned(pkt.link), rng, settings)
        far = _Side(back, direction, pkt.link, rng, settings)
        pair = _Pair(near, far, syn, at_once=self._at_once)
        self._table.put(key, pair, now)
        self._backwards[back] = key
        return pair

    def _out(self, pair: _Pair, now: float) -> Iterator[tuple[Direction, Packet]]:
        refused = pair.pump(now)
        if refused:
            yield pair.near.direction, pair.near.packet(refused)
        for side in (pair.far, pair.near):
            for packet in side.packets(now):
                yield side.direction, packet

    def deadline(self) -> float | None:
        """The first timer of all connections."""
        return self._timers.first()

    def wake(self, now: float) -> Iterator[tuple[Direction, Verdict]]:
        """Retransmissions, late ACKs, the end of TIME-WAIT."""
        for key in self._timers.due(now):
            pair = self._table.peek(key)
            if pair is None:
                continue
            if pair.next_timer <= now:
                pair.handle_timer(now)
                yield from self._out(pair, now)
            self._look(key, pair)


def _returned(link: bytes) -> bytes:
    """The Ethernet header of an answer."""
    return link[6:12] + link[:6] + link[12:]
