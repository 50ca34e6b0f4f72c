"""What became of the packets, asked from the command line."""

import contextlib
import json
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from netlab.cli.packets.trace import split
from tests.cli.test_labs import ROOT
from tests.helpers.commands import NETLAB
from tests.helpers.commands import printed as netlab

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.root,  # expects the kernel's own drop reasons, which only BPF sees
    pytest.mark.usefixtures("lab"),
]

TOPOLOGY = """
nodes:
  client:
  nat:
    kind: nat
    outside: wan
    firewall:
      rules:
        - accept tcp/80
        - drop protocol 253
  server:
    programs:
      http:
        run: [busybox, httpd, -f, -p, "80", -h, /srv]
        ready: {port: 80}
links:
  - {ends: [nat:lan, client:eth0], subnet: 10.0.0.0/24}
  - {ends: [server:eth0, nat:wan], subnet: 198.51.100.0/24}
"""


@pytest.fixture(scope="module")
def lab(netlab_state, tmp_path_factory):
    file = tmp_path_factory.mktemp("asked") / "asked.yaml"
    file.write_text(TOPOLOGY)
    netlab("up", str(file))
    yield file
    netlab("down", "asked")


def capturing(*argv: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """``netlab capture ARGV``, which watches already."""
    return watching("capture", *argv)


def following(*argv: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """``netlab trace --follow ARGV``, which watches already."""
    return watching("trace", "--follow", *argv)


@contextlib.contextmanager
def watching(*argv: str) -> Iterator[subprocess.Popen[str]]:
    """A command that says when it watches."""
    with subprocess.Popen(
        [*NETLAB, *argv],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert running.stderr
            assert running.stderr.readline().startswith("watching ")
            yield running
        finally:
            running.kill()


def test_explain_names_the_rule_and_its_line():
    said = netlab("explain", "client", "server", "--proto", "253", "--count", "3", code=1)
    assert said == (
        "3 sent, none arrived. #1 to #3 died in nat, forward chain,"
        ' rule "drop protocol 253" (asked.yaml:10).\n'
    )


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["client", "server"], 0, "1 sent, 1 arrived."),
        (["client", "server", "--proto", "tcp", "--dport", "80"], 0, "1 sent, 1 arrived."),
        (["client", "server", "--proto", "tcp", "--dport", "81"], 1, "died in server: no socket"),
        (["client", "server", "--proto", "udp", "--listen"], 0, "1 sent, 1 arrived."),
        (["client", "server", "--proto", "hdp", "--count", "2"], 1, "no socket takes this"),
        (["client", "server", "--proto", "hdp", "--listen"], 0, "1 sent, 1 arrived."),
        (["client", "server", "--size", "4000", "--proto", "hdp", "--listen"], 0, "1 arrived"),
        (["asked/client", "192.0.2.1"], 1, "died in nat: no route to the destination"),
        (["server", "192.0.2.1"], 1, "It never left: Network is unreachable."),
    ],
)
def test_explain_says(argv, code, says):
    assert says in netlab("explain", *argv, code=code)


def test_explain_as_json_has_the_agreed_form():
    said = json.loads(netlab("explain", "client", "server", "--proto", "253", "--json", code=1))
    assert said["complete"] is True
    [packet] = said["packets"]
    assert packet["id"] == 1
    assert packet["proto"] == 253
    assert packet["disposition"] == "denied"
    assert packet["where"] == {"node": "nat", "interface": "lan"}
    assert packet["reason"] == {
        "source": "nft",
        "text": 'forward chain, rule "drop protocol 253"',
        "rule": "meta l4proto 253 counter drop",
        "topology": "asked.yaml:10",
    }
    assert [set(hop) for hop in packet["hops"]] == [
        {"node", "interface", "direction", "time_ns", "changes"}
    ] * 2


def test_trace_shows_every_hop_and_gives_the_commands_code():
    said = netlab("trace", "client", "--", "ping", "-c1", "server")
    assert "1 received" in said
    assert "wan   out  IP::Src 10.0.0.2 -> 198.51.100." in said
    assert said.count("✓ delivered") == 2
    netlab("trace", "asked/client", "--", "sh", "-c", "exit 7", code=7)
    assert "no packets" in netlab("trace", "client", "--", "true")


