"""The plugin as its users see it: pytest runs in a process of its own, on tests of its own."""

import os
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[1]
NAT = ROOT / "topologies" / "nat.yaml"


@pytest.fixture
def run(pytester, monkeypatch):
    """Run pytest on a file's text; the plugin is found as installed."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, sys.path)]))

    def run(text: str, *arguments: str):
        pytester.makepyfile(
            f"import netlab as library, os, pytest, subprocess\nNAT = {str(NAT)!r}\n{text}"
        )
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)

    return run


LAB = "@pytest.mark.netlab(topology=NAT)\n"


def test_the_fixture_is_a_running_lab(run):
    result = run(
        LAB + "def test_a(netlab):\n"
        "    assert netlab['client'].run(['ping', '-c1', 'server']).returncode == 0\n"
        "import netlab.topology\n"
        "MADE = netlab.topology.loads('nodes: {a: , b: }\\nlinks: [[a:e, b:e]]', 'made.yaml')\n"
        "@pytest.mark.netlab(MADE)\n"
        "def test_b(netlab):\n"
        "    assert netlab['a'].run(['ping', '-c1', 'b']).returncode == 0\n"
    )
    result.assert_outcomes(passed=2)


def test_tests_run_side_by_side(run):
    result = run(
        "@pytest.mark.parametrize('n', range(6))\n" + LAB + "def test_a(netlab, n):\n"
        "    assert netlab['client'].run(['ping', '-c1', 'server']).returncode == 0\n",
        *("-n", "3", "-o", "netlab_rootless=true"),
    )
    result.assert_outcomes(passed=6)


def test_a_failing_test_shows_what_the_programs_printed(run):
    result = run(
        LAB + "def test_a(netlab):\n"
        "    netlab['client'].run(['curl', '-s', 'http://server/'], check=True)\n"
        "    assert False\n"
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*netlab log of server/http*", "*response:200*"])


@pytest.mark.parametrize(
    ("what", "leak"),
    [
        ("file descriptor", "os.open('/dev/null', 0)"),
        ("lab", "library.Lab(NAT, name='forgotten').start()"),
        (
            "process",
            "subprocess.Popen(['sleep', '30'], env={**os.environ, 'NETLAB_TOKEN': 'x'})",
        ),
    ],
)
def test_a_test_that_leaves_something_behind_fails(run, what, leak):
    result = run(
        "kept = []\n" + LAB + f"def test_a(netlab):\n    kept.append({leak})\n"
        "@pytest.fixture(scope='module', autouse=True)\n"
        "def tidy():\n"
        "    yield\n"
        "    for thing in kept:\n"
        "        if isinstance(thing, library.Lab):\n"
        "            thing.stop()\n"
        "        elif isinstance(thing, subprocess.Popen):\n"
        "            thing.kill()\n"
        "            thing.wait()\n"
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the test left behind:*", f"*{what}: *"])


def test_a_failure_shows_what_became_of_the_packets(run):
    result = run(
        LAB + "def test_a(netlab):\n"
        "    with netlab.observe() as watch:\n"
        "        netlab['client'].run(['ping', '-c1', 'server'])\n"
        "    assert watch.fates.where(proto=1).dropped_at('nat')\n"
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*netlab packets, *.1.pcapng*", "#1  ICMP 8/0 *", "*delivered in server: *"]
    )


def test_a_marker_is_asked_for(run):
    result = run("def test_a(netlab):\n    pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*say which lab: @pytest.mark.netlab*"])


def test_a_bad_topology_is_an_error_with_its_diagnostics(run, pytester):
    pytester.path.joinpath("bad.yaml").write_text("nodes: {a: {kind: hots}}\n")
    result = run("@pytest.mark.netlab(topology='bad.yaml')\ndef test_a(netlab):\n    pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*bad.yaml:1:*error?E*hots*"])


def test_a_machine_without_namespaces_skips_with_a_reason(run):
    if os.geteuid() != 0:
        pytest.skip("takes a capability away from root")
    result = run(
        "import ctypes\n"
        "class H(ctypes.Structure): _fields_ = [('v', ctypes.c_uint32), ('p', ctypes.c_int)]\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "# no capability at all: capset(2) with three empty sets\n"
        "head, data = H(0x20080522, 0), (ctypes.c_uint32 * 6)()\n"
        "assert libc.capset(ctypes.byref(head), ctypes.byref(data)) == 0\n"
        + LAB
        + "def test_a(netlab):\n    pass\n",
        "-rs",
    )
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*SKIPPED*may not build labs*"])


SCENARIO = "@pytest.mark.netlab_scenario('one-packet-filter', repeat=2)\n"


def test_a_scenario_is_a_test(run, pytester):
    result = run(
        SCENARIO + "def test_a(netlab_scenario):\n    assert netlab_scenario.passed\n",
        *("--netlab-report", "out"),
    )
    result.assert_outcomes(passed=1)
    assert (pytester.path / "out" / "one-packet-filter.html").exists()


def test_a_scenario_that_fails_says_what_it_missed(run, pytester):
    """On the terminal, in JUnit XML and in the summary for CI."""
    (pytester.path / "wrong.yaml").write_text(
        f"title: t\ntopology: {NAT}\nstory: s\nsteps:\n"
        "  - {name: none passes, send: {from: client, to: server, protocol: 253, count: 2},"
        " expect: {packets: {1-2: denied}}}\n"
        "  - {name: 'no', run: 'false', in: client}\n"
    )
    result = run(
        "@pytest.mark.netlab_scenario('wrong.yaml')\n"
        "def test_a(netlab_scenario):\n    assert netlab_scenario.passed\n",
        *("--netlab-report", "out", "--junit-xml", "junit.xml"),
    )
    result.assert_outcomes(failed=1)
    [case] = ET.parse(pytester.path / "junit.xml").iter("testcase")
    summary = (pytester.path / "out" / "wrong.md").read_text()
    for told in (result.stdout.str(), case.findtext("failure") or "", summary):
        assert "none passes: packets 1 to 2: denied" in told
        assert "no: exit code 0" in told
        assert "IP::Src 192.168.1.2 -> 203.0.113.2" in told
        assert "#2  protocol 253 192.168.1.2 > 198.51.100.2, 32 octets" in told
    assert "netlab scenario wrong" in result.stdout.str()
    assert summary.startswith("### ❌ wrong: t\n")
    [digest] = [p.attrib["value"] for p in case.iter("property")
                if p.attrib["name"] == "netlab_digest"]  # fmt: skip
    assert digest[:16] in summary


NO_LABS = """
@pytest.fixture(autouse=True)
def no_labs(monkeypatch):
    from netlab.errors import Diagnostic, Unavailable
    from netlab.lab.lab import Lab
    def refuse(self):
        raise Unavailable(Diagnostic("E413", "no namespaces here"))
    monkeypatch.setattr(Lab, "start", refuse)
"""


def test_what_could_not_be_tested_is_counted(run):
    test = LAB + "def test_a(netlab): pass\n"
    result = run(test)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines("netlab: 1 labs built, 0 not possible here")
    result = run(NO_LABS + test)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines("netlab: 0 labs built, 1 not possible here")


@pytest.mark.parametrize("how", [("--netlab-require",), ("-o", "netlab_require=true")])
def test_a_lab_that_is_required_and_not_possible_is_an_error(run, how):
    result = run(NO_LABS + LAB + "def test_a(netlab): pass\n", *how)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*no namespaces here*")
