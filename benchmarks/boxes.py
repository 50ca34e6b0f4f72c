"""What a middlebox costs: rules beside a plain router, and what the program in a wire carries.

Frames are made beforehand and sent by the batch. Where no program is in the way, Linux carries a
packet to its end within the call that sends it, so that the sender's time is the path's time.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.result import Result, Row, less_is_better, more_is_better
from netlab.lab.lab import Lab
from netlab.linux import namespaces
from netlab.linux.packet_socket import BATCH, Frames
from netlab.topology import loads
from netlab.topology.model import Box
from netlab.verify.probe import one_cpu
from netlab.wire import ipv4, udp
from netlab.wire.address import packed

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUTED = """
nodes: {client: {}, router: {kind: router}, server: {firewall: [drop udp/5000]}}
links:
  - {ends: [client:eth0, router:a], subnet: 10.0.0.0/24}
  - {ends: [router:b, server:eth0], subnet: 10.0.1.0/24}
"""
WIRED = """
defaults: {node: {sysctls: {net.ipv4.tcp_congestion_control: reno}}}
nodes: {client: {}, server: {firewall: [drop udp/5000]}}
links: [{ends: [client:eth0, server:eth0], subnet: 10.0.0.0/24, delay: 1ms}]
"""
BOXES = (
    ("allow-list", Box("allow-list")),
    ("mss-clamp", Box("mss-clamp")),
    ("ecn-bleach", Box("ecn-bleach")),
    ("strict-window", Box("strict-window")),
    ("every-nth", Box("every-nth", (("n", 1_000_000),))),
    ("seeded-loss", Box("seeded-loss", (("loss", "1/1000"), ("period", 4096)))),
)
RECEIVER = """
import socket, sys
s = socket.create_server((sys.argv[1], 80))
print("ready", flush=True)
c, _ = s.accept()
while c.recv(1 << 18):
    pass
c.send(b"x")
"""
SENDER = """
import socket, sys, time
c = socket.create_connection((sys.argv[1], 80))
data, left = bytes(1 << 18), int(sys.argv[2])
began = time.perf_counter()
while left > 0:
    c.sendall(data)
    left -= len(data)
c.shutdown(1)
c.recv(1)
print(time.perf_counter() - began)
"""


def run(*, quick: bool) -> Result:
    """Medians of interleaved rounds."""
    with tempfile.TemporaryDirectory() as state:
        os.environ["NETLAB_STATE_DIR"] = state
        rows = [*_rules(5 if quick else 15), *_wire(2.0 if quick else 5.0)]
    return Result(tuple(rows))


def _rules(rounds: int) -> Iterator[Row]:
    topology = loads(ROUTED, "routed")
    ways: tuple[tuple[str, Box | None], ...] = (("plain", None), *BOXES)
    labs = {}
    rates: dict[str, list[float]] = {name: [] for name, _ in ways}
    try:
        for name, box in ways:
            nodes = tuple(
                replace(n, middleboxes=(box,)) if box and n.name == "router" else n
                for n in topology.nodes
            )
            labs[name] = Lab(replace(topology, nodes=nodes), name=f"bench-{name}").start()
        with one_cpu():
            for _ in range(rounds):
                for name, lab in labs.items():
                    rates[name].append(_flood(lab, "10.0.1.2", 20_000, 64))
    finally:
        for lab in labs.values():
            lab.stop()
    plain = statistics.median(rates["plain"])
    for name, _ in BOXES:
        rate = statistics.median(rates[name])
        yield more_is_better(f"router as {name}", rate, "plain router", plain, "packets/s")


def _flood(lab: Lab, target: str, count: int, size: int) -> float:
    """Packets a second from a client's interface to a server's."""
    frame = _frame(lab, target, size)
    before = _received(lab)
    with namespaces.inside(lab["client"].namespace, lambda: Frames("eth0")) as client:
        began = time.perf_counter()
        for _ in range(count // BATCH):
            client.send([frame] * BATCH)
        took = time.perf_counter() - began
    return (_received(lab) - before) / took


def _frame(lab: Lab, target: str, size: int) -> bytes:
    client = lab["client"].interfaces[0]
    next_hop = lab["router" if "router" in lab else "server"].interfaces[0]
    a, b = packed("10.0.0.1"), packed(target)
    body = udp.encode(udp.Header(4000, 5000), bytes(size - 28), a, b)
    macs = bytes.fromhex((next_hop.mac + client.mac).replace(":", ""))
    return macs + b"\x08\x00" + ipv4.encode(ipv4.Header(a, b, udp.PROTOCOL), body)


def _received(lab: Lab) -> int:
    path = "/sys/class/net/eth0/statistics/rx_packets"
    return int(lab["server"].run(["cat", path], check=True).stdout)


def _wire(seconds: float) -> Iterator[Row]:
    with Lab(loads(WIRED, "wired"), name="bench-wire") as lab:
        pid = _wire_process(lab)
        for size in (64, 1500):
            rate, cpu = _through(lab, pid, size, seconds)
            yield more_is_better(f"wire, {size} octets", rate, "its aim", 75_000, "packets/s")
            yield more_is_better(
                f"wire, {size} octets, its own time", rate / cpu, "its aim", 75_000, "packets/s"
            )
        octets = int(seconds * 60_000_000)
        before, receiver = (
            _cpu(pid),
            lab["server"].popen(
                [sys.executable, "-c", RECEIVER, "10.0.0.2"], stdout=subprocess.PIPE, text=True
            ),
        )
        assert receiver.stdout is not None
        receiver.stdout.readline()
        sent = lab["client"].run(
            [sys.executable, "-c", SENDER, "10.0.0.2", str(octets)], check=True, timeout=120
        )
        receiver.wait()
        receiver.stdout.close()
        took = float(sent.stdout)
        megabits = octets * 8 / 1e6
        yield more_is_better("wire, TCP", megabits / took, "its aim", 700, "Mbit/s")
        yield more_is_better(
            "wire, TCP, its own time", megabits / (_cpu(pid) - before), "its aim", 700, "Mbit/s"
        )
        times = lab["client"].run(["ping", "-qc20", "-i0.05", "10.0.0.2"], check=True).stdout
        average = float(times.rpartition("= ")[2].split("/")[1])
        yield less_is_better("round trip with 1 ms each way", average, "its aim", 2.5, "ms")


def _through(lab: Lab, pid: int, size: int, seconds: float) -> tuple[float, float]:
    """Packets a second while more are sent than it can carry; and its share of a CPU."""
    frame = _frame(lab, "10.0.0.2", size)
    with namespaces.inside(lab["client"].namespace, lambda: Frames("eth0")) as client:
        before, cpu, began = _received(lab), _cpu(pid), time.perf_counter()
        while time.perf_counter() - began < seconds:
            client.send([frame] * BATCH)
        took = time.perf_counter() - began
        return (_received(lab) - before) / took, (_cpu(pid) - cpu) / took


def _wire_process(lab: Lab) -> int:
    """The process that carries the frames."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
            inside = path.with_name("ns").joinpath("net").stat().st_ino
        except OSError:
            continue
        if b"netlab.io.inline.bridge" in words and inside == namespaces.inode(
            lab["client~server"].namespace
        ):
            return int(path.parent.name)
    raise RuntimeError("no program in the wire")


def _cpu(pid: int) -> float:
    """Seconds that a process has computed, in its own name and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