@pytest.mark.parametrize("named", [["--host", "asked"], ["--host"]])
def test_with_host_the_command_runs_outside_and_the_whole_lab_is_watched(named, tmp_path):
    file = tmp_path / "seen.pcapng"
    script = (
        f"{sys.executable} -m netlab exec client -- ping -c1 server &&"
        " readlink /proc/self/ns/net && exit 7"
    )
    said = netlab("trace", "-w", str(file), *named, "--", "sh", "-c", script, code=7)
    assert Path("/proc/self/ns/net").readlink().name in said
    assert said.count("✓ delivered") == 2
    assert file.stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "target", "command"),
    [
        (["client", "--", "ping", "-c1"], "client", ["ping", "-c1"]),
        (["client", "ping", "--", "-c1"], "client", ["ping", "--", "-c1"]),
        (["--", "netlab", "exec", "a", "--", "b"], None, ["netlab", "exec", "a", "--", "b"]),
        (["--"], None, []),
        (["client"], "client", []),
        ([], None, []),
    ],
)
def test_where_and_what_are_told_apart(words, target, command):
    assert split(words) == (target, command)


def test_trace_reads_a_name_that_a_lab_and_its_node_share_as_exec_does(tmp_path):
    file = tmp_path / "client.yaml"
    file.write_text("nodes: {client: , b: }\nlinks: [[client, b]]\n")
    env = {**os.environ, "NETLAB_STATE_DIR": str(tmp_path / "state")}
    where = ["client", "--", "readlink", "/proc/self/ns/net"]
    netlab("up", str(file), env=env)
    try:
        inside = netlab("exec", *where, env=env)
        assert netlab("trace", *where, env=env).startswith(inside)
        beside = Path("/proc/self/ns/net").readlink().name
        assert netlab("trace", "--host", *where, env=env).startswith(beside)
    finally:
        netlab("down", "client", env=env)


def test_trace_as_json_leaves_standard_output_to_the_answer():
    said = json.loads(netlab("trace", "--json", "client", "--", "ping", "-c1", "server"))
    assert [packet["disposition"] for packet in said["packets"]] == ["delivered"] * 2


def test_a_capture_holds_what_happened_meanwhile(tmp_path):
    file = tmp_path / "lab.pcapng"
    with capturing("asked", "-w", str(file)) as running:
        netlab("exec", "client", "--", "ping", "-c1", "server")
        running.send_signal(signal.SIGINT)
        printed, _ = running.communicate(timeout=20)
    assert running.returncode == 0
    assert printed == f"{file}: 8 frames of 2 packets\n"
    assert file.stat().st_size > 1000


def test_capture_prints_frames_as_they_come():
    with capturing("--seconds", "20") as running:
        netlab("exec", "client", "--", "ping", "-c1", "server")
        assert running.stdout
        assert "ICMP 8/0" in running.stdout.readline()
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=20) == 0


def frames_of(file: Path) -> int:
    """How many packets a capture file has; it must be whole."""
    octets, at, found = file.read_bytes(), 0, 0
    while at < len(octets):
        kind, length = struct.unpack_from("<II", octets, at)
        assert octets[at + length - 4 : at + length] == struct.pack("<I", length)
        found += kind == 6
        at += length
    return found


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_capture_is_whole_whatever_ends_it(end, tmp_path):
    file = tmp_path / "lab.pcapng"
    with capturing("asked", "-w", str(file)) as running:
        netlab("exec", "client", "--", "ping", "-c1", "server")
        running.send_signal(end)
        assert running.wait(timeout=20) == 0
    assert frames_of(file) == 8


def test_a_capture_is_whole_while_it_is_written(tmp_path):
    file = tmp_path / "lab.pcapng"
    with capturing("asked", "-w", str(file)) as running:
        netlab("exec", "client", "--", "ping", "-c1", "server")
        while frames_of(file) < 8:
            assert running.poll() is None
        running.kill()
    assert frames_of(file) == 8


