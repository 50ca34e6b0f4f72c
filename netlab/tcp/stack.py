"""Many connections behind one or more addresses: packets in, packets out, still without I/O.

    stack.receive(packet, now)      a packet arrived
    stack.to_send(now)              packets that are to go out now
    stack.next_timer()              when to call handle_timer, at the latest
    stack.handle_timer(now)
    stack.take_changed()            places whose connection has events, or has just been made

A ``Socket`` holds one connection; it is found by the octets in which a packet names its socket
pair. Whoever calls a method of a connection must call ``mark_dirty`` afterwards.
"""

from __future__ import annotations

import struct
from collections import Counter, deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from netlab.tcp import errors, isn
from netlab.tcp.connection import Connection
from netlab.tcp.events import CONNECTED, UserError
from netlab.tcp.fragments import Fragments, cut
from netlab.tcp.ip import Envelope, Packet, read, read_any
from netlab.tcp.segment import Segment, reset_for
from netlab.tcp.sender import NEVER
from netlab.tcp.seq import HALF, MASK, unwrap, wrap
from netlab.tcp.settings import DEFAULTS, Settings
from netlab.tcp.state import Role, State
from netlab.wire import Malformed
from netlab.wire.address import is_unicast
from netlab.wire.tcp import ACK, FIN, RST, SYN, Options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netlab.wire import Buffer

IP_AND_TCP = {4: 40, 6: 60}
DEFAULT_MSS = {4: 536, 6: 1220}
LARGEST_MSS = 0xFFFF
FIRST_EPHEMERAL = 49152
EPHEMERAL_PORTS = 65536 - FIRST_EPHEMERAL
MAXIMUM_TIME_WAIT = 16384
MAXIMUM_PATHS = 4096
PATH_MTU_LIFETIME = 600.0  # RFC 1191 section 6.3: ten minutes, then a larger one is tried
ERRORS_PER_SECOND = 100
BEYOND = 1 << 17

GOING = frozenset({State.TIME_WAIT, State.CLOSED, State.LISTEN})


class Outcome(NamedTuple):
    """What became of a packet: a word of docs/fate.md, and a text for people."""

    end: str
    text: str


TAKEN = Outcome("delivered", "its connection took it")
OPENED = Outcome("delivered", "its port listens")
NOT_OURS = Outcome("not-forwarding", "its destination is not an address of the stack")
FULL = Outcome("socket-full", "the accept queue is full")
IGNORED = Outcome("unacceptable", "a listening port ignores it")
RESET = Outcome("no-listener", "answered with a RST")
SILENCE = Outcome("no-listener", "a RST that nothing waits for")
ANSWERED = Outcome("delivered", "an echo request, which was answered")
UNREACHABLE = Outcome("no-listener", "answered with an ICMP error")
UNANSWERED = Outcome("no-listener", "nothing there takes it")
NOTED = Outcome("delivered", "an ICMP error about one of its connections")
STRAY = Outcome("no-listener", "an ICMP error about none of its connections")
FRAGMENT = Outcome("delivered", "a fragment, kept until the others are there")


class Socket:
    """One connection, the envelope for its segments, and the stack's notes about it.

    ``user`` belongs to whoever drives the stack; ``listener`` is who the connection came through.
    """

    __slots__ = ("connection", "deadline", "envelope", "half_open", "listener", "user")

    def __init__(
        self, connection: Connection, envelope: Envelope, listener: Listener | None = None
    ) -> None:
        self.connection = connection
        self.envelope = envelope
        self.listener = listener
        self.half_open = listener is not None
        self.deadline = NEVER
        self.user: object = None


class Listener:
    """A port that takes connections, on one address or on all.

    ``backlog`` bounds those that are not yet established, and those that are and wait in ``ready``
    to be accepted, each. Beyond the first bound SYN cookies need no memory at all.
    """

    __slots__ = ("address", "backlog", "cookies_until", "half_open", "port", "ready", "settings")

    def __init__(self, address: bytes | None, port: int, backlog: int, settings: Settings) -> None:
        self.address = address
        self.port = port
        self.backlog = backlog
        self.settings = settings
        self.half_open = 0
        self.cookies_until = -NEVER
        self.ready: deque[Socket] = deque()

    def accept(self) -> Socket | None:
        """The connection that waits longest; ``None`` if none waits."""
        return self.ready.popleft() if self.ready else None


