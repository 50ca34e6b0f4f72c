"""The archives of a release, built once, and empty environments to install them into."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
TIMEOUT = 300.0
"""Seconds for one command; a build takes some ten, an installation as many."""


class Release(NamedTuple):
    """The two archives that ``python -m build`` makes."""

    sdist: Path
    wheel: Path


def run(*command, check=True, **options):
    """Run a command outside the repository, bounded, with its output as text."""
    options.setdefault("env", clean_environment())
    ran = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=TIMEOUT,
        **options,
    )
    if check:
        assert ran.returncode == 0, f"{command}\n{ran.stdout}"
    return ran


def clean_environment() -> dict[str, str]:
    """This process's environment without what points Python to the repository."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}


@pytest.fixture(scope="session")
def release(tmp_path_factory, request) -> Release:
    """Sdist and wheel; workers of pytest-xdist share them."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if hasattr(request.config, "workerinput") else base
    dist = shared / "dist"
    with Path(f"{dist}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not dist.is_dir():
            run(*(sys.executable, "-m", "build", "--no-isolation", "--outdir", f"{dist}.new"), ROOT)
            Path(f"{dist}.new").rename(dist)
    [sdist], [wheel] = dist.glob("*.tar.gz"), dist.glob("*.whl")
    return Release(sdist, wheel)


@pytest.fixture
def environment(tmp_path):
    """The programs of an empty virtual environment."""
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    return tmp_path / "venv" / "bin"


@pytest.fixture(scope="session")
def _index() -> None:
    """Skip where pip reaches no package index."""
    ran = run(*(sys.executable, "-m", "pip", "index", "versions", "--timeout=10", "--retries=0"),
              "networklab", check=False)  # fmt: skip
    if ran.returncode:
        pytest.skip(f"pip reaches no package index: {ran.stdout.strip().splitlines()[-1]}")


@pytest.fixture(autouse=True)
def _network(request):
    if request.node.get_closest_marker("network"):
        request.getfixturevalue("_index")
