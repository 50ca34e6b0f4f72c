"""Exercises: each solution has all points, the given lab and each wrong solution has not."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from netlab.errors import Unavailable
from netlab.lab.lab import Lab
from netlab.scenario import bundled
from netlab.scenario.exercise.check import check_file, check_lab
from netlab.scenario.read import read

NAMES = bundled.exercises()

FORWARD = 'static: [{forward: tcp/8080, to: "web:80"}]'
POOL = "unknown-protocols: pool\n      addresses: [203.0.113.10, 203.0.113.11]"
BORIS = 'static: [{forward: tcp/8080, to: "boris:80"}]'
RULES = "accept established\n        - accept tcp/443 to web\n        - drop from guest"

WRONG = {
    "missing-gateway": {
        "a gateway that does not forward": ("gateway: router", "gateway: printer"),
        "a route to the wrong half": (
            "gateway: router",
            'routes: ["198.51.100.128/25 via router"]',
        ),
    },
    "subnets": {
        "three equal parts": ("192.0.2.0/25", "192.0.2.0/26"),
        "another block": ("192.0.2.192/28", "192.0.3.0/28"),
        "none at all": (", subnet: 192.0.2.128/26", ""),
    },
    "masquerade": {
        "no port forwarded": (FORWARD, "ports: preserve"),
        "to the wrong host": ("web:80", "client:80"),
        "the wrong port": ("tcp/8080", "tcp/80"),
    },
    "hairpin": {
        "open to all, but not to the household": (
            "hairpinning: true",
            "filtering: endpoint-independent",
        ),
        "not forwarded any more": (f"hairpinning: true\n      {FORWARD}", "hairpinning: true"),
    },
    "firewall-order": {
        "guests first": (RULES, "drop from guest\n        - accept established"),
        "guests anywhere": ("        - drop from guest\n", ""),
        "no answers": ("        - accept established\n", ""),
        "all open": ("forward: drop", "forward: accept"),
    },
    "pmtu-black-hole": {
        "as it was": (
            "- accept established\n        - drop icmp",
            "- drop icmp\n        - accept established",
        ),
        "all of ICMP": ("        - drop icmp\n", "        - accept icmp\n"),
    },
    "asymmetric-routing": {
        "both exchanged": ("client: {gateway: one}", "client: {gateway: two}"),
        "a route past the gateway": (
            "server: {gateway: one}",
            'server: {gateway: one, routes: ["192.0.2.0/24 via two"]}',
        ),
    },
    "conntrack-timeouts": {
        "shorter than the silence": ("udp: 300", "udp: 200"),
        "for ever": ("udp: 300", "udp: 7200"),
        "the wrong protocol": ("udp: 300", "tcp-established: 300, udp: 60"),
    },
    "double-nat": {
        "a port that nobody sends to": (BORIS, BORIS.replace("8080", "80")),
        "another host's port": ("boris:80", "boris:8080"),
    },
    "ipv6-firewall": {
        "closed": ("        - accept from lan\n", ""),
        "no answers": ("        - accept established\n", ""),
        "a port of everybody": ("accept tcp/80 to web", "accept tcp/80"),
        "all of the web server": ("accept tcp/80 to web", "accept to web"),
    },
    "nat64-prefix": {
        "another prefix": ("64:ff9b::/96", "64:ff9b:1::/96"),
        "as it was": ("64:ff9b::/96", "2001:db8:64::/96"),
    },
    "hdp-through-nat": {
        "with its inside address": ("pool", "leak"),
        "not at all": ("pool", "drop"),
        "by Linux alone": (POOL, "unknown-protocols: translate"),
    },
    "symmetric-nats": {
        "filters ports": ("restricted-cone", "home-router"),
        "open to strangers": ("restricted-cone", "full-cone"),
    },
}  # fmt: skip
"""By exercise: what is wrong, and by which edit of the solution (old text, new text)."""

CASES = [(name, what) for name, edits in WRONG.items() for what in edits]


def solution(name: str) -> Path:
    exercise = read(bundled.find(name)).exercise
    assert exercise
    assert exercise.solution
    return exercise.solution


def checked(name: str, file: Path):
    try:
        return check_file(read(bundled.find(name)), file)
    except Unavailable as error:
        pytest.skip(str(error))


def test_every_exercise_has_wrong_solutions():
    assert set(WRONG) == set(NAMES)
    assert min(len(edits) for edits in WRONG.values()) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_an_exercise_has_a_task_hints_and_a_solution_that_changes_nothing_locked(name):
    scenario = read(bundled.find(name))
    assert scenario.exercise
    assert scenario.exercise.task
    assert len(scenario.exercise.hints) >= 2
    assert scenario.exercise.locked
    assert scenario.topology.read_text() != solution(name).read_text()


@pytest.mark.kernel
@pytest.mark.parametrize("name", NAMES)
def test_a_solution_has_all_points(name):
    work = checked(name, solution(name))
    assert work.missing == []
    assert work.points == work.of > 0


QUICK = {"missing-gateway", "subnets", "hdp-through-nat", "symmetric-nats"}
"""Those whose given labs are tried in every run; the others wait for answers that do not come."""


@pytest.mark.kernel
@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.soak) for n in NAMES]
)
def test_the_given_lab_has_not(name):
    scenario = read(bundled.find(name))
    work = checked(name, scenario.topology)
    assert not work.violations
    assert work.points < work.of
    assert any(part.verdicts and not part.passed for part in work.parts) or work.error


@pytest.mark.kernel
@pytest.mark.soak
@pytest.mark.parametrize(("name", "what"), CASES, ids=[f"{n}: {w}" for n, w in CASES])
def test_a_wrong_solution_has_not(name, what, tmp_path):
    old, new = WRONG[name][what]
    text = solution(name).read_text()
    assert old in text
    file = tmp_path / "wrong.yaml"
    file.write_text(text.replace(old, new))
    work = checked(name, file)
    assert not work.violations, "it must fail for what the packets do"
    assert not work.error, "it must fail for what the packets do"
    assert work.points < work.of


def test_what_is_locked_may_not_be_changed(tmp_path):
    name = "missing-gateway"
    file = tmp_path / "forged.yaml"
    text = solution(name).read_text()
    file.write_text(text.replace("router: {kind: router}", "router: {kind: nat, outside: wan}"))
    work = check_file(read(bundled.find(name)), file)
    [violation] = work.violations
    assert "`nodes.router` was changed" in violation
    assert (work.points, work.passed) == (0, False)


@pytest.mark.parametrize(
    ("addition", "said"),
    [
        ("    programs: {mine: [sleep, '99']}", "node nat: programs"),
        ("    files: {/usr/bin/curl: x}", "node nat: files"),
        ("    environment: {LD_PRELOAD: /tmp/x.so}", "node nat: variables"),
    ],
)
def test_a_submission_may_not_bring_programs(tmp_path, addition, said):
    file = tmp_path / "own.yaml"
    name = "hairpin"
    text = solution(name).read_text()
    file.write_text(text.replace("  nat:\n    kind", f"  nat:\n{addition}\n    kind"))
    work = check_file(read(bundled.find(name)), file)
    assert any(said in violation for violation in work.violations)


def test_a_file_that_cannot_be_read_is_work_without_points(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("nodes: [")
    work = check_file(read(bundled.find("subnets")), file)
    assert (work.points, work.of) == (0, 5)
    assert "E106" in work.error
    assert "E106" in work.missing[0]


@pytest.mark.kernel
def test_a_lab_that_runs_is_checked_and_left_as_it_is():
    scenario = read(bundled.find("missing-gateway"))
    with Lab(scenario.topology, name=f"room-{os.getpid()}") as lab:
        before = check_lab(scenario, lab)
        assert (before.points, before.of) == (1, 5)
        assert "never leaves" not in before.missing[0]
        lab["client"].run(["ip", "route", "add", "default", "via", "10.1.0.1"], check=True)
        after = check_lab(scenario, lab)
        assert after.points == 5
        assert lab["client"].run(["ip", "route"]).stdout.startswith("default")


@pytest.mark.kernel
def test_a_step_that_hangs_does_not_cost_the_points_of_the_others():
    scenario = read(bundled.find("missing-gateway"))
    first, *rest = scenario.steps
    from netlab.scenario.model import Command

    hanging = replace(first, action=Command(("sleep", "99"), "client"), timeout=0.5)
    work = check_file(replace(scenario, steps=(hanging, *rest)), solution("missing-gateway"))
    assert [part.points for part in work.parts] == [0, 2, 2]


def test_no_exercise_has_the_name_of_a_lesson():
    assert not set(NAMES) & set(bundled.names())
