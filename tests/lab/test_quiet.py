"""A dual-stack lab says nothing by itself."""

import sys
import time
from pathlib import Path

import pytest

from netlab.lab import build, remove
from netlab.plan import sysctls
from netlab.plan.operations import (
    AddAddress,
    AddNeighbour,
    CreateNamespace,
    CreateVeth,
    LoadRules,
    Operation,
    Plan,
    SetSysctl,
    SetUp,
    StartProgram,
    VethEnd,
)

from .plans import mac, plan

pytestmark = pytest.mark.kernel

SNIFFER = """
import socket
sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
print("listening", flush=True)
while True:
    frame, where = sniffer.recvfrom(2048)
    print(where[0], frame[12:70].hex(), flush=True)
"""

LONGEST_SILENCE = 2.5
"""Seconds: unsolicited reports are repeated within 1 s, link changes are told once a second."""


def dual_stack(name: str, *, silent: bool) -> Plan:
    operations: list[Operation] = []
    for node in ("router", "host"):
        operations.append(CreateNamespace(node, "host"))
        settings = [*sysctls.EVERY_NODE, *sysctls.IPV6]
        if node == "router":
            settings += [*sysctls.FORWARDS_IPV4, *sysctls.FORWARDS_IPV6]
        operations += [SetSysctl(node, s.key, s.value) for s in settings]
        if silent:
            operations.append(LoadRules(node, sysctls.NO_MLD))
        argv = (sys.executable, "-c", SNIFFER)
        operations.append(StartProgram(node, "sniffer", argv, ready="log ^listening"))
    ends = VethEnd("router", "eth0", 2, mac(1), 1500), VethEnd("host", "eth0", 2, mac(2), 1500)
    operations.append(CreateVeth(*ends))
    for node, own, other in (("router", 1, 2), ("host", 2, 1)):
        operations += [
            SetUp(node, "lo"),
            AddAddress(node, "eth0", f"10.0.0.{own}/24"),
            AddAddress(node, "eth0", f"2001:db8::{own}/64"),
            SetUp(node, "eth0"),
            AddNeighbour(node, "eth0", f"10.0.0.{other}", mac(other)),
            AddNeighbour(node, "eth0", f"2001:db8::{other}", mac(other)),
        ]
    return plan(name, *operations)


@pytest.mark.usefixtures("state")
def test_no_frame_is_sent_unless_somebody_sends_one() -> None:
    heard = {}
    plans = [dual_stack("kquiet", silent=True), dual_stack("kloud", silent=False)]
    programs = [build.build(p, build.claim(p, listed=False)) for p in plans]
    time.sleep(LONGEST_SILENCE)
    for a_plan, sniffers in zip(plans, programs, strict=True):
        logs = [Path(sniffer.log).read_text(encoding="ascii") for sniffer in sniffers]
        heard[a_plan.name] = [line for log in logs for line in log.splitlines()[1:]]
        remove.down(a_plan.name)
        for sniffer in sniffers:
            sniffer.wait()
    assert heard["kquiet"] == []
    # The sniffers do hear: without the rule there are multicast listener reports.
    assert any(line.startswith("eth0 86dd") for line in heard["kloud"])
