"""A TCP server without state beside the kernel's: what it does, what it keeps, what it lacks."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.linux import sysctl
from netlab.scenario.packets import what
from netlab.stateless.segment import SYN, Segment, encode
from netlab.wire import tcp

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from netlab.lab.lab import Lab

KERNEL = ("198.51.100.2", 8080)
STATELESS = ("192.0.2.80", 80)
"""An address that belongs to no kernel."""

SERVERS = {"kernel": KERNEL, "stateless": STATELESS}
PATIENCE = 10.0


def transaction(lab: Lab, _: random.Random) -> list[dict[str, object]]:
    """One request to each server: the kinds of packets but pure ACKs, and what the kernel keeps."""
    rows: list[dict[str, object]] = []
    for name, server in SERVERS.items():
        with lab.observe() as watch:
            with lab["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
                client.settimeout(PATIENCE)
                client.connect(server)
                kept = _connections(lab, server[1])
                _ask(client, 100)
            _closed(lab, server[1])
            watch.settle()
        packets = [
            f"{what(packet_trace)} from the {packet_trace.origin}"
            for packet_trace in watch.traces.where(proto=6, port=server[1])
            if packet_trace.packet.flags & 3 or packet_trace.packet.payload_length
        ]
        rows += [
            {"server": name, "number": number, "packet": packet}
            # A server that a busy machine lets wait is asked again: the same packet once more.
            for number, packet in enumerate(dict.fromkeys(packets), 1)
        ]
        rows.append({"server": name, "number": "kept", "packet": f"{kept} connections"})
    return rows


def _ask(client: socket.socket, size: int) -> bytes:
    """GET /``size``: the whole answer."""
    client.sendall(f"GET /{size} HTTP/1.1\r\nHost: server\r\n\r\n".encode())
    answer = b""
    while piece := client.recv(65536):
        answer += piece
    return answer


def _connections(lab: Lab, port: int) -> int:
    """How many the kernel of the node ``server`` holds, those that wait for their end left out."""
    ran = lab["server"].run(["ss", "-Htn", "state", "connected", "sport", f"= :{port}"], check=True)
    return sum(not line.startswith("TIME-WAIT") for line in ran.stdout.splitlines())


def _closed(lab: Lab, port: int) -> None:
    """Wait until the server's kernel holds none any more."""
    deadline = time.monotonic() + PATIENCE
    while _connections(lab, port):
        assert time.monotonic() < deadline, "a connection stays open"
        time.sleep(0.01)


# A window that is overrun


SIZES = (467, 5_000, 60_000, 120_000)
"""Octets of an answer; the last one is longer than the client's window."""

SHORT = 1.5
"""Seconds for what is expected never to come."""


def sizes(lab: Lab, _: random.Random) -> list[dict[str, object]]:
    """Whether answers of these sizes arrive whole."""
    rows: list[dict[str, object]] = []
    for size in SIZES:
        rows += [
            {"server": name, "octets": size, "answer": _fetched(lab, server, size)}
            for name, server in SERVERS.items()
        ]
        with _serving(lab, STATELESS[0], 1024, "--as-published", "--text", "x" * (size - 1)):
            answer = _overrun(lab, (STATELESS[0], 1024), size)
        rows.append({"server": "as published", "octets": size, "answer": answer})
    return rows