def test_a_background_job_of_a_shell_ends_by_sigint(tmp_path):
    """A shell without job control starts it with SIGINT ignored."""
    file, ready = tmp_path / "lab.pcapng", tmp_path / "ready"
    script = (
        f"mkfifo {ready}; {sys.executable} -m netlab capture asked -w {file} 2>{ready} & "
        f"head -n1 <{ready}; kill -INT $!; wait $!"
    )
    ran = subprocess.run(["sh", "-c", script], cwd=ROOT, check=False, timeout=30)
    assert ran.returncode == 0
    assert frames_of(file) == 0


def test_no_seconds_are_none(tmp_path):
    file = tmp_path / "lab.pcapng"
    assert "0 frames of 0 packets" in netlab("capture", "-w", str(file), "--seconds", "0")
    assert netlab("trace", "--follow", "asked", "--seconds", "0") == ""


def test_fates_are_followed_as_they_come():
    with following("asked") as running:
        assert running.stdout
        netlab("exec", "client", "--", "ping", "-c1", "server")
        lines = [running.stdout.readline() for _ in range(2)]
        netlab("explain", "client", "server", "--proto", "253", code=1)
        lines.append(running.stdout.readline())
        running.send_signal(signal.SIGTERM)
        rest, _ = running.communicate(timeout=20)
        assert running.returncode == 0
    assert rest == ""
    assert "✓ ICMP 8/0 10.0.0.2 > 198.51.100.1, 64 octets  client → nat → server" in lines[0]
    assert "✓ ICMP 0/0 198.51.100.1" in lines[1]
    assert 'denied in nat: forward chain, rule "drop protocol 253" (asked.yaml:10)' in lines[2]


def test_fates_are_followed_as_json(tmp_path):
    file = tmp_path / "followed.pcapng"
    with following("--json", "-w", str(file)) as running:
        assert running.stdout
        netlab("exec", "client", "--", "ping", "-c2", "-i0.2", "server")
        packets = [json.loads(running.stdout.readline()) for _ in range(4)]
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=20) == 0
    assert [packet["id"] for packet in packets] == [1, 2, 3, 4]
    assert {packet["disposition"] for packet in packets} == {"delivered"}
    assert frames_of(file) == 16


def test_a_flood_is_summed_up():
    said = netlab("trace", "client", "--", "ping", "-f", "-q", "-c3000", "server")
    assert "3000 received" in said
    assert len(said.splitlines()) < 100
    more = [int(n) for n in re.findall(r"and (\d+) more like #\d+: delivered in", said)]
    let_go = re.search(r"(\d+) packets let go", said)
    shown = len(re.findall("✓ delivered in", said))
    assert sum(more) + shown + int(let_go[1] if let_go else 0) <= 6000
    assert more


