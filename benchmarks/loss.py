"""The userspace TCP beside the kernel's over netlab's own lossy links.

    ours    program - stack - TUN - node  ~~~ lossy link ~~~  peer
    theirs  program - kernel - host       ~~~ lossy link ~~~  peer

Both links are the same, of one lab and one run; the transfers take turns. The peer is a kernel
socket that answers with one octet when it has everything: a time is that from the SYN to it.
Segmentation is off on both sides, and the kernel keeps no metrics from one transfer to the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import statistics
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

from benchmarks.result import Result, Row, less_is_better
from netlab.io.tcp.asyncio import TcpStack
from netlab.io.tcp.tun import Tun
from netlab.lab.lab import Lab
from netlab.linux import namespaces
from netlab.tcp.settings import DEFAULTS

TOPOLOGY = """
nodes:
  node: {{kind: stack, stack: 10.1.0.100}}
  host: {{sysctls: {{net.ipv4.tcp_no_metrics_save: 1}}}}
  peer: {{}}
links:
  - {{ends: [node:eth0, peer:west], subnet: 10.1.0.0/24, {link}}}
  - {{ends: [host:eth0, peer:east], subnet: 10.2.0.0/24, {link}}}
"""
STACK, PEERS, PORT = "10.1.0.100", ("10.1.0.2", "10.2.0.2"), 5000
SMALL, LARGE = 270_000, 3_000_000
PATIENCE = 300.0  # seconds after which a transfer counts as one that does not complete
ALWAYS = "delay: 10ms, jitter: 2ms"


class Case(NamedTuple):
    """A kind of link, and how much goes over it."""

    name: str
    link: str
    size: int


CASES = (
    Case("1 % loss", f"{ALWAYS}, loss: 1%", SMALL),
    Case("5 % loss", f"{ALWAYS}, loss: 5%", SMALL),
    Case("20 % loss", f"{ALWAYS}, loss: 20%", SMALL),
    Case("reordering", f"{ALWAYS}, reorder: 5%", SMALL),
    Case("reordering, 3 MB", f"{ALWAYS}, reorder: 5%", LARGE),
)


def run(*, quick: bool) -> Result:
    """Medians of transfers that take turns, and how many did not complete."""
    rows: list[Row] = []
    missing: list[str] = []
    with tempfile.TemporaryDirectory() as state:
        os.environ["NETLAB_STATE_DIR"] = state
        for case in CASES[:1] if quick else CASES:
            topology = Path(state) / "bench-loss.yaml"
            topology.write_text(TOPOLOGY.format(link=case.link))
            with Lab(topology) as lab, _peer(lab):
                ours, theirs = _measure(lab, case.size, 5 if quick else 30)
            rows.append(less_is_better(case.name, *_median(ours, theirs), "s"))
            for who, times in (("ours", ours), ("Linux", theirs)):
                if len(times) < (5 if quick else 30):
                    missing.append(f"{case.name}: {who} completed only {len(times)} transfers")
    return Result(tuple(rows), tuple(missing))


def _median(ours: list[float], theirs: list[float]) -> tuple[float, str, float]:
    return statistics.median(ours), f"kernel TCP, {_congestion()}", statistics.median(theirs)


def _congestion() -> str:
    """What both use: ours, where the kernel of the lab has it too."""
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text("ascii")
    return DEFAULTS.congestion if DEFAULTS.congestion in available.split() else "reno"


@contextlib.contextmanager
def _peer(lab: Lab):  # type: ignore[no-untyped-def] # noqa: ANN202 - a context manager
    """A process in the peer's node that takes everything and answers one octet."""
    with lab["peer"].socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("0.0.0.0", PORT))
        listener.listen(16)
        child = os.fork()
        if not child:
            try:
                while True:
                    _take(listener.accept()[0])
            except BaseException:  # noqa: BLE001 - the parent's code must not run here
                traceback.print_exc()
            os._exit(1)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _take(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        while connection.recv(1 << 18):
            pass
        connection.sendall(b"k")


def _measure(lab: Lab, size: int, repeats: int) -> tuple[list[float], list[float]]:
    ours: list[float] = []
    theirs: list[float] = []
    congestion = _congestion()
    for _ in range(repeats):
        with contextlib.suppress(OSError):
            ours.append(asyncio.run(_ours(lab, size, congestion)))
        with contextlib.suppress(OSError):
            theirs.append(_kernels(lab, size, congestion))
    return ours, theirs


async def _ours(lab: Lab, size: int, congestion: str) -> float:
    settings = DEFAULTS._replace(congestion=congestion)
    tun = namespaces.inside(lab["node"].namespace, lambda: Tun("tun0", offload=False))
    with tun:
        async with TcpStack(tun, [STACK], settings) as tcp, asyncio.timeout(PATIENCE):
            began = time.perf_counter()
            connection = await tcp.connect(PEERS[0], PORT)
            await connection.write(bytes(size))
            await connection.write_eof()
            await connection.readexactly(1)
            return time.perf_counter() - began


def _kernels(lab: Lab, size: int, congestion: str) -> float:
    with lab["host"].socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
        s.settimeout(PATIENCE)
        began = time.perf_counter()
        s.connect((PEERS[1], PORT))
        s.sendall(bytes(size))
        s.shutdown(socket.SHUT_WR)
        if s.recv(1) != b"k":
            raise ConnectionResetError
        return time.perf_counter() - began
