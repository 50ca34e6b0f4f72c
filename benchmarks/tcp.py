"""The userspace TCP beside the kernel's, on the same path, with Python at both ends of both.

    ours    program - stack - TUN - (node) - veth - peer
    theirs  program - kernel - veth - (node) - veth - peer          routed
            program - kernel - veth - peer                          direct

The peer is a kernel socket in a process of its own; each measurement takes turns with its rival.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import shutil
import socket
import statistics
import struct
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from benchmarks.result import Result, Row, less_is_better, more_is_better
from netlab.io.tcp.asyncio import TcpConnection, TcpStack
from netlab.io.tcp.blocking import BlockingStack
from netlab.io.tcp.tun import Tun
from netlab.lab.lab import Lab, LabNode
from netlab.linux import namespaces
from netlab.tcp.settings import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

TOPOLOGY = """
nodes:
  node: {kind: stack, stack: 10.1.0.100}
  program: {routes: [10.1.0.0/24 via 10.2.0.1]}
  peer: {routes: [10.2.0.0/24 via 10.1.0.1]}
links:
  - {ends: [node:to-peer, peer:eth0], subnet: 10.1.0.0/24}
  - {ends: [node:to-program, program:eth0], subnet: 10.2.0.0/24}
"""
OURS, ROUTED, DIRECT = "10.1.0.100", "10.2.0.2", "10.1.0.1"
PIECE = 1 << 20
PORT = 5000
KERNEL = "kernel TCP"
OUR_CONGESTION = DEFAULTS.congestion


def run(*, quick: bool) -> Result:
    """Medians of runs that take turns."""
    with tempfile.TemporaryDirectory() as state:
        os.environ["NETLAB_STATE_DIR"] = state
        topology = Path(state) / "bench-tcp.yaml"
        topology.write_text(TOPOLOGY)
        with Lab(topology) as lab:
            rows = [
                *_bulk(lab, _kernels_default(), quick=quick),
                *_latency(lab, quick=quick),
                *_many(lab, quick=quick),
            ]
            if _kernels_default() != OUR_CONGESTION:
                rows += _bulk(lab, OUR_CONGESTION, quick=quick)
            missing = []
            if shutil.which("ab"):
                rows += _connections(lab, quick=quick)
            else:
                missing.append("ab (apache2-utils), for connections per second")
        return Result(tuple(rows), (*missing, "smoltcp (its crates are not at hand)"))


def _aside(action: Callable[[], None]) -> int:
    """Run ``action`` in a process of its own; its id."""
    child = os.fork()
    if child:
        return child
    try:
        action()
    except BaseException:  # noqa: BLE001 - the parent's process must not go on here
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _tun(lab: Lab) -> Tun:
    return namespaces.inside(lab["node"].namespace, lambda: Tun("tun0"))


# -- bulk --


def _kernels_default() -> str:
    return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text(encoding="ascii").strip()


def _bulk(lab: Lab, congestion: str, *, quick: bool) -> list[Row]:
    """One connection; ``congestion`` is what the kernel's sockets use, ours at their peers too.

    It matters more than all else: BBR paces what it sends, CUBIC does not.
    """
    size = 300_000_000 if quick else 1_000_000_000
    repeats = 3 if quick else 5
    rows = []
    for sends, name in ((False, "receive"), (True, "send")):
        taken: dict[str, list[float]] = {OURS: [], ROUTED: [], DIRECT: []}
        for _ in range(repeats):
            for address, rates in taken.items():
                rates.append(_bulk_once(lab, address, size, congestion, sends=sends))
        ours, routed, direct = (statistics.median(rates) for rates in taken.values())
        how = "" if congestion == _kernels_default() else f", {congestion}"
        for figure, path, rate in (
            (f"{name} routed{how}", "routed", routed),
            (f"{name}, against direct{how}", "direct", direct),
        ):
            rows.append(more_is_better(figure, ours, f"{KERNEL} {path}", rate, "GB/s"))
    return rows


def _bulk_once(lab: Lab, address: str, size: int, congestion: str, *, sends: bool) -> float:
    """GB/s of one connection from the first octet to the end, as its reader sees it."""
    reading, writing = os.pipe()

    def peer() -> None:
        with lab["peer"].socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
            _connect(s, address)
            if sends:
                _report(writing, _drain(s))
            else:
                _pour(s, size)

    def measured() -> None:
        if address == OURS:
            rate = asyncio.run(_ours(lab, size, sends=sends))
        else:
            rate = _kernels(lab, address, size, congestion, sends=sends)
        if not sends:
            _report(writing, rate)

    children = [_aside(measured), _aside(peer)]
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        rate = struct.unpack("d", pipe.read(8))[0]
    for child in children:
        os.waitpid(child, 0)
    return float(rate)


def _report(pipe: int, value: float) -> None:
    os.write(pipe, struct.pack("d", value))


def _connect(s: socket.socket, address: str) -> None:
    """Connect as soon as somebody listens there."""
    end = time.monotonic() + 10
    while True:
        try:
            s.connect((address, PORT))
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def _pour(s: socket.socket, size: int) -> None:
    piece = bytes(PIECE)
    while size > 0:
        size -= s.send(piece[: min(size, PIECE)])


def _drain(s: socket.socket) -> float:
    buffer = bytearray(PIECE)
    count = s.recv_into(buffer)
    began = time.perf_counter()
    while more := s.recv_into(buffer):
        count += more
    return count / (time.perf_counter() - began) / 1e9


def _kernels(lab: Lab, address: str, size: int, congestion: str, *, sends: bool) -> float:
    node = lab["program"] if address == ROUTED else lab["node"]
    with node.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
        listener.bind((address, PORT))
        listener.listen()
        s, _ = listener.accept()
        with s:
            if not sends:
                return _drain(s)
            _pour(s, size)
    return 0.0


async def _ours(lab: Lab, size: int, *, sends: bool) -> float:
    with _tun(lab) as tun:
        async with TcpStack(tun, [OURS]) as tcp:
            listener = await tcp.listen(PORT)
            connection = await listener.accept()
            rate = await (_pour_ours(connection, size) if sends else _drain_ours(connection))
            await connection.close()
            await connection.closed()
            return rate


async def _pour_ours(connection: TcpConnection, size: int) -> float:
    piece = bytes(PIECE)
    for _ in range(size // PIECE):
        await connection.write(piece)
    return 0.0


async def _drain_ours(connection: TcpConnection) -> float:
    count = sum(map(len, await connection.read_pieces()))
    began = time.perf_counter()
    while pieces := await connection.read_pieces():
        count += sum(map(len, pieces))
    return count / (time.perf_counter() - began) / 1e9


# -- request and response --


def _latency(lab: Lab, *, quick: bool) -> list[Row]:
    repeats = 500 if quick else 3000
    rounds = 3
    taken: dict[str, list[float]] = {OURS: [], ROUTED: []}
    for _ in range(rounds):
        for address, times in taken.items():
            times.append(_latency_once(lab, address, repeats))
    ours, theirs = (statistics.median(times) for times in taken.values())
    return [
        less_is_better("request and response, 64 octets", ours, f"{KERNEL} routed", theirs, "us"),
        less_is_better("the same, beyond the kernel's", max(ours - theirs, 0.1), "aim", 60, "us"),
    ]


def _latency_once(lab: Lab, address: str, repeats: int) -> float:
    """The median of one round trip in microseconds, through an echo server at ``address``."""
    child = _aside(lambda: _echo(lab, address))
    question = bytes(64)
    took = []
    with lab["peer"].socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _connect(s, address)
        for _ in range(repeats):
            began = time.perf_counter()
            s.sendall(question)
            s.recv(64)
            took.append(time.perf_counter() - began)
    os.waitpid(child, 0)
    return statistics.median(took) * 1e6


def _echo(lab: Lab, address: str) -> None:
    if address == OURS:
        with _tun(lab) as tun, BlockingStack(tun, [OURS], timeout=20) as tcp:
            connection = tcp.listen(PORT).accept()
            while data := connection.read():
                connection.write(data)
            connection.close()
        return
    with lab["program"].socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, PORT))
        listener.listen()
        s, _ = listener.accept()
        with s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := s.recv(64):
                s.sendall(data)


# -- many connections --

_ANSWER = b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n" + bytes(100)


def _connections(lab: Lab, *, quick: bool) -> list[Row]:
    count = 2000 if quick else 10_000
    taken: dict[str, list[float]] = {OURS: [], ROUTED: []}
    for _ in range(3):
        for address, rates in taken.items():
            rates.append(_connections_once(lab, address, count))
    ours, theirs = (statistics.median(rates) for rates in taken.values())
    peer = "asyncio on kernel TCP"
    return [more_is_better("connections opened, served, closed", ours, peer, theirs, "1/s")]


def _connections_once(lab: Lab, address: str, count: int) -> float:
    serve = _serve_ours if address == OURS else _serve_kernels
    reading, writing = os.pipe()
    child = _aside(lambda: asyncio.run(serve(lab, writing)))
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    command = ["ab", "-q", "-n", str(count), "-c", "50", f"http://{address}:{PORT}/"]
    ran = lab["peer"].run(command, check=True)
    lab["peer"].run(["ab", "-q", "-n", "1", f"http://{address}:{PORT}/end"])
    os.waitpid(child, 0)
    assert re.search(r"Failed requests:\s+0\b", ran.stdout)
    found = re.search(r"Requests per second:\s+([\d.]+)", ran.stdout)
    assert found
    return float(found[1])


async def _serve_ours(lab: Lab, ready: int) -> None:
    over = asyncio.Event()

    async def one(connection: TcpConnection) -> None:
        async with connection:
            request = await connection.read()
            await connection.write(_ANSWER)
            if b"/end" in request:
                over.set()

    with _tun(lab) as tun:
        async with TcpStack(tun, [OURS]) as tcp:
            listener = await tcp.listen(PORT, backlog=1024)
            os.write(ready, b".")

            async def accept() -> None:
                tasks = set()
                async for connection in listener:
                    task = asyncio.create_task(one(connection))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)

            accepting = asyncio.create_task(accept())
            await over.wait()
            await asyncio.sleep(0.05)
            accepting.cancel()


async def _serve_kernels(lab: Lab, ready: int) -> None:
    over = asyncio.Event()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.read(65536)
        writer.write(_ANSWER)
        await writer.drain()
        writer.close()
        if b"/end" in request:
            over.set()

    listener = lab["program"].socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((ROUTED, PORT))
    await asyncio.start_server(one, sock=listener, backlog=1024)
    os.write(ready, b".")
    await over.wait()
    await asyncio.sleep(0.05)


def _many(lab: Lab, *, quick: bool) -> list[Row]:
    """A thousand connections: memory of each while idle, and how evenly they are served."""
    count = 1000
    reading, writing = os.pipe()
    seconds = 2.0 if quick else 5.0
    child = _aside(lambda: asyncio.run(_hold(lab, count, seconds, writing)))
    os.close(writing)
    peer = _aside(lambda: asyncio.run(_read_many(lab["peer"], count)))
    with os.fdopen(reading, "rb") as pipe:
        memory, fairness = struct.unpack("dd", pipe.read(16))
    os.waitpid(child, 0)
    os.waitpid(peer, 0)
    return [
        less_is_better("memory of an idle connection", memory, "aim", 20, "KB"),
        less_is_better("1,000 senders: most octets to fewest", fairness, "aim", 2, "times"),
    ]


def _resident() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


async def _hold(lab: Lab, count: int, seconds: float, pipe: int) -> None:
    with _tun(lab) as tun:
        async with TcpStack(tun, [OURS]) as tcp:
            listener = await tcp.listen(PORT, backlog=1024)
            gc.collect()
            before = _resident()
            held = [await listener.accept() for _ in range(count)]
            gc.collect()
            memory = (_resident() - before) / count
            sent = [0] * count
            piece = bytes(16384)
            end = time.monotonic() + seconds

            async def pour(index: int, connection: TcpConnection) -> None:
                while time.monotonic() < end:
                    await connection.write(piece)
                    sent[index] = connection.core.sender.una - connection.core.iss
                connection.abort()

            await asyncio.gather(*(pour(i, c) for i, c in enumerate(held)))
            os.write(pipe, struct.pack("dd", memory, max(sent) / max(min(sent), 1)))


async def _read_many(node: LabNode, count: int) -> None:
    loop = asyncio.get_running_loop()

    async def one() -> None:
        with node.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            s.setblocking(False)
            while True:
                try:
                    await loop.sock_connect(s, (OURS, PORT))
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0.05)
            buffer = bytearray(65536)
            try:
                while await loop.sock_recv_into(s, buffer):
                    pass
            except ConnectionResetError:
                pass

    await asyncio.gather(*(one() for _ in range(count)))
