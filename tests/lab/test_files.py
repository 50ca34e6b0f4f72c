"""Files that only a node sees."""

import subprocess
from pathlib import Path

import pytest

from netlab.errors import LabError
from netlab.lab import build, enter, files, remove
from netlab.plan.operations import CreateNamespace, WriteFile

from .plans import plan


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("etc/hosts", "not an absolute, normal path"),
        ("/etc/../etc/hosts", "not an absolute, normal path"),
        ("/etc/", "not an absolute, normal path"),
        ("/proc/sys/kernel/hostname", "where the kernel's own files are"),
        ("/dev/netlab-no", "where the kernel's own files are"),
        ("/etc", "is a directory"),
        ("/netlab-no-such/file", "that this machine does not have"),
    ],
)
def test_paths_that_cannot_be_shown(path: str, problem: str) -> None:
    with pytest.raises(LabError, match=problem):
        files.check(path)


@pytest.mark.kernel
@pytest.mark.usefixtures("state")
def test_what_a_program_writes_its_own_node_sees() -> None:
    nodes = ("a", "b", "c")
    a_plan = plan(
        "kwrites",
        *(CreateNamespace(node, "host") for node in nodes),
        *(WriteFile(node, "/etc/hosts", "127.0.0.1 localhost\n") for node in nodes),
    )
    claim = build.claim(a_plan, library=True, listed=False)
    build.build(a_plan, claim)

    def run(node: str, command: str) -> str:
        child = enter.spawn(claim.lab, node, ["sh", "-c", command], stdout=subprocess.PIPE)
        output: bytes = child.communicate()[0]
        return output.decode()

    run("a", "echo 10.0.0.1 from-a >>/etc/hosts")
    run("b", "echo 10.0.0.2 from-b >/etc/hosts")
    seen = {node: run(node, "cat /etc/hosts; stat -c %a /etc/hosts") for node in nodes}
    remove.remove(claim)
    assert seen == {
        "a": "127.0.0.1 localhost\n10.0.0.1 from-a\n644\n",
        "b": "10.0.0.2 from-b\n644\n",
        "c": "127.0.0.1 localhost\n644\n",
    }


@pytest.mark.kernel
@pytest.mark.usefixtures("state")
def test_a_node_sees_its_files_and_the_machine_does_not(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("the machine's own\n")
    (tmp_path / "link").symlink_to("old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner").write_text("inner\n")
    shown = {"old": "replaced\n", "new": "new\n", "deep/er/new": "deeper\n"}
    writes = [WriteFile("a", f"{tmp_path}/{name}", text) for name, text in shown.items()]
    a_plan = plan("kfiles", CreateNamespace("a", "host"), *writes)
    claim = build.claim(a_plan, library=True, listed=False)
    build.build(a_plan, claim)
    seen = {}
    for name in (*shown, "link", "folder/inner"):
        child = enter.spawn(
            claim.lab, "a", ["cat", f"{tmp_path}/{name}"], stdout=subprocess.PIPE, text=True
        )
        seen[name] = child.communicate()[0]
    remove.remove(claim)
    assert seen == {**shown, "link": "replaced\n", "folder/inner": "inner\n"}
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "state") == [
        "folder",
        "link",
        "old",
    ]
    assert (tmp_path / "old").read_text() == "the machine's own\n"
