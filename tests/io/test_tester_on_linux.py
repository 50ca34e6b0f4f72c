"""`netlab tcp drive` beside Linux: the same calls and packets, and every answer the same.

What plays the tester is a program of its own that knows the messages and nothing else: a thread
and a connection for each caller, and one that carries the packets.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import struct
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, Protocol

import pytest

from netlab.io.tcp.tun import Tun
from netlab.linux import namespaces
from netlab.tcp.ip import Envelope, complete, read
from netlab.tcp.segment import Segment
from netlab.tcp.seq import MASK
from netlab.wire import icmp, ipv4
from netlab.wire.address import packed
from netlab.wire.tcp import ACK, FIN, PSH, RST, SYN, Options
from tests.helpers.commands import NETLAB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlab.lab.lab import Lab, LabNode

ROOT = Path(__file__).parents[2]
OURS, PEER = packed("10.1.0.2"), packed("10.1.0.100")
PORT, FIRST_PEER_PORT = 8080, 40_000
PATIENCE = 20.0
NONBLOCK = os.O_NONBLOCK
IN, OUT, ERR, RDHUP = 1, 4, 8, 0x2000


def sockaddr(host: bytes, port: int) -> str:
    return (struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + host + bytes(8)).hex()


def number(value: int) -> str:
    return struct.pack("=i", value).hex()


class System(Protocol):
    """Something that makes calls and has a wire."""

    def call(self, request: str) -> str: ...  # from any thread

    def give(self, packet: bytes) -> None: ...

    def take(self, patience: float) -> bytes | None: ...


class Driven:
    """The stack behind the Unix socket, by nothing but its messages."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held = contextlib.ExitStack()
        self.mine = local()
        self.wire = self.connection()
        self.wire.send(b"pkt")
        assert self.wire.recv(10) == b"ok"

    def connection(self) -> socket.socket:
        made = self.held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        made.settimeout(PATIENCE)
        made.connect(str(self.path))
        return made

    def call(self, request: str) -> str:
        if not hasattr(self.mine, "connection"):
            self.mine.connection = self.connection()
        self.mine.connection.send(request.encode())
        return str(self.mine.connection.recv(1 << 17), "ascii")

    def give(self, packet: bytes) -> None:
        self.wire.send(packet)

    def take(self, patience: float) -> bytes | None:
        readable, _, _ = select.select([self.wire], [], [], patience)
        return self.wire.recv(1 << 17) if readable else None