def test_a_command_that_is_traced_ends_with_the_trace():
    with subprocess.Popen(
        [sys.executable, "-m", "netlab", "trace", "client", "--", "ping", "server"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout
        assert "bytes from" in next(line for line in running.stdout if "icmp_seq" in line)
        running.terminate()
        rest, _ = running.communicate(timeout=30)
    assert running.returncode == 128 + signal.SIGTERM
    assert "✓ delivered in" in rest


@pytest.mark.parametrize(("form", "starts"), [("text", ""), ("svg", "<svg"), ("mermaid", "seq")])
def test_a_ladder_is_drawn(form, starts, tmp_path):
    file = tmp_path / "drawn"
    netlab("ladder", "--format", form, "-o", str(file), "client", "--", "ping", "-c1", "server")
    drawn = file.read_text()
    assert drawn.lstrip("\ufeff").startswith(starts)
    assert "ICMP 8/0" in drawn


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["trace", "client"], 2, "no command"),
        (["trace", "--"], 2, "no command"),
        (["trace"], 2, "no command"),
        (["trace", "--host", "--", "/no/such/program"], 1, "error[E410]"),
        (["trace", "--", "true"], 2, "hint: `NODE -- true`, or `--host -- true`"),
        (["ladder", "--", "true"], 2, "error[E512]"),
        (["trace", "elsewhere/client", "--", "true"], 1, "error[E403]"),
        (["trace", "nobody", "--", "true"], 1, "error[E404]"),
        (["trace", "client", "--", "/no/such/program"], 1, "error[E410]"),
        (["trace", "asked", "--", "true"], 2, "hint: a node of it is written asked/client"),
        (["explain", "asked", "server"], 2, "error[E512]"),
        (["explain", "client", "elsewhere/server"], 2, "error[E513]"),
        (["explain", "client", "server", "--proto", "0"], 2, "--proto"),
        (["explain", "client", "server", "--proto", "udp", "--size", "3"], 2, "error[E510]"),
        (["explain", "client", "server", "-6"], 1, "error[E414]"),
        (["capture", "-w", "/nowhere/at/all"], 1, "error[E511]"),
        (["capture", "--seconds", "-1"], 2, "not between 0"),
        (["capture", "--seconds", "nan"], 2, "not between 0"),
        (["trace", "--follow", "asked", "--", "true"], 2, "takes a LAB and no command"),
        (["trace", "--follow", "elsewhere"], 1, "error[E403]"),
        (["trace", "--follow", "asked", "--sconds", "1"], 2, "--sconds"),
        (["trace", "--follow", "-w", "/nowhere/at/all"], 1, "error[E511]"),
        (["trace", "--seconds", "1", "client", "--", "true"], 2, "--follow"),
        (["capture", "-w", "/dev/full", "--seconds", "0.1"], 1, "error[E511]"),
        (["ladder", "-o", "/dev/full", "client", "--", "true"], 1, "error[E511]"),
        (["trace", "-w", "/dev/full", "client", "--", "ping", "-c1", "server"], 1, "error[E511]"),
    ],
)
def test_what_cannot_be_done_is_said(argv, code, says):
    assert says in netlab(*argv, code=code)


def test_nothing_of_the_observation_stays():
    netlab("trace", "client", "--", "ping", "-c1", "server")
    assert "observe" not in netlab("exec", "nat", "--", "nft", "list", "ruleset")
    assert not list(Path("/sys/fs/bpf").glob("netlab*"))


def test_a_prediction_needs_no_lab(lab):
    for argv, code, says in (
        (["client", "server"], 0, "It should reach server.\n"),
        (
            ["client", "server", "--proto", "253"],
            1,
            'It should die in nat: forward chain, rule "drop protocol 253" (asked.yaml:10).\n',
        ),
    ):
        assert netlab("explain", "--predict", "--file", str(lab), *argv, code=code) == says


def test_a_prediction_tells_the_packets_of_a_flow_apart():
    file = "topologies/hdp/one-packet-filter.yaml"
    argv = ["explain", "--predict", "--file", file, "client", "server", "--proto", "hdp"]
    assert netlab(*argv, "--count", "3", code=1) == (
        "#1 should reach server. #2 and #3 should die in home: forward chain,"
        ' rule "first-packet-only" (one-packet-filter.yaml:21).\n'
    )
    told = json.loads(netlab(*argv, "--count", "3", "--json", code=1))
    assert [packet["id"] for packet in told["packets"]] == [1, 2, 3]


def test_where_plan_and_packets_part_is_said():
    netlab("exec", "nat", "--", "nft", "insert rule inet netlab forward meta l4proto 254 drop")
    said = netlab("explain", "client", "server", "--proto", "254", code=1)
    assert "1 sent, none arrived. It died in nat, forward chain, rule `meta l4proto 254" in said
    assert "This differs from the prediction: It should reach server." in said
    assert "The paths diverge in nat: predicted delivered in server, seen denied." in said


@pytest.mark.parametrize("size", [40, 4000])
def test_explain_over_ipv6(size):
    netlab("up", "topologies/dual-stack.yaml", "--name", "six")
    try:
        words = ["six/client", "server", "-6", "--proto", "udp", "--listen", "--size", str(size)]
        assert netlab("explain", *words) == "1 sent, 1 arrived.\n"
    finally:
        netlab("down", "six")
