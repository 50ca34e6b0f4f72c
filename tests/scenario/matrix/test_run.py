"""The matrix in real labs: what ships, the same again, in part, interrupted, and in a cluster."""

import json
import multiprocessing
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from netlab.cli import main
from netlab.lab import record
from netlab.scenario.matrix import journal
from netlab.scenario.matrix.cells import cells
from netlab.scenario.matrix.options import MatrixOptions
from netlab.scenario.matrix.perform import perform
from netlab.scenario.matrix.run import part
from netlab.scenario.matrix.select import select
from netlab.scenario.run import play, repeat
from tests.helpers.commands import NETLAB
from tests.helpers.commands import started as netlab
from tests.helpers.waiting import wait_for

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("netlab_leaves_no_trace")]

SOME = "udp,number-99,kernel-tcp x allow-list,duplicator"
FEW = "udp,hdp x *cone,cloud,linux"

PATIENCE = 300
"""Seconds for what takes two on a machine that has nothing else to do."""


def test_a_part_of_it_passes_and_comes_to_the_same_again(scenario):
    outcome = repeat(scenario, 2, how=MatrixOptions(only=SOME, jobs=2))
    assert not [v for run in outcome.runs for v in run.verdicts if not v.passed]
    assert outcome.digests_equal
    found = {(cell.traffic, cell.obstacle): cell for cell in outcome.telling.done[0].cells}
    assert len(found) == 6
    denied = found["number-99", "allow-list"]
    ends = {(packet.disposition, packet.at, packet.by) for packet in denied.packets}
    assert ends == {("denied", "box", "allow-list at box")}
    assert not denied.survived
    assert found["kernel-tcp", "allow-list"].survived
    assert found["kernel-tcp", "allow-list"].packets[0].what == "SYN"


@pytest.mark.parametrize("kind", ["our-tcp", "stateless-tcp"])
def test_a_tcp_that_is_a_program_talks_through_a_nat(every_cell, kind):
    [cell] = [c for c in every_cell if (c.traffic, c.obstacle) == (kind, "symmetric")]
    found = perform(cell)
    assert found.text == "works"
    assert found.packets[0].what == "SYN"
    assert "SYN+ACK" in [packet.what for packet in found.packets]
    assert "box IP::Src" in found.packets[0].changes


@pytest.mark.soak
def test_all_of_it_passes_and_comes_to_the_same_again(scenario):
    outcome = repeat(scenario, 3)
    assert not [v for run in outcome.runs for v in run.verdicts if not v.passed]
    assert outcome.digests_equal


def test_without_its_rule_an_obstacle_is_none(scenario):
    step = scenario.steps[0]
    harmless = tuple(
        replace(each, node=replace(each.node, entries={})) if each.name == "allow-list" else each
        for each in step.action.obstacles
    )
    changed = replace(step, action=replace(step.action, obstacles=harmless))
    run = play(
        replace(scenario, steps=(changed,)), how=MatrixOptions(only="hdp x allow-list", jobs=1)
    )
    [verdict] = run.verdicts
    assert not verdict.passed
    assert "not there: allow-list/0 denied; not expected: allow-list/3" in verdict.observed


def test_without_tun_devices_the_rest_is_chosen_and_what_is_not_is_told(scenario, monkeypatch):
    def no_tun(path, *_):
        raise PermissionError(13, "Permission denied")

    matrix = scenario.steps[0].action
    told: list[str] = []
    how = MatrixOptions(only="udp,*-tcp x allow-list", report=told.append)
    with monkeypatch.context() as patched:
        patched.setattr("os.open", no_tun)
        assert part(matrix, how).traffic == ("udp", "kernel-tcp")
        assert told == ["left out: our-tcp, stateless-tcp (/dev/net/tun: Permission denied)"]
        assert part(matrix, how._replace(scheduler="tcp://x")).traffic[-1] == "stateless-tcp"
        assert part(matrix, how._replace(only="udp")).traffic == ("udp",)
    assert len(told) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_lab_and_goes_on_where_it_stopped(
    scenario, netlab_state, number
):
    step = scenario.steps[0]
    wanted = cells(select(step.action, FEW), scenario.file, scenario.topology)
    place = journal.place([journal.key(cell) for cell in wanted])
    process = netlab("run", "matrix", "--only", FEW, "-j", "1")

    def has_begun():
        assert process.poll() is None, process.communicate()
        return place.exists() and place.read_text().count("\n") >= 2

    wait_for(has_begun, "no cell was done")
    process.send_signal(number)
    process.communicate(timeout=PATIENCE)
    assert process.returncode in (130, -signal.SIGKILL)
    wait_for(lambda: not list(record.labs()), "a lab is left")

    done = place.read_text().count("\n")
    assert 2 <= done < 8
    counts: list[tuple[int, int]] = []
    told: list[str] = []
    how = MatrixOptions(
        only=FEW, jobs=1, progress=lambda done, of: counts.append((done, of)), report=told.append
    )
    assert play(scenario, how=how).passed
    assert counts == [(n, 8) for n in range(done, 9)]
    assert told == [f"{done} of 8 cells were done before the interruption"]
    assert not place.exists()


def test_a_worker_that_is_killed_is_told(scenario):
    def kill(done, _):
        if done == 1:
            for child in multiprocessing.active_children():
                child.kill()

    run = play(scenario, how=MatrixOptions(only=FEW, jobs=1, progress=kill))
    assert "E917" in run.verdicts[0].observed
    subprocess.run([*NETLAB, "gc"], check=True, capture_output=True)


def test_a_scheduler_and_workers_of_dask_in_processes_of_their_own(tmp_path, netlab_state):
    pytest.importorskip("distributed")
    file = tmp_path / "scheduler.json"
    null = subprocess.DEVNULL

    def dask(role, *options):
        module = [sys.executable, "-m", f"distributed.cli.dask_{role}", "--no-dashboard"]
        argv = [*module, "--scheduler-file", str(file), *options]
        return subprocess.Popen(argv, stdout=null, stderr=null)

    one = ["--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path)]
    processes = [dask("scheduler", "--port", "0", "--host", "127.0.0.1")]
    try:
        processes += [dask("worker", *one), dask("worker", *one)]
        wait_for(file.exists, "no scheduler")
        address = json.loads(file.read_text())["address"]
        run = netlab("run", "matrix", "--only", FEW, "--scheduler", address, "--json")
        printed, errors = run.communicate(timeout=PATIENCE)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert run.returncode == 0, errors
    found = json.loads(printed)
    assert found["passed"]
    assert len(found["cells"]) == 8


def test_a_scheduler_that_is_not_there(netlab_state):
    pytest.importorskip("distributed")
    run = netlab("run", "matrix", "--only", "udp x linux", "--scheduler", "nonsense://x")
    _, errors = run.communicate(timeout=PATIENCE)
    assert run.returncode == 2
    assert "error[E916]: no scheduler answers at nonsense://x" in errors


def test_the_part_that_was_played_is_replayed(netlab_state, tmp_path, capsys):
    assert main(["run", "matrix", "--only", "udp x every-nth", "--json"]) == 0
    file = tmp_path / "outcome.json"
    file.write_text(capsys.readouterr().out)
    assert main(["run", "--replay", str(file), "--json"]) == 0
    told = capsys.readouterr()
    assert "same result as before" in told.err
    assert len(json.loads(told.out)["cells"]) == 1