class Kernel:
    """Linux' own calls in a node, and its TUN device as the wire."""

    def __init__(self, node: LabNode, tun: Tun) -> None:
        self.node = node
        self.tun = tun
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.numbers: dict[int, int] = {}

    def close(self) -> None:
        """Close what a play left open; who still waits there is woken."""
        for fd in self.numbers.values():
            self.libc.shutdown(fd, socket.SHUT_RDWR)
            os.close(fd)

    def give(self, packet: bytes) -> None:
        os.write(self.tun.fd, packet)

    def take(self, patience: float) -> bytes | None:
        end = time.monotonic() + patience
        while (arrival := self.tun.read()) is None:
            left = end - time.monotonic()
            if left <= 0:
                return None
            select.select([self.tun.fd], [], [], left)
        return bytes(arrival.packet)

    def call(self, request: str) -> str:
        name, *words = request.split()
        try:
            result, data = getattr(self, f"do_{name}")(*words)
        except OSError as error:
            return f"-1 {error.errno}"
        return f"{result} 0 {data.hex()}" if data else f"{result} 0"

    def libc_call(self, name: str, fd: str, *arguments: object) -> int:
        result: int = getattr(self.libc, name)(self.numbers.get(int(fd), 999), *arguments)
        if result < 0:
            raise OSError(ctypes.get_errno(), name)
        return result

    def add(self, fd: int) -> int:
        free = next(n for n in range(3, 1000) if n not in self.numbers)
        self.numbers[free] = fd
        return free

    def do_socket(self, domain: str, kind: str, protocol: str) -> tuple[int, bytes]:
        made = self.node.socket(int(domain), int(kind) & 15, int(protocol))
        made.setblocking(not int(kind) & NONBLOCK)
        fd = made.detach()
        return self.add(fd), b""

    def do_bind(self, fd: str, address: str) -> tuple[int, bytes]:
        octets = bytes.fromhex(address)
        return self.libc_call("bind", fd, octets, len(octets)), b""

    def do_connect(self, fd: str, address: str) -> tuple[int, bytes]:
        octets = bytes.fromhex(address)
        return self.libc_call("connect", fd, octets, len(octets)), b""

    def do_listen(self, fd: str, backlog: str) -> tuple[int, bytes]:
        return self.libc_call("listen", fd, int(backlog)), b""

    def do_accept(self, fd: str) -> tuple[int, bytes]:
        buffer, size = ctypes.create_string_buffer(128), ctypes.c_int(128)
        accepted = self.libc_call("accept", fd, buffer, ctypes.byref(size))
        return self.add(accepted), buffer.raw[: size.value]

    def do_recv(self, fd: str, count: str, flags: str) -> tuple[int, bytes]:
        buffer = ctypes.create_string_buffer(int(count))
        came = self.libc_call("recv", fd, buffer, int(count), int(flags))
        return came, buffer.raw[:came]

    def do_send(self, fd: str, count: str, flags: str) -> tuple[int, bytes]:
        return self.libc_call("send", fd, bytes(int(count)), int(count), int(flags)), b""

    def do_close(self, fd: str) -> tuple[int, bytes]:
        result = self.libc_call("close", fd)
        del self.numbers[int(fd)]
        return result, b""

    def do_shutdown(self, fd: str, how: str) -> tuple[int, bytes]:
        return self.libc_call("shutdown", fd, int(how)), b""

    def do_getsockopt(self, fd: str, level: str, option: str, length: str) -> tuple[int, bytes]:
        buffer, size = ctypes.create_string_buffer(int(length)), ctypes.c_int(int(length))
        asked = int(level), int(option), buffer, ctypes.byref(size)
        return self.libc_call("getsockopt", fd, *asked), buffer.raw[: size.value]

    def do_setsockopt(self, fd: str, level: str, option: str, text: str) -> tuple[int, bytes]:
        value = bytes.fromhex(text)
        asked = int(level), int(option), value, len(value)
        return self.libc_call("setsockopt", fd, *asked), b""

    def do_fcntl(self, fd: str, command: str, argument: str) -> tuple[int, bytes]:
        return self.libc_call("fcntl", fd, int(command), int(argument)), b""

    def do_ioctl(self, fd: str, request: str) -> tuple[int, bytes]:
        found = ctypes.c_int()
        result = self.libc_call("ioctl", fd, ctypes.c_ulong(int(request)), ctypes.byref(found))
        return result, bytes(found)

    def do_poll(self, milliseconds: str, *words: str) -> tuple[int, bytes]:
        asked = [tuple(map(int, word.split(":"))) for word in words]
        entries = b"".join(
            struct.pack("=iHH", self.numbers.get(fd, 999), wanted, 0) for fd, wanted in asked
        )
        buffer = ctypes.create_string_buffer(entries, len(entries))
        result = self.libc.poll(buffer, len(asked), int(milliseconds))
        found = struct.iter_unpack("=iHH", buffer.raw)
        return result, b"".join(struct.pack("=H", events) for _, _, events in found)


