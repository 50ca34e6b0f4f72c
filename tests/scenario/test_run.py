"""Scenarios in real labs: what ships passes and repeats, what is wrong fails, nothing is left."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from netlab.errors import Unavailable
from netlab.scenario import library, model
from netlab.scenario.read import read
from netlab.scenario.run import play, repeat

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("netlab_leaves_no_trace")]

TOPOLOGY = "nodes: {a: , b: }\nlinks: [[a:eth0, b:eth0]]\n"


def played(scenario, times=1):
    try:
        return repeat(scenario, times)
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", library.names())
def test_what_ships_passes_and_comes_to_the_same_again(name):
    outcome = played(read(library.find(name)), 2)
    wrong = [v for run in outcome.runs for v in run.verdicts if not v.passed]
    assert not wrong
    assert outcome.digests_equal
    assert outcome.passed


def wrong(expected: model.Expected):
    if expected.packets:
        last, end = expected.packets[-1]
        other = "denied" if end.disposition == "delivered" else "delivered"
        yield replace(expected, packets=(*expected.packets[:-1], (last, model.End(other))))
    if expected.output:
        yield replace(expected, output=(), not_output=expected.output)
    if expected.table:
        rows = expected.table.rows
        yield replace(expected, table=replace(expected.table, rows=rows[1:]))
    if expected.exit is not None:
        yield replace(expected, exit=expected.exit + 1)


@pytest.mark.parametrize("name", library.names())
def test_a_wrong_expectation_fails(name):
    """All of a scenario's at once, to spare labs; each must be told as not met."""
    scenario = read(library.find(name))
    all_wrong = replace(
        scenario,
        steps=tuple(
            replace(step, expected=next(iter(wrong(step.expected)), step.expected))
            for step in scenario.steps
        ),
    )
    outcome = played(all_wrong)
    assert not outcome.passed
    failed = {v.step for v in outcome.telling.verdicts if not v.passed}
    assert failed == {step.name for step in scenario.steps if list(wrong(step.expected))}


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


def test_programs_wait_and_end_with_the_run(write):
    steps = (
        "  - {start: [sh, -c, 'echo up; exec sleep 99'], in: b, ready: up}\n"
        "  - {wait: [echo, done], until: done, in: a}\n"
        "  - {run: [cat], in: a, input: hello, expect: {output: ^hello$}}\n"
    )
    assert play(read(write(steps))).passed


def test_a_program_that_ends_before_it_is_ready(write):
    run = play(read(write("  - {start: [sh, -c, 'echo no; exit 4'], in: b, ready: up}\n")))
    assert "ended with 4" in run.verdicts[0].observed


def netlab(*argv: str, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "netlab", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


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


@pytest.mark.parametrize(
    ("name", "cause", "harmless"),
    [
        ("hdp-allow-list", "counter drop", "counter accept"),
        ("one-packet-filter", "counter drop", "counter accept"),
        ("one-packet-offload", "counter drop", "counter accept"),
        ("one-packet-clash", "masquerade", "accept"),
        ("two-clients", "kind: nat, outside: wan", "kind: router"),
        ("large-answers", "counter drop", "counter accept"),
        ("tcp-loss", "loss: 5%", "loss: 0%"),
    ],
)
def test_without_its_cause_the_lab_shows_something_else(name, cause, harmless, tmp_path):
    scenario = read(library.find(name))
    text = scenario.topology.read_text()
    assert cause in text
    changed = tmp_path / "changed.yaml"
    changed.write_text(text.replace(cause, harmless))
    assert not played(replace(scenario, topology=changed)).passed
