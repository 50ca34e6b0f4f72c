"""A stranger's program in a sandbox: what it sees, what it can change, and what it leaves."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from netlab.lab import sandbox

pytestmark = pytest.mark.kernel


def spec(tmp_path, **more):
    place = tmp_path / "place"
    place.mkdir()
    given = tmp_path / "given"
    given.write_text("given\n")
    copied = ((str(given), "/work/given"),)
    return sandbox.Spec(str(place), sandbox.of_python(), copied, **more)


def argv(where: sandbox.Spec, script: str) -> list[str]:
    command = ["/bin/sh", "-c", script]
    return [sys.executable, "-m", "netlab.lab.sandbox", json.dumps(where._asdict()), *command]


def inside(where: sandbox.Spec, script: str) -> str:
    ran = subprocess.run(
        argv(where, script), capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_only_what_was_given_is_there(tmp_path):
    # Not below this checkout, which is shown since Python needs it.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as elsewhere:
        secret = Path(elsewhere) / "secret"
        secret.write_text("another's work")
        said = inside(spec(tmp_path), f"cat /work/given; cat {secret}; ls /tmp; ls /root; :")
    assert said.splitlines()[0] == "given"
    assert "another's work" not in said


def test_a_hidden_path_is_empty_though_the_one_above_it_is_shown(tmp_path):
    shown = tmp_path / "shown"
    (shown / "works").mkdir(parents=True)
    (shown / "works" / "other").write_text("another's work")
    (shown / "solution").write_text("the solution")
    place = spec(tmp_path, hidden=(str(shown / "works"), str(shown / "solution")))
    place = place._replace(shown=(*place.shown, str(shown)))
    said = inside(place, f"ls {shown}; cat {shown}/works/other; cat {shown}/solution; :")
    assert said.split() == ["solution", "works"]


def test_nothing_shown_can_be_changed_and_no_mount_be_taken_away(tmp_path):
    script = """
    touch /usr/x /etc/x && echo wrote
    mount -o remount,rw /usr && touch /usr/x && echo wrote
    umount /proc && echo uncovered
    umount -l /sys && echo uncovered
    mkdir /tmp/p && mount -t proc none /tmp/p; ls -d /proc/[0-9]* | wc -l
    """
    words = inside(spec(tmp_path), script + ":").split()
    assert "wrote" not in words
    assert "uncovered" not in words
    assert int(words[-1]) < 10


def test_it_reaches_no_process_and_no_network_of_the_machine(tmp_path):
    with subprocess.Popen(["sleep", "99"]) as other:
        try:
            said = inside(
                spec(tmp_path),
                f"kill -9 {other.pid}; ip -o link | wc -l; ip route | wc -l",
            )
            assert other.poll() is None
        finally:
            other.kill()
    assert said.split() == ["1", "0"]  # lo alone, and no route


def test_what_it_started_ends_with_it(tmp_path):
    mark = f"98765.{os.getpid()}"
    assert inside(spec(tmp_path), f"setsid sleep {mark} & sleep 0.1; echo done") == "done\n"
    assert _gone(mark)
    assert list((tmp_path / "place").iterdir()) == []


def test_killed_from_outside_all_of_it_ends(tmp_path):
    mark = f"98766.{os.getpid()}"
    command = argv(spec(tmp_path), f"setsid sleep {mark} & echo begun; wait")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGKILL)
    assert _gone(mark)


def _gone(mark: str) -> bool:
    """Whether no process of this mark is left, once the kernel has had time to end them."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        lines = subprocess.run(["ps", "ax", "-o", "args"], capture_output=True, check=True).stdout
        if f"sleep {mark}".encode() not in lines:
            return True
        time.sleep(0.01)
    return False
