"""The ping that `up` suggests is one that is answered."""

from __future__ import annotations

import pytest

from netlab.lab.lab import Lab
from netlab.plan.build import build
from netlab.predict.suggest import suggestion
from netlab.topology import load, loads, shipped

BLOCKED = """
nodes:
  a:
  b:
  fw: {kind: router, firewall: {forward: drop, rules: [accept established, accept from b]}}
links: [[a, fw], [b, fw]]
"""

SILENT = """
nodes:
  a: {firewall: {input: drop}}
  b: {firewall: {input: drop}}
links: [[a, b]]
"""


def test_who_is_blocked_is_not_suggested():
    assert suggestion(build(loads(BLOCKED))) == ("a", "fw")
    assert suggestion(build(loads(SILENT))) == ()


def test_far_nodes_come_first():
    assert suggestion(build(load(shipped.find("nat")))) == ("client", "server")


@pytest.mark.kernel
@pytest.mark.usefixtures("netlab_state")
@pytest.mark.parametrize("name", ["dual-stack", "firewall", "home", "multi-wan", "nat64", "lan"])
def test_a_suggested_ping_is_answered(name):
    with Lab(shipped.find(name)) as lab:
        found = suggestion(lab.plan)
        assert found
        source, target = found
        assert lab[source].run(["ping", "-c1", "-W5", target]).returncode == 0
