"""Small labs that people reported, each with the answer that is right."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netlab.lab.lab import Lab
from tests.helpers.commands import NETLAB
from tests.oracle import ask

CASES = Path(__file__).parent / "cases"

pytestmark = [pytest.mark.kernel, pytest.mark.root]


@pytest.fixture(autouse=True)
def _state(netlab_state):
    """Labs of this worker only."""


def lab(name: str) -> Lab:
    return Lab(CASES / f"{name}.yaml")


def explain(*words: str) -> str:
    """What a fresh lab's first question is answered with."""
    return ask.command("explain", *words)[1]


def test_copies_that_strangers_refuse_are_no_death():
    with lab("flood"):
        assert "died in b: no socket listens" in explain("a", "b", "--proto", "udp", "--dport", "9")


def test_what_a_switch_floods_arrives():
    with lab("flood"):
        said = explain("a", "b", "--proto", "udp", "--dport", "9", "--listen")
        assert said.startswith("1 sent, 1 arrived")


def test_a_scenario_may_flood():
    ran = subprocess.run(
        [*NETLAB, "run", str(CASES / "flood-scenario.yaml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_one_of_two_copies_is_enough():
    with lab("copies"):
        said = explain("a", "b", "--proto", "udp", "--count", "2", "--listen")
        assert said.startswith("2 sent, 2 arrived")


def test_an_asymmetric_path_is_followed_both_ways():
    with lab("asymmetric"):
        said = explain("app", "pay", "--proto", "tcp", "--dport", "443")
    assert said.startswith("1 sent, 1 arrived")
    assert "fw" in said
    assert "drop invalid" in said


def test_a_missing_way_back_is_named():
    with lab("no-way-back"):
        said = explain("hosta", "hostb", "--proto", "icmp")
    assert "arrived" in said
    assert "hostb" in said
    assert "no route" in said


@pytest.mark.parametrize("address", ["10.0.0.77", "10.0.1.77"])
def test_an_address_that_no_one_has_is_named(address):
    with lab("nobody-has-it"):
        said = explain("a", address)
    assert "ARP" in said
    assert address in said


@pytest.mark.parametrize("address", ["fd00::77", "fd00:0:0:1::77"])
def test_an_ipv6_address_that_no_one_has_is_named(address, tmp_path):
    file = tmp_path / "six.yaml"
    text = (CASES / "nobody-has-it.yaml").read_text()
    file.write_text(text.replace("dynamic}", "dynamic, families: [ipv6]}"))
    with Lab(file):
        said = explain("a", address)
    assert "Neighbour" in said or "ND" in said
    assert address in said


@pytest.mark.parametrize(
    ("case", "node", "setting", "value"),
    [
        ("sysctl-interface", "a", "net.ipv4.conf.eth0.proxy_arp", "1"),
        ("sysctl-interface", "a", "net.ipv4.neigh.eth0.base_reachable_time_ms", "1000"),
        ("rp-filter", "srv", "net.ipv4.conf.eth1.rp_filter", "1"),
    ],
)
def test_settings_of_an_interface_hold(case, node, setting, value):
    from netlab.errors import NetlabError

    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(lab(case))
        except NetlabError as error:
            pytest.fail(str(error))
        held = running[node].run(["sysctl", "-n", setting]).stdout
    assert held.strip() == value


def _outside_address(running: Lab) -> str:
    [wan] = [i for i in running["router"].interfaces if i.name == "wan"]
    return wan.addresses[0].partition("/")[0]


@pytest.mark.parametrize("before", [False, True])
def test_a_forwarded_port_is_reached_from_inside(before):
    with lab("hairpin-forward") as running:
        address = _outside_address(running)
        words = (address, "--proto", "tcp", "--dport", "80")
        if before:
            assert "1 arrived" in explain("outside", *words)
        assert explain("client", *words).startswith("1 sent, 1 arrived")


@pytest.mark.parametrize("before", [False, True])
def test_a_full_cone_forwards_from_inside_too(before):
    import socket

    with lab("hairpin-full-cone") as running:
        address = _outside_address(running)
        words = (address, "--proto", "udp", "--dport", "5000")
        with running["web"].socket(socket.AF_INET, socket.SOCK_DGRAM) as web:
            web.bind(("", 5000))
            if before:
                assert "1 arrived" in explain("outside", *words)
            assert explain("client", *words).startswith("1 sent, 1 arrived")


def test_a_userspace_stack_refuses_by_itself():
    with lab("stack-closed-port") as running:
        server = running["probe"].popen(
            [*NETLAB, "tcp", "http", "--port", "80"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _answers(running, 80)
            said = explain("linux", "10.0.0.100", "--proto", "tcp", "--dport", "81")
        finally:
            server.kill()
            server.wait()
    assert said.startswith("1 sent, none arrived")
    assert "probe" in said
    assert "RST" in said


def _answers(running: Lab, port: int) -> None:
    """Wait until the stack answers."""
    import socket

    end = time.monotonic() + 10
    while time.monotonic() < end:
        with running["linux"].socket(socket.AF_INET, socket.SOCK_STREAM) as trying:
            trying.settimeout(1)
            if not trying.connect_ex(("10.0.0.100", port)):
                return
        time.sleep(0.05)
    raise AssertionError("the stack does not answer")


def test_the_timeout_of_a_mapping_is_named():
    talk = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.bind(('', 4000)); s.sendto(b'hello', (sys.argv[1], int(sys.argv[2])))\n"
    )
    with lab("udp-timeout") as running:
        [wan] = [i for i in running["nat"].interfaces if i.name == "wan"]
        outside = wan.addresses[0].partition("/")[0]
        server = running["server"].address
        script = "\n".join(
            f"netlab.Lab.attach()[{node!r}].run([sys.executable, '-c', {talk!r}, {to!r}, '4000'],"
            " check=True); time.sleep(wait)".replace("wait", wait)
            for node, to, wait in (("client", server, "5"), ("server", outside, "0"))
        )
        _, said = ask.command(
            "trace", "--host", "--", sys.executable, "-c", f"import sys, time, netlab\n{script}"
        )
    assert "unsolicited" in said
    assert "expired" in said


ENDS = ("--from", "client", "--to", "server")


def test_a_sweep_names_the_destinations_own_rule():
    with lab("sweep-own-firewall"):
        _, said = ask.command("hdp", "sweep", *ENDS, "--numbers", "143,253")
    assert "drop protocol 253" in said
    assert "sweep-own-firewall.yaml:" in said


@pytest.mark.parametrize("words", [("64:ff9b::198.51.100.2", "-6"), ("server", "-6")])
def test_a_packet_is_followed_through_a_translator(words):
    with lab("nat64-small-mtu"):
        assert explain("phone", *words).startswith("1 sent, 1 arrived")


def test_names_are_quoted_where_a_language_needs_it():
    code, said = ask.command("check", str(CASES / "names-refused.yaml"))
    assert code == 0, said
