"""The driver of a sweep: what it sees, how it ends, and that it ends the same each time."""

from __future__ import annotations

import json
import resource
import select
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.cli import main
from netlab.errors import LabError
from netlab.hdp import numbers
from netlab.io.hdp import sweep as drive
from netlab.linux import namespaces, raw_socket
from netlab.probe import compare
from netlab.probe import sweep as probing
from tests.helpers.commands import NETLAB

if TYPE_CHECKING:
    from netlab.lab.lab import Lab

pytestmark = [pytest.mark.kernel, pytest.mark.netlab(topology="topologies/nat.yaml")]


def test_every_hop_is_seen(netlab: Lab) -> None:
    [row] = probing.sweep(netlab, "client", "server", arguments=[200]).rows
    assert [(hop.node, hop.interface, hop.direction, hop.packets) for hop in row.hops] == [
        ("client", "eth0", "out", 3),
        ("nat", "lan", "in", 3),
        ("nat", "wan", "out", 3),
        ("router", "west", "in", 3),
        ("router", "east", "out", 3),
        ("server", "eth0", "in", 3),
    ]
    assert row.latency_us is not None
    assert row.latency_us > 0


def test_what_linux_does_not_translate(netlab: Lab) -> None:
    made = probing.sweep(netlab, "client", "server", packets=1)
    left = {row.protocol for row in made.rows if "left the NAT untranslated" in row.reason}
    assert left == {1, 6, 17, 58, 132, 136}


@pytest.mark.netlab(topology="topologies/firewall.yaml")
def test_a_rule_of_the_topology_is_named_with_its_line(netlab: Lab) -> None:
    [row] = probing.sweep(netlab, "desk", "server", arguments=[255]).rows
    lines = (Path(__file__).parents[2] / "topologies/firewall.yaml").read_text().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if "drop protocol 255" in line)
    assert f'forward chain, rule "drop protocol 255" (firewall.yaml:{number})' in row.reason


def test_repeats_are_equal(netlab: Lab) -> None:
    first = probing.sweep(netlab, "client", "server", packets=2)
    for _ in range(5):
        again = probing.sweep(netlab, "client", "server", packets=2)
        assert compare.lines(compare.changes(first, again, way=True)) == []


def test_the_server_s_limits_are_as_before(netlab: Lab) -> None:
    key = "/proc/sys/net/ipv4/icmp_ratemask"
    limited = "6168"  # Linux's own: destination unreachable is among the limited
    netlab["server"].run(["sh", "-c", f"echo {limited} > {key}"], check=True)
    made = probing.sweep(netlab, "client", "server", arguments=range(20, 50), listen=False)
    assert {row.reply for row in made.rows} == {"icmp 3/2"}
    assert netlab["server"].run(["cat", key]).stdout == f"{limited}\n"


def test_all_sockets_are_closed(netlab: Lab) -> None:
    before = descriptors()
    probing.sweep(netlab, "client", "server", packets=1)
    assert descriptors() == before


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_too_few_descriptors_are_told_and_none_is_kept(netlab: Lab) -> None:
    before = descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + 100, hard))
    try:
        with pytest.raises(LabError, match="E616"):
            probing.sweep(netlab, "client", "server")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert descriptors() == before


def test_a_node_without_the_family_says_so(netlab: Lab) -> None:
    with pytest.raises(LabError, match="server has no IPv6 address"):
        probing.sweep(netlab, "client", "server", family=6)


def test_a_large_burst_is_seen_whole(netlab: Lab) -> None:
    made = probing.sweep(netlab, "client", "server", arguments=[200], packets=255, size=1400)
    assert [(row.on_wire, row.received) for row in made.rows] == [(255, 255)]


def test_an_interrupted_driver_gives_what_it_has(
    netlab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look = drive._Driver.look

    def interrupted(self: drive._Driver) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise KeyboardInterrupt
        look(self)

    monkeypatch.setattr(drive._Driver, "look", interrupted)
    made = probing.sweep(netlab, "client", "server")
    assert made.interrupted
    assert len(made.rows) == 3 * drive._BATCH // 3
    assert {row.outcome for row in made.rows if row.argument > 0} == {"received"}


def test_time_bounds_a_sweep(netlab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive.Task, "limit", 0.0)
    made = probing.sweep(netlab, "client", "server")
    assert made.interrupted
    assert sum(row.sent for row in made.rows) <= drive._BATCH


def test_ctrl_c_prints_the_table_so_far(netlab: Lab) -> None:
    command = ["hdp", "sweep", "--from", "client", "--to", "server", "--wait", "50", "--json"]
    with (
        namespaces.inside(netlab["server"].namespace, raw_socket.Tap) as tap,
        subprocess.Popen(
            [*NETLAB, *command, "--lab", netlab.name],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as running,
    ):  # fmt: skip
        select.select([tap], [], [], 20)  # the sweep has begun
        running.send_signal(signal.SIGINT)
        printed, said = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "interrupted" in said
    assert json.loads(printed)["rows"]


def test_the_command_prints_json_and_the_grid(
    netlab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["hdp", "sweep", "--lab", netlab.name, "--from", "client", "--to", "server"]
    assert main([*command, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["family"] == 4
    rows = {row["argument"]: row for row in made["rows"]}
    assert set(rows) == set(numbers.ARGUMENTS_V4)
    assert (rows[-1]["socket_error"], rows[0]["socket_error"]) == (22, 93)
    assert (rows[256]["protocol"], rows[256]["reply"]) == (0, "icmp 3/2")
    assert (rows[143]["on_wire"], rows[143]["received"], rows[143]["reply"]) == (3, 3, None)
    assert main(command) == 0
    assert "143✓" in capsys.readouterr().out
