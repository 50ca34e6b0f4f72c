"""Whose command `netlab` is, where several packages install one."""

import subprocess
import sys
from pathlib import Path

import pytest

from netlab.cli import whose
from tests.helpers.commands import NETLAB

OURS = "#!{python}\nimport sys\nfrom netlab.cli import entry\nsys.exit(entry())\n"
"""A start script as pip writes it."""
NETSIM = "#!{python}\nimport sys\nfrom netsim.cli import main\nsys.exit(main())\n"
"""The one of PyPI's networklab."""


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Put a start script `netlab` first in PATH and ask whose it is."""

    def command(text: str, python: str = sys.executable) -> whose.Command:
        script = tmp_path / "netlab"
        script.write_text(text.format(python=python))
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        return whose.first_in_path()

    return command


def test_our_own_script_is_this_one(command, tmp_path):
    found = command(OURS)
    assert found.is_ours
    assert str(found) == f"`netlab` in PATH is this one: {tmp_path}/netlab"


def test_a_wrapper_of_this_environment_is_this_one(command):
    assert command('#!/bin/sh\nexec {python} -m netlab "$@"\n').is_ours


def test_our_script_of_another_python_is_another_installation(command):
    found = command(OURS, "/opt/elsewhere/bin/python3")
    assert not found.is_ours
    assert found.owner == "another installation of netlab-lab"


def test_networklab_s_script_is_recognised_even_in_this_environment(command, tmp_path):
    found = command(NETSIM)
    assert str(found) == (
        f"`netlab` in PATH belongs to networklab (netsim-tools): {tmp_path}/netlab; "
        "this one is `netlab-lab`"
    )


def test_any_other_program_is_another_program(command):
    assert command("#!/bin/sh\necho hello\n").owner == "another program"


def test_none_in_path_is_said_too(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = whose.first_in_path()
    assert not found.is_ours
    assert str(found).startswith("`netlab` is not in PATH")


def test_the_version_says_it(command, tmp_path):
    command(NETSIM)
    ran = subprocess.run(
        [*NETLAB, "--version"],
        cwd=Path(whose.__file__).parents[2],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    version, owner = ran.stdout.splitlines()
    assert version.startswith("netlab ")
    assert "belongs to networklab" in owner
