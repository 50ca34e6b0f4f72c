"""The shell that waits for a process's last word; what follows is in tests/scenario/test_run.py."""

import subprocess

import pytest

from netlab.lab.reaper import WAIT, Undertaker


@pytest.mark.parametrize(("said", "code"), [("done\n", 0), ("", 1), ("do", 1)])
def test_only_a_whole_word_sends_it_home(said, code):
    """`false` stands for what removes the lab."""
    shell = subprocess.run(["sh", "-c", WAIT, "sh", "false"], input=said, text=True, check=False)
    assert shell.returncode == code


def test_it_waits_as_long_as_the_block_lasts_and_no_longer():
    with Undertaker("nobody") as undertaker:
        process = undertaker._process
        assert process
        assert process.poll() is None
    assert process.returncode == 0
