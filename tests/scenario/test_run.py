"""Scenarios in real labs: what ships passes and repeats, what is wrong fails, nothing is left."""

import json
import os
import shutil
import signal
from contextlib import nullcontext
from dataclasses import replace

import pytest

from netlab.errors import Unavailable
from netlab.lab import doctor, leaks
from netlab.scenario import bundled, model
from netlab.scenario.judge import judge
from netlab.scenario.outcome import Run
from netlab.scenario.read import read
from netlab.scenario.run import check_needs, play, repeat
from tests.helpers.commands import started as netlab
from tests.helpers.waiting import wait_for

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("netlab_leaves_no_trace")]

TOPOLOGY = "nodes: {a: , b: }\nlinks: [[a:eth0, b:eth0]]\n"
WIRE = "[{ends: [a:eth0, b:eth0], delay: 0s}]"


def played(scenario, times=1):
    try:
        return repeat(scenario, times)
    except Unavailable as error:
        pytest.skip(str(error))


def wrong(expected: model.Expected):
    """Everything that it says, each thing changed alone."""
    packets = expected.packets
    for place, (number, end) in enumerate(packets):
        other = "denied" if end.disposition == "delivered" else "delivered"
        changed = (number, model.End(other))
        yield replace(expected, packets=(*packets[:place], changed, *packets[place + 1 :]))
    if expected.no_more:
        yield replace(expected, packets=packets[:-1])
    for pattern in expected.output:
        yield replace(expected, output=(), not_output=(pattern,))
    for pattern in expected.not_output:
        yield replace(expected, output=(pattern,), not_output=())
    if expected.table:
        rows = expected.table.rows
        yield replace(expected, table=replace(expected.table, rows=rows[1:]))
        for place, row in enumerate(rows):
            for column, cell in enumerate(row):
                changed_row = (*row[:column], f"not {cell}", *row[column + 1 :])
                changed_rows = (*rows[:place], changed_row, *rows[place + 1 :])
                yield replace(expected, table=replace(expected.table, rows=changed_rows))
    if expected.exit is not None:
        yield replace(expected, exit=expected.exit + 1)


SHIPPED = [name for name in bundled.names() if name != "matrix"]
AGAIN = {
    "hdp-allow-list", "hdp-loopback", "hdp-one-site", "hole-punching", "large-answers",
    "one-packet-clash", "one-packet-filter", "one-packet-offload", "stateless-dns",
    "stateless-http", "tcp-handshake", "tcp-loss", "two-clients",
}  # fmt: skip
"""Those that are played twice here; `make soak` plays each of all ten times."""


@pytest.mark.soak
@pytest.mark.parametrize("name", SHIPPED)
def test_ten_runs_of_what_ships_come_to_the_same(name):
    assert played(read(bundled.find(name)), 10).passed


@pytest.mark.root  # reads nft's trace of bursts, with buffers beyond rmem_max
@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_passes_twice_with_one_digest(name):
    outcome = played(read(bundled.find(name)), 2 if name in AGAIN else 1)
    assert not [v for run in outcome.runs for v in run.verdicts if not v.passed]
    assert outcome.digests_equal
    assert outcome.passed
    each_wrong_expectation_fails(outcome.telling)


def each_wrong_expectation_fails(run: Run) -> None:
    """Judged anew, as if the file had said something else of what was seen."""
    changed = 0
    for done in run.done:
        for expected in wrong(done.step.expected):
            verdicts = list(judge(replace(done.step, expected=expected), done.seen))
            assert not all(verdict.passed for verdict in verdicts), expected
            changed += 1
    assert changed


def test_what_this_machine_lacks_is_said_before_a_lab_is_made():
    scenario = replace(read(bundled.find("hairpinning")), needs=("no-such-program",))
    with pytest.raises(Unavailable, match="no-such-program"):
        play(scenario)
    hairpinning = read(bundled.find("hairpinning"))
    handshake = replace(read(bundled.find("tcp-handshake")), needs=())
    for scenario, allowed in (
        (replace(hairpinning, needs=("bpf",)), not doctor.why_no_bpf()),
        (handshake, os.access("/dev/net/tun", os.R_OK | os.W_OK)),
        (read(bundled.find("matrix")), True),  # it leaves out the kinds that need a TUN device
    ):
        with nullcontext() if allowed else pytest.raises(Unavailable, match="E911"):
            check_needs(scenario)


@pytest.fixture
def write(tmp_path):
    (tmp_path / "lab.yaml").write_text(TOPOLOGY)

    def write(steps):
        path = tmp_path / "it.yaml"
        path.write_text(f"title: t\ntopology: lab.yaml\nstory: s\nsteps:\n{steps}")
        return path

    return write


