import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from netlab.errors import LabError
from netlab.lab import build as apply
from netlab.lab import enter, record, remove
from netlab.lab.record import Lab
from netlab.linux import namespaces
from netlab.plan.operations import (
    AddRoute,
    CreateNamespace,
    CreateTun,
    LoadRules,
    Plan,
    SetSysctl,
    SetUp,
    StartProgram,
    WriteFile,
)

from .conftest import traces
from .plans import plan, star

pytestmark = pytest.mark.kernel


def build(a_plan: Plan) -> Lab:
    claim = apply.claim(a_plan, listed=False)
    assert apply.build(a_plan, claim) == ()
    return claim.lab


def run(lab: Lab, node: str, *argv: str) -> str:
    child = enter.spawn(lab, node, argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = child.communicate(timeout=10)
    assert child.returncode == 0, err
    return str(out.decode())


def test_a_star_answers_and_goes_without_a_trace(state: str) -> None:
    home = Path("/proc/thread-self/ns/net").stat().st_ino
    lab = build(star("kstar", 3))
    assert Path("/proc/thread-self/ns/net").stat().st_ino == home
    assert lab.ready
    assert "1 received" in run(lab, "h0", "ping", "-c1", "-W2", "10.0.2.2")
    removed = remove.down("kstar")
    assert (removed.stopped, removed.survivors) == (0, ())
    assert traces(state) == []


@pytest.mark.usefixtures("state")
def test_the_kernel_holds_what_the_plan_says() -> None:
    lab = build(star("kstar", 2))
    links = json.loads(run(lab, "hub", "ip", "-j", "link"))
    assert [(i["ifindex"], i["ifname"]) for i in links] == [(1, "lo"), (2, "e0"), (3, "e1")]
    assert links[1]["address"] == "02:00:00:00:00:00"
    routes = json.loads(run(lab, "h1", "ip", "-j", "route"))
    assert routes[0]["gateway"] == "10.0.1.1"
    neighbours = json.loads(run(lab, "h1", "ip", "-j", "neigh"))
    assert neighbours[0]["state"] == ["PERMANENT"]
    assert run(lab, "hub", "cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"


@pytest.mark.usefixtures("state")
def test_rules_files_and_programs() -> None:
    everything = plan(
        "kall",
        CreateNamespace("a", "host"),
        SetUp("a", "lo"),
        LoadRules("a", "table inet t { chain c { type filter hook input priority 0; }; }\n"),
        WriteFile("a", "/etc/hosts", "127.0.0.9 nine\n"),
        WriteFile("a", "/etc/netlab-was-here/conf", "hello\n"),
        StartProgram("a", "echo", ("sh", "-c", "echo listening; sleep 60"), ready="log ^list"),
    )
    claim = apply.claim(everything, listed=False)
    (program,) = apply.build(everything, claim)
    lab = claim.lab
    assert "hook input" in run(lab, "a", "nft", "list", "ruleset")
    assert run(lab, "a", "getent", "hosts", "nine").split() == ["127.0.0.9", "nine"]
    assert run(lab, "a", "cat", "/etc/netlab-was-here/conf") == "hello\n"
    assert not Path("/etc/netlab-was-here").exists()
    assert run(lab, "a", "ls", "/sys/class/net").split() == ["lo"]
    assert remove.down("kall").stopped == 2
    assert program.wait() == -15


@pytest.mark.skipif(not os.access("/dev/net/tun", os.W_OK), reason="this user may not open TUN")
@pytest.mark.usefixtures("state")
def test_a_tun_device() -> None:
    lab = build(
        plan(
            "ktun", CreateNamespace("a", "stack"), CreateTun("a", "tun0", 1300), SetUp("a", "tun0")
        )
    )
    tun = json.loads(run(lab, "a", "ip", "-j", "link", "show", "tun0"))[0]
    assert tun["mtu"] == 1300
    assert "UP" in tun["flags"]
    assert run(lab, "a", "ls", "/sys/class/net").split() == ["lo", "tun0"]


def test_a_refused_operation_is_named_and_nothing_stays(state: str) -> None:
    broken = plan(
        "kbad",
        CreateNamespace("a", "host"),
        SetUp("a", "lo"),
        AddRoute("a", "192.0.2.0/24", "198.51.100.1", "lo"),
    )
    claim = apply.claim(broken, listed=False)
    with pytest.raises(LabError) as caught:
        apply.build(broken, claim)
    assert caught.value.diagnostics[0].message == (
        "node a: cannot route 192.0.2.0/24 by way of lo 198.51.100.1: Network is unreachable"
        " (Nexthop has invalid gateway)"
    )
    assert traces(state) == []


@pytest.mark.usefixtures("state")
def test_an_unknown_setting_is_an_error_unless_optional() -> None:
    def setting(*, optional: bool) -> Plan:
        return plan(
            "kset",
            CreateNamespace("a", "host"),
            SetSysctl("a", "net.ipv4.no_such_thing", "1", optional),
        )

    build(setting(optional=True))
    remove.down("kset")
    claim = apply.claim(setting(optional=False), listed=False)
    with pytest.raises(LabError, match=r"net.ipv4.no_such_thing to 1: No such file"):
        apply.build(setting(optional=False), claim)


@pytest.mark.usefixtures("state")
def test_rules_are_led_back_to_the_topology() -> None:
    text = "table inet t {\n  chain c { frobnicate; }\n}\n"
    broken = plan("knft", CreateNamespace("a", "nat"), LoadRules("a", text, "lab.yaml:20"))
    claim = apply.claim(broken, listed=False)
    with pytest.raises(LabError) as caught:
        apply.build(broken, claim)
    problem = caught.value.diagnostics[0]
    assert problem.code == "E409"
    assert str(problem.position) == "lab.yaml:21:23"
    assert problem.source == "  chain c { frobnicate; }"


@pytest.mark.usefixtures("state")
def test_a_name_is_claimed_once() -> None:
    build(star("kone", 1))
    with pytest.raises(LabError, match="exists already"):
        apply.claim(star("kone", 1), listed=False)
    claim = apply.claim(star("ktwo", 1), listed=False, library=True)
    with pytest.raises(LabError, match="is being built by process"):
        apply.claim(star("ktwo", 1), listed=False)
    remove.remove(claim)


@pytest.mark.usefixtures("state")
def test_a_socket_lives_in_its_node() -> None:
    lab = build(star("ksock", 1))
    with namespaces.open_socket(lab.namespace("h0"), socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("10.0.0.2", 0))
        assert s.getsockname()[0] == "10.0.0.2"


@pytest.mark.usefixtures("state")
def test_what_a_dead_builder_left_makes_way() -> None:
    claim = apply.claim(star("kdead", 1), listed=False)
    namespaces.mount_netns_dir(claim.lab.netns_dir)
    claim.close()
    assert [left.kind for left in remove.gc(dry_run=True)] == ["lab"]
    build(star("kdead", 1))
    assert remove.gc(dry_run=True) == []
    assert record.find("kdead").ready
