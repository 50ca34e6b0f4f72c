"""The stateless server beside nginx, unbound and an asyncio server, clients and machine the same.

Client and server are two nodes with one wire between them: every router on the way would cost
both sides the same and bring the ratios nearer to 1. Peers are measured in turns within one run.
An HTTP server and its client have a processor each: left to the scheduler they often share one, and
the figure is then that of their sum, which is mostly the client's.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import netlab
from benchmarks.result import Result, Row, less_is_better, more_is_better
from netlab.stateless.segment import SYN, Segment, encode
from netlab.wire import tcp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlab.lab.lab import LabNode

ROOT = Path(__file__).parents[1]
TOPOLOGY = """
nodes:
  client:
    routes: [192.0.2.80/32 via server]
    sysctls:
      net.ipv4.tcp_rmem: 4096 131072 6291456  # else 60 kB may exceed its window
      # Ports in TIME-WAIT would run out between two rounds.
      net.ipv4.ip_local_port_range: 1024 65535
      net.ipv4.tcp_tw_reuse: "1"
  server:
links:
  - {ends: [client:eth0, server:eth0], subnet: 198.51.100.0/24}
"""
OURS, OWN = "192.0.2.80", "198.51.100.2"
CONNECTIONS = 128
CORES_FOR_TWO = 4
CORES = os.cpu_count() or 1
ONE, TWO = "0", "0,1"  # processors of a server
REST = f"{min(2, CORES - 1)}-{CORES - 1}" if CORES >= CORES_FOR_TWO else str(CORES - 1)

ASYNCIO = """
import asyncio, sys
page = b"x" * int(sys.argv[2])
head = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n"
answer = head % len(page) + page
class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        if data.endswith(b"\\r\\n\\r\\n"):
            self.transport.write(answer)
            self.transport.close()
