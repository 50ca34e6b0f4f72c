"""What watching costs, and how long it takes: the forwarding rate with and without.

A sender floods UDP through client, NAT, router and server; what counts is the rate at which the
server's program receives. The ways of watching take turns, so that a busy moment of the machine
hits them alike.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.result import Result, Row, less_is_better, more_is_better
from netlab.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from netlab.observe.session import Kind

NAT = Path(__file__).parents[1] / "topologies" / "nat.yaml"
PORT = 4000

RECEIVER = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)  # SO_RCVBUFFORCE
s.bind(("", int(sys.argv[1])))
print("ready", flush=True)
count = int(sys.argv[2])
s.recv(2048)
began = time.perf_counter()
for _ in range(count - 1):
    s.recv(2048)
print((count - 1) / (time.perf_counter() - began), flush=True)
"""
SENDER = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
for number in range(int(sys.argv[3])):
    s.send(b"%020d" % number)
"""


def run(*, quick: bool) -> Result:
    """Medians of interleaved rounds."""
    rounds, count = (5, 20_000) if quick else (15, 20_000)
    ways: dict[str, Callable[[Lab], AbstractContextManager[object]]] = {
        "nobody": lambda _: contextlib.nullcontext(),
        "both": lambda lab: lab.observe(("capture", "drops", "counters")),
        "light": lambda lab: lab.observe(LIGHT),
        "traced": lambda lab: lab.observe((*LIGHT, "nft")),
        "all": lambda lab: lab.observe(),
    }
    missing = []
    if shutil.which("tcpdump"):
        ways["tcpdump"] = tcpdump
    else:
        missing.append("tcpdump")
    rates: dict[str, list[float]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as state:
        os.environ["NETLAB_STATE_DIR"] = state
        with Lab(NAT, name="bench-fates") as lab:
            for _ in range(rounds):
                for way, watching in ways.items():
                    with watching(lab):
                        rates[way].append(flood(lab, count))
            rows = [*_costs(rates), *_times(lab, count)]
    return Result(tuple(rows), tuple(missing))


LIGHT: tuple[Kind, ...] = ("arrivals", "drops", "counters")


def _costs(rates: dict[str, list[float]]) -> Iterator[Row]:
    middle = {way: statistics.median(found) for way, found in rates.items()}
    for way, name, least in (
        ("light", "arrivals and drop reasons", 0.9),
        ("both", "captures at both ends and drop reasons", 0.9),
        ("traced", "arrivals, drop reasons, nft's trace", 0.65),
        ("all", "captures at both ends, drop reasons, nft's trace", 0.65),
    ):
        unwatched, unit = middle["nobody"], "packets/s"
        yield more_is_better(name, middle[way], "unwatched", unwatched, unit)
        yield more_is_better(name, middle[way], "its aim", least * unwatched, unit)
        if way == "both" and "tcpdump" in middle:
            yield more_is_better(name, middle[way], "4 tcpdump -i any", middle["tcpdump"], unit)


def _times(lab: Lab, count: int) -> Iterator[Row]:
    starts = []
    for _ in range(9):
        began = time.perf_counter()
        with lab.observe():
            starts.append((time.perf_counter() - began) * 1000)
    yield less_is_better("to begin, BPF included", statistics.median(starts), "its aim", 100, "ms")
    with lab.observe() as watch:
        flood(lab, count)
    began = time.perf_counter()
    arrived = len(watch.fates.where(port=PORT).arrived)
    took = (time.perf_counter() - began) * 1_000_000 / len(watch.evidence.frames)
    yield more_is_better("fates of packets that arrived", arrived, "sent", count, "packets")
    yield less_is_better("to judge a frame", took, "a second for 20,000", 50, "us")


def flood(lab: Lab, count: int) -> float:
    """Packets a second, as the server receives them; all of them must arrive."""
    python = sys.executable
    receiver = lab["server"].popen(
        [python, "-c", RECEIVER, str(PORT), str(count)], stdout=subprocess.PIPE, text=True
    )
    with receiver:
        try:
            assert receiver.stdout
            assert receiver.stdout.readline() == "ready\n"
            target = lab["server"].address
            words = [python, "-c", SENDER, target, str(PORT), str(count)]
            lab["client"].run(words, check=True)
            rate, _ = receiver.communicate(timeout=30)
        finally:
            receiver.kill()
    return float(rate)


@contextlib.contextmanager
def tcpdump(lab: Lab) -> Iterator[None]:
    """One tcpdump in each node, on all its interfaces."""
    with contextlib.ExitStack() as stack:
        for node in lab:
            words = ["tcpdump", "-i", "any", "-U", "-w", "/dev/null", "-B", "16384"]
            running = node.popen(words, stderr=subprocess.PIPE, text=True)
            stack.enter_context(running)
            stack.callback(running.terminate)
            assert running.stderr
            while "listening on" not in running.stderr.readline():
                pass
        yield
