"""HDP: a sweep of all protocol numbers, a flood, equal tables, and latency beside UDP's."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from benchmarks.result import Result, Row, less_is_better, more_is_better
from netlab.io.hdp import flood as burst
from netlab.lab.lab import Lab
from netlab.linux import namespaces, raw_socket
from netlab.probe import compare
from netlab.probe import sweep as probing
from netlab.probe.latency import measure
from netlab.wire import hdp

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

T = TypeVar("T")

TOPOLOGIES = Path(__file__).parents[1] / "topologies"
PROTOCOL = 253
PAUSE = 200.0
"""Milliseconds that the original client waits between two packets, at the least."""


def run(*, quick: bool) -> Result:
    """Medians; what is compared takes turns."""
    with tempfile.TemporaryDirectory() as state:
        os.environ["NETLAB_STATE_DIR"] = state
        return Result((*_sweeps(quick=quick), *_floods(quick=quick), *_latencies(quick=quick)))


def _sweeps(*, quick: bool) -> list[Row]:
    """256 numbers, 3 packets of each, verdicts included; every table compared with the first."""
    repeats = 20 if quick else 100
    took, equal = [], 0
    with Lab(TOPOLOGIES / "nat.yaml", name="bench-hdp") as lab:
        first = probing.sweep(lab, "client", "server", arguments=range(256))
        for _ in range(repeats):
            began = time.perf_counter()
            made = probing.sweep(lab, "client", "server", arguments=range(256))
            took.append((time.perf_counter() - began) * 1000)
            equal += not compare.changes(first, made, way=True)
    what = "sweep of 256 numbers x 3, client-NAT-router-server"
    return [
        less_is_better(what, statistics.median(took), "its aim", 1500, "ms"),
        less_is_better("the same, slowest", max(took), "its aim", 1500, "ms"),
        less_is_better(
            "the same", statistics.median(took), "the original's pauses alone", 256 * PAUSE, "ms"
        ),
        more_is_better("equal tables", equal, "repeats", repeats, "tables"),
    ]


def _floods(*, quick: bool) -> list[Row]:
    """Packets a second between two nodes, from one process."""
    turns, looped, flooded = (5, 10_000, 100_000) if quick else (9, 40_000, 500_000)
    with Lab(TOPOLOGIES / "hdp" / "flood.yaml", name="bench-flood") as lab:
        where, target = lab["client"].namespace, lab["server"].address

        def inside(action: Callable[[], T]) -> T:
            return namespaces.inside(where, action)

        template = inside(lambda: burst.learn(4, PROTOCOL, target))
        rounds = [
            (
                inside(lambda: burst.flood(template, count=flooded, seconds=10)).rate,
                inside(lambda: _stamped(target, looped)),
                inside(lambda: _bare(target, looped)),
            )
            for _ in range(turns)
        ]
    flood, stamped, bare = (statistics.median(rates) for rates in zip(*rounds, strict=True))
    return [
        more_is_better("flood", flood, "sendto loop, each datagram with its time", stamped, "/s"),
        more_is_better("flood", flood, "sendto loop, always the same octets", bare, "/s"),
    ]


def _stamped(target: str, count: int) -> float:
    """What a program would write: a header with the time for each datagram, and sendto."""
    with _mouth() as mouth:
        began = time.perf_counter()
        for _ in range(count):
            mouth.sendto(hdp.encode(hdp.Header(time.time_ns()), b"hello"), (target, 0))
        return count / (time.perf_counter() - began)


def _bare(target: str, count: int) -> float:
    """The least that a loop can do."""
    datagram = hdp.encode(hdp.Header(time.time_ns()), b"hello")
    with _mouth() as mouth:
        began = time.perf_counter()
        for _ in range(count):
            mouth.sendto(datagram, (target, 0))
        return count / (time.perf_counter() - began)


def _mouth() -> socket.socket:
    mouth = raw_socket.raw_socket(4, PROTOCOL)
    mouth.setblocking(True)
    return mouth


def _latencies(*, quick: bool) -> list[Row]:
    """From program to program over two hops."""
    with Lab(TOPOLOGIES / "hdp" / "site.yaml", name="bench-latency") as lab:
        found = measure(lab, "client", "server", 500 if quick else 5000)
    medians = {name: statistics.median(values) / 1000 for name, values in found.items()}
    return [
        less_is_better(name, took, other, medians[other], "us")
        for name, took in medians.items()
        if name.startswith("HDP") and (other := name.replace("HDP", "UDP")) in medians
    ]
