"""gc: every kind of leftover is found, told by --dry-run, removed, and nothing else is."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from netlab.errors import LabError, Unavailable
from netlab.lab import build, netns_names, processes, record, remove, rootless
from netlab.linux import namespaces

from .plans import star

pytestmark = pytest.mark.kernel

lists_nodes = pytest.mark.skipif(
    rootless.is_needed() or not os.access("/run", os.W_OK), reason="`ip netns` names are root's"
)


def found(*, dry_run: bool = True) -> list[tuple[str, str]]:
    return [(left.kind, left.what) for left in remove.gc(dry_run=dry_run)]


def test_a_claim_whose_maker_died(state: str) -> None:
    aside = Path(state, f".half.1234.{'0' * 32}")
    (aside / "ns").mkdir(parents=True)
    namespaces.in_thread(lambda: namespaces.mount_netns_dir(str(aside / "ns")))
    assert found() == [("claim", str(aside))]
    assert aside.exists()
    assert found(dry_run=False) == [("claim", str(aside))]
    assert found() == []
    assert not aside.exists()


def test_a_claim_that_is_being_made_is_left_alone(state: str) -> None:
    aside = Path(state, f".half.1234.{'0' * 32}")
    aside.mkdir(parents=True)
    lock = record.lock_directory(str(aside))
    assert lock is not None
    assert found(dry_run=False) == []
    os.close(lock)
    assert found(dry_run=False) == [("claim", str(aside))]


def test_what_is_not_ours_is_left_alone(state: str) -> None:
    """Somebody may have pointed NETLAB_STATE_DIR at a directory with other things in it."""
    others = [Path(state, "letters"), Path(state, ".config"), Path(state, ".a.b.c")]
    for other in others:
        other.mkdir(parents=True)
        (other / "dear.txt").write_text("hello")
    Path(state, "broken").mkdir()
    Path(state, "broken", "lab.json").write_text("{")
    assert found(dry_run=False) == []
    assert all((other / "dear.txt").exists() for other in others)
    for path in sorted(Path(state).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.usefixtures("state")
def test_a_lab_whose_namespaces_are_gone() -> None:
    a_plan = star("gone", 1)
    claim = build.claim(a_plan, listed=False)
    build.build(a_plan, claim)
    namespaces.detach(claim.lab.netns_dir)
    if not claim.lab.record.rootless:
        assert found(dry_run=False) == [("lab", "gone")]


@pytest.mark.usefixtures("state")
def test_a_program_whose_lab_is_gone() -> None:
    a_plan = star("astray", 1)
    claim = build.claim(a_plan, listed=False, library=True)
    build.build(a_plan, claim)
    elsewhere = {**processes.environment(claim.lab, "h0"), "NETLAB_TOKEN": "f" * 32}
    path = claim.lab.namespace("h0")
    stray = namespaces.inside(path, lambda: subprocess.Popen(["/bin/sleep", "60"], env=elsewhere))
    assert found() == [("process", str(stray.pid))]
    assert found(dry_run=False) == [("process", str(stray.pid))]
    assert stray.wait(5) == -15
    remove.remove(claim)


@pytest.mark.usefixtures("state")
def test_a_marked_process_outside_of_any_lab_is_left_alone() -> None:
    """Such as a service that somebody restarted from a shell in a node."""
    environment = {
        "NETLAB_STATE_DIR": record.state_directory(),
        "NETLAB_TOKEN": "f" * 32,
        "NETLAB_NODE": "h0",
    }
    with subprocess.Popen(["/bin/sleep", "60"], env=environment) as outside:
        assert found(dry_run=False) == []
        assert outside.poll() is None
        outside.kill()


@lists_nodes
def test_a_name_whose_lab_is_gone(state: str) -> None:
    a_plan = star("kshown", 1)
    claim = build.claim(a_plan, listed=True, library=True)
    build.build(a_plan, claim)
    shown = json.loads(subprocess.check_output(["ip", "-j", "netns", "list"]))
    assert {"kshown.hub", "kshown.h0"} <= {row["name"] for row in shown}
    answer = subprocess.check_output(["ip", "netns", "exec", "kshown.h0", "ip", "addr"], text=True)
    assert "10.0.0.2/30" in answer
    remove.remove(claim)
    Path(netns_names.DIRECTORY).mkdir(exist_ok=True)
    stray = Path(netns_names.DIRECTORY, "kshown.left")
    stray.symlink_to(f"{state}/kshown/ns/left")
    assert found() == [("name", str(stray))]
    assert found(dry_run=False) == [("name", str(stray))]
    assert not stray.is_symlink()


@lists_nodes
@pytest.mark.usefixtures("state")
def test_a_taken_name_is_refused_and_kept() -> None:
    directory = Path(netns_names.DIRECTORY)
    made = not directory.exists()
    directory.mkdir(exist_ok=True)
    taken = directory / "ktaken.h0"
    taken.touch()
    try:
        with pytest.raises(LabError, match=r"already has a namespace ktaken\.h0"):
            build.claim(star("ktaken", 1), listed=True)
        assert taken.exists()
    finally:
        taken.unlink()
        if made:
            directory.rmdir()


def test_a_state_directory_that_others_may_write_to_is_refused(state: str) -> None:
    Path(state).mkdir()
    Path(state).chmod(0o777)
    with pytest.raises(Unavailable, match="others may write to it"):
        build.claim(star("kopen", 1), listed=False)
    for question in (record.labs, record.state_directory):
        with pytest.raises(Unavailable, match="belongs to another user"):
            list(question())
    Path(state).chmod(0o755)


def test_a_lab_that_was_replaced_is_not_taken_for_the_old_one(state: str) -> None:
    assert state
    a_plan = star("again", 1)
    first = build.claim(a_plan, listed=False)
    remove.remove(first)
    second = build.claim(a_plan, listed=False)
    second.close()
    assert record.lock(first.lab) is None
    assert remove.is_dead(first.lab) == ""
    assert remove.is_dead(second.lab) != ""


def test_a_relative_state_directory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETLAB_STATE_DIR", "labs")
    with pytest.raises(Unavailable, match="not an absolute path"):
        record.state_directory()


def test_a_state_directory_that_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NETLAB_STATE_DIR", f"{tmp_path}/file/labs")
    with pytest.raises(Unavailable, match="cannot make"):
        build.claim(star("knowhere", 1), listed=False)
