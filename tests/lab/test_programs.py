"""Programs of a topology: when they are ready, and what is said when they are not."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from netlab.errors import LabError
from netlab.lab import build, processes, programs, remove
from netlab.lab.record import Claim
from netlab.linux import namespaces
from netlab.plan.operations import CreateNamespace, SetUp, StartProgram

from .plans import plan

pytestmark = pytest.mark.kernel

SERVER = """
import socket, sys, time
kind = getattr(socket, sys.argv[1])
server = socket.socket(getattr(socket, sys.argv[2]), kind)
server.bind(("", 5353))
if kind == socket.SOCK_STREAM:
    server.listen()
print("serving", flush=True)
time.sleep(60)
"""


@pytest.fixture
def claim(state: str) -> Iterator[Claim]:
    assert state
    empty = plan("kprog", CreateNamespace("a", "host"), SetUp("a", "lo"))
    claim = build.claim(empty, library=True, listed=False)
    build.build(empty, claim)
    yield claim
    remove.remove(claim)


def begin(claim: Claim, *argv: str) -> programs.Program:
    return start(claim, argv, {"GREETING": "hello"})


def start(claim: Claim, argv: Sequence[str], environment: dict[str, str]) -> programs.Program:
    variables = tuple(environment.items())
    return programs.start(claim.lab, StartProgram("a", "it", tuple(argv), variables))


@pytest.mark.parametrize(
    ("kind", "family", "ready"),
    [
        ("SOCK_STREAM", "AF_INET", "port tcp 5353"),
        ("SOCK_STREAM", "AF_INET6", "port tcp 5353"),
        ("SOCK_DGRAM", "AF_INET", "port udp 5353"),
        ("SOCK_DGRAM", "AF_INET6", "port udp 5353"),
        ("SOCK_DGRAM", "AF_INET", "log ^serving$"),
    ],
)
def test_a_server_is_ready_when_it_serves(claim: Claim, kind: str, family: str, ready: str) -> None:
    server = begin(claim, sys.executable, "-c", SERVER, kind, family)
    programs.wait_ready(claim.lab, server, ready, 10)
    assert server.poll() is None
    assert processes.processes(claim.lab)[0].program == "it"


def test_a_program_may_be_ready_by_having_ended(claim: Claim) -> None:
    ended = begin(claim, "sh", "-c", "echo $GREETING $NETLAB_NODE; pwd; exit 3")
    programs.wait_ready(claim.lab, ended, "exit 3", 10)
    assert ended.returncode == 3
    assert Path(ended.log).read_text() == "hello a\n/\n"


def test_an_end_before_being_ready_shows_the_log(claim: Claim) -> None:
    failing = begin(claim, "sh", "-c", "echo no such luck; exit 4")
    with pytest.raises(LabError) as caught:
        programs.wait_ready(claim.lab, failing, "port tcp 80", 10)
    assert str(caught.value) == (
        "error[E410]: program it in a ended with exit code 4 before it was ready (port tcp 80)\n"
        "  it printed:\n"
        "    no such luck"
    )


def test_time_runs_out(claim: Claim) -> None:
    idle = begin(claim, "sleep", "60")
    with pytest.raises(LabError, match=r"was not ready after 0\.01 s"):
        programs.wait_ready(claim.lab, idle, "log never", 0.01)


def test_waiting_ends_early_when_the_build_is_interrupted(claim: Claim) -> None:
    idle = begin(claim, "sleep", "60")
    programs.wait_ready(claim.lab, idle, "log never", 60, lambda: True)
    assert idle.poll() is None


def test_a_program_that_does_not_exist(claim: Claim) -> None:
    with pytest.raises(LabError, match="cannot run no-such-thing in a: "):
        begin(claim, "no-such-thing")
    with pytest.raises(LabError, match=r"cannot run /etc/passwd in a: Permission denied"):
        begin(claim, "/etc/passwd")


def test_a_program_is_looked_for_along_its_path(claim: Claim, tmp_path: Path) -> None:
    for place in ("directory", "text", "script"):
        (tmp_path / place).mkdir()
    (tmp_path / "directory" / "it").mkdir()
    for place, mode in (("text", 0o644), ("script", 0o755)):
        (tmp_path / place / "it").write_text("#!/bin/sh\nexit 7\n")
        (tmp_path / place / "it").chmod(mode)

    def found(*places: str) -> programs.Program:
        path = ":".join(str(tmp_path / place) for place in places)
        return start(claim, ["it"], {"PATH": path})

    programs.wait_ready(claim.lab, found("directory", "text", "script"), "exit 7", 10)
    with pytest.raises(LabError, match="cannot run it in a: Permission denied"):
        found("directory", "text")
    with pytest.raises(LabError, match="cannot run it in a: No such file"):
        found("directory")


def test_a_stubborn_program_is_killed_and_its_children_too(claim: Claim) -> None:
    script = "trap '' TERM HUP; (trap '' TERM HUP; setsid sleep 60) & echo ready; wait; sleep 60"
    stubborn = begin(claim, "sh", "-c", script)
    programs.wait_ready(claim.lab, stubborn, "log ready", 10)
    stopped, left = processes.stop(processes.Members(claim.lab), grace=0.05)
    assert left == []
    assert stubborn.pid in stopped
    assert len(stopped) >= 2
    assert stubborn.wait() == -9


@pytest.mark.usefixtures("state")
def test_what_others_put_into_a_node_belongs_to_the_lab() -> None:
    """As `ip netns exec` does, without any environment of ours."""
    lonely = plan("klone", CreateNamespace("a", "host"))
    claim = build.claim(lonely, library=True, listed=False)
    build.build(lonely, claim)
    unmarked = {"PATH": os.environ["PATH"]}
    stranger = namespaces.inside(
        claim.lab.namespace("a"), lambda: subprocess.Popen(["sleep", "60"], env=unmarked)
    )
    assert [p.pid for p in processes.processes(claim.lab)] == [stranger.pid]
    assert remove.remove(claim).survivors == ()
    assert stranger.wait(5) == -15
