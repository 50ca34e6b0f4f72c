"""The userspace TCP against Linux and its programs, in a lab."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.io.tcp import log, services
from netlab.io.tcp.blocking import BlockingStack
from netlab.io.tcp.tun import Tun
from netlab.linux import namespaces
from netlab.tcp.state import State
from tests.helpers.waiting import eventually
from tests.io.stacks import (
    ADDRESS,
    DEADLINE,
    FAR,
    HOST,
    URL,
    digest,
    opened,
    output,
    run,
    serving,
    stack_in,
)
from tests.programs import needs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.lab.lab import Lab

pytestmark = [pytest.mark.kernel, pytest.mark.netlab(topology="tcp_stack.yaml")]
offloads = pytest.mark.parametrize("offload", [True, False], ids=["offload", "plain"])
families = pytest.mark.parametrize("family", [4, 6])


@needs("curl", "wget")
@offloads
@families
def test_curl_and_wget_fetch_what_is_there(
    netlab: Lab, tmp_path: Path, family: int, *, offload: bool
) -> None:
    big = random.Random(1).randbytes(8_000_000)
    (tmp_path / "big").write_bytes(big)
    (tmp_path / "index.html").write_text("hello\n")

    async def test() -> None:
        url = URL[family]
        async with (
            stack_in(netlab, offload=offload) as tcp,
            serving(tcp, 80, services.http(tmp_path)),
        ):
            host = netlab["host"]
            assert await output(host, "curl", "-gsS", url + "/") == "hello\n"
            assert await output(host, "wget", "-qO-", url + "/") == "hello\n"
            fetch = f"curl -gsS {url}/big {url}/big | sha256sum"
            assert (await output(host, "sh", "-c", fetch)).split()[0] == digest(big + big)
            gone = await output(host, "curl", "-gso/dev/null", "-w%{http_code}", url + "/../x")
            assert gone == "404"
            assert not tcp.driver.stack.counters

    run(test())


@needs("socat")
@offloads
@families
def test_socat_gets_its_octets_back(netlab: Lab, family: int, *, offload: bool) -> None:
    where = "10.1.0.100" if family == 4 else "[fd00:1::100]"
    make = "head -c 5000000 /dev/urandom > $HOME/x; sha256sum < $HOME/x;"
    command = f"{make} socat -t 20 - TCP{family}:{where}:7 < $HOME/x | sha256sum; rm $HOME/x"

    async def test() -> None:
        async with stack_in(netlab, offload=offload) as tcp, serving(tcp, 7, services.echo):
            sent, came = (await output(netlab["host"], "sh", "-c", command)).splitlines()
            assert sent == came

    run(test())


@needs("nc")
@offloads
def test_netcat_is_heard(netlab: Lab, *, offload: bool) -> None:
    text = random.Random(5).randbytes(300_000).hex()

    async def test() -> None:
        async with stack_in(netlab, offload=offload) as tcp:
            listener = await tcp.listen(9)
            command = output(netlab["host"], "nc", "-N", ADDRESS[4], "9", text=text)
            sending = asyncio.create_task(command)
            async with await listener.accept() as connection:
                assert await connection.readexactly(len(text)) == text.encode()
                assert await connection.read() == b""
                await connection.write(b"thanks")
            assert await sending == "thanks"

    run(test())


@offloads
@families
@pytest.mark.parametrize("mebibytes", [64, pytest.param(1024, marks=pytest.mark.soak)])
def test_bulk_both_ways_at_once(netlab: Lab, family: int, mebibytes: int, *, offload: bool) -> None:
    count = mebibytes if offload else mebibytes // 16
    noise = random.Random(2).randbytes(1 << 20)

    def pieces() -> Iterator[bytes]:
        """No two of them alike, so that none can stand for another."""
        for number in range(count):
            yield number.to_bytes(8, "big") + noise[8:]

    async def test() -> None:
        async with stack_in(netlab, offload=offload) as tcp:
            peer, connection = await opened(tcp, netlab["host"], family)
            loop = asyncio.get_running_loop()
            there, here, expected = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()

            async def peer_sends() -> None:
                for piece in pieces():
                    expected.update(piece)
                    await loop.sock_sendall(peer, piece)
                peer.shutdown(socket.SHUT_WR)

            async def peer_reads() -> None:
                while data := await loop.sock_recv(peer, 1 << 18):
                    there.update(data)

            async def we_send() -> None:
                for piece in pieces():
                    await connection.write(piece)
                await connection.write_eof()

            async def we_read() -> None:
                while data := await connection.read():
                    here.update(data)

            with peer:
                await asyncio.gather(peer_sends(), peer_reads(), we_send(), we_read())
            assert there.hexdigest() == here.hexdigest() == expected.hexdigest()
            await connection.closed()

    run(test(), DEADLINE + mebibytes)


@needs("socat")
@offloads
def test_loss_each_way_is_repaired(netlab: Lab, *, offload: bool) -> None:
    text = random.Random(6).randbytes(2_000_000)
    rules = (
        "table inet loss { chain forward { type filter hook forward priority 10;"
        " meta l4proto tcp numgen random mod 100 < 4 drop; }; }"
    )

    async def test() -> None:
        async with stack_in(netlab, offload=offload) as tcp, serving(tcp, 7, services.echo):
            host = netlab["host"]
            netlab["nat"].run(["nft", rules], check=True)
            command = "socat -t 50 - TCP:10.1.0.100:7 | sha256sum"
            feed = ["sh", "-c", command]
            pipe = subprocess.PIPE
            with host.popen(feed, stdin=pipe, stdout=pipe) as process:
                out, _ = await asyncio.to_thread(process.communicate, text, DEADLINE)
            assert out.split()[0].decode() == digest(text)

    run(test())


def test_a_connection_out_through_the_nat(netlab: Lab) -> None:
    async def test() -> None:
        async with stack_in(netlab) as tcp:
            server = netlab["far"].socket(socket.AF_INET, socket.SOCK_STREAM)
            with server:
                server.bind((FAR, 4000))
                server.listen()
                server.setblocking(False)
                loop = asyncio.get_running_loop()
                ours = asyncio.create_task(tcp.connect(FAR, 4000))
                peer, address = await loop.sock_accept(server)
                connection = await ours
                assert address[0] == "203.0.113.1"  # the NAT's
                with peer:
                    await connection.write(b"question")
                    assert await loop.sock_recv(peer, 100) == b"question"
                    await loop.sock_sendall(peer, b"answer")
                    peer.shutdown(socket.SHUT_WR)  # the peer closes first
                    assert await connection.read() == b"answer"
                    assert await connection.read() == b""
                    assert connection.core.state is State.CLOSE_WAIT
                    await connection.write(b"late")
                    await connection.close()
                    assert await loop.sock_recv(peer, 100) == b"late"
                    assert await loop.sock_recv(peer, 100) == b""
                await connection.closed()

    run(test())


def test_nobody_there(netlab: Lab) -> None:
    async def test() -> None:
        async with stack_in(netlab) as tcp:
            with pytest.raises(ConnectionRefusedError):
                await tcp.connect(FAR, 4001)
            with pytest.raises(ConnectionRefusedError):
                await tcp.connect(HOST[6], 4001)

    run(test())


def test_a_peer_that_resets_in_the_middle(netlab: Lab) -> None:
    async def test() -> None:
        async with stack_in(netlab) as tcp:
            peer, connection = await opened(tcp, netlab["host"])
            await connection.write(bytes(1000))
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
            await eventually(lambda: connection.core.state is State.CLOSED)
            with pytest.raises(ConnectionResetError):
                await connection.read()
            with pytest.raises(ConnectionResetError):
                await connection.write(b"x")
            assert tcp.driver.stack.places() == []

    run(test())


def test_we_reset(netlab: Lab) -> None:
    async def test() -> None:
        async with stack_in(netlab) as tcp:
            peer, connection = await opened(tcp, netlab["host"])
            connection.abort()
            with peer, pytest.raises(ConnectionResetError):
                await asyncio.get_running_loop().sock_recv(peer, 1)

    run(test())


def test_a_peer_that_never_reads_and_then_does(netlab: Lab) -> None:
    size = 20_000_000

    async def test() -> None:
        async with stack_in(netlab) as tcp:
            peer, connection = await opened(tcp, netlab["host"])
            writing = asyncio.create_task(connection.write(bytes(size)))
            sender = connection.core.sender
            await eventually(lambda: sender.wnd == 0)
            assert not writing.done()
            count, loop = 0, asyncio.get_running_loop()
            with peer:
                while count < size:
                    count += len(await loop.sock_recv(peer, 1 << 20))
                await writing
            assert sender.retransmissions < 10

    run(test())


def test_a_peer_that_sends_one_octet_at_a_time(netlab: Lab) -> None:
    text = random.Random(3).randbytes(3000)

    async def test() -> None:
        async with stack_in(netlab) as tcp:
            peer, connection = await opened(tcp, netlab["host"])
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            loop = asyncio.get_running_loop()

            async def send() -> None:
                for octet in text:
                    await loop.sock_sendall(peer, bytes([octet]))

            with peer:
                sending = asyncio.create_task(send())
                assert await connection.readexactly(len(text)) == text
                await sending

    run(test())


@needs("ab")
def test_a_thousand_connections_of_apache_bench(netlab: Lab, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(bytes(100))

    async def test() -> None:
        async with stack_in(netlab) as tcp, serving(tcp, 80, services.http(tmp_path)):
            printed = await output(
                netlab["host"], "ab", "-q", "-n", "3000", "-c", "1000", URL[4] + "/index.html"
            )
            assert re.search(r"Complete requests:\s+3000\b", printed)
            assert re.search(r"Failed requests:\s+0\b", printed)
            places = tcp.driver.stack.places
            await eventually(lambda: all(p.connection.state is State.TIME_WAIT for p in places()))

    run(test())


@needs("socat")
def test_the_blocking_facade(netlab: Lab) -> None:
    tun = namespaces.inside(netlab["stack"].namespace, lambda: Tun("tun0"))
    text = random.Random(4).randbytes(1_000_000)
    server = netlab["host"].socket(socket.AF_INET, socket.SOCK_STREAM)
    with tun, server, BlockingStack(tun, timeout=20) as tcp:
        listener = tcp.listen(7)
        command = ["socat", "-t", "20", "-", "TCP:10.1.0.100:7"]
        pipe = subprocess.PIPE
        with netlab["host"].popen(command, stdin=pipe, stdout=pipe) as client:
            feeder = threading.Thread(target=client.communicate, args=(text,))
            connection = listener.accept()
            feeder.start()
            came = b""
            while data := connection.read():
                came += data
            assert came == text
            connection.close()
            feeder.join()
        with pytest.raises(ConnectionRefusedError):
            tcp.connect(HOST[4], 4001)
        server.bind((HOST[4], 4002))
        server.listen()
        outgoing = tcp.connect(HOST[4], 4002)
        outgoing.write(b"hello")
        peer, _ = server.accept()
        with peer:
            assert peer.recv(10) == b"hello"
            peer.sendall(b"there")
            assert outgoing.read() == b"there"
        outgoing.close()


@needs("nc")
@pytest.mark.parametrize("number", [0, 1])
def test_the_programs_of_the_manual_run(netlab: Lab, number: int) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tcp.md").read_text(encoding="utf-8")
    program = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[number]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-u", "-c", program]
    with netlab["stack"].popen(command, env=environment, stdout=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == b"ready\n"
            said = netlab["host"].run(["nc", "-N", ADDRESS[4], "7"], input="hello", check=True)
            assert said.stdout == "HELLO"
        finally:
            running.kill()


@families
def test_ping(netlab: Lab, family: int) -> None:
    async def test() -> None:
        async with stack_in(netlab):
            for size in ("1000", "5000"):  # the latter in fragments
                await output(netlab["host"], "ping", "-c1", "-W9", "-s", size, ADDRESS[family])

    run(test())


@needs("tshark")
@offloads
def test_tshark_finds_nothing_wrong(netlab: Lab, tmp_path: Path, *, offload: bool) -> None:
    capture = tmp_path / "trace.pcapng"
    (tmp_path / "file").write_bytes(bytes(2_000_000))

    async def test() -> None:
        # On a busy machine our answer may take longer than Linux waits before it sends again.
        patient = "ip route change $(ip route show default) rto_min 20s"
        await output(netlab["host"], "sh", "-ec", patient)
        with capture.open("wb") as file:
            async with (
                stack_in(netlab, offload=offload, watcher=log.recorder(file)) as tcp,
                serving(tcp, 80, services.http(tmp_path)),
            ):
                await output(netlab["host"], "curl", "-so/dev/null", URL[4] + "/file")

    run(test())
    wrong = "_ws.malformed || tcp.analysis.retransmission || tcp.analysis.lost_segment"
    # What the device hands over with its offloads has no finished checksum to look at.
    wrong += "" if offload else " || tcp.checksum.status == 0 || ip.checksum.status == 0"
    judge = ["tshark", "-r", str(capture), "-o", "tcp.check_checksum:TRUE"]
    judge += ["-o", "ip.check_checksum:TRUE"]

    async def judged(*more: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *judge, *more, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        out, _ = await process.communicate()
        return out.decode()

    assert asyncio.run(judged("-Y", wrong)) == ""
    assert len(asyncio.run(judged("-Y", "tcp.len > 0")).splitlines()) > 20
