"""Labs of these tests live in a state directory of their own and are gone after each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.lab import netns_names, processes, record, remove


def traces(state: str) -> list[str]:
    """Whatever a lab of this state directory would leave on the machine."""
    found = [f"directory {path}" for path in Path(state).glob("*")]
    found += [
        f"name {path}"
        for path in Path(netns_names.DIRECTORY).glob("*")
        if netns_names.is_ours(str(path), state)
    ]
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    found += [f"mount {line.split()[4]}" for line in mounts if f" {state}/" in line]
    found += [f"process {p.pid} {p.command}" for p, _ in processes.belonging(state)]
    return found


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    directory = str(tmp_path / "state")
    monkeypatch.setenv("NETLAB_STATE_DIR", directory)
    yield directory
    for lab in list(record.labs()):
        claim = record.lock(lab)
        if claim:
            remove.remove(claim)
    assert traces(directory) == []
