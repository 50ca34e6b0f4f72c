"""The test of the test: what is switched off behind the lab's back is noticed, and nothing else.

Here for some kinds; for all kinds, all presets and a loaded machine in ``make soak``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from netlab.cli import main
from netlab.middlebox.catalogue import CATALOGUE
from netlab.topology import loads, presets
from netlab.verify import verify
from netlab.verify.expected import table
from netlab.verify.sabotage import sabotage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.topology.model import Topology

NAT = """
nodes:
  one: {}
  two: {}
  lan: {kind: bridge, subnet: 10.0.0.0/24}
  nat: {kind: nat, outside: wan%s}
  server: {}
links:
  - [one:eth0, lan]
  - [two:eth0, lan]
  - [nat:lan, lan]
  - {ends: [nat:wan, server:eth0], subnet: 192.0.2.0/24}
"""
NODE = """
nodes: {client: {}, router: {kind: router, middleboxes: [{kind: %s}]}, server: {}}
links:
  - {ends: [client:eth0, router:a], subnet: 10.0.0.0/24}
  - {ends: [router:b, server:eth0], subnet: 10.0.1.0/24}
"""
LINK = """
nodes: {client: {}, server: {}}
links: [{ends: [client:eth0, server:eth0], subnet: 10.0.0.0/24, middleboxes: [{kind: %s}]}]
"""
WALL = """
nodes:
  desk: {}
  wall: {kind: router, firewall: {forward: drop, rules: [accept established, accept from a tcp/80]}}
  web: {}
links: [[desk:eth0, wall:a], [wall:b, web:eth0]]
"""
NEEDS = {
    "seeded-loss": "loss: 3/20",
    "outbound-only": "inside: a",
    "payload-rewrite": "find: cat, replace: mouse",
    "reset-on-payload": "pattern: secret",
    "block": "ports: [80, 443]",
    "impair": "delay: 20ms, jitter: 10ms, loss: 5%, duplicate: 5%",
}
FAST = ("allow-list", "option-nop", "trailing-fragments", "policer", "sequence-rewrite", "split")
SOME = ("mapping: address-dependent", "hairpinning", "timeout udp", "echo dropped", "on one")


def box(kind: str) -> Topology:
    words = f"{kind}, {NEEDS[kind]}" if kind in NEEDS else kind
    return loads((NODE if CATALOGUE[kind].is_rules else LINK) % words)


def preset(name: str) -> Topology:
    return loads(NAT % (f", nat: {{preset: {name}}}" if name else ""))


def test_each_kind_has_expectations_and_they_name_their_source():
    assert set(table("boxes")) == set(CATALOGUE)
    assert all(entry["source"] and entry["rows"] for entry in table("boxes").values())


@pytest.mark.kernel
@pytest.mark.parametrize("kind", FAST)
def test_a_box_that_is_sabotaged_is_found_out(netlab_state, kind):
    report = sabotage(box(kind))
    assert report.results
    assert [r.what for r in report.results if not r.noticed] == []
    assert report.alarms == ()


@pytest.mark.kernel
def test_a_nat_that_is_sabotaged_is_found_out(netlab_state):
    report = sabotage(
        preset("full-cone"), only=lambda what: what.startswith(SOME) or SOME[-1] in what
    )
    assert len(report.results) == 6
    assert [r.what for r in report.results if not r.noticed] == []
    assert report.alarms == ()


@pytest.mark.kernel
def test_the_command_says_what_was_done_and_which_row_noticed(netlab_state, tmp_path, capsys):
    file = tmp_path / "wall.yaml"
    file.write_text(WALL)
    assert main(["verify", "--sabotage", "--json", str(file)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is True
    assert said["false_alarms"] == 0
    done = {s["what"]: s for s in said["sabotages"]}
    assert set(done) == {
        "rule deleted: accept established",
        "rule turned into drop: accept established",
        "rule deleted: accept from a tcp/80",
        "rule turned into drop: accept from a tcp/80",
        "forward policy accept",
    }
    one = done["rule deleted: accept from a tcp/80"]
    assert one["where"] == "wall"
    assert one["noticed"] is True
    assert one["row"]["verdict"] == "otherwise"


def test_a_lab_that_runs_is_not_sabotaged(capsys):
    assert main(["verify", "--sabotage", "somebody"]) == 2
    assert "--sabotage is for a file" in capsys.readouterr().err


@contextmanager
def load() -> Iterator[None]:
    """As many busy processes as there are processors."""
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in os.sched_getaffinity(0)
    ]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


LABS = [("box", k) for k in CATALOGUE] + [("preset", p) for p in ("", *presets.names())]
MAKE = {"box": box, "preset": preset}


@pytest.mark.soak
@pytest.mark.kernel
@pytest.mark.parametrize(("what", "name"), LABS)
def test_every_sabotage_is_noticed(netlab_state, what, name):
    report = sabotage(MAKE[what](name))
    assert [r.what for r in report.results if not r.noticed] == []
    assert report.alarms == ()


@pytest.mark.soak
@pytest.mark.kernel
@pytest.mark.parametrize(("what", "name"), LABS)
def test_under_load_nothing_is_otherwise(netlab_state, what, name):
    topology = MAKE[what](name)
    with load():
        for _ in range(20):
            assert [c for c in verify(topology) if c.is_otherwise] == []
