"""Programs say what they did with each packet, and ``explain`` goes through them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netlab import topology
from netlab.linux import tun
from tests.oracle import ask

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples" / "programs"
PAGE = ROOT / "docs" / "programs.md"

LAB = topology.loads("""
nodes:
  probe: {kind: stack, stack: 10.0.0.100}
  linux:
links:
  - {ends: [linux:eth0, probe:eth0], subnet: 10.0.0.0/24}
""")

in_lab = pytest.mark.netlab(topology=LAB)

SILENT = """
import fcntl, os, struct
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"tun0", 0x1001))
while True:
    os.read(tun, 65536)
"""


def test_the_page_shows_the_examples_as_they_are():
    shown = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert shown == [(EXAMPLES / name).read_text() for name in ("report.py", "ponger.py")]
    _, code = shown[0].split('"""\n\n', 1)
    assert len([line for line in code.splitlines() if line]) <= 10


@pytest.fixture
def program(netlab):
    """Start a Python program in ``probe`` and wait until it has the device open."""
    started = []

    def start(*words):
        command = [sys.executable, *map(str, words)]
        started.append(netlab["probe"].popen(command, stdout=subprocess.DEVNULL))
        netlab["probe"].inside(lambda: tun.settle("tun0"))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def explain(netlab, *words):
    return ask.command("explain", f"{netlab.name}/linux", *words)[1].strip()


@pytest.mark.kernel
@in_lab
def test_the_example_is_followed(netlab, program):
    process = program(EXAMPLES / "ponger.py")
    assert explain(netlab, "10.0.0.100").startswith("1 sent, 1 arrived.")
    assert explain(netlab, "10.0.0.100", "--proto", "udp").startswith(
        "1 sent, none arrived. It died in probe: refused by the program"
        f" {process.pid}/{Path(sys.executable).resolve().name}"[:68]
    )
    assert "behind tun0: only pings are answered" in explain(netlab, "10.0.0.100", "--proto", "17")
    ping = netlab["linux"].run(["ping", "-c1", "-W2", "10.0.0.100"])
    assert ping.returncode == 0, ping.stdout


@pytest.mark.kernel
@in_lab
def test_of_a_program_that_does_not_report_nothing_is_claimed(netlab, program):
    process = program("-c", SILENT)
    said = explain(netlab, "10.0.0.100", "--proto", "udp")
    assert said.startswith("1 sent, none seen to arrive. It reached probe and was handed to the")
    assert f" program {process.pid}/" in said
    assert "behind tun0, which does not report." in said


@pytest.mark.kernel
@in_lab
def test_a_userspace_stack_says_what_it_refuses_and_what_it_takes(netlab, program):
    program("-m", "netlab", "tcp", "http", "--port", "80")
    words = ("10.0.0.100", "--proto", "tcp", "--dport")
    assert explain(netlab, *words, "80") == "1 sent, 1 arrived."
    refused = explain(netlab, *words, "81")
    assert refused.startswith("1 sent, none arrived. It died in probe: refused by the program")
    assert refused.endswith("behind tun0: answered with a RST.")


PERL = "".join(
    line
    for block in re.findall(r"^```perl\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    for line in block.splitlines(keepends=True)
)


@pytest.mark.kernel
@in_lab
def test_any_language_will_do(netlab):
    if not shutil.which("perl"):
        pytest.skip("needs perl (Debian: perl-base)")
    with netlab.observe() as watch:
        netlab["probe"].run(["perl", "-e", PERL], check=True)
    [report] = watch.evidence.reports
    assert (report.node, report.came) == ("probe", ("tun0", bytes.fromhex("45000020")))
    assert (report.end, report.text) == ("denied", "not today")
    assert report.program.endswith("/perl")


@pytest.mark.kernel
@pytest.mark.root
@pytest.mark.netlab(topology="topologies/nat.yaml")
def test_a_stateless_server_on_the_nodes_own_address_is_heard_before_the_kernel(netlab):
    address = netlab["server"].address
    words = ["-m", "netlab", "stateless", "http", "--listen", f"{address}:8080", "--text", "Hello"]
    command = [sys.executable, *words]
    with netlab["server"].popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert "listening" in server.stdout.readline()
            said = {
                port: ask.command(
                    "explain", f"{netlab.name}/client", "server", "--proto", "tcp", "--dport", port
                )[1].strip()
                for port in ("8080", "8081")
            }
        finally:
            server.kill()
    assert said["8080"] == "1 sent, 1 arrived."
    assert "died in server: no socket listens there" in said["8081"]
