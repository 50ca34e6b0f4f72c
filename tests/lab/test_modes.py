"""What a lab keeps on disk is its owner's, whatever the umask; programs get what they need."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.lab import build, enter, record, remove
from netlab.plan.operations import CreateNamespace, StartProgram, WriteFile
from tests.helpers.commands import NETLAB

from .plans import plan

pytestmark = pytest.mark.kernel

ABOUT_ITSELF = """
import json, os
print(json.dumps({
    "open": sorted(int(fd) for fd in os.listdir("/proc/self/fd")),
    "variables": sorted(os.environ),
    "umask": os.umask(0),
    "hosts": os.stat("/etc/hosts").st_mode & 0o777,
}))
"""


@pytest.fixture(params=[0, 0o22, 0o77, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    if request.param == 0o777 and os.geteuid() != 0:
        pytest.skip("an ordinary user could not even make a directory for the test")
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_modes_do_not_follow_the_umask(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("LC_TIME", "C")
    monkeypatch.setenv("MY_PROXY", "asked for")
    mine, inherited = os.pipe()
    os.set_inheritable(inherited, True)
    a_plan = plan(
        "kmodes",
        CreateNamespace("a", "host"),
        WriteFile("a", "/etc/hosts", "127.0.0.1 localhost\n"),
        StartProgram(
            "a",
            "it",
            (sys.executable, "-c", ABOUT_ITSELF),
            (("inherit", "MY_PROXY ABSENT"),),
            "exit 0",
        ),
    )
    claim = build.claim(a_plan, library=True, listed=False, documents={"plan.json": "{}"})
    try:
        build.build(a_plan, claim)
        text = Path(claim.lab.log("a", "it")).read_text()
        modes = {
            str(path.relative_to(claim.lab.directory)): path.stat().st_mode & 0o777
            for path in Path(claim.lab.directory).rglob("*")
            if "ns" not in path.relative_to(claim.lab.directory).parts
        }
        assert Path(claim.lab.directory).stat().st_mode & 0o777 == 0o700
        assert Path(state).stat().st_mode & 0o077 == 0
    finally:
        remove.remove(claim)
        os.close(mine)
        os.close(inherited)
    assert {mode for path, mode in modes.items() if path in ("log", "sys")} == {0o700}
    assert {mode for path, mode in modes.items() if path not in ("log", "sys")} == {0o600}
    assert {"lab.json", "plan.json", "ready", "started", "log/a.it"} <= set(modes)
    seen = json.loads(text)
    assert (seen["umask"], seen["hosts"]) == (0o22, 0o644)
    assert seen["open"][:3] == [0, 1, 2]
    assert len(seen["open"]) == 4  # the one that listed the directory
    unknown = {v for v in seen["variables"] if not v.startswith(("LC_", "NETLAB_"))}
    assert unknown - set(enter.INHERITED) == {"MY_PROXY"}
    assert "LC_TIME" in seen["variables"]


def test_who_waits_for_the_descriptors_of_up_does_not_wait_for_the_lab(
    state: str, tmp_path: Path
) -> None:
    file = tmp_path / "kfds.yaml"
    file.write_text("nodes: {a: {programs: {it: {run: sleep 60}}}}\n")
    command = [*NETLAB, "up", str(file)]
    read, write = os.pipe()
    with subprocess.Popen(command, pass_fds=[write], stdout=subprocess.DEVNULL) as up:
        os.close(write)
        with os.fdopen(read, "rb") as stream:
            assert stream.read() == b""  # ends when nobody has the other end any more
    assert up.returncode == 0
    assert Path(state, "kfds").exists()
    subprocess.run([*NETLAB, "down", "kfds"], check=True)


@pytest.mark.parametrize(("module", "name"), [("fcntl", "flock"), ("os", "chmod")])
def test_a_claim_that_fails_leaves_no_directory(
    state: str, monkeypatch: pytest.MonkeyPatch, module: str, name: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    record._prepare(state)
    monkeypatch.setattr(getattr(record, module), name, refuse)
    with pytest.raises(OSError, match="No locks available"):
        build.claim(plan("kfail", CreateNamespace("a", "host")), listed=False)
    monkeypatch.undo()
    assert not list(Path(state).iterdir())