def test_a_program_that_hangs_is_stopped_and_what_it_printed_is_shown(write):
    steps = "  - {run: [sh, -c, 'echo begun; sleep 99'], in: a, timeout: 0.5}\n  - {run: ls}\n"
    run = play(read(write(steps)))
    [verdict] = run.verdicts  # the second step is not even tried
    assert "begun" in verdict.observed


CALLED = """
import sys, time

def hang(lab, rng):
    print("begun", flush=True)
    time.sleep(99)

def fail(lab, rng):
    raise ValueError("no luck")

def ask(lab, rng):
    return [{"node": lab["a"].name, "number": rng.randrange(1000)}]
"""


def test_a_python_step_that_hangs_is_stopped_and_what_it_printed_is_shown(write):
    path = write("  - {call: 'code.py:hang', timeout: 1.5}\n  - {run: ls}\n")
    path.with_name("code.py").write_text(CALLED)
    [verdict] = play(read(path)).verdicts
    assert "within 1.5 seconds" in verdict.observed
    assert "begun" in verdict.observed


def test_a_python_step_that_raises_is_a_failure_with_its_traceback(write):
    path = write("  - {call: 'code.py:fail'}\n")
    path.with_name("code.py").write_text(CALLED)
    [verdict] = play(read(path)).verdicts
    assert "ValueError: no luck" in verdict.observed


def test_python_steps_draw_different_numbers_that_follow_from_the_seed(write):
    path = write("  - {call: 'code.py:ask'}\n  - {call: 'code.py:ask'}\n")
    path.with_name("code.py").write_text(CALLED)
    drawn = [[done.seen.table for done in play(read(path), seed=seed).done] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0][0] != drawn[0][1]


def test_links_go_down_and_come_back_and_lose(write):
    path = write(
        "  - {link: {b:eth0: down}}\n"
        "  - {run: [ping, -c1, -W0.2, b], in: a, expect: {exit: 1}}\n"
        "  - {link: {b:eth0: up}}\n"
        "  - {run: [ping, -c1, b], in: a}\n"
        "  - {link: {a:eth0: {loss: 100%}}}\n"
        "  - {run: [ping, -c1, -W0.2, b], in: a, expect: {exit: 1}}\n"
    )
    path.with_name("lab.yaml").write_text(TOPOLOGY.replace("[[a:eth0, b:eth0]]", WIRE))
    run = play(read(path))
    assert run.passed, run.verdicts


def test_programs_wait_and_end_with_the_run(write):
    steps = (
        "  - {start: [sh, -c, 'echo up; exec sleep 99'], in: b, ready: up}\n"
        "  - {wait: [echo, done], until: done, in: a}\n"
        "  - {run: [cat], in: a, input: hello, expect: {output: ^hello$}}\n"
    )
    assert play(read(write(steps))).passed


def test_a_command_ends_although_what_it_left_goes_on(write):
    """With pipes the step took as long as whatever held their other end."""
    left = "setsid sleep 98 & setsid sleep 97 >&2 & echo started"
    steps = f"  - {{run: [sh, -c, '{left}'], in: a, timeout: 30, expect: {{output: ^started$}}}}\n"
    run = play(read(write(steps)))
    assert run.passed, run.verdicts


def test_a_command_that_takes_too_long_ends_in_time_with_all_that_it_left(write):
    left = "setsid sleep 96 & echo begun; sleep 95"
    run = play(read(write(f"  - {{run: [sh, -c, '{left}'], in: a, timeout: 1}}\n")))
    assert "within 1 seconds" in run.verdicts[0].observed
    assert not run.passed


@pytest.mark.parametrize("step", ["start", "wait"])
def test_a_pattern_that_backtracks_ends_in_time(write, step):
    text = "a" * 64
    word = "ready" if step == "start" else "until"
    what = f"[sh, -c, 'echo {text}!; sleep 94']" if step == "start" else f"[echo, {text}!]"
    steps = f"  - {{{step}: {what}, {word}: '^(a+)+$', in: a, timeout: 1}}\n"
    run = play(read(write(steps)))
    assert "longer than 1 seconds" in run.verdicts[0].observed


def test_a_program_that_ends_before_it_is_ready(write):
    run = play(read(write("  - {start: [sh, -c, 'echo no; exit 4'], in: b, ready: up}\n")))
    assert "ended with 4" in run.verdicts[0].observed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(write, netlab_state, number):
    fifo = write("").parent / "begun"
    os.mkfifo(fifo)
    path = write(f"  - {{run: [sh, -c, 'echo x > {fifo}; sleep 99'], in: a}}\n")
    process = netlab("run", str(path))
    assert fifo.read_text() == "x\n"
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 130


