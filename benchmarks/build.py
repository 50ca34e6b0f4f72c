"""Labs of many sizes, built, reached and removed, beside others that build the same ones.

Every builder gets a prepared plan; what is timed is the making. Before each run the kernel has
freed what the run before released, since freeing holds locks that building needs.
"""

from __future__ import annotations

import os
import select
import socket
import statistics
import struct
import tempfile
import time
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import freed, peers
from benchmarks.result import Result, Row, less_is_better, more_is_better
from benchmarks.shapes import SHAPES, address, without_rules
from netlab.lab import build as apply
from netlab.lab import remove as teardown
from netlab.linux import namespaces

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.plan.operations import Plan

LABS = tuple((shape, size) for size in (4, 64, 256, 1000) for shape in SHAPES)
QUICK_LABS = (("star", 4), ("chain", 4), ("star", 64))

SO_RCVBUFFORCE = 33
"""<asm-generic/socket.h>; Python does not name it."""


class Times(NamedTuple):
    """Milliseconds, and how many hosts answered."""

    build: float
    remove: float
    freed: float
    """From the beginning of the removal until the kernel has freed all."""
    reached: float


def run(*, quick: bool) -> Result:
    """Median times of netlab and every peer that is there."""
    absent = peers.missing()
    builders: dict[str, Callable[[Plan], peers.Took]] = {
        "ip -batch": peers.ip_batch,
        "pyroute2": peers.pyroute2,
        "Mininet": peers.mininet,
    }
    if "C" not in absent:
        builders["C"] = peers.Floor()
    rows: list[Row] = []
    per_node: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as state:
        os.environ["NETLAB_STATE_DIR"] = state
        for shape, size in QUICK_LABS if quick else LABS:
            plan = SHAPES[shape](size)
            repeats = 1 if size > 256 else 3 if quick or size > 64 else 7
            figure = f"{shape} {size}"
            ours = _runs(plan, shape, size, repeats)
            if shape == "star":
                per_node[size] = ours.build / size
                rows.append(
                    more_is_better(f"{figure} reached", ours.reached, "hosts", size, "hosts")
                )
            for name, builder in builders.items():
                if name not in absent:
                    # Only the fast ones are run more than once: the slow ones vary less.
                    times = repeats if name in {"C", "ip -batch"} else 1
                    theirs = _median([_theirs(builder, plan) for _ in range(times)])
                    # The C program loads no rules, so it is held against a build without.
                    fair = ours if name != "C" else _runs(without_rules(plan), shape, size, times)
                    rows += _compared(figure, size, fair, name, theirs)
    largest, reference = max(per_node), 64
    rows.append(
        less_is_better(
            f"per node at {largest}", per_node[largest], f"at {reference}", per_node[64], "ms"
        )
    )
    return Result(tuple(rows), tuple(f"{name}: {why}" for name, why in absent.items()))


def _theirs(builder: Callable[[Plan], peers.Took], plan: Plan) -> Times:
    freed.wait()
    took = builder(plan)
    removed = time.perf_counter()
    gone = freed.wait()
    return Times(took.build, took.remove, took.remove + (gone - removed) * 1000, 0)


def _runs(plan: Plan, shape: str, size: int, repeats: int) -> Times:
    return _median([_ours(plan, shape, size) for _ in range(repeats)])


def _median(runs: list[Times]) -> Times:
    return Times(*(statistics.median(values) for values in zip(*runs, strict=True)))


def _compared(figure: str, size: int, ours: Times, name: str, theirs: Times) -> list[Row]:
    rows = [less_is_better(f"{figure} build", ours.build, name, theirs.build, "ms")]
    if name != "C":
        rows.append(less_is_better(f"{figure} remove", ours.remove, name, theirs.remove, "ms"))
    elif size >= freed.SMALLEST:
        # Its process ends: this is what the kernel itself needs to free the same lab.
        rows.append(less_is_better(f"{figure} freed", ours.freed, name, theirs.freed, "ms"))
    return rows


def _ours(plan: Plan, shape: str, size: int) -> Times:
    freed.wait()
    began = time.perf_counter()
    claim = apply.claim(plan, library=True)
    apply.build(plan, claim)
    built = time.perf_counter()
    try:
        reached = _reached(claim.lab.namespace("hub"), size) if shape == "star" else size
    finally:
        started = time.perf_counter()
        teardown.remove(claim)
        removed = time.perf_counter()
    gone = freed.wait()
    return Times(
        (built - began) * 1000, (removed - started) * 1000, (gone - started) * 1000, reached
    )


def _reached(hub: str, hosts: int) -> int:
    """How many hosts answer one ICMP echo request from the hub (RFC 792) within two seconds."""
    raw = namespaces.open_socket(hub, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    answered: set[str] = set()
    with raw:
        raw.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        # type 8, code 0, checksum, identifier, sequence; all but type and checksum are 0
        request = struct.pack("!BBHHH", 8, 0, 0xF7FF, 0, 0)
        for wire in range(hosts):
            raw.sendto(request, (address(wire, 1), 0))
        deadline = time.monotonic() + 2
        while len(answered) < hosts and (left := deadline - time.monotonic()) > 0:
            if select.select([raw], [], [], left)[0]:
                packet, (source, _) = raw.recvfrom(2048)
                if packet[20] == 0:  # echo reply
                    answered.add(source)
    return len(answered)
