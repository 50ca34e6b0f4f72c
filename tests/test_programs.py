"""What is missing is said: each program has a Debian package, and `make` installs it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.lab.doctor import PROGRAMS
from netlab.lab.enter import PACKAGES
from netlab.scenario import bundled, model
from netlab.scenario.read import read
from netlab.topology import load
from netlab.topology.shipped import find, names
from tests import programs

ROOT = Path(__file__).parents[1]
BASE = {"bash", "coreutils", "diffutils", "grep", "mawk", "util-linux"}
"""Packages that even a minimal Debian has, of those that are used here."""
OF_BASE = {"awk": "mawk", "cat": "coreutils", "grep": "grep", "sleep": "coreutils", "sh": "dash"}


def installed(variable: str) -> set[str]:
    """The packages of a list in the Makefile."""
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    listed = re.search(rf"^{variable} *:= *(.*)$", text, re.MULTILINE)
    assert listed
    return set(listed.group(1).split())


def asked_for() -> Iterator[tuple[str, str]]:
    """File and program, wherever a test says that it needs one."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
            name = called.id if isinstance(called, ast.Name) else called
            words = [word.value for word in node.args if isinstance(word, ast.Constant)]
            if name == "needs":
                yield from ((path.name, str(word)) for word in words)


def test_make_test_installs_what_tests_need():
    packages = installed("DEBIAN_LAB") | installed("DEBIAN_TESTS") | BASE
    asked = list(asked_for())
    assert len(asked) > 30
    assert [(file, name) for file, name in asked if PACKAGES[name] not in packages] == []


def run_by(module: Path) -> Iterator[str]:
    """The first words of the lists that a scenario's Python gives to `run` or `popen`."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.List) and node.elts and isinstance(node.elts[0], ast.Constant):
            word = node.elts[0].value
            if isinstance(word, str) and word in PACKAGES:
                yield word


def commands() -> Iterator[tuple[str, str]]:
    """Scenario or topology, and the first word of each command in it."""
    for name in bundled.names():
        scenario = read(bundled.find(name))
        yield from ((name, need) for need in scenario.needs)
        for step in scenario.steps:
            if isinstance(step.action, model.Command | model.Start | model.Wait):
                yield name, step.action.argv[0]
            if isinstance(step.action, model.Call):
                yield from ((name, word) for word in run_by(Path(step.action.file)))
    for name in names():
        for node in load(find(name)).nodes:
            yield from ((name, program.argv[0]) for program in node.programs if program.argv)


def test_make_install_installs_what_shipped_scenarios_and_topologies_run():
    packages = installed("DEBIAN_LAB") | BASE
    ours = {"netlab", "python3", "bpf"}
    lacking = [
        (where, word)
        for where, word in commands()
        if word not in ours and {**OF_BASE, **PACKAGES}.get(word) not in packages | {"dash"}
    ]
    assert lacking == []


def test_doctor_looks_for_what_shipped_scenarios_run():
    of_shipped = {word for _, word in commands()} & PACKAGES.keys() - BASE - {"python3", "cmp"}
    assert of_shipped <= set(PROGRAMS)
    assert {PACKAGES[name] for name in PROGRAMS} <= installed("DEBIAN_LAB")


@pytest.mark.parametrize("in_ci", [False, True])
def test_a_test_without_its_program_names_the_package(in_ci, monkeypatch):
    monkeypatch.setattr(programs, "PATH", "/nowhere")
    monkeypatch.setenv("CI", "true") if in_ci else monkeypatch.delenv("CI", raising=False)
    ending = pytest.fail.Exception if in_ci else pytest.skip.Exception
    with pytest.raises(ending, match="needs socat: apt install socat"):
        programs.find("socat")
