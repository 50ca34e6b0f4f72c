"""The whole process of a first ``netlab up``, beside a Python that does nothing."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import freed
from benchmarks.result import Result, less_is_better

ROOT = Path(__file__).parents[1]
TOPOLOGY = ROOT / "topologies" / "nat.yaml"
NETLAB = "from netlab.cli import entry; entry()"
"""What the installed command does, in this checkout."""


def run(*, quick: bool) -> Result:
    """Medians over many starts; the plan cache is warm, as it is after a user's first one."""
    repeats = 7 if quick else 25
    with tempfile.TemporaryDirectory() as state:
        environment = {**os.environ, "NETLAB_STATE_DIR": state, "PYTHONPATH": str(ROOT)}
        # Both processes may keep compiled modules, as installed programs do.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)

        def python(*argv: str) -> float:
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", *argv],
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            return (time.perf_counter() - began) * 1000

        def lab() -> float:
            took = python(NETLAB, "up", str(TOPOLOGY), "--name", "bench-start")
            python(NETLAB, "down", "bench-start")
            freed.wait()
            return took

        lab()
        pairs = [(lab(), python("pass")) for _ in range(repeats)]
    ours, nothing = (statistics.median(values) for values in zip(*pairs, strict=True))
    return Result(
        (
            less_is_better("netlab up topologies/nat.yaml", ours, "python3 -c pass", nothing, "ms"),
            less_is_better("the same, against its aim", ours, "4 x python3", 4 * nothing, "ms"),
        )
    )
