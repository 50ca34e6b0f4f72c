"""What the wires of a running lab tell those who watch them."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.lab.lab import Lab
from netlab.lab.reconfigure import impair, wire_state
from netlab.linux import namespaces
from netlab.topology import loads
from tests.helpers.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("netlab_state")]

FILE = """
nodes: {client: {}, server: {}}
links:
  - {ends: [client:eth0, server:eth0], subnet: 10.0.0.0/24, loss: 50%, seed: 1}
"""
KINDS = ("boxes", "capture")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(loads(FILE, "lab.yaml")) as running:
        yield running


def send(lab: Lab, count: int) -> None:
    with lab["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for number in range(count):
            client.sendto(b"%06d" % number, ("10.0.0.2", 4000))


def test_two_who_watch_at_once_are_told_the_same_and_the_second_goes_on_alone(lab):
    with lab.observe(KINDS) as second:
        with lab.observe(KINDS) as first:
            send(lab, 50)
            second.settle()
        send(lab, 50)
        second.settle()
    both, alone = first.evidence.box_events, second.evidence.box_events
    datagrams = [c for c in alone if c.came and c.came[0] == "a"]
    assert len(datagrams) == 100
    assert alone[: len(both)] == both
    assert not [gap for watch in (first, second) for gap in watch.evidence.gaps if gap.node]
    dropped = second.traces.where(proto=17).dropped_at("client~server")
    assert len(dropped) == sum(not c.left for c in datagrams)


def test_boxes_that_are_exchanged_meanwhile_are_told_of(lab):
    with lab.observe(KINDS) as watch:
        impair(lab, "client", "eth0", {"loss": "100%"})
        send(lab, 3)
        watch.settle()
    traces = watch.traces.where(proto=17)
    assert [packet_trace.reason.text for packet_trace in traces] == [
        "dropped by impair: random loss"
    ] * 3
    assert {packet_trace.reason.topology for packet_trace in traces} == {"lab.yaml:4"}


def test_a_program_that_dies_meanwhile_is_a_gap(lab):
    with lab.observe(KINDS) as watch:
        os.kill(wire_process(lab), signal.SIGKILL)
    [gap] = [gap for gap in watch.evidence.gaps if gap.collector == "boxes"]
    assert gap.node == "client~server"
    assert "it ended" in gap.text


def test_one_that_was_dead_before_is_a_gap_and_no_obstacle(lab):
    pid = wire_process(lab)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{pid}/ns/net").exists())  # a zombie has none
    with lab.observe(KINDS) as watch:
        pass
    [gap] = [gap for gap in watch.evidence.gaps if gap.node == "client~server"]
    assert gap.text.startswith("the program in the wire does not tell what it does")


def wire_process(lab: Lab) -> int:
    """The process in the wire, which is in no other node's namespace."""
    assert wire_state(lab, "client~server")["boxes"]
    inside = namespaces.inode(lab["client~server"].namespace)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.joinpath("ns/net").stat().st_ino == inside:
                return int(process.name)
        except OSError:
            continue
    raise AssertionError("no program in the wire")
