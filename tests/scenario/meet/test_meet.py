"""Pairs of programs through pairs of NATs, in labs."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

import netlab
from netlab.cli import main
from netlab.errors import InputError, LabError

pytestmark = pytest.mark.kernel

# RFC 5128 section 3.3, RFC 3489 section 5: hole punching fails where a symmetric NAT meets one
# that filters by port.
APART = {("home-router", "symmetric"), ("symmetric", "symmetric")}


def test_the_classic_result_for_ten_of_ten_pairs(tmp_path, capsys):
    assert main(["meet", "--pairs", "classic", "--json", "--report", str(tmp_path)]) == 0
    made = json.loads(capsys.readouterr().out)
    assert len(made["pairs"]) == 10
    for pair in made["pairs"]:
        met = (pair["a"], pair["b"]) not in APART
        assert (pair["met"], pair["how"]) == (met, "reflexive" if met else "none")
        assert bool(pair["reason"]) == (not met)
        [run] = json.loads((tmp_path / "fates" / f"{pair['a']}~{pair['b']}.json").read_text())[
            "runs"
        ]
        # The reason is what the packets say, and the packets are there.
        assert run["reason"] == pair["reason"]
        refused = [
            p for p in run["fates"]["packets"]
            if p["where"]["node"] in ("nat-a", "nat-b") and p["disposition"] == "denied"
        ]  # fmt: skip
        if not met:
            assert refused
            assert "NAT refused" in pair["reason"]
            assert "filtering address-and-port-dependent" in pair["reason"]


def test_the_sentence_names_the_ports_that_the_packets_had(tmp_path):
    table = netlab.meet(pairs="symmetric", fates=tmp_path)
    run = table["symmetric"].telling
    words = run.reason.split()
    port, seen = words[words.index("was") + 1], words[words.index("the", words.index("not")) + 1]
    assert run.reason == (
        "boris' NAT refused anna's packets: filtering address-and-port-dependent, and anna's port"
        f" for boris was {port} and not the {seen} that the server saw"
    )
    assert f"reflexive 203.0.113.2:{seen}" in run.programs["anna"]["output"]
    changes = [
        change for p in run.fates["packets"] for hop in p["hops"] for change in hop["changes"]
    ]
    assert any(
        change.startswith("UDP::SPort") and change.endswith(f"-> {port}") for change in changes
    )


@pytest.mark.parametrize(
    ("pair", "how"),
    [
        ("none", "host"),
        ("nat64", "host"),
        ("ipv6-firewall", "host"),
        ("nat64:full-cone", "reflexive"),
        ("home-router+carrier-grade:restricted-cone", "reflexive"),
        ("none:symmetric", "reflexive"),
    ],
)
def test_how_they_meet(pair, how, tmp_path):
    [played] = netlab.meet(pairs=pair, fates=tmp_path).played
    assert (played.met, played.how) == (True, how), played.telling.reason


def program(tmp_path, text):
    file = tmp_path / "program.py"
    file.write_text(text)
    return [sys.executable, str(file)]


SENDER = """
import socket, sys, time
me, peer, exchange, stun = sys.argv[1:]
host, port = exchange.rsplit(":", 1)
line = socket.create_connection((host, int(port)))
used = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
used.bind(("", 9000))
used.connect((host, 3478))
own = used.getsockname()[0]
used.close()
used = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
used.bind(("", 9000))
line.sendall(f"{own}\\n".encode())
other = line.makefile().readline().strip()
while True:
    used.sendto(me.encode(), (other, 9000))
    print("sent to", other, flush=True)
    time.sleep(0.05)
