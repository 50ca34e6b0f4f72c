"""What a machine is asked to do: commands in the checkout, each with its time."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import root

if TYPE_CHECKING:
    from pathlib import Path

MINUTES = 60

PATIENCE = "10"
"""How many times as long as elsewhere a scenario's step may take: guests are emulated."""

SCENARIO = "scenario "
"""How the names of jobs begin whose digests are compared."""

SHORT = (
    "carrier-grade", "hdp-one-site", "one-packet-offload", "private-leak", "tcp-handshake",
    "two-clients",
)  # fmt: skip
"""Six that between them use a NAT of rules, a bridge, drop reasons, a hook in front of the IP stack
and the userspace TCP."""


@dataclass(frozen=True, slots=True)
class Job:
    """``timeout`` is in seconds; ``prints`` a regular expression for the output."""

    name: str
    command: tuple[str, ...]
    timeout: float = 5 * MINUTES
    prints: str = ""


def short() -> list[Job]:
    """What each run of CI tries."""
    return [DEMO, *(scenario(name) for name in SHORT), README]


def full() -> list[Job]:
    """Everything but the matrix, whose thousands of cells are not a question to the kernel."""
    names = sorted(path.stem for path in (root.CHECKOUT / "scenarios").glob("*.yaml"))
    names.remove("matrix")
    return [DOCTOR, FEATURES, DEMO, *(scenario(name) for name in names), README, *rooms()]


DOCTOR = Job("doctor", ("netlab", "doctor"))
FEATURES = Job("features", ("python3", "/mnt/features.py"), 10 * MINUTES)
DEMO = Job("demo", ("python", "scripts/demo.py"))


def scenario(name: str) -> Job:
    """Play a shipped scenario."""
    command = ("netlab", "run", name, "--json", "--patience", PATIENCE)
    return Job(SCENARIO + name, command, 15 * MINUTES)


def tests(name: str, *arguments: str) -> Job:
    """Kernel tests, chosen by pytest's ``arguments``."""
    run = ("python", "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider")
    return Job(name, (*run, "-m", "kernel and not soak", *arguments), 40 * MINUTES)


README = tests("README", "-n", "0", "-k", "readme", "tests/test_docs.py")


def rooms() -> list[Job]:
    """The kernel tests of each room, and of no room."""
    places = {path.parent for path in (root.CHECKOUT / "tests").glob("*/test_*.py")}
    names = sorted(f"tests/{place.name}" for place in places)
    return [
        *(tests(name, name) for name in names),
        tests("tests", "tests", *(f"--ignore={name}" for name in names)),
    ]


def cases(listed: Path) -> list[Job]:
    """The cases of a YAML list: ``name``, ``run`` (a shell line) and ``prints`` (an expression).

    The list must lie in the checkout; its lines run in its directory.
    """
    import yaml  # the only thing here that needs more than Python

    inside = listed.resolve().relative_to(root.CHECKOUT).parent
    return [
        Job(
            f"case {case['name']}",
            ("sh", "-c", f"cd {shlex.quote(str(inside))}; {case['run']}"),
            prints=case.get("prints", ""),
        )
        for case in yaml.safe_load(listed.read_text())
    ]