class Play:
    """A tester at work on one system; ``said`` keeps each request with its answer."""

    def __init__(self, system: System, pool: ThreadPoolExecutor, peer_port: int) -> None:
        self.system = system
        self.pool = pool
        self.peer_port = peer_port
        self.peer = sockaddr(PEER, peer_port)
        self.said: list[tuple[str, str]] = []
        self.port = PORT
        self.snd = self.rcv = 0  # of the peer that is played here
        self.packet = b""  # the last one that was taken

    def __call__(self, *requests: str) -> str:
        """Make the calls, one after another; the last answer."""
        answer = ""
        for request in requests:
            answer = self.system.call(request)
            self.said.append((request, answer))
        return answer

    def begin(self, request: str) -> Callable[[], str]:
        """Make a call that blocks in a thread; what is returned ends it."""
        future: Future[str] = self.pool.submit(self.system.call, request)

        def end() -> str:
            answer = future.result(PATIENCE)
            self.said.append((request, answer))
            return answer

        return end

    def give(self, flags: int, data: bytes = b"", options: Options | None = None) -> None:
        key = OURS + PEER + struct.pack("!HH", self.port, self.peer_port)
        segment = Segment(self.snd, self.rcv, flags, 65535, len(data), (data,))
        if options is not None:
            segment = segment._replace(options=options)
        self.system.give(complete(Envelope(key).packet(segment)))
        self.snd = self.snd + segment.space & MASK

    def take(self, flags: int, length: int = 0) -> Segment:
        """The next segment with these flags and so much data, whatever comes before it."""
        end = time.monotonic() + PATIENCE
        while (packet := self.system.take(end - time.monotonic())) is not None:
            found = read(packet, 0, verified=False)
            if found is None or found[0][-2:] != struct.pack("!H", self.peer_port):
                continue
            segment = found[1]
            if (segment.flags & ~PSH, segment.length) == (flags, length):
                if flags & SYN:
                    self.port = int.from_bytes(found[0][8:10], "big")
                self.rcv = segment.seq + segment.space & MASK
                self.packet = packet
                return segment
        raise AssertionError(f"no segment with flags {flags:#x} and {length} octets")

    def accepted(self) -> None:
        """Descriptor 3 listens, 4 is a connection from the peer."""
        self("socket 2 1 0", f"setsockopt 3 1 2 {number(1)}", f"bind 3 {sockaddr(OURS, PORT)}")
        self("listen 3 5")
        end = self.begin("accept 3")
        self.snd = 1000
        self.rcv = 0
        self.give(SYN, options=Options(mss=1000))
        self.take(SYN | ACK)
        self.give(ACK)
        end()

    def connected(self) -> None:
        """Descriptor 3 is a connection to the peer."""
        self("socket 2 1 6", f"bind 3 {sockaddr(OURS, 0)}")
        end = self.begin(f"connect 3 {self.peer}")
        self.answer_syn()
        end()

    def answer_syn(self) -> None:
        self.take(SYN)
        self.snd = 7000
        self.give(SYN | ACK, options=Options(mss=1000))
        self.take(ACK)

    def settle(self, fd: int, wanted: int) -> None:
        """Wait until one of the events has come; what was done before counts for all of them."""
        while self.system.call(f"poll 1000 {fd}:{wanted}").startswith("0"):
            pass

    def settle_error(self, fd: int) -> None:
        """Wait until poll speaks of an error, which it does unasked."""
        end = time.monotonic() + PATIENCE
        while not int(self.system.call(f"poll 0 {fd}:0").split()[-1][:2], 16) & ERR:
            assert time.monotonic() < end
            time.sleep(0.005)


# -- what is played --


def mistakes(t: Play) -> None:
    """Each call where it has no place."""
    t("socket 77 1 0", "socket 2 1 17", "socket 2 1 0")
    t(f"bind 9 {t.peer}", "bind 3 0200", f"bind 3 {sockaddr(packed('192.0.2.77'), 80)}")
    t("accept 3", "accept 9", "recv 3 1 0", "send 3 1 0", "shutdown 3 1", "shutdown 9 1")
    t(f"connect 9 {t.peer}", "connect 3 0200", "listen 9 1", "close 9")
    t("recv 9 1 0", "send 9 1 0", "getsockopt 9 1 4 4", f"setsockopt 9 6 1 {number(1)}")
    t("getsockopt 3 6 9999 4", f"setsockopt 3 6 9999 {number(1)}", "setsockopt 3 6 1 00")
    t("fcntl 9 3 0", "fcntl 3 9999 0", "ioctl 9 21531", "ioctl 3 39999", "ioctl 3 21531")
    t("poll 0 9:1", "poll 0 3:5", "poll 0 3:1 9:4")
    t("setsockopt 3 6 13 " + b"magic".hex(), "close 3", "close 3")


def names(t: Play) -> None:
    """Ports that are taken, and sockets that have a name already."""
    t("socket 2 1 0", f"bind 3 {sockaddr(OURS, PORT)}", f"bind 3 {sockaddr(OURS, PORT)}")
    t("listen 3 1", "listen 3 5", f"connect 3 {t.peer}", "recv 3 1 0", "send 3 1 0")
    t("socket 2 1 0", f"bind 4 {sockaddr(OURS, PORT)}", "close 4", "poll 0 3:5", "close 3")