"""


def test_a_condition_of_packets_needs_no_word_of_the_programs(tmp_path):
    command = [*program(tmp_path, SENDER), "{name}", "{peer}", "{exchange}", "{stun}"]
    table = netlab.meet(command, command, until="packet:udp/9000", pairs="none,symmetric",
                        limit=3, fates=tmp_path)  # fmt: skip
    assert (table["none"].met, table["none"].how) == (True, "host")
    apart = table["symmetric"].telling
    # What it gave to the other is an inside address, which leads nowhere.
    assert not apart.met
    assert apart.reason.startswith("anna's packets for boris probably died in") or (
        apart.reason.startswith("anna's packets for boris died in")
    )


def test_a_line_of_output_is_a_condition_and_programs_that_stay_are_ended(tmp_path):
    text = "import time\nprint('met', flush=True)\ntime.sleep(600)"
    command = program(tmp_path, text)
    [played] = netlab.meet(
        command, command, until="output:^met$", pairs="none", fates=tmp_path
    ).played
    assert played.met
    # No packet of one reached the other, whatever they say.
    assert played.how == "none"


def test_programs_that_send_nothing_are_told_so(tmp_path):
    command = program(tmp_path, "print('no idea')\nraise SystemExit(3)")
    [played] = netlab.meet(command, command, pairs="none", fates=tmp_path).played
    assert played.telling.reason == (
        'anna sent nothing to boris\' addresses; its program exited with 3, saying "no idea"'
    )


def test_a_rendezvous_of_ones_own_is_awaited(tmp_path):
    file = tmp_path / "server.py"
    file.write_text(
        "import socket, time\ntime.sleep(0.3)\n"
        "s = socket.create_server(('', 7777))\ns.accept()\ntime.sleep(9)\n"
    )
    client = program(
        tmp_path, "import socket, sys\nsocket.create_connection((sys.argv[1], 7777)).close()"
    )
    [played] = netlab.meet(
        [*client, "{server}"], "true", rendezvous=[sys.executable, str(file)], pairs="none",
        fates=tmp_path,
    ).played  # fmt: skip
    assert played.met, played.telling.programs


def test_a_rendezvous_that_ends_is_an_error(tmp_path):
    with pytest.raises(LabError) as caught:
        netlab.meet("true", "true", rendezvous="false", pairs="none", fates=tmp_path)
    assert "E933" in str(caught.value)
    assert "false at the server ended with 1 and did not listen" in str(caught.value)


def test_a_program_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(LabError) as caught:
        netlab.meet("/nowhere/peer", "true", pairs="none", fates=tmp_path)
    assert "cannot run /nowhere/peer in anna" in str(caught.value)


def test_one_command_alone_is_an_error():
    with pytest.raises(InputError) as caught:
        netlab.meet("true", pairs="none")
    assert "E934" in str(caught.value)


def test_equal_seeds_give_equal_ports(tmp_path):
    one, other = (netlab.meet(pairs="none", seed=5, fates=tmp_path)["none"] for _ in range(2))
    first, second = (
        [line for line in each.telling.programs["anna"]["output"].splitlines() if "host" in line]
        for each in (one, other)
    )
    assert first == second


def test_required_pairs_decide_the_exit_code(tmp_path, capsys):
    report = str(tmp_path)
    options = ["meet", "--pairs", "none,symmetric", "--report", report]
    assert main([*options, "--require", "none"]) == 0
    assert main([*options, "--require", "symmetric", "--repeat", "2"]) == 1
    said = capsys.readouterr()
    assert "required, and not met: symmetric:symmetric" in said.err
    assert "0/2" in said.out
    assert "1 of 2 pairs met" in said.out


def test_a_report_that_cannot_be_written_is_said_first(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["meet", "--report", str(tmp_path / "file")]) == 1
    said = capsys.readouterr()
    assert "E913" in said.err
    assert said.out == ""


def test_what_was_interrupted_is_resumed(tmp_path):
    command = [sys.executable, "-m", "netlab", "meet", "--pairs", "none,symmetric,full-cone:none",
               "-j", "1", "--seed", "99", "--report", str(tmp_path / "out")]  # fmt: skip
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    begun = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in (tmp_path / "cache").rglob("*.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    begun.send_signal(signal.SIGINT)
    assert begun.wait(60) == 130
    again = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=120, check=True
    )
    assert re.search("[12] of 3 cells were done before the interruption", again.stderr)
    assert "2 of 3 pairs met" in again.stdout
    assert not list((tmp_path / "cache").rglob("*.jsonl"))
