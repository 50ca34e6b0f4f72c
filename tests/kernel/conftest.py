"""Labs of these tests live in a state directory of their own and are gone after each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.kernel import listing, marks, ownership, teardown


def traces(state: str) -> list[str]:
    """Whatever a lab of this state directory would leave on the machine."""
    found = [f"directory {path}" for path in Path(state).glob("*")]
    found += [
        f"name {path}"
        for path in Path(listing.DIRECTORY).glob("*")
        if listing.is_ours(str(path), state)
    ]
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    found += [f"mount {line.split()[4]}" for line in mounts if f" {state}/" in line]
    for pid in marks.pids():
        mark = marks.read(pid)
        if mark and mark.state == state:
            found.append(f"process {pid} {marks.command(pid)}")
    return found


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    directory = str(tmp_path / "state")
    monkeypatch.setenv("NETLAB_STATE_DIR", directory)
    yield directory
    for lab in list(ownership.labs()):
        claim = ownership.lock(lab)
        if claim:
            teardown.remove(claim)
    assert traces(directory) == []