def _overrun(lab: Lab, server: tuple[str, int], size: int) -> str:
    """Read nothing until the whole answer has come to the client's door, whether it fits or not."""
    with lab["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE)
        client.connect(server)
        before = _came_in(lab)
        client.sendall(b"GET / HTTP/1.1\r\nHost: server\r\n\r\n")
        deadline = time.monotonic() + PATIENCE
        while _came_in(lab) < before + size:
            assert time.monotonic() < deadline, "the answer did not come"
            time.sleep(0.01)
        client.settimeout(SHORT)
        came = b""
        try:
            while piece := client.recv(65536):
                came += piece
        except TimeoutError:
            return "stalls"
    return _judged(came, size)


def _came_in(lab: Lab) -> int:
    """Octets that the client's interface has received so far."""
    table = lab["client"].inside(Path("/proc/thread-self/net/dev").read_text)
    [line] = [line for line in table.splitlines() if "eth0:" in line]
    return int(line.partition(":")[2].split()[0])


def _judged(answer: bytes, size: int) -> str:
    return "whole" if len(answer.partition(b"\r\n\r\n")[2]) == size else "an excuse"


def _fetched(lab: Lab, server: tuple[str, int], size: int) -> str:
    with lab["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE)
        client.connect(server)
        return _judged(_ask(client, size), size)


# A request that comes twice


def repeated(lab: Lab, _: random.Random) -> list[dict[str, str]]:
    """How often each server has done what was asked for once, when its answer was lost once."""
    rows = []
    for number, (name, server) in enumerate(SERVERS.items(), 1):
        size = 100 + number
        with lab["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(PATIENCE)
            client.connect(server)
            arrives = b"200 OK" in _ask(client, size)
        with lab["server"].socket(socket.AF_INET, socket.SOCK_STREAM) as asking:
            asking.connect(KERNEL)
            asking.sendall(f"GET /asked/{size} HTTP/1.1\r\n\r\n".encode())
            times = asking.recv(1000).rpartition(b"\n")[2].decode()
        rows.append({"server": name, "answer": "arrives" if arrives else "is lost", "done": times})
    return rows


# A flood of SYNs


SYNS = 4_000
LEAST = 100
"""Half-open connections that count as many; the backlog has room for 128."""


def flood(lab: Lab, rng: random.Random) -> list[dict[str, str]]:
    """What a flood of SYNs from nowhere leaves in each server, and whether a client is served."""
    rows = []
    for name, server, cookies, argv in (
        ("kernel", KERNEL, "0", ()),
        ("kernel with SYN cookies", KERNEL, "1", ()),
        ("stateless", STATELESS, "1", ("--text", "Hello")),
    ):
        lab["server"].inside(partial(sysctl.write, "net.ipv4.tcp_syncookies", cookies))
        with _serving(lab, *server, *argv) as pid:
            _served(lab, server, PATIENCE)  # what is made for the first client is not the flood's
            before = _resident(pid)
            _send_syns(lab, server, rng)
            kept = _half_open(lab, server[1])
            patience = SHORT if name == "kernel" else PATIENCE
            rows.append(
                {
                    "server": name,
                    "half-open": "many" if kept >= LEAST else str(kept),
                    "a client": _served(lab, server, patience),
                    "process grows": _grown(_resident(pid) - before),
                }
            )
    return rows


def _send_syns(lab: Lab, server: tuple[str, int], rng: random.Random) -> None:
    target = socket.inet_aton(server[0])
    mss = tcp.encode_options(tcp.Options(mss=1460))
    with lab["router"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as tx:
        for number in range(SYNS):
            source = (10 << 24 | rng.randrange(1 << 24)).to_bytes(4, "big")
            port = 1024 + number
            syn = Segment(source, target, port, server[1], number, 0, SYN, 65535, b"", mss)
            tx.sendto(encode(syn), (server[0], 0))


@contextlib.contextmanager
def _serving(lab: Lab, address: str, port: int, *argv: str) -> Iterator[int]:
    """A server while the block lasts, with options one without state; its process."""
    if argv:
        words = ["-m", "netlab", "stateless", "http", "--listen", f"{address}:{port}", *argv]
    else:
        words = [str(Path(__file__).with_name("page.py")), address, str(port)]
    process = lab["server"].popen([sys.executable, *words], stdout=subprocess.PIPE, text=True)
    try:
        assert select.select([process.stdout], [], [], PATIENCE)[0], "it does not begin"
        process.stdout.readline()
        yield process.pid
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def _served(lab: Lab, server: tuple[str, int], patience: float) -> str:
    with lab["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(patience)
        try:
            client.connect(server)
            _ask(client, 100)
        except TimeoutError:
            return "waits"
    return "is served"


def _half_open(lab: Lab, port: int) -> int:
    argv = ["ss", "-Htn", "state", "syn-recv", "sport", f"= :{port}"]
    ran = lab["server"].run(argv, check=True)
    return len(ran.stdout.splitlines())


def _resident(pid: int) -> int:
    """Octets that a process holds in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * 4096


def _grown(octets: int) -> str:
    return "none" if octets < SYNS * LEAST_STATE else f"{octets // SYNS} octets"


LEAST_STATE = 100
"""Octets: less than the addresses, ports and numbers of a connection take in any kernel."""
