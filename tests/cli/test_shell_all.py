"""``shell --all``: a window of tmux for each node, with a shell in it."""

import os
import pty
import subprocess

import pytest

from netlab.cli.enter import tmux
from netlab.lab.lab import Lab
from tests.helpers.commands import NETLAB, printed
from tests.helpers.waiting import wait_for
from tests.programs import needs


def test_each_node_has_a_window_of_its_own():
    words = tmux("nat", ["client", "server"], ["netlab"])
    assert words[:3] == ["tmux", "-L", "netlab-nat"]
    assert "netlab shell nat/client" in words
    assert "netlab shell nat/server" in words


def test_a_node_or_all_must_be_named():
    assert "netlab shell --all" in printed("shell", code=2)


@pytest.mark.kernel
@pytest.mark.root  # tmux wants a home and a terminal of its user
@needs("tmux")
def test_the_windows_are_there_and_end_with_the_lab():
    name = f"all-{os.getpid()}"
    master, slave = pty.openpty()
    server = ["tmux", "-L", f"netlab-{name}"]

    def windows() -> list[str]:
        ran = subprocess.run(
            [*server, "list-windows", "-a", "-F", "#W"], capture_output=True, text=True, check=False
        )
        return ran.stdout.split()

    with Lab("topologies/lan.yaml", name=name) as lab:
        nodes = [node.name for node in lab if node.kind != "inline"]
        shown = subprocess.Popen(
            [*NETLAB, "shell", "--all", name], stdin=slave, stdout=slave, stderr=slave,
            env={**os.environ, "TERM": "xterm", "SHELL": "/bin/sh"}, start_new_session=True,
        )  # fmt: skip
        try:
            wait_for(lambda: windows() == nodes, f"a window for each of {nodes}")
        finally:
            subprocess.run([*server, "kill-server"], capture_output=True, check=False)
            shown.wait(30)
            os.close(master)
            os.close(slave)
    assert windows() == []