def options(t: Play) -> None:
    """What is set is what is read."""
    t("socket 2 1 0", "getsockopt 3 1 3 4", "getsockopt 3 1 4 4", "getsockopt 3 1 30 4")
    t("getsockopt 3 6 1 4", f"setsockopt 3 6 1 {number(1)}", "getsockopt 3 6 1 4")
    t("getsockopt 3 1 9 4", f"setsockopt 3 1 9 {number(1)}", "getsockopt 3 1 9 4")
    t("getsockopt 3 6 2 4", "getsockopt 3 6 4 4", "getsockopt 3 6 5 4", "getsockopt 3 6 6 4")
    t(f"setsockopt 3 6 4 {number(30)}", "getsockopt 3 6 4 4")
    t(f"setsockopt 3 6 18 {number(9000)}", "getsockopt 3 6 18 4", "getsockopt 3 1 13 8")
    t("setsockopt 3 6 13 " + b"reno".hex(), "getsockopt 3 6 13 16", "getsockopt 3 6 1 1")
    t(f"setsockopt 3 1 13 {number(1) + number(5)}", "getsockopt 3 1 13 8")
    t("fcntl 3 3 0", f"fcntl 3 4 {NONBLOCK}", "fcntl 3 3 0", "close 3")


def a_conversation(t: Play) -> None:
    """Accept, receive in several ways, send, and the peer closes first."""
    t.accepted()
    t("poll 0 4:5", "poll 0 3:1", "recv 4 10 64", "ioctl 4 21531")
    t.give(ACK | PSH, b"hello")
    t.settle(4, IN)
    t("ioctl 4 21531", "poll 0 4:5", "recv 4 3 2", "recv 4 2 0", "recv 4 100 0")
    end = t.begin("recv 4 8 256")  # MSG_WAITALL
    t.give(ACK | PSH, b"one ")
    t.take(ACK)
    t.give(ACK | PSH, b"two.")
    end()
    t("send 4 700 0", "ioctl 4 21521")
    t.take(ACK, 700)
    t.give(ACK)
    t.give(FIN | ACK)
    t.settle(4, RDHUP)
    t(f"poll 0 4:{IN | OUT | RDHUP}", "recv 4 10 0", "recv 4 10 0", "send 4 10 0")
    t.take(ACK, 10)
    t("shutdown 4 1", "send 4 10 0", "shutdown 4 9", f"poll 0 4:{IN | OUT | RDHUP}")
    t.take(FIN | ACK)
    t.give(ACK)
    t("close 4", "close 3")


def half_closed(t: Play) -> None:
    """We say the end; the peer goes on."""
    t.connected()
    t(f"connect 3 {t.peer}", "accept 3", "listen 3 1", f"bind 3 {sockaddr(OURS, 0)}")
    t("shutdown 3 1")
    t.take(FIN | ACK)
    t.give(ACK)
    t("send 3 5 0", "poll 0 3:5", "shutdown 3 1")
    end = t.begin("recv 3 100 0")
    t.give(ACK | PSH, b"more")
    end()
    t.give(FIN | ACK)
    t.take(ACK)
    t.settle(3, RDHUP)
    t(f"poll 0 3:{IN | OUT | RDHUP}", "recv 3 10 0", "send 3 1 0", "shutdown 3 1", "close 3")


def deaf(t: Play) -> None:
    """SHUT_RD: nothing more is waited for."""
    t.connected()
    t("shutdown 3 0", "recv 3 10 0", f"poll 0 3:{IN | OUT | RDHUP}", "send 3 10 0")
    t.take(ACK, 10)
    t(f"setsockopt 3 1 13 {number(1) + number(0)}", "close 3")
    t.take(RST | ACK)


def cut_off(t: Play) -> None:
    """The peer resets: while we wait, then in each call after it."""
    t.connected()
    end = t.begin("recv 3 10 0")
    t.give(ACK | PSH, b"x")
    end()
    t.take(ACK)
    end = t.begin("recv 3 10 0")
    t.give(RST)
    end()
    t(f"poll 0 3:{IN | OUT | RDHUP}", "recv 3 10 0", "send 3 10 0", "send 3 10 0")
    t("getsockopt 3 1 4 4", "shutdown 3 1", "close 3")