class Stack:
    """The host: its addresses, its listeners, its connections.

    ``addresses`` are packed; without any, every address is ours. ``key`` holds 16 random octets or
    more. ``counters`` say what became of packets that had no other effect.
    """

    def __init__(
        self, addresses: Iterable[bytes], key: bytes, settings: Settings = DEFAULTS
    ) -> None:
        self.addresses = tuple(addresses)
        self.settings = settings
        self.counters: Counter[str] = Counter()
        self._key = key
        self._places: dict[bytes, Socket] = {}
        self._listeners: dict[tuple[bytes | None, int], Listener] = {}
        self._touched: dict[Socket, None] = {}
        self._changed: dict[Socket, None] = {}
        self._packets: list[Packet] = []
        self._deadlines: list[tuple[float, int, Socket]] = []
        self._order = 0
        self._time_wait: dict[bytes, None] = {}
        self._paths: dict[bytes, tuple[int, float]] = {}
        self._next_port = 0
        self._errors: tuple[int, int] = (0, 0)
        self._fragments = Fragments()
        self._fragment_ids = isn.clock_offset(key, b"identification")
        self._envelopes = 0

    # -- the user's calls --

    def listen(
        self,
        port: int,
        address: bytes | None = None,
        backlog: int = 128,
        settings: Settings | None = None,
    ) -> Listener:
        """A passive OPEN; it touches no connection that exists (MUST-41). Port 0: any one.

        Raises:
            UserError: the port is taken.
        """
        if not port:
            port = self._free_port()
        if (address, port) in self._listeners:
            raise UserError("connection already exists")
        listener = Listener(address, port, backlog, settings or self.settings)
        self._listeners[address, port] = listener
        return listener

    def unlisten(self, listener: Listener) -> None:
        """Take no more connections; those that nobody has accepted are reset."""
        self._listeners.pop((listener.address, listener.port), None)
        unaccepted = [p for p in self._places.values() if p.half_open and p.listener is listener]
        for place in (*listener.ready, *unaccepted):
            place.connection.abort()
            self.mark_dirty(place)
        listener.ready.clear()

    def connect(
        self,
        remote: bytes,
        port: int,
        now: float,
        *,
        local: bytes | None = None,
        local_port: int = 0,
        settings: Settings | None = None,
    ) -> Socket:
        """An active OPEN; the SYN goes with the next ``to_send``.

        Raises:
            UserError: no port is free, or the address is not ours.
        """
        if not is_unicast(remote):
            raise UserError("remote socket unspecified")  # MUST-46
        if local is None:
            local = next((ours for ours in self.addresses if len(ours) == len(remote)), None)
            if local is None:
                raise UserError("no address of that family")
        if not local_port:
            local_port = self._ephemeral(remote, local, port)
        key = remote + local + struct.pack("!HH", port, local_port)
        if key in self._places:
            raise UserError("connection already exists")
        place = self._place(key, now, settings or self.settings, None)
        place.connection.open(Role.ACTIVE)
        self.mark_dirty(place)
        return place

    def _ephemeral(self, remote: bytes, local: bytes, port: int) -> int:
        start = isn.first_port(self._key, remote) + self._next_port
        for step in range(EPHEMERAL_PORTS):
            candidate = FIRST_EPHEMERAL + (start + step) % EPHEMERAL_PORTS
            if remote + local + struct.pack("!HH", port, candidate) not in self._places:
                self._next_port += step + 1
                return candidate
        raise UserError("insufficient resources")

    def _free_port(self) -> int:
        """A port that nothing of this stack uses."""
        taken = {port for _, port in self._listeners}
        taken |= {place.envelope.local_port for place in self._places.values()}
        start = isn.first_port(self._key, b"") + self._next_port
        for step in range(EPHEMERAL_PORTS):
            candidate = FIRST_EPHEMERAL + (start + step) % EPHEMERAL_PORTS
            if candidate not in taken:
                self._next_port += step + 1
                return candidate
        raise UserError("insufficient resources")

    def mark_dirty(self, place: Socket) -> None:
        """A method of this place's connection was called."""
        self._touched[place] = None

    def places(self) -> list[Socket]:
        """Every connection that exists."""
        return list(self._places.values())

    def take_changed(self) -> list[Socket]:
        """The places whose connections have events that were not taken."""
        changed = list(self._changed)
        self._changed.clear()
        return changed

    # -- packets in --

    def receive(
        self, packet: Buffer, now: float, *, mss: int = 0, verified: bool = False
    ) -> Outcome:
        """Take one IP packet. ``mss`` and ``verified`` as a device with offloads says them.

        Whatever is wrong with it, nothing is raised and no other connection is disturbed.
        """
        try:
            found = read(packet, mss, verified=verified)
            if found is None:
                return self._receive_other(packet, now)
        except Malformed as reason:
            self.counters[str(reason)] += 1
            end = "bad-checksum" if "checksum" in str(reason) else "malformed"
            return Outcome(end, str(reason))
        key, segment = found
        place = self._places.get(key)
        if place is not None:
            connection = place.connection
            if connection.state is not State.TIME_WAIT or not _reopens(connection, segment):
                connection.receive(segment, now)
                self._touched[place] = None
                return TAKEN
            self._forget(place)
            return self._receive_unknown(key, segment, now, beyond=connection.sender.max)
        return self._receive_unknown(key, segment, now)

    def _receive_unknown(
        self, key: bytes, segment: Segment, now: float, beyond: int = 0
    ) -> Outcome:
        """A segment that belongs to no connection: LISTEN, or CLOSED.

        ``beyond`` is what the pair's last connection has sent: a new one begins behind it.
        """
        size = len(key) // 2 - 2
        remote, local = key[:size], key[size : 2 * size]
        if not self._is_ours(local) or not is_unicast(remote):
            self.counters["not for us"] += 1  # MUST-57, MUST-63
            return NOT_OURS
        port = int.from_bytes(key[-2:], "big")
        listener = self._listeners.get((local, port)) or self._listeners.get((None, port))
        if listener is None:
            return self._refuse(key, segment)
        return self._receive_listen(listener, key, segment, now, beyond)

    def _receive_listen(
        self, listener: Listener, key: bytes, segment: Segment, now: float, beyond: int
    ) -> Outcome:
        """LISTEN STATE (section 3.10.7.2); like Linux, a SYN with FIN opens nothing."""
        flags = segment.flags & (SYN | ACK | RST | FIN)
        if flags == SYN:
            return self._receive_syn(listener, key, segment, now, beyond)
        if flags & RST or not flags & ACK:
            self.counters["ignored in LISTEN"] += 1
            return IGNORED
        if not flags & SYN and now < listener.cookies_until:
            return self._receive_cookie(listener, key, segment, now)
        return self._refuse(key, segment)

    def _refuse(self, key: bytes, segment: Segment) -> Outcome:
        answer = reset_for(segment)
        if answer is None:
            return SILENCE
        self._packets.append(self._envelope(key, self.settings).packet(answer))
        return RESET

    def _envelope(self, key: bytes, settings: Settings) -> Envelope:
        """Headers for a socket pair; the identifications begin where nobody can foresee it.

        A constant beginning would make all answers to a prober look like copies of one packet, and
        a global counter would count for strangers what we send (RFC 7739 sections 2 and 5).
        """
        self._envelopes += 1
        ident = isn.identification(self._key, key, self._envelopes)
        label = isn.flow_label(self._key, key) if len(key) > 12 else 0
        return Envelope(key, settings.ttl, settings.dscp, ident, label)

    def _is_ours(self, address: bytes) -> bool:
        return address in self.addresses if self.addresses else is_unicast(address)

    def _receive_syn(
        self, listener: Listener, key: bytes, segment: Segment, now: float, beyond: int
    ) -> Outcome:
        if len(listener.ready) >= listener.backlog:
            self.counters["accept queue full"] += 1
            return FULL
        if listener.half_open >= listener.backlog:
            self._send_cookie(listener, key, segment, now)
            return OPENED
        iss = isn.initial_sequence_number(self._key, key, now)
        if beyond and unwrap(iss, beyond) <= beyond:
            iss = wrap(beyond + BEYOND)
        place = self._place(key, now, listener.settings, listener, iss)
        place.connection.open(Role.PASSIVE)
        place.connection.receive(segment, now)
        listener.half_open += 1
        self.mark_dirty(place)
        return OPENED

    def _send_cookie(self, listener: Listener, key: bytes, segment: Segment, now: float) -> None:
        """A SYN and ACK without a connection behind it (RFC 4987 section 3.6).

        Nothing but the MSS survives: no window scale, no SACK, no timestamps.
        """
        version = 4 if len(key) == 12 else 6
        mss = segment.options.mss or DEFAULT_MSS[version]
        cookie = isn.make_cookie(self._key, key, segment.seq, mss, now)
        options = Options(self._path_mss(key[: len(key) // 2 - 2], now))
        window = min(listener.settings.receive_buffer, 0xFFFF)
        answer = Segment(cookie, segment.seq + 1 & MASK, SYN | ACK, window, options=options)
        self._packets.append(self._envelope(key, self.settings).packet(answer))
        listener.cookies_until = now + 2 * isn.COOKIE_PERIOD
        self.counters["SYN cookies sent"] += 1

    def _receive_cookie(
        self, listener: Listener, key: bytes, segment: Segment, now: float
    ) -> Outcome:
        """The ACK that brings a cookie back: what the cookie spared is done now, all at once."""
        irs = segment.seq - 1 & MASK
        number = segment.ack - 1 & MASK
        mss = isn.open_cookie(self._key, key, irs, number, now)
        if mss is None:
            return self._refuse(key, segment)
        if len(listener.ready) >= listener.backlog:
            self.counters["accept queue full"] += 1
            return FULL
        self.counters["SYN cookies received"] += 1
        place = self._place(key, now, listener.settings, listener, iss=number)
        connection = place.connection
        connection.open(Role.PASSIVE)
        options = Options(mss)
        connection.receive(Segment(irs, flags=SYN, window=segment.window, options=options), now)
        connection.to_send(now)  # the SYN and ACK has been sent long ago
        connection.receive(segment, now)
        listener.half_open += 1
        self.mark_dirty(place)
        return TAKEN

    # -- packets that are not plain TCP --

    def _receive_other(self, packet: Buffer, now: float) -> Outcome:
        if not len(packet) or packet[0] >> 4 not in {4, 6}:
            raise Malformed("not an IP packet")
        found = read_any(packet)
        if found is not None:
            key, segment = found
            place = self._places.get(key)
            if place is None:
                return self._receive_unknown(key, segment, now)
            place.connection.receive(segment, now)
            self.mark_dirty(place)
            return TAKEN
        datagram = errors.open_datagram(packet)
        if datagram is None:
            return self._receive_fragment(packet, now)
        if not self._is_ours(datagram.destination):
            self.counters["not for us"] += 1
            return NOT_OURS
        if (notice := errors.notice(datagram)) is not None:
            return self._receive_notice(notice, now)
        if self._may_answer(now) and (answer := errors.answer_to(packet, datagram)) is not None:
            self._fragment_ids = self._fragment_ids + 1 & MASK
            mtu = self._path_mtu(datagram.source, now)
            for part in cut(answer, mtu, self._fragment_ids):
                self._packets.append(Packet(part))
            return ANSWERED if errors.is_icmp(datagram) else UNREACHABLE
        return UNANSWERED

    def _receive_fragment(self, packet: Buffer, now: float) -> Outcome:
        at, size = (16, 4) if packet[0] >> 4 == 4 else (24, 16)
        if not self._is_ours(bytes(packet[at : at + size])):
            self.counters["not for us"] += 1
            return NOT_OURS
        self.counters["fragment"] += 1
        whole = self._fragments.take(packet, now)
        if whole is None:
            return FRAGMENT
        if errors.open_datagram(whole) is None:
            raise Malformed("a fragment inside of a fragment")
        return self.receive(whole, now)

    def _may_answer(self, now: float) -> bool:
        """Not more answers to strangers in a second than is reasonable (RFC 4443 section 2.4)."""
        second, count = self._errors
        if second != int(now):
            second, count = int(now), 0
        self._errors = second, count + 1
        return count < ERRORS_PER_SECOND

    def _receive_notice(self, notice: errors.Notice, now: float) -> Outcome:
        """An ICMP error, if it is about a segment that is under way (MUST-54, RFC 5927)."""
        place = self._places.get(notice.key)
        if place is None:
            self.counters["ICMP error about nothing of ours"] += 1
            return STRAY
        connection = place.connection
        sender = connection.sender
        if not sender.una <= unwrap(notice.seq, sender.una) < max(sender.nxt, sender.una + 1):
            self.counters["ICMP error about nothing of ours"] += 1
            return STRAY
        if notice.mtu is not None:
            self._learn_mtu(place, notice.mtu, now)
        elif notice.hard:
            connection.hard_error(notice.text, refused=notice.refused)
        else:
            connection.soft_error(notice.text)
        self.mark_dirty(place)
        return NOTED

    # -- paths --

    def _told_mtu(self, remote: bytes, now: float) -> int:
        """What routers have said of this path; our own link's MTU if nothing."""
        mtu, until = self._paths.get(remote, (self.settings.mtu, NEVER))
        if now > until:
            del self._paths[remote]
            mtu = self.settings.mtu
        return min(mtu, self.settings.mtu)

    def _path_mtu(self, remote: bytes, now: float) -> int:
        floor = min(errors.MINIMUM_MTU[4 if len(remote) == 4 else 6], self.settings.mtu)
        return max(self._told_mtu(remote, now), floor)

    def _path_mss(self, remote: bytes, now: float) -> int:
        return self._path_mtu(remote, now) - IP_AND_TCP[4 if len(remote) == 4 else 6]

    def _learn_mtu(self, place: Socket, mtu: int, now: float) -> None:
        """RFC 1191 and RFC 8201: believe a smaller MTU, down to a floor.

        Below the floor an IPv4 path may cut our packets; no IPv6 path is so small.
        """
        envelope, floor = place.envelope, errors.MINIMUM_MTU[place.envelope.version]
        tiny = envelope.version == 4 and mtu < floor
        mss = max(mtu, floor) - IP_AND_TCP[envelope.version]
        if mss >= place.connection.mss and not (tiny and envelope.whole):
            return
        if len(self._paths) >= MAXIMUM_PATHS:
            del self._paths[next(iter(self._paths))]
        self._paths[envelope.remote] = mtu, now + PATH_MTU_LIFETIME
        if tiny:
            envelope.allow_fragments()
        place.connection.set_path_mss(min(mss, place.connection.mss), now)

    # -- places --

    def _place(
        self,
        key: bytes,
        now: float,
        settings: Settings,
        listener: Listener | None,
        iss: int | None = None,
    ) -> Socket:
        envelope = self._envelope(key, settings)
        if self._told_mtu(envelope.remote, now) < errors.MINIMUM_MTU[4]:
            envelope.allow_fragments()
        if iss is None:
            iss = isn.initial_sequence_number(self._key, key, now)
        connection = Connection(
            iss,
            settings,
            mss=min(self._path_mss(envelope.remote, now), settings.maximum_segment or LARGEST_MSS),
            default_mss=DEFAULT_MSS[envelope.version],
            clock_offset=isn.clock_offset(self._key, key),
        )
        place = self._places[key] = Socket(connection, envelope, listener)
        return place

    def _forget(self, place: Socket) -> None:
        key = place.envelope.key
        if self._places.get(key) is place:
            del self._places[key]
        self._time_wait.pop(key, None)
        place.deadline = NEVER

    # -- packets out, and time --

    def to_send(self, now: float) -> list[Packet]:
        """Everything that is to go out now, in order."""
        packets, self._packets = self._packets, []
        touched, self._touched = self._touched, {}
        for place in touched:
            connection = place.connection
            segments = connection.to_send(now)
            if segments:
                envelope = place.envelope.packet
                packets += [envelope(segment) for segment in segments]
            if connection.events or connection.state in GOING:
                self._note(place)
            timer = connection.next_timer()
            if timer < place.deadline:
                place.deadline = timer
                self._order += 1
                heappush(self._deadlines, (timer, self._order, place))
        return packets

    def _note(self, place: Socket) -> None:
        """Something happened to a connection: tell who has to know, drop it if it is gone."""
        connection = place.connection
        if place.half_open and place.listener is not None:
            if connection.events & CONNECTED:
                place.listener.ready.append(place)
            elif connection.state not in {State.CLOSED, State.LISTEN}:
                return
            place.half_open = False
            place.listener.half_open -= 1
        if connection.state is State.TIME_WAIT:
            self._time_wait[place.envelope.key] = None
            if len(self._time_wait) > MAXIMUM_TIME_WAIT:
                self._forget(self._places[next(iter(self._time_wait))])
        elif connection.state in GOING:
            self._forget(place)
        if connection.events:
            self._changed[place] = None

    def next_timer(self) -> float:
        """When ``handle_timer`` has to be called at the latest; ``inf`` if never."""
        return self._deadlines[0][0] if self._deadlines else NEVER

    def handle_timer(self, now: float) -> None:
        """Act on the timers whose time has come.

        A connection moves its timers with every segment, almost always to a later time. So the heap
        keeps what was set first, and looks again when that has come.
        """
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, _, place = heappop(self._deadlines)
            if place.deadline == deadline:
                place.deadline = NEVER
                place.connection.handle_timer(now)
                self._touched[place] = None


def _reopens(old: Connection, segment: Segment) -> bool:
    """True if a SYN may take the place of a connection in TIME-WAIT (MAY-2, RFC 6191)."""
    if segment.flags & (SYN | ACK | RST) != SYN:
        return False
    stamps = segment.options.timestamps
    newer = stamps is not None and 0 < stamps[0] - old.ts_recent & MASK < HALF
    return newer or unwrap(segment.seq, old.receiver.nxt) > old.receiver.nxt
