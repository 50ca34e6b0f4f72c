"""Programs that clear their environment, fork away or move elsewhere still go with the lab."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import netlab
from netlab.errors import LabError
from netlab.lab import build, processes, remove, rootless
from netlab.lab.record import Claim
from netlab.plan.operations import CreateNamespace, Plan, SetUp, StartProgram, WriteFile
from tests.helpers.waiting import wait_for
from tests.programs import find, missing

from .plans import plan

pytestmark = pytest.mark.kernel

Server = Callable[[Path], list[str]]
Up = Callable[[Plan], Claim]

PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def nginx(place: Path) -> list[str]:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {place}/{kind}; " for kind in kinds)
    (place / "nginx.conf").write_text(
        f"user root root; pid {place}/nginx.pid; error_log {place}/error.log;\n"
        f"events {{}} http {{ access_log off; {temporary}\n"
        f"server {{ listen 8080; root {place}; }} }}\n"
    )
    return [find("nginx"), "-p", str(place), "-c", str(place / "nginx.conf")]


def sshd(place: Path) -> list[str]:
    server = find("sshd")
    key = place / "key"
    generator = find("ssh-keygen")
    subprocess.run([generator, "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (place / "conf").write_text("")
    options = ["-o", "PidFile=none", "-p", "8080"]
    return [server, "-f", str(place / "conf"), "-h", str(key), *options]


def unbound(place: Path) -> list[str]:
    (place / "conf").write_text(
        f'server:\n username: ""\n chroot: "{place}"\n directory: "{place}"\n'
        f' pidfile: "{place}/pid"\n interface: 127.0.0.1@8080\n do-daemonize: yes\n'
        f' logfile: "{place}/log"\nremote-control:\n control-enable: no\n'
    )
    return [find("unbound"), "-c", str(place / "conf")]


def bind9(place: Path) -> list[str]:
    (place / "conf").write_text(
        f'options {{ directory "{place}"; pid-file none; session-keyfile none; recursion no;\n'
        f"listen-on port 8080 {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; }};\ncontrols {{}};\n"
    )
    return [find("named"), "-c", str(place / "conf"), "-n", "1"]


def dnsmasq(place: Path) -> list[str]:
    if rootless.is_inside():
        pytest.skip("needs root: dnsmasq changes its groups")
    options = ["--user=root", "--port=8080", f"--pid-file={place}/pid", "--no-resolv"]
    return [find("dnsmasq"), "-C", os.devnull, *options]


def postgres(place: Path) -> list[str]:
    """Refuses to be root, so it is no one; its server is started by pg_ctl, which ends."""
    if os.geteuid() != 0 or rootless.is_inside():
        pytest.skip("needs root: PostgreSQL runs as another user")
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not homes:
        missing("initdb", "postgresql")
    setpriv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    data = place / "data"
    os.chown(place, 65534, 65534)
    initdb = [*setpriv, str(homes[-1] / "initdb"), "-N", "-A", "trust", "-D", str(data)]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd="/")
    options = f"-p 8080 -k {place} -c listen_addresses=127.0.0.1"
    return [*setpriv, str(homes[-1] / "pg_ctl"), "-D", str(data), "-o", options, "start"]


SLEEP = "/bin/sleep"
SLEEPING = f"{SLEEP} 60"
FORKS = """
import os, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.execve("/bin/sleep", ["/bin/sleep", "60"], {})
"""

SERVERS = [nginx, sshd, unbound, bind9, dnsmasq, postgres]
LONERS = {
    "cleared": ["env", "-i", SLEEP, "60"],
    "double-fork": [sys.executable, "-c", FORKS],
    "other-network": ["unshare", "-n", "env", "-i", SLEEP, "60"],
    "other-network-and-gone": ["unshare", "-n", "setsid", "--fork", "env", "-i", SLEEP, "60"],
    "other-mounts-too": ["unshare", "-nm", "setsid", "--fork", "env", "-i", SLEEP, "60"],
    "stubborn": ["env", "-i", "sh", "-c", "trap '' TERM HUP; /bin/sleep 60 & wait; sleep 60"],
}
SHORT = 0.2
"""Seconds before SIGKILL, for these tests."""


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="netlab-daemon-", dir="/tmp") as directory:
        yield Path(directory)


def the_plan(name: str, argv: list[str], ready: str) -> Plan:
    return plan(
        name,
        CreateNamespace("a", "host"),
        SetUp("a", "lo"),
        WriteFile("a", "/run/sshd/.keep", ""),
        StartProgram("a", "it", tuple(argv), (("PATH", PATH),), ready, 30),
    )


@pytest.fixture
def up(state: str) -> Iterator[Callable[[Plan], Claim]]:
    assert state
    claims = []

    def up(a_plan: Plan) -> Claim:
        claim = build.claim(a_plan, library=True, listed=False)
        build.build(a_plan, claim)
        claims.append(claim)
        return claim

    yield up
    for claim in claims:
        if Path(claim.lab.directory).exists():  # the test failed
            remove.remove(claim)


def sleeps_alone(claim: Claim) -> bool:
    """Whether the last of its processes is there: the one that sleeps."""
    return SLEEPING in {p.command for p in processes.processes(claim.lab)}


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.__name__)
def test_a_server_belongs_to_its_lab(
    server: Callable[[Path], list[str]], place: Path, up: Up
) -> None:
    claim = up(the_plan("kserver", server(place), "port tcp 8080"))
    wait_for(lambda: any(p.program == "it" for p in processes.processes(claim.lab)))
    found = processes.processes(claim.lab)
    assert {(p.node, p.program) for p in found} == {("a", "it")}
    removed = remove.remove(claim)
    assert removed.survivors == ()
    assert [p.pid for p in found if processes.status(p.pid)] == []


@pytest.mark.parametrize("argv", LONERS.values(), ids=LONERS)
def test_a_program_that_goes_its_own_way_belongs_to_its_lab(
    argv: list[str], up: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE", SHORT)
    claim = up(the_plan("kloner", argv, ""))
    wait_for(lambda: sleeps_alone(claim))
    found = processes.processes(claim.lab)
    assert {(p.node, p.program) for p in found} == {("a", "it")}
    assert remove.remove(claim).survivors == ()
    assert [p.pid for p in found if processes.status(p.pid)] == []


def test_gc_ends_what_has_neither_environment_nor_record(up: Up) -> None:
    claim = up(the_plan("kstray", LONERS["other-network-and-gone"], ""))
    wait_for(lambda: sleeps_alone(claim))
    [stray] = processes.processes(claim.lab)
    aside = Path(claim.lab.directory).with_name("elsewhere")
    (Path(claim.lab.directory) / "lab.json").rename(aside)  # as if there had been no such lab
    found = remove.gc()
    aside.rename(Path(claim.lab.directory) / "lab.json")
    assert [(left.kind, left.what) for left in found] == [("process", str(stray.pid))]
    assert processes.status(stray.pid) is None
    remove.remove(claim)


def test_a_failing_build_does_not_wait_for_a_program_that_cleared_its_environment(up: Up) -> None:
    a_plan = the_plan("kfail", LONERS["cleared"], "")
    more = StartProgram("a", "failing", ("sh", "-c", "exit 3"), (), "log never", 5)
    a_plan = a_plan._replace(operations=(*a_plan.operations, more))
    with pytest.raises(LabError, match="ended with exit code 3"):
        up(a_plan)


@pytest.mark.usefixtures("state")
def test_a_block_with_a_server_in_it_ends(place: Path) -> None:
    with netlab.Lab(the_plan("kblock", nginx(place), "port tcp 8080")) as lab:
        assert lab["a"].run(["cat", "/proc/net/dev"]).returncode == 0
        wait_for(lambda: len(processes.processes(lab.running)) > 1)
        found = processes.processes(lab.running)
    assert [p.pid for p in found if processes.status(p.pid)] == []