def test_a_killed_run_leaves_nothing(write, netlab_state):
    """Nobody can answer SIGKILL; somebody waits for it."""
    fifo = write("").parent / "begun"
    os.mkfifo(fifo)
    path = write(f"  - {{run: [sh, -c, 'echo x > {fifo}; exec sleep 99'], in: a}}\n")
    before = leaks.take()
    process = netlab("run", str(path))
    assert fifo.read_text() == "x\n"
    assert leaks.take().left_since(before)
    process.kill()
    process.communicate()
    wait_for(lambda: leaks.take().left_since(before) == [], "nothing left")


def test_two_runs_at_once_do_not_disturb_each_other(write, netlab_state):
    path = write(
        "  - send: {from: a, to: b, protocol: 253, count: 3}\n"
        "    expect: {packets: {1-3: delivered}}\n"
    )
    runs = [netlab("run", str(path), "--json") for _ in range(2)]
    found = [json.loads(run.communicate(timeout=60)[0]) for run in runs]
    assert [f["passed"] for f in found] == [True, True]
    assert found[0]["digest"] == found[1]["digest"]


def test_exit_codes(write, netlab_state):
    good = write("  - {run: 'true', in: a}\n")
    process = netlab("run", str(good), "--repeat", "2")
    assert "2 of 2 runs" in process.communicate(timeout=60)[0]
    assert process.returncode == 0
    bad = write("  - {run: 'false', in: a}\n")
    process = netlab("run", str(bad))
    assert "exit code 0" in process.communicate(timeout=60)[0]
    assert process.returncode == 1
    process = netlab("run", str(write("  - {runn: ls}\n")))
    assert "E201" in process.communicate(timeout=60)[1]
    assert process.returncode == 2


def slow(*case: str):
    return pytest.param(*case, marks=pytest.mark.soak)


@pytest.mark.parametrize(
    ("name", "cause", "harmless"),
    [
        ("hdp-allow-list", "counter drop", "counter accept"),
        ("one-packet-filter", "counter drop", "counter accept"),
        ("one-packet-offload", "counter drop", "counter accept"),
        ("one-packet-clash", "masquerade", "accept"),
        ("one-packet-clash", "seconds: 601", "seconds: 500"),
        ("two-clients", "kind: nat, outside: wan", "kind: router"),
        ("large-answers", "counter drop", "counter accept"),
        ("tcp-loss", "loss: 5%", "loss: 0%"),
        ("port-preservation", "outside: wan", "outside: wan, nat: {preset: rfc4787}"),
        ("hairpinning", "outside: wan", "outside: wan, nat: {preset: rfc4787}"),
        ("port-exhaustion", "4000-4003", "4000-4004"),
        slow("port-exhaustion", "seconds: 7500", "seconds: 7000"),
        slow("nat-timeouts", "outside: wan", "outside: wan, nat: {timeouts: {udp: 130}}"),
        slow("carrier-grade", "masquerade: wan\n", "masquerade: wan\n      hairpinning: true\n"),
        ("nat64", '"2001:db8:1::/64"', '["2001:db8:1::/64", 192.168.1.0/24]'),
        slow("hdp-latency", "kind: router", "kind: router, firewall: [drop protocol 253]"),
        ("one-packet-checksum", "ip checksum set 0xbeef ", ""),
        slow("private-leak", "masquerade}", "masquerade}, firewall: [drop invalid]"),
        slow("tcp-middleboxes", "mtu=1300, patience", "mtu=1500, patience"),
        slow("honda", '(("size", 536),)', '(("size", 1400),)'),
        slow("hatonen", "outside: wan", "outside: wan, nat: {timeouts: {udp: 60}}"),
        ("tracebox", "{kind: mss-clamp, mss: 1200}", "ecn-bleach"),
        ("tcp-through-nat", "kind: nat\n    outside: wan", "kind: router"),
        ("stateless-transaction", "--text, Hello", "--text, Hello, --as-published"),
        slow("stateless-window", '"--as-published", ', ""),
        ("stateless-repeat", "counter drop", "counter accept"),
        ("stateless-loss", "counter drop", "counter accept"),
        ("syn-flood", "SYNS = 4_000", "SYNS = 10"),
    ],
)
def test_without_its_cause_the_lab_shows_something_else(name, cause, harmless, tmp_path):
    """The cause stands in the topology or, where the lab is changed while it runs, in a step."""
    scenario = read(bundled.find(name))
    root = bundled.directory().parent
    for folder in ("scenarios", "topologies"):
        shutil.copytree(root / folder, tmp_path / folder)
    called = [step.action.file for step in scenario.steps if isinstance(step.action, model.Call)]
    files = [
        tmp_path / file.relative_to(root)
        for file in (scenario.file, scenario.topology, *dict.fromkeys(called))
    ]
    changed = [file for file in files if cause in file.read_text()]
    assert changed
    for file in changed:
        file.write_text(file.read_text().replace(cause, harmless))
    assert not played(read(files[0])).passed
