"""An outside tester: it has its own packets, and drives the stack's calls by messages."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from netlab.io.tcp import packetdrill
from netlab.tcp.ip import Envelope, complete, read
from netlab.tcp.segment import Segment
from netlab.wire.address import packed
from netlab.wire.tcp import ACK, FIN, PSH, RST, SYN, Options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

OURS, PEER = packed("192.168.0.1"), packed("192.0.2.1")
PORT, PEER_PORT = 8080, 40_000


def sockaddr(host: bytes, port: int) -> str:
    return (struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + host + bytes(8)).hex()


class Caller:
    """One thread of the tester."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    async def __call__(self, request: str) -> str:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.connection, request.encode())
        return (await loop.sock_recv(self.connection, 1 << 17)).decode()


class Bench:
    """A running stack, and the way to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held = contextlib.ExitStack()
        self.port = PORT

    async def caller(self) -> Caller:
        connection = self.held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, str(self.path))
        return Caller(connection)

    async def plug(self) -> None:
        self.wire = await self.caller()
        assert await self.wire("pkt") == "ok"

    async def give(self, segment: Segment) -> None:
        key = OURS + PEER + struct.pack("!HH", self.port, PEER_PORT)
        packet = complete(Envelope(key).packet(segment))
        await asyncio.get_running_loop().sock_sendall(self.wire.connection, packet)

    async def take(self) -> Segment:
        octets = await asyncio.get_running_loop().sock_recv(self.wire.connection, 1 << 17)
        found = read(octets, 0, verified=False)
        assert found is not None
        assert found[0][:8] == OURS + PEER
        self.port = int.from_bytes(found[0][8:10], "big")
        return found[1]


@contextlib.asynccontextmanager
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    path = tmp_path / "tester.sock"
    ready = asyncio.Event()
    task = asyncio.create_task(packetdrill.Tester().serve(path, ready.set))
    await ready.wait()
    made = Bench(path)
    try:
        async with asyncio.timeout(20):
            await made.plug()
            with made.held:
                yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert not path.exists()


def run(tmp_path: Path, test: Callable[[Bench, Caller], Coroutine[None, None, None]]) -> None:
    async def bounded() -> None:
        async with bench(tmp_path) as b:
            await test(b, await b.caller())

    asyncio.run(bounded())


async def accepted(b: Bench, call: Caller) -> tuple[str, int, int]:
    """An accepted connection: its descriptor, the stack's and the peer's next numbers."""
    assert await call("socket 2 1 0") == "3 0"
    assert await call(f"bind 3 {sockaddr(OURS, PORT)}") == "0 0"
    assert await call("listen 3 5") == "0 0"
    accepting = asyncio.create_task(call("accept 3"))  # blocks this caller only
    await b.give(Segment(1000, flags=SYN, window=65535, options=Options(mss=1000)))
    answer = await b.take()
    assert answer.flags == SYN | ACK
    await b.give(Segment(1001, answer.seq + 1 & 0xFFFFFFFF, ACK, 65535))
    ret, error, address = (await accepting).split()
    assert (ret, error, address) == ("4", "0", sockaddr(PEER, PEER_PORT))
    return ret, answer.seq + 1 & 0xFFFFFFFF, 1001


def test_a_connection_from_outside(tmp_path: Path) -> None:
    async def test(b: Bench, call: Caller) -> None:
        fd, snd, rcv = await accepted(b, call)
        await b.give(Segment(rcv, snd, ACK | PSH, 65535, 5, (b"hello",)))
        assert await call(f"poll 1000 {fd}:5") == "1 0 " + struct.pack("=H", 5).hex()
        assert await call(f"ioctl {fd} {0x541B}") == "0 0 " + struct.pack("=i", 5).hex()
        assert await call(f"recv {fd} 3 2") == "3 0 " + b"hel".hex()  # MSG_PEEK
        assert await call(f"recv {fd} 100 0") == "5 0 " + b"hello".hex()
        assert (await b.take()).ack == rcv + 5
        assert await call(f"send {fd} 1500 0") == "1500 0"
        assert [(await b.take()).length for _ in range(2)] == [1000, 500]
        await b.give(Segment(rcv + 5, snd + 1500, ACK, 65535))
        await b.give(Segment(rcv + 5, snd + 1500, FIN | ACK, 65535))
        assert (await b.take()).ack == rcv + 6
        assert await call(f"recv {fd} 100 0") == "0 0"
        assert await call(f"close {fd}") == "0 0"
        assert (await b.take()).flags & FIN
        assert await call(f"recv {fd} 100 0") == f"-1 {errno.EBADF}"

    run(tmp_path, test)


def test_a_connection_to_outside(tmp_path: Path) -> None:
    async def test(b: Bench, call: Caller) -> None:
        assert await call("socket 2 1 6") == "3 0"
        connecting = asyncio.create_task(call(f"connect 3 {sockaddr(PEER, PEER_PORT)}"))
        syn = await b.take()
        assert syn.flags == SYN
        await b.give(Segment(7, syn.seq + 1 & 0xFFFFFFFF, SYN | ACK, 65535))
        assert await connecting == "0 0"
        assert (await b.take()).flags == ACK
        assert await call(f"connect 3 {sockaddr(PEER, PEER_PORT)}") == f"-1 {errno.EISCONN}"
        await b.give(Segment(8, 0, RST))
        await call("poll 1000 3:1")
        assert await call("recv 3 10 0") == f"-1 {errno.ECONNRESET}"
        assert await call("recv 3 10 0") == "0 0"
        assert await call("send 3 10 0") == f"-1 {errno.EPIPE}"

    run(tmp_path, test)


def test_a_refusal_and_a_call_that_does_not_wait(tmp_path: Path) -> None:
    async def test(b: Bench, call: Caller) -> None:
        assert await call(f"socket 2 {1 | 0o4000} 0") == "3 0"
        target = sockaddr(PEER, PEER_PORT)
        assert await call(f"connect 3 {target}") == f"-1 {errno.EINPROGRESS}"
        assert await call(f"connect 3 {target}") == f"-1 {errno.EALREADY}"
        syn = await b.take()
        await b.give(Segment(0, syn.seq + 1 & 0xFFFFFFFF, RST | ACK))
        assert (await call("poll 1000 3:4")).startswith("1 0 ")
        error = struct.pack("=i", errno.ECONNREFUSED).hex()
        assert await call("getsockopt 3 1 4 4") == f"0 0 {error}"
        assert await call("getsockopt 3 1 4 4") == f"0 0 {bytes(4).hex()}"

    run(tmp_path, test)


def test_options_and_modes(tmp_path: Path) -> None:
    async def test(b: Bench, call: Caller) -> None:
        fd, _, _ = await accepted(b, call)
        on = struct.pack("=i", 1).hex()
        assert await call(f"setsockopt {fd} 6 1 {on}") == "0 0"  # TCP_NODELAY
        assert await call(f"getsockopt {fd} 6 1 4") == f"0 0 {on}"
        for _ in range(2):
            assert await call(f"send {fd} 10 0") == "10 0"
        assert [(await b.take()).length for _ in range(2)] == [10, 10]
        assert await call(f"getsockopt {fd} 6 2 4") == "0 0 " + struct.pack("=i", 1000).hex()
        info = bytes.fromhex((await call(f"getsockopt {fd} 6 11 104")).split()[2])
        words = struct.unpack("=8B24I", info)
        assert words[0] == 1  # TCP_ESTABLISHED
        assert words[8 + 2] == 1000  # tcpi_snd_mss
        assert words[8 + 4] == 1  # tcpi_unacked: 20 octets
        assert words[8 + 18] == 10  # tcpi_snd_cwnd
        assert await call(f"fcntl {fd} 4 {0o4000}") == "0 0"
        assert await call(f"fcntl {fd} 3 0") == f"{0o4002} 0"
        assert await call(f"recv {fd} 10 0") == f"-1 {errno.EAGAIN}"
        assert await call(f"setsockopt {fd} 1 13 {struct.pack('=ii', 1, 0).hex()}") == "0 0"
        assert await call(f"close {fd}") == "0 0"
        assert (await b.take()).flags & RST

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("request_", "number"),
    [
        ("fly 3", errno.ENOSYS),
        ("recv 9 10 0", errno.EBADF),
        ("recv", errno.EINVAL),
        ("recv x y z", errno.EINVAL),
        ("socket 1 1 0", errno.EAFNOSUPPORT),
        ("socket 2 2 0", errno.EPROTONOSUPPORT),
        ("bind 3 zz", errno.EINVAL),
        ("bind 3 0200", errno.EINVAL),
        ("recv 3 1 0", errno.ENOTCONN),
        ("accept 3", errno.EINVAL),
        ("setsockopt 3 6 13 " + b"magic".hex(), errno.ENOENT),
    ],
)
def test_every_mistake_has_its_number(tmp_path: Path, request_: str, number: int) -> None:
    async def test(_: Bench, call: Caller) -> None:
        assert await call("socket 2 1 0") == "3 0"
        assert await call(request_) == f"-1 {number}"

    run(tmp_path, test)


def test_packets_to_other_networks_are_not_ours(tmp_path: Path) -> None:
    async def test(b: Bench, call: Caller) -> None:
        assert await call("socket 2 1 0") == "3 0"
        key = packed("10.9.9.9") + PEER + struct.pack("!HH", PORT, PEER_PORT)
        foreign = complete(Envelope(key).packet(Segment(1, flags=SYN)))
        await asyncio.get_running_loop().sock_sendall(b.wire.connection, foreign)
        await b.give(Segment(5, flags=SYN))
        assert (await b.take()).ack == 6

    run(tmp_path, test)
