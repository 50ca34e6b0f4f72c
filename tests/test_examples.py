"""The example for CI: its workflow is a workflow, and its steps do what the page says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.packaging.conftest import clean_environment

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "ci"
WORKFLOW = EXAMPLE / ".github" / "workflows" / "netlab.yml"


def steps():
    """The commands of the workflow by the names of their steps."""
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert {"push", "pull_request"} == set(workflow[True])  # YAML 1.1 reads `on` as a truth
    [job] = workflow["jobs"].values()
    assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    return {step["name"]: step["run"] for step in job["steps"] if "run" in step}


def test_the_page_shows_the_files_as_they_are():
    page = (ROOT / "docs" / "ci.md").read_text()
    shown = dict(
        re.findall(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    )
    assert shown.keys() >= {".github/workflows/netlab.yml", "pigeon.yaml", "test_pigeon.py"}
    for name, content in shown.items():
        assert content == (EXAMPLE / name).read_text(), name


@pytest.fixture
def run(tmp_path):
    """Run a line of the workflow as its machine would, in a directory of its own."""
    project = tmp_path / "project"
    shutil.copytree(EXAMPLE, project)
    # What actions/setup-python leaves: a Python with pip first in PATH.
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "python"], check=True, timeout=120)
    if not shutil.which("sudo"):
        (tmp_path / "python/bin/sudo").write_text('#!/bin/sh\nexec "$@"\n')
        (tmp_path / "python/bin/sudo").chmod(0o755)

    def run(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-ec", line],
            cwd=project,
            env={
                **clean_environment(),
                "PATH": f"{tmp_path}/python/bin:{os.environ['PATH']}",
                "NETLAB": str(ROOT),
                "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
            },
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return run


@pytest.mark.kernel
@pytest.mark.network
@pytest.mark.root  # of the machine: it installs packages
@pytest.mark.soak
def test_the_whole_workflow_runs(run, tmp_path):
    commands = steps()
    ran = run(commands["set up"])
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert run(commands["what this machine allows"]).returncode == 0
    ran = run(commands["every middlebox"])
    assert ran.returncode == 0, ran.stdout
    [suite] = ET.parse(tmp_path / "project" / "pigeon.xml").iter("testsuite")
    assert int(suite.attrib["tests"]) > 40
    ran = run(commands["the scenarios, the same each time"])
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "10 of 10 runs, the same each time" in ran.stdout
    assert run(commands["summary"]).returncode == 0
    assert "### ✅ pigeon: A message and its receipt" in (tmp_path / "summary.md").read_text()
