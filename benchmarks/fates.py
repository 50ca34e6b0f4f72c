"""What watching costs, and how long it takes: the forwarding rate with and without.

A sender floods UDP through client, NAT, router and server; what counts is the rate at which the
server's program receives. The ways of watching take turns, and each is compared with the round in
which nobody watched, so that a busy moment of the machine hits both alike. Beside the rate stands
what a packet costs the sender's processor, on which all of its way is done: it hardly depends on
what else the machine does.
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
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.result import Result, Row, less_is_better, more_is_better
from netlab.lab.lab import Lab
from netlab.topology import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from netlab.capture.session import Kind

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
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
count = int(sys.argv[3])
began = time.process_time()
for number in range(count):
    s.send(b"%020d" % number)
print((time.process_time() - began) / count * 1e6)
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
    found: dict[str, list[Flood]] = {way: [] for way in ways}
    walled: list[Flood] = []
    unwatched: list[Flood] = []
    with tempfile.TemporaryDirectory() as state:
        os.environ["NETLAB_STATE_DIR"] = state
        with Lab(NAT, name="bench-fates") as lab:
            for _ in range(rounds):
                for way, watching in ways.items():
                    with watching(lab):
                        found[way].append(flood(lab, count))
            rows = [*_costs(found), *_times(lab, count)]
        with Lab(loads(WALLED, "walled.yaml"), name="bench-walled") as lab:
            for _ in range(rounds):
                unwatched.append(flood(lab, count))
                with lab.observe((*LIGHT, "nft")):
                    walled.append(flood(lab, count))
    rows += _compared("the same, every packet meets a firewall", walled, unwatched, 0.65)
    return Result(tuple(rows), tuple(missing))


LIGHT: tuple[Kind, ...] = ("arrivals", "drops", "counters")


WALLED = """
nodes:
  client:
  nat: {kind: nat, outside: wan, firewall: {rules: [drop udp/9]}}
  router: {kind: router}
  server:
links: [[nat:lan, client:eth0], [router:west, nat:wan], [router:east, server:eth0]]
"""


class Flood(NamedTuple):
    """Packets a second, as they arrived, and microseconds of the sender's processor for each."""

    rate: float
    cost: float


def _costs(found: dict[str, list[Flood]]) -> Iterator[Row]:
    for way, name, least in (
        ("light", "arrivals and drop reasons", 0.9),
        ("both", "captures at both ends and drop reasons", 0.9),
        ("traced", "arrivals, drop reasons, nft's trace", 0.65),
        ("all", "captures at both ends, drop reasons, nft's trace", 0.65),
    ):
        yield from _compared(name, found[way], found["nobody"], least)
    if "tcpdump" in found:
        yield from _compared("4 tcpdump -i any", found["tcpdump"], found["nobody"], None)


def _compared(
    name: str, ours: Sequence[Flood], unwatched: Sequence[Flood], least: float | None
) -> Iterator[Row]:
    """Rate and cost beside those of the same rounds without anybody watching."""
    rate = statistics.median(flood.rate for flood in unwatched)
    cost = statistics.median(flood.cost for flood in unwatched)
    pairs = list(zip(ours, unwatched, strict=True))
    left = rate * statistics.median(o.rate / u.rate for o, u in pairs)
    yield more_is_better(name, left, "unwatched", rate, "packets/s")
    if least is not None:
        yield more_is_better(name, left, "its aim", least * rate, "packets/s")
    more = cost * statistics.median(o.cost / u.cost for o, u in pairs)
    yield less_is_better(f"{name}, processor", more, "unwatched", cost, "us")


def _times(lab: Lab, count: int) -> Iterator[Row]:
    starts = []
    for _ in range(9):
        began = time.perf_counter()
        with lab.observe():
            starts.append((time.perf_counter() - began) * 1000)
    yield less_is_better("to begin, BPF included", statistics.median(starts), "its aim", 100, "ms")
    with lab.observe() as watch:
        flood(lab, count)
    began = time.process_time()
    arrived = len(watch.traces.where(port=PORT).arrived)
    took = (time.process_time() - began) * 1_000_000 / len(watch.evidence.frames)
    yield more_is_better("fates of packets that arrived", arrived, "sent", count, "packets")
    yield less_is_better("to judge a frame", took, "a second for 20,000", 50, "us")


def flood(lab: Lab, count: int) -> Flood:
    """All of ``count`` packets must arrive."""
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
            cost = lab["client"].run(words, check=True).stdout
            rate, _ = receiver.communicate(timeout=30)
        finally:
            receiver.kill()
    return Flood(float(rate), float(cost))


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
