"""Directories that a node has to itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.errors import LabError
from netlab.lab.lab import Lab

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("netlab_state")]

FILE = """
nodes:
  a:
    directories: [/var/lib/netlab-test/deep, /run/netlab-test, {path: /etc/default, copy: true}]
    files: {/run/netlab-test/conf.d/one: "of the file\\n"}
  b: {directories: [/var/lib/netlab-test/deep]}
links: [[a, b]]
"""


def sh(node, line):
    ran = node.run(["sh", "-c", line])
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.root  # a directory below /etc: a user namespace may not make one there
def test_programs_of_a_node_share_what_no_other_node_sees(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(FILE)
    with Lab(file) as lab:
        for name in ("a", "b"):
            assert sh(lab[name], "ls -A /var/lib/netlab-test/deep") == ""
            sh(lab[name], f"echo {name} > /var/lib/netlab-test/deep/who")
        for name in ("a", "b"):
            assert sh(lab[name], "cat /var/lib/netlab-test/deep/who") == f"{name}\n"
        assert sh(lab["a"], "cat /run/netlab-test/conf.d/one") == "of the file\n"
        sh(lab["a"], "echo changed > /run/netlab-test/conf.d/two")
        assert (
            sh(lab["a"], "cat /run/netlab-test/conf.d/two; ls /run/netlab-test")
            == "changed\nconf.d\n"
        )
        assert lab["b"].run(["ls", "/run/netlab-test"]).returncode == 2
        copied = set(sh(lab["a"], "ls -A /etc/default").split())
        assert copied == {entry.name for entry in Path("/etc/default").iterdir()}
        sh(lab["a"], "echo x > /etc/default/netlab-test")
    assert not Path("/var/lib/netlab-test").exists()
    assert not Path("/run/netlab-test").exists()
    assert not Path("/etc/default/netlab-test").exists()


@pytest.mark.parametrize("entry", ["/etc/passwd", "{path: /srv/netlab-nowhere, copy: true}"])
def test_what_cannot_be_a_directory_is_said(entry, tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(f"nodes: {{a: {{directories: [{entry}]}}, b: }}\nlinks: [[a, b]]\n")
    with pytest.raises(LabError, match="E411"), Lab(file):
        pass
