"""A slim image has no /etc/protocols and no /etc/services: nothing may depend on them."""

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from netlab.lab.enter import cannot_run
from netlab.linux import namespaces
from netlab.plan.build import build
from netlab.plan.operations import CreateTun, LoadRules
from netlab.topology import load

ROOT = Path(__file__).parents[2]
PLANS = {path: build(load(path)) for path in sorted((ROOT / "topologies").rglob("*.yaml"))}
WITH_RULES = [
    path
    for path, plan in PLANS.items()
    if any(isinstance(made, LoadRules) for made in plan.operations)
    and not any(isinstance(made, CreateTun) for made in plan.operations)
]
NAMED = re.compile(r"(?:l4proto|ip protocol|nexthdr)(?: !=)? (?:\{[^}]*\b[a-z]|[a-z])")

BUILD_EACH = """
import sys, netlab
for number, path in enumerate(sys.argv[1:]):
    with netlab.Lab(path, name=f"bare-{number}"):
        print(path)
"""


def strip_files() -> None:
    """Hide the names of protocols and services from the process that calls this."""
    namespaces.unshare(namespaces.CLONE_NEWNS)
    namespaces.propagation("/", namespaces.MS_SLAVE | namespaces.MS_REC)
    for path in ("/etc/protocols", "/etc/services"):
        with contextlib.suppress(FileNotFoundError):
            namespaces.bind("/dev/null", path)


def build_where_names_are_unknown(*topologies: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BUILD_EACH, *map(str, topologies)],
        cwd=ROOT,
        preexec_fn=strip_files,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_generated_rules_name_protocols_by_number():
    for path, plan in PLANS.items():
        for made in plan.operations:
            if isinstance(made, LoadRules) and made.text.startswith("table inet netlab"):
                assert not NAMED.search(made.text), path


@pytest.mark.kernel
def test_every_shipped_firewall_and_nat_is_built_without_names(netlab_leaves_no_trace):
    assert len(WITH_RULES) > 10
    ran = build_where_names_are_unknown(*WITH_RULES)
    assert ran.stderr == ""
    assert ran.stdout.split() == [str(path) for path in WITH_RULES]


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("match", "hint"),
    [
        ("ip protocol gre drop", "nft finds `gre` in /etc/protocols: write a number"),
        ("tcp dport http drop", "nft finds `http` in /etc/services: write a number"),
    ],
)
def test_a_name_that_nft_cannot_look_up_is_explained(match, hint, tmp_path, netlab_leaves_no_trace):
    topology = tmp_path / "lab.yaml"
    topology.write_text(f"nodes:\n  a:\n    nftables: 'table ip t {{ chain c {{ {match}; }}; }}'\n")
    said = build_where_names_are_unknown(topology).stderr
    assert "error[E409]: node a: nft refuses the rules: Could not resolve" in said
    assert hint in said
    assert "apt install netbase" in said


def test_a_missing_program_is_named_with_its_package():
    error = FileNotFoundError(2, "No such file or directory")
    [problem] = cannot_run("socat", "a", error).diagnostics
    assert problem.hint == "apt install socat"
    [problem] = cannot_run("our-own", "a", error).diagnostics
    assert problem.hint == ""
