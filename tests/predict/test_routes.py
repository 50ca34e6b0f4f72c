"""The model of rules and tables of routes, against the kernel's own answers."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from netlab.lab.lab import Lab
from netlab.plan.build import build
from netlab.predict.node import nodes
from netlab.predict.predict import Question, predict
from netlab.topology import load, loads
from netlab.wire.address import packed

ROOT = Path(__file__).parents[2]
POLICY = ROOT / "tests" / "topology" / "cases" / "good" / "policy-routing.yaml"

TARGETS = (
    *("10.0.3.2", "10.0.4.2", "10.99.1.1", "10.98.1.1", "10.97.1.1", "10.96.1.1", "10.93.0.1"),
    *("10.92.0.1", "203.0.113.9", "192.0.2.1", "10.0.1.2"),
    *("fd00:0:0:3::2", "fd98::1", "fd97::1", "2001:db8::1", "fd00:0:0:2::2"),
)
SOURCES = ("", "10.0.1.1", "10.0.2.1", "10.0.0.1", "fd00::1", "fd00:0:0:1::1")
FROM = ("", "in")


def of_kernel(said: str) -> tuple[str, str]:
    """Next hop and interface, or what refuses, of `ip route get`."""
    words = said.split()
    for kind, message in (
        ("unreachable", "No route to host"),
        ("prohibit", "Permission denied"),
        ("blackhole", "Invalid argument"),
        ("none", "Network is unreachable"),
    ):
        if message in said or words[:1] == [kind]:
            return kind, ""
    via = words[words.index("via") + 1] if "via" in words else ""
    if via == "inet6":
        via = words[words.index("via") + 2]
    return via, words[words.index("dev") + 1]


@pytest.mark.kernel
@pytest.mark.usefixtures("netlab_state")
def test_a_route_is_the_one_that_the_kernel_takes():
    compared = 0
    with Lab(POLICY) as lab:
        model = nodes(lab.plan, is_fresh=True)["gw"]
        for target, source, incoming in itertools.product(TARGETS, SOURCES, FROM):
            if source and (":" in source) != (":" in target):
                continue
            if bool(incoming) != (source in ("10.0.0.1", "fd00::1")):
                continue  # a source of its own does not come in, another's does not go out
            asked = [target, *(["from", source] if source else [])]
            asked += ["iif", incoming] if incoming else []
            ran = lab["gw"].run(["ip", "route", "get", *asked])
            expected = of_kernel(ran.stdout + ran.stderr)
            route = model.routes.lookup(packed(target), packed(source) if source else b"", incoming)
            found = ("none", "") if route is None else (route.kind, "")
            if route and route.hops:
                found = route.hops[0]
            if "blackhole" in (found[0], expected[0]) and ":" not in target:
                # `ip route get` cannot tell it from other errors for what comes in.
                assert not (route and route.hops)
                assert not expected[1]
            else:
                assert found == expected, (target, source, incoming, ran.stdout, ran.stderr)
            compared += 1
    assert compared > 40


def test_of_several_next_hops_nobody_knows_which():
    end = predict(build(load(POLICY)), Question("gw", "10.95.0.1", 17, 9))
    assert end.disposition == "unknown"
    assert end.reason.text == "a hash of the flow chooses between one or two"


@pytest.mark.parametrize(
    ("target", "disposition"),
    [
        ("10.99.0.1", "blackhole-route"),
        ("10.98.0.1", "unreachable-route"),
        ("10.97.0.1", "prohibit-route"),
        ("fd97::1", "unreachable-route"),
    ],
)
def test_a_route_that_refuses_ends_the_packet(target, disposition):
    end = predict(build(load(POLICY)), Question("lan", target, 17, 9))
    assert (end.disposition, end.node) == (disposition, "gw")


STRICT = """
nodes:
  ws:
  gw: {kind: router}
  srv: {gateway: 10.0.1.1, sysctls: {net.ipv4.conf.eth1.rp_filter: %s}}
links:
  - {ends: [gw, ws], subnet: 192.168.9.0/24}
  - {ends: [gw, srv], subnet: 10.0.1.0/24}
  - {ends: [gw, srv], subnet: 10.0.2.0/24}
"""


@pytest.mark.parametrize(("mode", "ends"), [(0, "delivered"), (1, "rpf-failed"), (2, "delivered")])
def test_the_reverse_path_filter_is_known(mode, ends):
    plan = build(loads(STRICT % mode, "strict.yaml"))
    end = predict(plan, Question("ws", "10.0.2.2", 17, 9))
    assert (end.disposition, end.node) == (ends, "srv")


@pytest.mark.kernel
@pytest.mark.usefixtures("netlab_state")
@pytest.mark.parametrize("mode", [1, 2])
def test_the_kernel_filters_as_predicted(mode, tmp_path):
    file = tmp_path / "strict.yaml"
    file.write_text(STRICT % mode)
    with Lab(file) as lab:
        assert lab["ws"].run(["ping", "-c1", "-W1", "10.0.1.2"]).returncode == 0
        answered = lab["ws"].run(["ping", "-c1", "-W1", "10.0.2.2"]).returncode == 0
        assert answered == (mode == 2)


@pytest.mark.kernel
@pytest.mark.usefixtures("netlab_state")
def test_the_cure_of_two_providers_cures():
    with Lab(ROOT / "topologies" / "multi-wan.yaml") as lab:
        for address, answered in (
            ("203.0.113.2", True),
            ("203.0.113.130", False),
            ("203.0.113.131", True),
        ):
            ran = lab["client"].run(["ping", "-c1", "-W1", address])
            assert (ran.returncode == 0) == answered, address
