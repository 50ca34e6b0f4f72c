"""The server's bounds, on a port that does what a kernel seldom does."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from netlab.io.stateless import server as drive
from netlab.io.stateless.server import Client, Server
from netlab.stateless import reference, responder
from netlab.stateless.framing import Echo
from netlab.stateless.http import Http
from netlab.stateless.interfaces import Rules
from netlab.stateless.segment import ACK, FIN, PSH, RST, SYN, Segment, encode, parse
from netlab.tcp import fragments
from tests.helpers.waiting import eventually
from tests.stateless.peers import CLIENT, CLIENT_6, SECRET, SERVER, SERVER_6, syn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

GET = b"GET / HTTP/1.1\r\n\r\n"


class FakePort:
    """A port made of a socket pair for its descriptor and lists for its packets."""

    start = 3
    back = b"link"
    trusted = True
    reporter = None

    def __init__(self, *, cuts: bool = True) -> None:
        self.cuts = cuts
        self.buffer = bytearray(70_000)
        self.sent: list[bytes] = []
        self.refusals: list[int] = []
        self._waiting: list[bytes] = []
        self._here, self._there = socket.socketpair()
        self._here.setblocking(False)

    def fileno(self) -> int:
        return self._here.fileno()

    def receive(self) -> int:
        if not self._waiting:
            self._here.recv(1000)
            raise BlockingIOError
        packet = self._waiting.pop(0)
        self.buffer[3 : 3 + len(packet)] = packet
        return 3 + len(packet)

    def send(self, packet: bytes, back: bytes, cut: int, payload: bytes = b"") -> None:
        assert back == b"link"
        if self.refusals:
            number = self.refusals.pop(0)
            raise OSError(number, os.strerror(number))
        self.sent.append(packet + payload)

    def close(self) -> None:
        self._here.close()
        self._there.close()

    def arrive(self, *segments: Segment) -> None:
        self._waiting += [encode(segment) for segment in segments]
        self._there.send(b"x")

    def arrive_raw(self, *packets: bytes) -> None:
        self._waiting += packets
        self._there.send(b"x")

    def answers(self) -> list[Segment]:
        return [parse(packet) for packet in self.sent]


def giving(answer: object) -> Callable[[bytes, Client], Any]:
    """An application with one answer."""

    def application(_: bytes, __: Client) -> Any:
        return answer

    return application


def play(
    story: Callable[[FakePort, Server], Awaitable[None]],
    application: Any = giving(b"page"),  # noqa: B008 - it keeps nothing
    *,
    cuts: bool = True,
    core: Any = responder,
    rules: Rules | None = None,
    listen: tuple[bytes, int] = (SERVER, 80),
    **options: Any,
) -> dict[str, int]:
    """Tell a story to a running server; the statistics at its end."""

    async def main() -> dict[str, int]:
        port = FakePort(cuts=cuts)
        server = Server(
            port, listen, rules or Rules(Http()), application,
            core=core, secret=SECRET, **options,
        )  # fmt: skip
        server.start()
        try:
            await story(port, server)
            return server.statistics()
        finally:
            server.stop()
            port.close()

    return asyncio.run(main())


async def request(port: FakePort, number: int = 0, payload: bytes = GET) -> Segment:
    """Open a connection of its own; its request, not sent yet."""
    first = syn(1000 * number, source_port=40_000 + number)
    before = len(port.sent)
    port.arrive(first)
    await eventually(lambda: len(port.sent) > before)
    isn = port.answers()[-1].seq
    return first._replace(
        seq=first.seq + 1, ack=isn + 1 & 0xFFFFFFFF, flags=ACK | PSH, payload=payload, options=b""
    )


def of(statistics: dict[str, int], *names: str) -> dict[str, int]:
    return {name: statistics.get(name, 0) for name in names}


@pytest.mark.parametrize("refusal", [errno.EAGAIN, errno.ENOBUFS])
def test_what_finds_no_room_is_sent_later_and_in_order(refusal: int) -> None:
    async def story(port: FakePort, server: Server) -> None:
        port.refusals = [refusal, refusal, refusal]
        port.arrive(*(syn(number) for number in range(5)))
        await eventually(lambda: len(port.sent) == 5)
        assert [answer.ack for answer in port.answers()] == [1, 2, 3, 4, 5]

    statistics = play(story)
    assert statistics[errno.errorcode[refusal]] == 3
    assert of(statistics, "sent", "lost", "outbox") == {"sent": 5, "lost": 0, "outbox": 0}


def test_the_outbox_is_bounded() -> None:
    async def story(port: FakePort, server: Server) -> None:
        port.refusals = [errno.ENOBUFS] * 10
        port.arrive(*(syn(number) for number in range(drive.OUTBOX + 100)))
        await eventually(lambda: server.statistics()["received"] == drive.OUTBOX + 100)
        await eventually(lambda: not server.statistics()["outbox"])

    statistics = play(story)
    assert statistics["sent"] + statistics["lost"] == drive.OUTBOX + 100
    assert statistics["sent"] >= drive.OUTBOX


def test_a_device_that_is_gone_costs_the_packet_only(caplog: pytest.LogCaptureFixture) -> None:
    async def story(port: FakePort, server: Server) -> None:
        port.refusals = [errno.ENETDOWN]
        port.arrive(syn(1), syn(2))
        await eventually(lambda: port.sent)

    assert of(play(story), "sent", "lost") == {"sent": 1, "lost": 1}
    assert "Network is down" in caplog.text


def test_an_answer_that_exceeds_the_window_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drive, "monotonic", lambda: 1000.0)

    async def story(port: FakePort, _: Server) -> None:
        asks = [await request(port, number) for number in range(3)]
        windows = (4000, 5200, 4000)
        port.arrive(*(ask._replace(window=w) for ask, w in zip(asks, windows, strict=True)))
        await eventually(lambda: len(port.sent) == 6)
        excuse, page, again = port.answers()[3:]
        assert again.payload == excuse.payload
        assert b"exceeds the client's window" in excuse.payload
        assert page.payload == bytes(5000)

    statistics = play(story, giving(bytes(5000)))
    assert statistics["too long"] == 2
    (record,) = caplog.records  # of two within a second
    expected = "an answer of 5000 octets for 192.168.1.2 port 40000 exceeds its window of 4000"
    assert record.getMessage() == expected


def test_without_offload_every_piece_is_cut_and_summed_here() -> None:
    async def story(port: FakePort, server: Server) -> None:
        port.trusted = False
        port.arrive(await request(port))
        await eventually(lambda: len(port.sent) == 4)

    async def page(_: bytes, __: Client) -> bytes:
        return bytes(3000)

    assert play(story, page, cuts=False)["sent"] == 4


class TestAnswers:
    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            (b"page", b"page"),
            ([b"pa", b"ge"], b"page"),
            ((part for part in (b"pa", b"ge")), b"page"),
        ],
    )
    def test_octets_or_pieces(self, answer: object, expected: bytes) -> None:
        async def story(port: FakePort, server: Server) -> None:
            port.arrive(await request(port))
            await eventually(lambda: len(port.sent) == 2)
            assert port.answers()[-1].payload == expected
            assert port.answers()[-1].flags == ACK | PSH | FIN

        play(story, giving(answer))

    def test_a_coroutine(self) -> None:
        async def application(request: bytes, client: Client) -> list[bytes]:
            await asyncio.sleep(0)
            return [str(client).encode()]

        async def story(port: FakePort, server: Server) -> None:
            port.arrive(await request(port))
            await eventually(lambda: len(port.sent) == 2)
            assert port.answers()[-1].payload == b"192.168.1.2 port 40000"

        play(story, application)

    @pytest.mark.parametrize("wrong", [7, [b"octets", "text"]])
    def test_what_is_no_octets_is_a_failure(self, wrong: object) -> None:
        async def story(port: FakePort, server: Server) -> None:
            port.arrive(await request(port))
            await eventually(lambda: len(port.sent) == 2)
            assert port.answers()[-1].flags == RST
            soon = asyncio.get_running_loop().create_future()
            soon.set_result(wrong)
            answers[0] = soon
            port.arrive(await request(port, 1))
            await eventually(lambda: len(port.sent) == 4)
            assert port.answers()[-1].flags == RST

        answers = [wrong]
        assert play(story, lambda _, __: answers[0])["failed"] == 2

    @pytest.mark.parametrize("late", [False, True])
    def test_a_failure_is_a_reset_and_others_are_served(
        self, *, late: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        def application(request: bytes, client: Client) -> Any:
            if client.port == 40_000:
                if late:
                    return fail()
                raise RuntimeError("a bug of the application")
            return b"page"

        async def fail() -> bytes:
            raise RuntimeError("a bug of the application")

        async def story(port: FakePort, server: Server) -> None:
            port.arrive(await request(port, 0))
            await eventually(lambda: len(port.sent) == 2)
            port.arrive(await request(port, 1))
            await eventually(lambda: len(port.sent) == 4)
            assert [answer.flags for answer in port.answers()] == [
                SYN | ACK, RST, SYN | ACK, ACK | PSH | FIN,
            ]  # fmt: skip

        assert play(story, application)["failed"] == 1
        assert "a bug of the application" in caplog.text


class TestInFlight:
    def test_a_repeated_request_is_asked_once(self) -> None:
        asked: list[asyncio.Future[bytes]] = []

        def application(request: bytes, client: Client) -> asyncio.Future[bytes]:
            asked.append(asyncio.get_running_loop().create_future())
            return asked[-1]

        async def story(port: FakePort, server: Server) -> None:
            ask = await request(port)
            port.arrive(ask, ask, ask)
            await eventually(lambda: server.statistics()["received"] == 4)
            assert server.statistics()["in flight"] == 1
            asked[0].set_result(b"page")
            await eventually(lambda: len(port.sent) == 2)

        statistics = play(story, application)
        assert len(asked) == 1
        assert of(statistics, "request", "repeated", "in flight") == {
            "request": 3, "repeated": 2, "in flight": 0,
        }  # fmt: skip

    def test_over_the_limit_nothing_is_answered_until_the_client_repeats_it(self) -> None:
        asked: list[asyncio.Future[bytes]] = []

        def application(request: bytes, client: Client) -> asyncio.Future[bytes]:
            asked.append(asyncio.get_running_loop().create_future())
            return asked[-1]

        async def story(port: FakePort, server: Server) -> None:
            asks = [await request(port, number) for number in range(3)]
            port.arrive(*asks)
            await eventually(lambda: server.statistics().get("busy") == 1)
            for future in asked:
                future.set_result(b"page")
            await eventually(lambda: len(port.sent) == 5)
            port.arrive(asks[2])
            await eventually(lambda: len(asked) == 3)
            asked[2].set_result(b"page")
            await eventually(lambda: len(port.sent) == 6)

        assert play(story, application, limit=2)["in flight"] == 0

    def test_what_takes_too_long_is_reset(self) -> None:
        async def never(request: bytes, client: Client) -> bytes:
            await asyncio.Event().wait()
            return b""

        async def story(port: FakePort, server: Server) -> None:
            port.arrive(await request(port))
            await eventually(lambda: len(port.sent) == 2)
            assert port.answers()[-1].flags == RST

        statistics = play(story, never, timeout=0.05)
        assert of(statistics, "timed out", "in flight") == {"timed out": 1, "in flight": 0}

    def test_stopping_gives_up_what_is_in_flight(self) -> None:
        cancelled: list[bool] = []

        async def never(request: bytes, client: Client) -> bytes:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise
            return b""

        async def story(port: FakePort, server: Server) -> None:
            port.arrive(await request(port))
            await eventually(lambda: server.statistics()["in flight"])
            await asyncio.sleep(0)
            server.stop()
            await eventually(lambda: cancelled)
            assert len(port.sent) == 1

        play(story, never)


def test_what_is_not_for_us_is_counted_and_left() -> None:
    async def story(port: FakePort, server: Server) -> None:
        port.trusted = False
        port.arrive(syn(1), syn(2, destination_port=81), syn(3, destination=CLIENT))
        port.arrive_raw(b"\x45 not a packet")
        broken = bytearray(encode(syn(4)))
        broken[-1] ^= 1
        port.arrive_raw(bytes(broken))
        await eventually(lambda: server.statistics()["received"] == 5)

    statistics = play(story)
    assert of(statistics, "express", "elsewhere", "malformed", "checksum", "sent") == {
        "express": 1, "elsewhere": 2, "malformed": 1, "checksum": 1, "sent": 1,
    }  # fmt: skip


def test_the_published_server_answers_in_pieces() -> None:
    async def story(port: FakePort, server: Server) -> None:
        first = syn(source_port=1)
        port.arrive(first, first._replace(flags=ACK | PSH, payload=bytes(600), options=b""))
        await eventually(lambda: len(port.sent) == 5)
        assert [len(a.payload) for a in port.answers()] == [0, 0, 512, 88, 0]

    play(story, giving(bytes(600)), core=reference, rules=Rules(Echo()))


def handshaken(version: int, payload: bytes) -> Segment:
    """The first request of a client that has seen our SYN and ACK."""
    first = syn() if version == 4 else syn(source=CLIENT_6, destination=SERVER_6)
    [answer] = responder.receive(first, monotonic(), SECRET, Rules(Http())).segments
    return first._replace(
        seq=first.seq + 1, ack=answer.seq + 1, flags=ACK | PSH, payload=payload, options=b""
    )


LONG_GET = b"GET /?" + bytes(97 + n % 26 for n in range(1400)) + b" HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize("order", [1, -1])
def test_a_request_in_fragments_is_put_together(order: int) -> None:
    async def story(port: FakePort, server: Server) -> None:
        pieces = fragments.cut(encode(handshaken(4, LONG_GET)), 600, 9)
        assert len(pieces) == 3
        port.arrive_raw(*pieces[::order])
        await eventually(lambda: port.sent)
        [answer] = port.answers()
        assert answer.payload.endswith(b"page")
        assert server.statistics()["octets of fragments"] == 0

    counts = play(story)
    assert (counts["fragment"], counts["request"]) == (2, 1)


def test_a_request_in_ipv6_fragments_too() -> None:
    async def story(port: FakePort, server: Server) -> None:
        pieces = fragments.cut(encode(handshaken(6, LONG_GET)), 1280, 9)
        assert len(pieces) == 2
        port.arrive_raw(*pieces)
        await eventually(lambda: port.sent)
        assert port.answers()[0].payload.endswith(b"page")

    play(story, listen=(SERVER_6, 80))


def test_fragments_are_kept_within_bounds_and_a_wrong_checksum_counts() -> None:
    async def story(port: FakePort, server: Server) -> None:
        request = encode(handshaken(4, LONG_GET))
        spoiled = fragments.cut(request[:-1] + b"?", 600, 5000)
        port.arrive_raw(
            *(fragments.cut(request, 600, number)[0] for number in range(3000)), *spoiled
        )
        await eventually(lambda: server.statistics().get("checksum"))
        assert 0 < server.statistics()["octets of fragments"] <= fragments.MAXIMUM_HELD
        assert not port.sent

    play(story)