def cut_off_unseen(t: Play) -> None:
    """The peer resets while nobody looks: the first call learns of it."""
    t.connected()
    t.give(RST)
    t.settle(3, IN)
    t(f"poll 0 3:{IN | OUT | RDHUP}", "send 3 10 0", "send 3 10 0", "recv 3 10 0", "close 3")


def refused(t: Play) -> None:
    """Nobody listens there: for a call that waits, and for one that does not."""
    t("socket 2 1 0", f"bind 3 {sockaddr(OURS, 0)}")
    end = t.begin(f"connect 3 {t.peer}")
    t.take(SYN)
    t.snd = 0
    t.give(RST | ACK)
    end()
    t("getsockopt 3 1 4 4", "recv 3 1 0", "send 3 1 0", "poll 0 3:5")
    end = t.begin(f"connect 3 {t.peer}")
    t.answer_syn()
    end()
    t(f"connect 3 {t.peer}", "close 3")
    t.take(FIN | ACK)
    t.give(RST | ACK)
    t(f"socket 2 {1 | NONBLOCK} 0", f"bind 3 {sockaddr(OURS, 0)}", f"connect 3 {t.peer}")
    t(f"connect 3 {t.peer}", "recv 3 1 0", "send 3 1 0", f"poll 0 3:{IN | OUT}")
    t.take(SYN)
    t.snd = 0
    t.give(RST | ACK)
    t.settle(3, OUT)
    t(f"poll 0 3:{IN | OUT | RDHUP}", "getsockopt 3 1 4 4", "getsockopt 3 1 4 4", "close 3")


def in_progress(t: Play) -> None:
    """A connect that does not wait, and succeeds."""
    t(f"socket 2 {1 | NONBLOCK} 0", f"bind 3 {sockaddr(OURS, 0)}", f"connect 3 {t.peer}")
    t(f"connect 3 {t.peer}", f"poll 0 3:{IN | OUT}")
    t.answer_syn()
    t.settle(3, OUT)
    t("getsockopt 3 1 4 4", f"poll 0 3:{IN | OUT}", "recv 3 1 0", f"connect 3 {t.peer}")
    t(f"connect 3 {t.peer}", "send 3 5 0")
    t.take(ACK, 5)
    t.give(RST)
    t.settle(3, IN)
    t("close 3")


def reset_after_the_fin(t: Play) -> None:
    """The peer says goodbye, and then resets: before we close, and after it."""
    t.accepted()
    t.give(FIN | ACK)
    t.settle(4, RDHUP)
    t.give(RST)
    t.settle_error(4)
    t("recv 4 10 0", f"poll 0 4:{IN | OUT | RDHUP}", "getsockopt 3 1 4 4", "getsockopt 4 1 4 4")
    t("getsockopt 4 1 4 4", "send 4 1 0", "close 4", "close 3")


def reset_in_last_ack(t: Play) -> None:
    """The peer resets when both have said goodbye."""
    t.connected()
    t.give(FIN | ACK)
    t.settle(3, RDHUP)
    t("shutdown 3 1")
    t.take(FIN | ACK)
    t.give(RST)
    t.settle_error(3)
    t(f"poll 0 3:{IN | OUT | RDHUP}", "recv 3 10 0", "getsockopt 3 1 4 4", "send 3 1 0", "close 3")


def port_unreachable(t: Play) -> None:
    """A host without TCP says so by ICMP."""
    t("socket 2 1 0", f"bind 3 {sockaddr(OURS, 0)}")
    end = t.begin(f"connect 3 {t.peer}")
    t.take(SYN)
    error = icmp.encode(icmp.unreachable(t.packet, icmp.PORT_UNREACHABLE), PEER, OURS)
    t.system.give(ipv4.encode(ipv4.Header(PEER, OURS, icmp.PROTOCOL), error))
    end()
    t("getsockopt 3 1 4 4", "close 3")


