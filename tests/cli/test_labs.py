"""Labs come and go by command: what is printed, what the exit code is, what is left."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.commands import NETLAB
from tests.helpers.commands import printed as netlab

ROOT = Path(__file__).parents[2]
NAT = "topologies/nat.yaml"

pytestmark = pytest.mark.kernel


@pytest.fixture
def nat():
    """The lab of nat.yaml, up."""
    netlab("up", NAT)
    yield "nat"
    # Some tests take it down themselves.
    if "nat" in names():
        netlab("down", "nat")


def names() -> list[str]:
    return [lab["lab"] for lab in json.loads(netlab("status", "--json"))]


def test_up_says_what_is_there_and_how_to_enter():
    printed = netlab("up", NAT)
    try:
        for word in (
            "client",
            "192.168.1.2/24",
            "nat:lan",
            "netlab shell nat/client",
            "netlab down nat",
        ):
            assert word in printed
    finally:
        netlab("down")
    assert names() == []


@pytest.mark.usefixtures("nat")
def test_up_again_changes_nothing():
    before = json.loads(netlab("status", "--json"))
    assert "up already" in netlab("up", NAT)
    assert json.loads(netlab("status", "--json")) == before


def test_up_of_a_changed_file_says_what_differs(tmp_path):
    file = tmp_path / "small.yaml"
    text = "nodes: {a: , b: }\nlinks: [{ends: [a:eth0, b:eth0], subnet: 10.9.0.0/24}]\n"
    file.write_text(text)
    netlab("up", str(file))
    try:
        file.write_text(text.replace("10.9", "10.8"))
        refused = netlab("up", str(file), code=1)
        assert "- a: add-address 10.9.0.1/24 on eth0" in refused
        assert "+ a: add-address 10.8.0.1/24 on eth0" in refused
        assert "--replace" in refused
        netlab("up", str(file), "--replace")
        assert "10.8.0.1" in netlab("exec", "a", "--", "ip", "-4", "-br", "addr")
    finally:
        netlab("down", "small")


@pytest.mark.usefixtures("nat")
def test_status_has_the_documented_shape():
    [lab] = json.loads(netlab("status", "nat", "--json"))
    assert (lab["lab"], lab["state"], lab["problems"]) == ("nat", "up", [])
    assert lab["topology"] == str(ROOT / NAT)
    assert [node["name"] for node in lab["nodes"]] == ["client", "nat", "router", "server"]
    client = lab["nodes"][0]
    assert client["kind"] == "host"
    assert client["interfaces"] == [
        {"name": "eth0", "addresses": ["192.168.1.2/24"], "state": "up"}
    ]
    assert lab["nodes"][1]["nat"] == {"forwards": [], "sessions": 0, "tables": []}
    [process] = lab["nodes"][3]["processes"]
    assert process["program"] == "http"


@pytest.mark.usefixtures("nat")
def test_status_tells_when_a_program_has_ended():
    [lab] = json.loads(netlab("status", "--json"))
    [process] = lab["nodes"][3]["processes"]
    handle = os.pidfd_open(process["pid"])
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        import select

        assert select.select([handle], [], [], 10)[0]
    finally:
        os.close(handle)
    [lab] = json.loads(netlab("status", "--json"))
    assert lab["state"] == "unhealthy"
    assert lab["problems"] == ["program http of server has ended"]


@pytest.mark.usefixtures("nat")
def test_exec_gives_exit_code_input_and_output():
    assert netlab("exec", "client", "--", "cat", input="through\n") == "through\n"
    netlab("exec", "client", "--", "sh", "-c", "exit 7", code=7)
    assert "64 bytes" in netlab("exec", "nat/client", "--", "ping", "-c1", "server")


@pytest.mark.usefixtures("nat")
def test_exec_passes_signals():
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "netlab",
            "exec",
            "client",
            "--",
            "sh",
            "-c",
            "echo on; exec sleep 60",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout
        assert process.stdout.readline() == b"on\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == -signal.SIGINT


@pytest.mark.usefixtures("nat")
@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["exec", "clinet", "--", "true"], 1, ["no node", "did you mean client?"]),
        (["exec", "other/client", "--", "true"], 1, ["no lab other", "nat"]),
        (["exec", "client", "--", "no-such-program"], 1, ["cannot run no-such-program in client"]),
        (["exec", "client"], 2, ["no command"]),
        (["down", "../nat"], 2, ["cannot be the name of a lab"]),
        (["up", NAT, "--name", "a b"], 2, ["cannot be the name of a lab"]),
        (["up", "topologies"], 2, ["error[E1"]),
    ],
)
def test_wrong_things_are_said_clearly(argv, code, words):
    printed = netlab(*argv, code=code)
    assert [word for word in words if word not in printed] == []


def test_without_a_lab_the_way_to_one_is_shown():
    for argv in (["down"], ["exec", "client", "--", "true"], ["shell", "client"]):
        assert "netlab up FILE" in netlab(*argv, code=1)
    assert netlab("down", "--all") == "no lab is running\n"


def test_labs_of_one_file_live_side_by_side():
    labs = [f"n{i}" for i in range(8)]
    for lab in labs:
        netlab("up", NAT, "--name", lab)
    try:
        assert names() == labs
        for lab in labs:
            assert "1 received" in netlab("exec", f"{lab}/client", "--", "ping", "-c1", "server")
        assert "8 are running" in netlab("exec", "client", "--", "true", code=1)
    finally:
        netlab("down", "--all")


def test_two_at_once_give_one_lab_and_one_error():
    argv = [*NETLAB, "up", NAT, "--name", "once"]
    racers = [
        subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outcomes = sorted((r.communicate(timeout=60)[1], r.returncode) for r in racers)
    try:
        codes = sorted(code for _, code in outcomes)
        # The slower one either meets the builder, or finds the lab up and has nothing to do.
        assert codes in ([0, 0], [0, 1])
        if codes == [0, 1]:
            assert "once" in outcomes[-1][0]
            assert "Traceback" not in outcomes[-1][0]
        assert names() == ["once"]
    finally:
        netlab("down", "once")


def test_dry_run_makes_nothing():
    assert "create-namespace" in netlab("up", NAT, "--dry-run")
    assert names() == []


def test_gc_finds_nothing_when_all_is_well():
    assert netlab("gc") == "nothing is left behind\n"


def test_a_lab_of_a_dead_process_is_found_by_gc():
    program = (
        "import netlab, os, signal\n"
        f"netlab.Lab({NAT!r}, name='orphan').start()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert died.returncode == -signal.SIGKILL
    assert "lab orphan" in netlab("gc", "--dry-run")
    assert "orphan" in names()
    assert "removed lab orphan" in netlab("gc")
    assert names() == []


def test_up_and_down_json():
    [lab] = json.loads(netlab("up", NAT, "--json"))
    assert lab["state"] == "up"
    netlab("down")


WORDS = """
nodes:
  in: {sysctls: {net.ipv4.conf.type.arp_notify: 1}}
  up:
    kind: nat
    outside: down
    firewall: [accept from via to dst, drop from inet]
  dst:
  inet:
  sw: {kind: bridge}
