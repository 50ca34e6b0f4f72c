"""A machine that refuses gets one diagnostic out of netlab, never a traceback."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from tests.helpers.commands import NETLAB
from tests.helpers.commands import ran as run


@pytest.mark.parametrize("command", ["boxes", "schema", "completion bash"])
def test_a_full_device(command: str) -> None:
    with Path("/dev/full").open("w") as full:
        ran = run(*command.split(), stdout=full)
    assert ran.returncode == 1
    assert f"E419]: the machine refuses: {os.strerror(errno.ENOSPC)}" in ran.stderr


def test_no_standard_output_at_all() -> None:
    ran = run("boxes", preexec_fn=lambda: os.close(1))
    assert ran.returncode == 0


def test_a_locale_that_lacks_a_letter(tmp_path: Path) -> None:
    file = tmp_path / "ä.yaml"
    file.write_text("nodes: {a: {}}\n", encoding="utf-8")
    ran = run("plan", str(file), env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert ran.returncode == 0
    assert "\\xe4.yaml" in ran.stdout


@pytest.mark.parametrize("command", ["check", "plan", "graph"])
def test_a_file_name_that_is_not_utf_8(tmp_path: Path, command: str) -> None:
    file = os.fsencode(tmp_path) + b"/\xff.yaml"
    with open(file, "w") as stream:  # noqa: PTH123 - no Path of octets
        stream.write("nodes: {a: {}}\n")
    assert run(command, os.fsdecode(file)).returncode == 0
    assert run(command, os.fsdecode(file) + "no").returncode == 2


@pytest.mark.kernel
def test_status_while_labs_come_and_go(netlab_state: Path, tmp_path: Path) -> None:
    assert netlab_state.exists()
    files = [tmp_path / f"kgo{i}.yaml" for i in range(2)]
    for file in files:
        file.write_text("nodes: {a: {}}\n")
    script = 'for i in 1 2 3 4 5 6 7 8; do "$@" up $F >&2 && "$@" down $N >&2 || exit; done'
    coming = [
        subprocess.Popen(
            ["sh", "-c", script, "sh", *NETLAB],
            env={**os.environ, "F": str(file), "N": file.stem},
            stderr=subprocess.DEVNULL,
        )
        for file in files
    ]
    seen = set()
    while any(process.poll() is None for process in coming):
        ran = run("status")
        seen.add(ran.returncode)
    assert [process.returncode for process in coming] == [0, 0]
    assert 0 in seen
