"""Others look on: tcpdump, tshark and nft's own monitor must tell the same story."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from netlab.diagram.pcapng import blocks
from netlab.lab.lab import Lab
from netlab.topology import loads
from netlab.trace.disposition import Disposition as End
from tests import programs
from tests.trace.test_lab import SERVER, TOPOLOGY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from netlab.lab.lab import LabNode

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.root,  # expects the kernel's own drop reasons, which only BPF sees
    pytest.mark.usefixtures("netlab_state"),
]


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(loads(TOPOLOGY, "lab.yaml")) as running:
        yield running


@contextlib.contextmanager
def beside(node: LabNode, *argv: str, ready: str) -> Iterator[list[str]]:
    """Run a witness in a node; what it printed is in the list after the block."""
    programs.find(argv[0])
    told: list[str] = []
    pipe = subprocess.PIPE
    with node.popen(argv, stdout=pipe, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout
        if ready:
            while ready not in running.stdout.readline():
                assert running.poll() is None
        try:
            yield told
        finally:
            running.terminate()
            told += running.stdout.read().splitlines()


def play(lab: Lab) -> None:
    """A conversation, a rule, a closed port, a hop too many, an unknown protocol."""
    lab["client"].run(["ping", "-c2", "-i0.01", SERVER], check=True)
    with lab["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for port in (9, 4000, 9):
            s.sendto(b"to port %d" % port, (SERVER, port))
    with lab["client"].socket(socket.AF_INET, socket.SOCK_RAW, 253) as s:
        s.sendto(b"unknown", (SERVER, 0))
        s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
        s.sendto(b"one hop", (SERVER, 0))


def counted(files: dict[str, Path]) -> Counter[tuple[str, str]]:
    """The frames in tcpdump's files, by node and direction."""
    found: Counter[tuple[str, str]] = Counter()
    for node, file in files.items():
        words = ["tcpdump", "-n", "-r", str(file)]
        read = subprocess.run(words, capture_output=True, text=True, check=False)
        for line in read.stdout.splitlines():
            # "12:00:00.000000 eth0  Out IP 10.0.0.2 > ..."
            found[node, line.split()[2].lower()] += 1
    return found


def test_tcpdump_counts_the_same_frames_on_each_interface(lab: Lab, tmp_path: Path) -> None:
    files = {node.name: tmp_path / f"{node.name}.pcap" for node in lab}
    with contextlib.ExitStack() as stack:
        for node in lab:
            words = ("tcpdump", "-i", "any", "-U", "-w", str(files[node.name]))
            stack.enter_context(beside(node, *words, ready="listening on"))
        with lab.observe() as watch:
            play(lab)
            watch.settle()
        ours = Counter((frame.node, str(frame.direction)) for frame in watch.evidence.frames)
        # Told to end, it would forget what it has not written yet.
        end = time.monotonic() + 10
        while counted(files) != ours and time.monotonic() < end:
            pass
    assert counted(files) == ours


def test_tcpdump_reads_the_same_packets_of_the_file(lab: Lab, tmp_path: Path) -> None:
    with lab.observe() as watch:
        play(lab)
        watch.settle()
    file = tmp_path / "lab.pcapng"
    file.write_bytes(b"".join(blocks(watch.evidence, watch.traces)))
    words = ["tcpdump", "-n", "-tt", "--nano", "-r", str(file), "ip"]
    read = subprocess.run(words, capture_output=True, text=True, check=True)
    # "1700000000.123456789 IP 10.0.0.2.4000 > 198.51.100.2.9: UDP, length 9"
    told = [line.split() for line in read.stdout.splitlines()]
    ours = [
        (hop.time_ns, socket.inet_ntoa(packet_trace.packet.destination))
        for packet_trace in watch.traces
        for hop in packet_trace.hops
        if not any(
            change.startswith("IP::Dst") for each in packet_trace.hops for change in each.changes
        )
    ]
    assert len(ours) > 20
    times = {int(words[0].replace(".", "")): words for words in told}
    assert len(told) == len(watch.evidence.frames)
    for time_ns, destination in ours:
        assert destination in " ".join(times[time_ns])


@programs.needs("tshark")
def test_tshark_reads_of_the_file_what_was_said(lab: Lab, tmp_path: Path) -> None:
    with lab.observe() as watch:
        play(lab)
        watch.settle()
    file = tmp_path / "lab.pcapng"
    file.write_bytes(b"".join(blocks(watch.evidence, watch.traces)))
    fields = ("frame.interface_name", "ip.src", "ip.dst", "ip.proto", "ip.ttl", "frame.comment")
    words = [word for field in fields for word in ("-e", field)]
    read = subprocess.run(
        ["tshark", "-r", str(file), "-T", "fields", "-E", "occurrence=f", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("\t") for line in read.stdout.splitlines()]
    assert len(rows) == len(watch.evidence.frames)
    by_number: dict[int, list[list[str]]] = {}
    for row in rows:
        by_number.setdefault(int(row[5].split()[0].lstrip("#")), []).append(row)
    for packet_trace in watch.traces:
        seen = by_number[packet_trace.id]
        assert [row[0] for row in seen] == [f"{h.node}:{h.interface}" for h in packet_trace.hops]
        assert {int(row[3]) for row in seen} == {packet_trace.proto}
        # tshark's own reading of addresses and TTL agrees with the changes that were told.
        for (before, after), hop in zip(pairwise(seen), packet_trace.hops[1:], strict=True):
            told = {change.split()[0] for change in hop.changes}
            assert (before[1] != after[1]) == ("IP::Src" in told)
            assert (before[2] != after[2]) == ("IP::Dst" in told)
            assert (before[4] != after[4]) == ("IP::TTL" in told)


NFNETLINK, TRACE_GROUP = "12", 1 << 8


def listens_to_traces(node: LabNode) -> bool:
    """Whether somebody in the node has joined nft's trace group."""
    lines = node.run(["cat", "/proc/net/netlink"], check=True).stdout.splitlines()[1:]
    return any(w[1] == NFNETLINK and int(w[3], 16) & TRACE_GROUP for w in map(str.split, lines))


def test_nft_monitor_names_the_same_drops(lab: Lab) -> None:
    with beside(lab["nat"], "nft", "monitor", "trace", ready="") as told:
        while not listens_to_traces(lab["nat"]):
            pass
        with lab.observe() as watch:
            play(lab)
            watch.settle()
    denied = watch.traces.where(disposition=End.DENIED)
    assert len(denied) == 2
    drops = [line for line in told if " rule " in line and "(verdict drop)" in line]
    assert len(drops) == len(denied)
    for line in drops:
        rule = re.sub(r" packets \d+ bytes \d+", "", line)
        assert denied[0].reason.rule in rule
        assert f'comment "{denied[0].reason.label} {denied[0].reason.topology}"' in rule
