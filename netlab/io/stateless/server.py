"""The stateless core joined to a port and to an application.

TCP itself is kept nowhere. What is kept, and ``Server.statistics`` counts it:

    in flight   requests whose answer an asynchronous application still works on; at most ``limit``
    outbox      packets to be sent, and those that the device would not take; at most ``OUTBOX``

Both bounds act by silence, which TCP clients answer by sending again: a request over the limit
is not acknowledged, a segment over the bound is lost as any packet may be.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from netlab.linux.packet_reports import OCTETS
from netlab.stateless import responder
from netlab.stateless.cookie import slot_at
from netlab.stateless.fast_path import Express, usable
from netlab.stateless.interfaces import OUTCOMES
from netlab.stateless.segment import checksum_holds, cut, encode, parse
from netlab.tcp.fragments import Fragments
from netlab.wire import Malformed, address, ipv6

if TYPE_CHECKING:
    from netlab.io.stateless.ports import Port
    from netlab.stateless.interfaces import Core, Request, Rules
    from netlab.stateless.segment import Segment

OUTBOX = 256
BATCH = 64
"""Packets read before other tasks get their turn."""

_PAUSE, _TELLING_PAUSE = 0.001, 1.0
_log = logging.getLogger(__name__)


class Client(NamedTuple):
    """Who asks; ``packed`` is the address as on the wire."""

    packed: bytes
    port: int

    def __str__(self) -> str:
        return f"{address.text(self.packed)} port {self.port}"


Answer: TypeAlias = bytes | Iterable[bytes] | None
Application: TypeAlias = Callable[[bytes, Client], Answer | Awaitable[Answer]]
"""``answer(request, client)``: octets, pieces of them, ``None`` (reset), or any of these later."""


class _Waiting(NamedTuple):
    request: Request
    back: bytes
    since: float
    future: asyncio.Future[Any]
    direct: bool
    """Whether ``future`` is the one answer itself, and not the list of all."""


class Server:
    """One address and port served through one ``Port``, inside a running asyncio loop.

    ``listen`` is the packed address and the port; what else the port delivers is ignored. Workers
    that share the traffic share ``secret`` too. ``timeout`` in seconds: an answer that takes
    longer becomes a reset.
    """

    def __init__(
        self,
        port: Port,
        listen: tuple[bytes, int],
        rules: Rules,
        application: Application,
        *,
        core: Core,
        secret: bytes,
        limit: int = 1024,
        timeout: float = 10.0,
    ) -> None:
        self._port = port
        self._address, self._number = listen
        self._rules = rules
        self._application = application
        self._core = core
        self._secret = secret
        self._limit = limit
        self._timeout = timeout
        self._waiting: dict[tuple[bytes, int, int], _Waiting] = {}
        self._outbox: deque[tuple[bytes, bytes, int, bytes]] = deque()
        self._blocked = False
        self._told = -_TELLING_PAUSE
        self._soon: asyncio.Handle | None = None
        self._counts: Counter[str] = Counter()
        self._fragments = Fragments()  # IP's memory, not TCP's: a megabyte and 30 s at most
        self._express = None
        # Its packets have partial checksums.
        if port.cuts and core is responder and usable(rules, self._address):
            self._express = Express(rules, secret, listen)
        self._pause: asyncio.TimerHandle | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Begin to serve."""
        self._loop.add_reader(self._port.fileno(), self._readable)
        self._sweeper = self._loop.call_later(self._timeout / 4, self._sweep)

    def stop(self) -> None:
        """Stop serving and give up what is in flight; the port stays open."""
        self._loop.remove_reader(self._port.fileno())
        self._loop.remove_writer(self._port.fileno())
        for timer in (self._sweeper, self._pause, self._soon):
            if timer:
                timer.cancel()
        for waiting in list(self._waiting.values()):
            waiting.future.cancel()
        self._waiting.clear()
        self._outbox.clear()

    def statistics(self) -> dict[str, int]:
        """What happened so far, and what is kept at this moment.

        ``received`` is the sum of the kinds of ``Reaction`` (SYN and FIN together as ``express``
        where they took that way) and of ``malformed``, ``checksum``, ``elsewhere`` (another
        address or port) and ``fragment`` (all but the last one of a packet). Of the ``request`` s
        some are ``repeated`` while they are in flight, some ``busy`` (over the limit), the others
        asked; of what is asked some ``failed`` (an exception) or ``timed out``, and some answers
        are ``too long`` for the client's window. Of TCP's connections nothing is kept, so nothing
        is shown.
        """
        return {
            "received": 0,
            "sent": 0,
            **self._counts,
            "in flight": len(self._waiting),
            "octets of fragments": self._fragments.held,
            "outbox": len(self._outbox),
        }

    def _readable(self) -> None:
        port, express = self._port, self._express
        buffer, start, receive = port.buffer, port.start, port.receive
        now = monotonic()
        slot = slot_at(now)
        received = known = 0
        try:
            for _ in range(BATCH):
                try:
                    size = receive()
                except BlockingIOError:
                    return
                except OSError as error:  # the interface went down; it may come back
                    self._counts["receive errors"] += 1
                    _log.warning("receiving: %s", error)
                    return
                received += 1
                found = express and express.receive(buffer, start, size, slot)
                kind = "request"
                if not found or not (port.trusted or checksum_holds(buffer[start:size])):
                    kind = self._receive(memoryview(buffer)[start:size], now)
                elif isinstance(found, bytes):
                    known += 1
                    self._put(found, port.back)
                else:
                    self._counts["request"] += 1
                    self._ask(found, port.back)
                if port.reporter and port.reporter.is_wanted:
                    end, text = OUTCOMES.get(kind, ("delivered", ""))
                    port.reporter.report(buffer[start : min(size, start + OCTETS)], end, text)
        finally:
            # All at once: each sending runs the receiver's TCP, and Python's code is cold after it.
            self._flush()
            self._counts["received"] += received
            self._counts["express"] += known

    def _receive(self, packet: memoryview, now: float) -> str:
        """The kind of reaction; a word of the driver's own where the core was not asked."""
        counts, port = self._counts, self._port
        trusted = port.trusted
        try:
            if _is_fragment(packet):
                whole = self._fragments.take(packet, now)
                if whole is None:
                    counts["fragment"] += 1
                    return "fragment"
                # No device has verified the checksum of what it saw only in parts.
                packet, trusted = memoryview(whole), False
            segment = parse(packet)
            if not trusted and not checksum_holds(packet):
                counts["checksum"] += 1
                return "checksum"
        except Malformed:
            counts["malformed"] += 1
            return "malformed"
        if segment.destination_port != self._number or segment.destination != self._address:
            counts["elsewhere"] += 1
            return "elsewhere"
        reaction = self._core.receive(segment, now, self._secret, self._rules)
        counts[reaction.kind] += 1
        for answer in reaction.segments:
            self._send(answer, port.back)
        if reaction.request is not None:
            self._ask(reaction.request, port.back)
        return reaction.kind

    def _ask(self, request: Request, back: bytes) -> None:
        segment = request.segment
        if self._waiting:
            if _key(segment) in self._waiting:
                self._counts["repeated"] += 1
                return
            if len(self._waiting) >= self._limit:
                self._counts["busy"] += 1
                return
        client = Client(segment.source, segment.source_port)
        answers: list[bytes | None] = []
        later = []
        for message in request.messages:
            try:
                answer = self._application(message.data, client)
                if type(answer) is bytes:  # by far the most
                    answers.append(answer)
                elif isinstance(answer, Awaitable):
                    later.append((len(answers), answer))
                    answers.append(None)
                else:
                    answers.append(_octets(answer))
            except Exception:  # noqa: BLE001 - one bad request must not end the others
                _log.exception("the application failed for %s", client)
                self._counts["failed"] += 1
                answers.append(None)
        if not later:
            self._reply(request, answers, back)
            return
        # One future needs no task between the application and the reply.
        key = _key(segment)
        direct = len(answers) == 1 and isinstance(later[0][1], asyncio.Future)
        future = asyncio.ensure_future(later[0][1] if direct else _gather(answers, later))
        self._waiting[key] = _Waiting(request, back, monotonic(), future, direct)
        future.add_done_callback(lambda done: self._done(key, done))

    def _done(self, key: tuple[bytes, int, int], future: asyncio.Future[Any]) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is None:  # stopped
            return
        answers: list[bytes | None] = [None] * len(waiting.request.messages)
        try:
            result = future.result()
            answers = [_octets(result)] if waiting.direct else result
        except asyncio.CancelledError:
            self._counts["timed out"] += 1
        except Exception:  # noqa: BLE001 - as above
            self._counts["failed"] += 1
            _log.exception("the application failed")
        self._reply(waiting.request, answers, waiting.back)
        if self._soon is None:
            # Answers come in batches too, and this runs after the last of them.
            self._soon = self._loop.call_soon(self._flush)

    def _sweep(self) -> None:
        """Cancel what takes too long: all wait equally long, so the oldest comes first."""
        limit = monotonic() - self._timeout
        for waiting in list(self._waiting.values()):
            if waiting.since > limit:
                break
            waiting.future.cancel()
        self._sweeper = self._loop.call_later(self._timeout / 4, self._sweep)

    def _reply(self, request: Request, answers: list[bytes | None], back: bytes) -> None:
        if self._express and len(answers) == 1 and answers[0] is not None:
            packet = self._express.reply(request, answers[0])
            if packet:
                self._put(packet[0], back, request.segment_size, packet[1])
                return
        segments = self._core.reply(request, answers, self._rules)
        for segment in segments:
            self._send(segment, back)
        first = answers[0]
        if first is not None and not request.position:
            said = sum(len(segment.payload) for segment in segments)
            if said < len(first):
                self._refuse(request, len(first))

    def _refuse(self, request: Request, length: int) -> None:
        """Count an answer that was replaced by an excuse; say so once a second at most."""
        self._counts["too long"] += 1
        now = monotonic()
        if now - self._told < _TELLING_PAUSE:
            return
        self._told = now
        asked = request.segment
        client = Client(asked.source, asked.source_port)
        text = "an answer of %d octets for %s exceeds its window of %d"
        _log.warning(text, length, client, asked.window)

    def _send(self, segment: Segment, back: bytes) -> None:
        if self._port.cuts:
            self._put(encode(segment, partial=True), back, segment.cut)
        else:
            for piece in cut(segment):
                self._put(encode(piece), back, 0)

    def _put(self, packet: bytes, back: bytes, size: int = 0, payload: bytes = b"") -> None:
        if len(self._outbox) >= OUTBOX:
            self._flush()
        if len(self._outbox) < OUTBOX:
            self._outbox.append((packet, back, size, payload))
        else:
            self._counts["lost"] += 1

    def _flush(self) -> None:
        """Send what waits, as far as the device takes it."""
        self._soon = None
        outbox, send = self._outbox, self._port.send
        sent = 0
        while outbox and not self._blocked:
            try:
                send(*outbox[0])
                sent += 1
            except OSError as error:
                if self._wait_for_room(error):
                    break
            outbox.popleft()
        self._counts["sent"] += sent

    def _wait_for_room(self, error: OSError) -> bool:
        """Block the outbox until there is room; False if waiting does not help: a lost packet."""
        if error.errno == errno.EAGAIN:  # the socket's buffer is full, and will be writable
            self._counts["EAGAIN"] += 1
            self._loop.add_writer(self._port.fileno(), self._go_on)
        elif error.errno == errno.ENOBUFS:  # the device's queue is; nothing tells when it drains
            self._counts["ENOBUFS"] += 1
            self._pause = self._loop.call_later(_PAUSE, self._go_on)
        else:
            self._counts["lost"] += 1
            _log.warning("sending: %s", error)
            return False
        self._blocked = True
        return True

    def _go_on(self) -> None:
        self._blocked = False
        self._loop.remove_writer(self._port.fileno())
        self._flush()


def _is_fragment(packet: memoryview) -> bool:
    """A piece of a packet; of IPv6 only where the fragment header is the first."""
    if len(packet) < 40:
        return False
    if packet[0] >> 4 == 4:
        return bool((packet[6] << 8 | packet[7]) & 0x3FFF)
    return packet[0] >> 4 == 6 and packet[6] == ipv6.FRAGMENT


def _key(segment: Segment) -> tuple[bytes, int, int]:
    return segment.source, segment.source_port, segment.seq


def _octets(answer: Answer) -> bytes | None:
    return answer if isinstance(answer, bytes | None) else b"".join(answer)


async def _gather(
    answers: list[bytes | None], later: list[tuple[int, Awaitable[Answer]]]
) -> list[bytes | None]:
    """Put what comes later into its place."""
    results = await asyncio.gather(*(answer for _, answer in later))
    for (place, _), result in zip(later, results, strict=True):
        answers[place] = _octets(result)
    return answers