links:
  - ["in:type", sw]
  - ["inet:peer", sw]
  - ["up:via", sw]
  - ["up:down", "dst:dev"]
"""
"""Names that are words of nft and ip."""


@pytest.mark.parametrize("text", [(ROOT / NAT).read_text(), WORDS], ids=["nat", "words"])
def test_a_plan_script_is_what_up_does(text, tmp_path):
    """The script of `plan --format sh`, run by hand, gives the same lab."""
    if os.geteuid() != 0 or not os.access("/run", os.W_OK):
        pytest.skip("`ip netns add` needs root")
    file = tmp_path / "byhand.yaml"
    file.write_text(text)
    script = tmp_path / "byhand.sh"
    script.write_text(netlab("plan", str(file), "--format", "sh"))
    netlab("up", str(file), "--name", "bynetlab")
    try:
        subprocess.run(["sh", str(script)], check=True, timeout=60)
        try:
            nodes = [
                n["name"] for n in json.loads(netlab("status", "bynetlab", "--json"))[0]["nodes"]
            ]
            for node in nodes:
                for question in (
                    ["ip", "-d", "addr"],
                    ["ip", "route"],
                    ["ip", "-6", "route"],
                    ["ip", "neigh"],
                    ["nft", "-s", "list", "ruleset"],
                    ["sysctl", "-ar", r"^net\.ipv[46]\.(ip_forward|conf\.)"],
                ):
                    ours = netlab("exec", f"bynetlab/{node}", "--", *question)
                    theirs = by_hand(node, *question)
                    assert without_identity(ours) == without_identity(theirs), (node, question)
        finally:
            subprocess.run(["sh", str(script), "down"], check=True, timeout=60)
    finally:
        netlab("down", "bynetlab")


def by_hand(node: str, *question: str) -> str:
    """What a node of the script's lab answers. This waits for its wires."""
    for _ in range(500):
        ran = subprocess.run(
            ["ip", "netns", "exec", f"byhand.{node}", *question],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
        devices = [line for line in ran.stdout.splitlines() if ": lo:" not in line]
        if not any(word in line for line in devices for word in ("NO-CARRIER", "state UNKNOWN")):
            return ran.stdout
    raise AssertionError(f"{node}: {ran.stdout}")


def without_identity(text: str) -> list[str]:
    """Lines without what differs between any two namespaces: their names and numbers."""
    import re

    text = re.sub(
        r"link-netns \S+|\w+_timer +\S+|link-netnsid \d+|\bvalid_lft \S+|uuid \S+", "", text
    )
    lines = [" ".join(line.split()) for line in text.splitlines()]
    # The kernel lists neighbours in the order of a hash whose seed is the namespace's own.
    return sorted(lines) if "PERMANENT" in text else lines
