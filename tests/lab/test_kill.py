"""SIGKILL at any moment: gc finds everything."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from netlab.lab import rootless

pytestmark = pytest.mark.kernel


@pytest.mark.skipif(rootless.is_needed(), reason="a rootless lab dies with its user namespace")
def test_nothing_is_left_of_a_hundred_killed_builders_and_removers(state: str) -> None:
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.lab.killing", state],
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert result["left"] == {}
    assert result["kills"] >= 100
    # after each visit one was killed, so both must have been met half-way
    assert result["stages"]["namespaces"] > 0
    assert result["stages"]["wires"] > 0
