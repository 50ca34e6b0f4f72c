"""The scripts against Linux: one that Linux does not pass is wrong, or says something of its own.

Times are not compared here, only what is sent and in which order: the clock is a real one.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.io.tcp.tun import Tun
from netlab.linux import namespaces
from netlab.tcp.ip import read
from netlab.tcp.seq import wrap
from netlab.wire.tcp import ACK, PSH, SYN
from tests.tcp import script
from tests.tcp.script import Written
from tests.tcp.script_runner import PORT, Runner

if TYPE_CHECKING:
    from netlab.lab.lab import Lab, LabNode
    from netlab.tcp.segment import Segment
    from tests.tcp.script import Call, Step

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.pkt"))
PATIENCE = 5.0


class OnLinux(Runner):
    """The kernel of a node, with its own sockets; the script is behind its TUN device."""

    ours, peer = b"\x0a\x01\x00\x02", b"\x0a\x01\x00\x64"

    # Linux sets PSH at the end of each large segment that it cuts, wherever that is.
    passed_over = PSH

    def __init__(self, node: LabNode, tun: Tun, peer_port: int) -> None:
        super().__init__(peer_port)
        self.node = node
        self.tun = tun
        self.sockets: dict[int, socket.socket] = {}
        self.began = time.monotonic()
        self.seen: set[tuple[int, int, int]] = set()
        self.address = node.address

    def wait_until(self, at: float) -> None:
        """The script's pauses are those of a peer, so they are kept."""
        left = self.began + at - time.monotonic()
        if left > 0:
            time.sleep(left)

    def inject(self, packet: bytes) -> None:
        """Through the device."""
        os.write(self.tun.fd, packet)

    def _next(self, patience: float) -> Segment | None:
        end = time.monotonic() + patience
        while True:
            arrival = self.tun.read()
            if arrival is None:
                left = end - time.monotonic()
                if left <= 0:
                    return None
                select.select([self.tun.fd], [], [], left)
                continue
            found = read(arrival.packet, 0, verified=False)
            # What earlier scripts left behind speaks from, or to, other ports.
            if found is not None and int.from_bytes(found[0][-2:], "big") == self.peer_port:
                key, segment = found
                if segment.flags & SYN and not segment.flags & ACK:
                    self.local_port = int.from_bytes(key[-4:-2], "big")
                return segment

    def expect(self, step: Step) -> Segment:
        """The next segment, whenever it comes; the script's clock waits for it.

        A busy machine may be late, and Linux send again what it had sent. Such a segment counts
        only where the script has it.
        """
        wanted = step.what
        assert isinstance(wanted, Written)
        while True:
            segment = self._next(PATIENCE)
            assert segment is not None, f"{step.line}: it sent nothing"
            place = wrap(segment.seq - (self.iss or 0)), segment.length
            if place == (wanted.seq, wanted.length) or not self._again(segment):
                break
        self.seen.add((segment.seq, segment.length, segment.flags))
        self.began = time.monotonic() - step.at
        return segment

    def _again(self, segment: Segment) -> bool:
        return segment.space > 0 and (segment.seq, segment.length, segment.flags) in self.seen

    def leftover(self) -> list[Segment]:
        """What comes in a little while; a retransmission would take 200 ms."""
        found = []
        while (segment := self._next(0.05)) is not None:
            if not self._again(segment):
                found.append(segment)
        return found

    def call(self, call: Call) -> tuple[int, str]:
        """The same call on a socket that does not block."""
        fd = int(call.arguments[0])
        number = int(call.arguments[1]) if len(call.arguments) > 1 else 0
        try:
            return self._call(call.name, fd, number), ""
        except OSError as error:
            return -1, errno.errorcode[error.errno or 0]

    def _socket(self) -> socket.socket:
        made = self.node.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
        made.setblocking(False)
        return made

    def _call(self, name: str, fd: int, number: int) -> int:
        match name:
            case "listen":
                self.sockets[fd] = self._socket()
                self.sockets[fd].bind((self.address, PORT))
                self.sockets[fd].listen(8)
            case "accept":
                select.select([self.sockets[fd]], [], [], PATIENCE)
                accepted, _ = self.sockets[fd].accept()
                accepted.setblocking(False)
                self.sockets[fd + 1] = accepted
                return fd + 1
            case "connect":
                self.sockets[fd] = self._socket()
                self.sockets[fd].bind((self.address, 0))
                self.sockets[fd].connect((socket.inet_ntoa(self.peer), self.peer_port))
            case "nodelay":
                self.sockets[fd].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            case "write":
                return self.sockets[fd].send(bytes(number))
            case "read":
                return len(self.sockets[fd].recv(number))
            case "shutdown":
                self.sockets[fd].shutdown(socket.SHUT_WR)
            case "close":
                self.sockets[fd].close()
            case _:
                raise AssertionError(f"no such call: {name}")
        return 0

    def close(self) -> None:
        """Reset whatever is still open."""
        for one in self.sockets.values():
            one.close()


@pytest.mark.kernel
@pytest.mark.netlab(topology="scripts_lab.yaml")
def test_linux_follows_too(netlab: Lab) -> None:
    node = netlab["kernel"]
    for key, value in {"tcp_timestamps": "0", "tcp_tw_reuse": "0"}.items():
        node.run(["sysctl", "-qw", f"net.ipv4.{key}={value}"], check=True)
    failures = []
    for number, path in enumerate(SCRIPTS):
        tun = namespaces.inside(node.namespace, lambda: Tun("tun0", offload=False))
        with tun:
            runner = OnLinux(node, tun, 40_000 + number)
            try:
                runner.run(script.read(path))
            except AssertionError as difference:
                failures.append(str(difference).partition("\n")[0])
            finally:
                runner.close()
            while tun.read():
                pass
        node.run(["ip", "tcp_metrics", "flush", "all"])
    assert not failures, "\n".join(failures)
