"""Programs that ask much of a TCP, with the userspace stack as one of their ends."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import shlex
import signal
import socket
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.commands import NETLAB
from tests.io.stacks import ADDRESS, DEADLINE, HOST, URL, digest, output, run, serving, stack_in
from tests.programs import find, needs

if TYPE_CHECKING:
    from netlab.io.tcp.streams import Stream
    from netlab.lab.lab import Lab

pytestmark = [pytest.mark.kernel, pytest.mark.netlab(topology="tcp_stack.yaml")]

ROOT = Path(__file__).parents[2]
needs_ssh = needs("ssh", "sshd")


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + bytes(100)


@needs("wrk")
def test_a_thousand_connections_of_wrk(netlab: Lab) -> None:
    answered: Counter[Stream] = Counter()
    over = asyncio.Event()

    async def one(connection: Stream) -> None:
        while await connection.read():
            await connection.write(ANSWER)
            answered[connection] += 1
            if len(answered) >= 1000 and answered.total() >= 5000:
                over.set()

    async def test() -> None:
        load = ["wrk", "-t1", "-c1000", "-d60s", "--timeout", "60s", URL[4] + "/"]
        async with stack_in(netlab) as tcp, serving(tcp, 80, one):
            wrk = netlab["host"].popen(load, stdout=subprocess.PIPE, text=True)
            await over.wait()
            wrk.send_signal(signal.SIGINT)
            printed, _ = await asyncio.to_thread(wrk.communicate)
        assert re.search(r"\d+ requests in", printed)
        assert "Socket errors" not in printed
        assert "Non-2xx" not in printed

    run(test())


class Ssh:
    """A key for the host, one for the user, and the command lines that use them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("host", "user"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
            subprocess.run(make, check=True)
        (directory / "known").write_text("* " + (directory / "host.pub").read_text())
        (directory / "sshd_config").write_text(
            f"HostKey {directory}/host\n"
            f"AuthorizedKeysFile {directory}/user.pub\n"
            "PermitRootLogin prohibit-password\nStrictModes no\nUsePAM no\nPidFile none\n"
            "ClientAliveInterval 10\nClientAliveCountMax 2\n"
        )

    def server(self, *more: str) -> list[str]:
        """It wants a directory below /run, which it gets where nobody else sees it."""
        own_run = 'mount -t tmpfs none /run && mkdir /run/sshd && exec "$0" "$@"'
        start = [find("sshd"), "-e", "-f", f"{self.directory}/sshd_config", *more]
        return ["unshare", "--mount", "sh", "-c", own_run, *start]

    def client(self, *more: str) -> list[str]:
        options = {
            "IdentityFile": f"{self.directory}/user",
            "UserKnownHostsFile": f"{self.directory}/known",
            "BatchMode": "yes",
            "ExitOnForwardFailure": "yes",
        }
        chosen = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return ["ssh", "-F", "none", *chosen, "-l", "root", *more]


@needs_ssh
@pytest.mark.root
def test_ssh_tunnels_to_a_server_behind_our_stack(netlab: Lab, tmp_path: Path) -> None:
    """A page that only sshd's node has, through a connection of the kernel's TCP with ours."""
    ssh = Ssh(tmp_path)
    page = random.Random(7).randbytes(3_000_000)
    (tmp_path / "page").write_bytes(page)
    host, far = netlab["host"], netlab["far"]
    over = asyncio.Event()

    async def shell(connection: Stream) -> None:
        ours, theirs = socket.socketpair()
        server = far.popen(ssh.server("-i"), stdin=theirs, stdout=theirs)
        theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        going = asyncio.create_task(pour(reader, connection))
        # Who of the two goes first may well leave the other with something unsaid.
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            async for data in connection:
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        await asyncio.gather(going, return_exceptions=True)
        await asyncio.to_thread(server.wait, DEADLINE)
        over.set()

    async def pour(reader: asyncio.StreamReader, connection: Stream) -> None:
        while data := await reader.read(1 << 16):
            await connection.write(data)
        await connection.write_eof()

    async def test() -> None:
        web = ["busybox", "httpd", "-f", "-p", "127.0.0.1:80", "-h", str(tmp_path)]
        tunnel = ssh.client("-N", "-L", "8000:127.0.0.1:80", ADDRESS[4])
        fetch = "curl -sS --retry 40 --retry-delay 1 --retry-all-errors http://127.0.0.1:8000/page"
        async with stack_in(netlab) as tcp, serving(tcp, 22, shell):
            with far.popen(web) as httpd, host.popen(tunnel) as client:
                try:
                    summed = await output(host, "sh", "-c", f"{fetch} | sha256sum")
                finally:
                    client.terminate()
                    httpd.terminate()
            await over.wait()
            assert summed.split()[0] == digest(page)

    run(test())


@needs_ssh
@needs("nc")
@pytest.mark.root
def test_ssh_goes_out_by_way_of_the_relay(netlab: Lab, tmp_path: Path) -> None:
    """OpenSSH, netcat as its ProxyCommand, SOCKS 5, our TCP, and a real sshd."""
    ssh = Ssh(tmp_path)
    data = random.Random(9).randbytes(3_000_000)
    words = [*NETLAB, "tcp", "relay", "--node", f"{netlab.name}/stack"]
    proxy = "nc -X 5 -x 127.0.0.1:1080 %h %p"
    command = ssh.client("-o", f"ProxyCommand={proxy}", "-p", "2200", HOST[4], "sha256sum")
    with (
        netlab["host"].popen(ssh.server("-D", "-p", "2200"), stderr=subprocess.PIPE) as server,
        subprocess.Popen([*words, "--socks"], cwd=ROOT, stderr=subprocess.PIPE) as relay,
    ):
        assert server.stderr
        assert relay.stderr
        try:
            assert b"listening on" in server.stderr.readline()
            assert b"listening" in relay.stderr.readline()
            client = netlab["stack"].popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            said, errors = client.communicate(data, timeout=DEADLINE)
        finally:
            relay.terminate()
            server.terminate()
            server.stderr.read()
    assert errors == b""
    assert said.split()[0].decode() == digest(data)


@needs_ssh
@pytest.mark.root
def test_ssh_goes_out_by_way_of_netlab_tcp_connect(netlab: Lab, tmp_path: Path) -> None:
    """As a user would: our netcat is the ProxyCommand."""
    ssh = Ssh(tmp_path)
    data = random.Random(8).randbytes(3_000_000)
    words = [*NETLAB, "tcp", "connect", "--node", f"{netlab.name}/stack"]
    proxy = f"{shlex.join(words)} %h %p"
    command = ssh.client("-o", f"ProxyCommand={proxy}", "-p", "2200", HOST[4], "sha256sum")
    with netlab["host"].popen(ssh.server("-D", "-p", "2200"), stderr=subprocess.PIPE) as server:
        assert server.stderr
        try:
            assert b"listening on" in server.stderr.readline()
            ran = subprocess.run(
                command, cwd=ROOT, input=data, capture_output=True, timeout=DEADLINE, check=False
            )
        finally:
            server.terminate()
            said = server.stderr.read()  # to the end of the session, which has this open too
    assert b"not responding" not in said  # hung up on, our netcat has ended the connection
    assert ran.stderr == b""
    assert ran.stdout.split()[0].decode() == digest(data)