def segment_sizes(t: Play) -> None:
    """TCP_MAXSEG bounds what is offered, and what is sent."""
    t("socket 2 1 0", f"bind 3 {sockaddr(OURS, 0)}", "getsockopt 3 6 2 4")
    t(f"setsockopt 3 6 2 {number(50)}", f"setsockopt 3 6 2 {number(40_000)}")
    t(f"setsockopt 3 6 2 {number(900)}", "getsockopt 3 6 2 4")
    end = t.begin(f"connect 3 {t.peer}")
    t.answer_syn()
    end()
    t("getsockopt 3 6 2 4", "send 3 2000 0")
    t.take(ACK, 900)
    t.take(ACK, 900)
    t.take(ACK, 200)
    t("close 3")


def corked(t: Play) -> None:
    """What does not fill a segment waits."""
    t.connected()
    t("getsockopt 3 6 3 4", f"setsockopt 3 6 3 {number(1)}", "getsockopt 3 6 3 4")
    t("send 3 400 0", "send 3 700 0")
    t.take(ACK, 1000)
    t(f"setsockopt 3 6 3 {number(0)}")
    t.take(ACK, 100)
    t.give(ACK)
    t("send 3 300 32768", "send 3 30 0")  # MSG_MORE
    t.take(ACK, 330)
    t("close 3")


def buffer_sizes(t: Play) -> None:
    """What is asked for is doubled, and bounded."""
    t("socket 2 1 0", f"setsockopt 3 1 7 {number(10_000)}", "getsockopt 3 1 7 4")
    t(f"setsockopt 3 1 8 {number(10_000)}", "getsockopt 3 1 8 4")
    t(f"setsockopt 3 1 7 {number(1)}", "getsockopt 3 1 7 4", "getsockopt 3 1 38 4")
    t("getsockopt 3 1 39 4", "close 3")


def nobody_comes(t: Play) -> None:
    """Waiting has its bounds."""
    t(f"socket 2 {1 | NONBLOCK} 0", f"bind 3 {sockaddr(OURS, PORT)}", "listen 3 1", "accept 3")
    t("poll 20 3:1", "poll 0 3:5", "getsockopt 3 1 30 4", "ioctl 3 21531", "close 3")


PLAYS = [
    mistakes,
    names,
    options,
    a_conversation,
    half_closed,
    deaf,
    cut_off,
    cut_off_unseen,
    refused,
    in_progress,
    nobody_comes,
    reset_after_the_fin,
    reset_in_last_ack,
    port_unreachable,
    segment_sizes,
    corked,
    buffer_sizes,
]


@contextlib.contextmanager
def driven(path: Path) -> Iterator[Driven]:
    words = ["tcp", "drive", "--socket", str(path), "--local", "10.1.0.0/24"]
    command = [*NETLAB, *words]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            assert process.stderr.readline() == f"listening: {path}\n"
            made = Driven(path)
            with made.held:
                yield made
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
    assert "Traceback" not in rest, rest


@contextlib.contextmanager
def kernel(node: LabNode) -> Iterator[Kernel]:
    with namespaces.inside(node.namespace, lambda: Tun("tun0", offload=False)) as tun:
        made = Kernel(node, tun)
        with contextlib.closing(made):
            yield made


@pytest.mark.kernel
@pytest.mark.netlab(topology="../tcp/scripts_lab.yaml")
def test_every_answer_is_that_of_linux(netlab: Lab, tmp_path: Path) -> None:
    node = netlab["kernel"]
    node.run(["sysctl", "-qw", "net.ipv4.tcp_timestamps=0"], check=True)
    differences = []
    # The systems go first: with them, every call that still waits for a packet.
    with (
        ThreadPoolExecutor(8) as pool,
        driven(tmp_path / "drive") as ours,
        kernel(node) as linux,
    ):
        for peer_port, play in enumerate(PLAYS, FIRST_PEER_PORT):
            mine, theirs = Play(ours, pool, peer_port), Play(linux, pool, peer_port)
            play(mine)
            play(theirs)
            differences += [
                f"{play.__name__}: {request}: ours {our}, Linux {their}"
                for (request, our), (_, their) in zip(mine.said, theirs.said, strict=True)
                if our != their
            ]
    assert not differences, "\n".join(differences)
