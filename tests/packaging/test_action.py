"""The GitHub Action: a valid action, and its steps do what they say, one after the other."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.packaging.conftest import ROOT, clean_environment

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
EXPRESSION = re.compile(r"\$\{\{ *([\w.-]+) *\}\}")


def test_each_step_runs_something_and_takes_what_is_given_by_environment():
    assert ACTION["runs"]["using"] == "composite"
    for step in STEPS:
        assert ("uses" in step) != ("run" in step), step
        if "run" in step:
            assert step["shell"] == "bash", "a composite action must say so"
            assert not EXPRESSION.search(step["run"]), "an input in a script could be a command"


def test_each_input_is_used_and_each_that_is_used_is_declared():
    used = set(re.findall(r"inputs\.(\w+)", (ROOT / "action.yml").read_text()))
    assert used == set(ACTION["inputs"])


def test_actionlint_finds_nothing(tmp_path):
    actionlint = shutil.which("actionlint")
    if not actionlint:
        pytest.skip("no actionlint: go install github.com/rhysd/actionlint/cmd/actionlint@latest")
    # It looks at workflows; the steps of a composite action are those of a job.
    as_job = tmp_path / "job.yml"
    steps = [{key: value for key, value in step.items() if key != "name"} for step in STEPS]
    text = yaml.safe_dump({"on": {"workflow_dispatch": {"inputs": {
        name: {"description": declared["description"], "type": "string"}
        for name, declared in ACTION["inputs"].items()
    }}}, "jobs": {"steps": {"runs-on": "ubuntu-24.04", "steps": steps}}})  # fmt: skip
    as_job.write_text(text)
    ours = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    example = ROOT / "docs/examples/ci/.github/workflows/netlab.yml"
    ran = subprocess.run(
        [actionlint, *ours, example, as_job],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


class Runner:
    """GitHub's runner in small: environment files, expressions, `if`, and the steps' scripts."""

    def __init__(self, place: Path, inputs: dict[str, str]) -> None:
        self.place = place
        self.workspace = place / "workspace"
        self.workspace.mkdir()
        self.values = {f"inputs.{k}": str(v["default"]) for k, v in ACTION["inputs"].items()}
        self.values |= {f"inputs.{name}": value for name, value in inputs.items()}
        self.values |= {"github.action_path": str(ROOT), "runner.temp": str(place)}
        self.failed = False
        self.summary = place / "summary.md"
        (place / "bin").mkdir()
        if not shutil.which("sudo"):
            (place / "bin" / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
            (place / "bin" / "sudo").chmod(0o755)

    def value(self, text: str) -> str:
        return EXPRESSION.sub(lambda found: self.values[found.group(1)], text)

    def is_to_run(self, condition: str) -> bool:
        wanted = re.findall(r"(inputs\.\w+) != ''", condition)
        return (not self.failed or "failure()" in condition) and all(
            self.values[name] for name in wanted
        )

    def run(self) -> str:
        """Run all steps with scripts; what they printed."""
        printed = []
        for step in STEPS:
            if "run" not in step or not self.is_to_run(step.get("if", "")):
                continue
            output = self.place / "output"
            output.write_text("")
            ran = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=self.workspace,
                env={
                    **clean_environment(),
                    "PATH": f"{self.place}/bin:{os.environ['PATH']}",
                    "GITHUB_PATH": str(self.place / "path"),
                    "GITHUB_OUTPUT": str(output),
                    "GITHUB_STEP_SUMMARY": str(self.summary),
                    **{name: self.value(value) for name, value in step.get("env", {}).items()},
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=300,
                check=False,
            )
            printed.append(f"== {step['name']}: {ran.returncode}\n{ran.stdout}")
            self.failed |= ran.returncode != 0
            for line in output.read_text().splitlines():
                name, _, value = line.partition("=")
                self.values[f"steps.{step['id']}.outputs.{name}"] = value
        return "".join(printed)


TESTS = """
import pytest

@pytest.mark.netlab(topology="nat.yaml")
def test_a_ping(netlab):
    assert "1 received" in netlab["client"].run(["ping", "-c1", "server"], check=True).stdout
"""


@pytest.mark.kernel
@pytest.mark.network
@pytest.mark.soak
def test_its_steps_install_run_and_report(tmp_path):
    runner = Runner(tmp_path, {"scenarios": "two-clients", "repeat": "2", "pytest": "-q ."})
    shutil.copy(ROOT / "topologies/nat.yaml", runner.workspace)
    (runner.workspace / "test_ping.py").write_text(TESTS)
    printed = runner.run()
    assert not runner.failed, printed
    assert "2 of 2 runs, the same each time" in printed
    assert "1 labs built, 0 not possible here" in printed
    assert "### ✅ two-clients" in runner.summary.read_text()
    report = runner.workspace / "netlab-report"
    names = {path.name for path in report.iterdir()}
    assert {"two-clients.html", "two-clients.json", "tests.xml"} <= names
    assert Path((tmp_path / "path").read_text().strip(), "netlab").exists()


@pytest.mark.kernel
@pytest.mark.network
@pytest.mark.soak
def test_a_scenario_that_fails_fails_the_step_and_is_reported_all_the_same(tmp_path):
    runner = Runner(tmp_path, {"scenarios": "wrong.yaml"})
    shutil.copy(ROOT / "topologies/nat.yaml", runner.workspace)
    (runner.workspace / "wrong.yaml").write_text(
        "title: t\ntopology: nat.yaml\nstory: s\nsteps:\n"
        "  - {name: nobody, run: [ping, -c1, -W1, 192.0.2.77], in: client, expect: {exit: 0}}\n"
    )
    printed = runner.run()
    assert runner.failed
    assert "== scenarios: 1" in printed
    assert "### ❌ wrong" in runner.summary.read_text()
