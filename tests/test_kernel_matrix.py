"""The kernel matrix: which jobs there are, how one is run in its time, how all are judged."""

import json
import sys
from pathlib import Path

import pytest

from netlab.scenario import bundled
from tests.helpers.waiting import wait_for

VM = Path(__file__).parents[1] / "scripts" / "vm"


@pytest.fixture
def vm(monkeypatch):
    """The modules of scripts/vm by name, which are a program and not a package."""
    monkeypatch.syspath_prepend(str(VM))
    yield __import__
    for name in ("guest", "jobs", "kernel", "machine", "report", "root"):
        sys.modules.pop(name, None)


def test_all_scenarios_but_the_matrix_are_played(vm):
    played = {job.name for job in vm("jobs").full() if job.name.startswith("scenario ")}
    assert played == {f"scenario {name}" for name in bundled.names()} - {"scenario matrix"}
    assert {job.name for job in vm("jobs").short()} <= {job.name for job in vm("jobs").full()}


def test_every_room_of_tests_is_run_once(vm):
    *rooms, rest = vm("jobs").rooms()
    for room in rooms:
        assert f"--ignore={room.name}" in rest.command
    places = (VM.parents[1] / "tests").glob("*/test_*.py")
    assert {f"tests/{place.parent.name}" for place in places} == {room.name for room in rooms}


def test_a_module_comes_after_what_it_needs(vm, tmp_path):
    (tmp_path / "modules.dep").write_text(
        "kernel/9p.ko.xz: kernel/netfs.ko.xz kernel/9pnet.ko.xz\n"
        "kernel/9pnet.ko.xz:\n"
        "kernel/netfs.ko.xz:\n"
        "kernel/9pnet_virtio.ko.xz: kernel/9pnet.ko.xz\n"
        "kernel/nothing.ko.xz:\n"
    )
    order = [path.name.split(".")[0] for path in vm("kernel")._in_order(tmp_path)]
    assert order == ["9pnet", "9pnet_virtio", "netfs", "9p"]


def test_a_job_records_what_it_printed_and_how_it_ended(vm, tmp_path, monkeypatch):
    guest = vm("guest")
    monkeypatch.setattr(guest, "CHECKOUT", str(tmp_path))
    command = ["sh", "-c", "echo out; echo err >&2; exit 3"]
    record = guest.run({"name": "a", "command": command, "timeout": 30}, None)
    assert (record["exit"], record["out"], record["err"]) == (3, "out\n", "err\n")


def test_a_job_ends_with_its_time_and_all_that_it_started(vm, tmp_path, monkeypatch):
    guest = vm("guest")
    monkeypatch.setattr(guest, "CHECKOUT", str(tmp_path))
    command = ["sh", "-c", "sleep 300 & echo $!; wait"]
    record = guest.run({"name": "a", "command": command, "timeout": 1}, None)
    assert record["exit"] is None
    started = Path("/proc", record["out"].strip(), "stat")
    wait_for(lambda: not started.exists() or ") Z " in started.read_text())


def outcome(name: str, digest: str, code: int = 0) -> str:
    out = json.dumps({"digest": digest})
    return json.dumps({"name": name, "exit": code, "seconds": 2.5, "out": out, "err": ""}) + "\n"


def test_each_job_is_judged_by_its_end_its_words_and_its_digest(vm, tmp_path):
    jobs, report = vm("jobs"), vm("report")
    here, there = tmp_path / "here", tmp_path / "there"
    for place in (here, there):
        place.mkdir()
    asked = [jobs.scenario(name) for name in ("one", "two", "three", "four")]
    asked.append(jobs.Job("case", ("true",), prints="^died in b$"))
    (here / "results.jsonl").write_text("".join(outcome(job.name, "d") for job in asked[:4]))
    (there / "results.jsonl").write_text(
        outcome("scenario one", "d") + outcome("scenario two", "e")
        + outcome("scenario three", "d", code=1) + outcome("case", "")
    )  # fmt: skip
    reference = report.judge(asked[:4], report.records(here), None)
    assert not any(result.fault for result in reference.values())
    found = report.judge(asked, report.records(there), reference)
    assert [result.fault for result in found.values()] == [
        "", "other digest", "FAILED (1)", "did not run", "FAILED (other words)",
    ]  # fmt: skip
    assert report.table({"running": reference, "6.1": found}).splitlines()[2:] == [
        "| scenario one | 2 s | 2 s |",
        "| scenario two | 2 s | other digest |",
        "| scenario three | 2 s | FAILED (1) |",
        "| scenario four | 2 s | did not run |",
        "| case |  | FAILED (other words) |",
    ]