async def main():
    server = await asyncio.get_running_loop().create_server(Server, "0.0.0.0", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""


class Contest(NamedTuple):
    """One figure: how to measure ours and the peer's, and what the peer is."""

    figure: str
    peer: str
    ours: Callable[[], float]
    theirs: Callable[[], float]


def run(*, quick: bool) -> Result:
    """Medians of interleaved rounds."""
    seconds, rounds = (2, 2) if quick else (4, 5)
    missing = [
        f"{name}: not installed"
        for name in ("wrk", "nginx", "dnsperf", "unbound", "taskset")
        if not shutil.which(name)
    ]
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home.chmod(0o755)
        (home / "lab.yaml").write_text(TOPOLOGY)
        lab = stack.enter_context(netlab.Lab(home / "lab.yaml", name=f"bench-{os.getpid()}"))
        bench = _Bench(lab, stack, home, seconds)
        contests = [*bench.http(), *bench.dns()]
        if CORES >= CORES_FOR_TWO:
            contests += bench.workers()
        else:
            missing.append(f"two workers: they and the client need {CORES_FOR_TWO} cores")
        rows = [_hold(contest, rounds) for contest in contests]
        rows.append(bench.memory(10_000 if quick else 100_000))
    return Result(tuple(rows), tuple(missing))


def _hold(contest: Contest, rounds: int) -> Row:
    pairs = [(contest.ours(), contest.theirs()) for _ in range(rounds)]
    ours, theirs = (statistics.median(values) for values in zip(*pairs, strict=True))
    return more_is_better(contest.figure, ours, contest.peer, theirs, "requests/s")


class _Bench:
    def __init__(
        self, lab: netlab.Lab, stack: contextlib.ExitStack, home: Path, seconds: int
    ) -> None:
        self._client, self._server = lab["client"], lab["server"]
        self._stack, self._home, self._seconds = stack, home, seconds

    def http(self) -> Iterator[Contest]:
        """Bodies of 100 octets and 60 kB, one connection for each request."""
        if not (shutil.which("wrk") and shutil.which("taskset")):
            return
        for size, port in ((100, 80), (60_000, 81)):
            (self._home / str(size)).write_bytes(b"x" * size)
            self._stateless("http", f"{OURS}:{port}", "--text", "x" * (size - 1), on=ONE)
        self._start(port=8082, on=ONE, argv=[sys.executable, "-c", ASYNCIO, "8082", "100"])
        if shutil.which("nginx"):
            self._nginx()
            for size, port in ((100, 80), (60_000, 81)):
                yield Contest(
                    f"HTTP, bodies of {size} octets",
                    "nginx",
                    partial(self._wrk, f"http://{OURS}:{port}/"),
                    partial(self._wrk, f"http://{OWN}:8080/{size}"),
                )
        yield Contest(
            "HTTP, bodies of 100 octets",
            "asyncio",
            partial(self._wrk, f"http://{OURS}:80/"),
            partial(self._wrk, f"http://{OWN}:8082/"),
        )

    def workers(self) -> Iterator[Contest]:
        """Two processes of ours that share the traffic, against one."""
        if not (shutil.which("wrk") and shutil.which("taskset")):
            return
        self._stateless("http", f"{OURS}:83", "--text", "x" * 99, "--workers", "2", on=TWO)
        yield Contest(
            "HTTP, bodies of 100 octets, two workers",
            "one worker",
            partial(self._wrk, f"http://{OURS}:83/"),
            partial(self._wrk, f"http://{OURS}:80/"),
        )

    def dns(self) -> Iterator[Contest]:
        """The proxy and the resolver behind it, against that resolver's own TCP."""
        if not (shutil.which("dnsperf") and shutil.which("unbound")):
            return
        self._unbound()
        self._stateless("dns", f"{OURS}:53", "--resolver", f"{OWN}:53")
        (self._home / "queries").write_text("small.test A\n")
        for figure, queries in (("one query a connection", 1), ("kept open", 1000)):
            yield Contest(
                f"DNS by TCP, {figure}",
                "unbound",
                partial(self._dnsperf, OURS, queries),
                partial(self._dnsperf, OWN, queries),
            )

    def memory(self, count: int) -> Row:
        """What ``count`` half-open connections cost: our process, and the kernel's own server."""
        served = self._stateless("http", f"{OURS}:82", "--text", "x")
        before = _resident(served.pid)
        self._syns(OURS, 82, count)
        # Finer than a page cannot be told.
        ours = max(_resident(served.pid) - before, os.sysconf("SC_PAGE_SIZE")) / count
        listener = self._server.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._stack.callback(listener.close)
        listener.bind((OWN, 8083))
        listener.listen(1)
        (kernel, accepted) = self._idle(listener, 2000)
        return less_is_better(
            f"octets a connection: {count} half open, the kernel's {accepted} open",
            ours,
            "kernel TCP",
            kernel,
            "octets",
        )

    def _idle(self, listener: socket.socket, count: int) -> tuple[float, int]:
        """Slab memory of open connections, both ends of which are the kernel's: so by half."""
        listener.listen(count)
        ends: list[socket.socket] = []
        before = _slab()
        try:
            for _ in range(count):
                client = self._client.socket(socket.AF_INET, socket.SOCK_STREAM)
                ends.append(client)
                client.connect((OWN, 8083))
            return (_slab() - before) / count / 2, count
        finally:
            for end in ends:
                end.close()

    def _syns(self, address: str, port: int, count: int) -> None:
        target = socket.inet_aton(address)
        options = tcp.encode_options(tcp.Options(mss=1460))
        with self._client.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as out:
            for number in range(count):
                source = (10 << 24 | number).to_bytes(4, "big")
                syn = Segment(
                    source, target, 1024 + number % 60000, port, number, 0, SYN, options=options
                )
                out.sendto(encode(syn), (address, 0))

    def _wrk(self, url: str) -> float:
        wrk = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{self._seconds}", url]
        ran = self._client.run(["taskset", "-c", REST, *wrk], check=True, timeout=60)
        return _figure(r"Requests/sec:\s+([\d.]+)", ran.stdout)

    def _dnsperf(self, address: str, each: int) -> float:
        queries = str(self._home / "queries")
        ran = self._client.run(
            ["dnsperf", "-m", "tcp", "-s", address, "-d", queries, "-c", "32", "-q", "32",
             "-l", str(self._seconds), "-O", f"num-queries-per-conn={each}"],
            check=True, timeout=60,
        )  # fmt: skip
        return _figure(r"Queries per second:\s+([\d.]+)", ran.stdout)

    def _stateless(
        self, kind: str, listen: str, *argv: str, on: str | None = None
    ) -> subprocess.Popen[Any]:
        command = [sys.executable, "-m", "netlab", "stateless", kind, "--listen", listen, *argv]
        process = self._spawn(command, on, stdout=subprocess.PIPE)
        assert process.stdout
        if not process.stdout.readline():
            raise RuntimeError(f"{' '.join(command[:6])} did not start")
        return process

    def _nginx(self) -> None:
        home = self._home
        names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{name}_temp_path {home}/{name};" for name in names)
        (home / "nginx.conf").write_text(
            f"daemon off; user root; worker_processes 1; pid {home}/nginx.pid; error_log stderr;"
            f"events {{ worker_connections 8192; }}"
            f"http {{ access_log off; keepalive_timeout 0; sendfile on; tcp_nopush on; {paths}"
            f"server {{ listen {OWN}:8080 backlog=4096; root {home}; }} }}"
        )
        self._start(port=8080, on=ONE, argv=["nginx", "-c", str(home / "nginx.conf")])

    def _unbound(self) -> None:
        home = self._home
        (home / "unbound.conf").write_text(
            f'server:\n directory: "{home}"\n username: ""\n chroot: ""\n use-syslog: no\n'
            f' pidfile: "{home}/unbound.pid"\n interface: {OWN}\n access-control: 0.0.0.0/0 allow\n'
            f' incoming-num-tcp: 128\n local-zone: "test." static\n'
            f' local-data: "small.test. A 192.0.2.1"\nremote-control:\n control-enable: no\n'
        )
        self._start(port=53, argv=["unbound", "-d", "-c", str(home / "unbound.conf")])

    def _start(self, *, port: int, argv: list[str], on: str | None = None) -> None:
        """Start a peer and wait until it listens."""
        process = self._spawn(argv, on)
        end = time.monotonic() + 20
        while True:
            with self._server.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                if probe.connect_ex((OWN, port)) == 0:
                    return
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{argv[0]} did not start")
            time.sleep(0.01)

    def _spawn(
        self, argv: list[str], on: str | None = None, **options: Any
    ) -> subprocess.Popen[Any]:
        """Start a program in the server's node, ``on`` some processors only."""
        if on is not None:
            argv = ["taskset", "-c", on, *argv]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
        node: LabNode = self._server
        process = node.popen(argv, env={"PYTHONPATH": str(ROOT)}, **quiet)
        self._stack.callback(_end, process)
        return process


def _end(process: subprocess.Popen[Any]) -> None:
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)


def _figure(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if not found:
        raise RuntimeError(text)
    return float(found[1])


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _slab() -> int:
    """The kernel's slab memory in octets."""
    meminfo = Path("/proc/meminfo").read_text(encoding="ascii")
    return int(_figure(r"Slab:\s+(\d+)", meminfo)) * 1024
