"""A remembered plan is used for exactly what it was made from, and never believed otherwise."""

import os
import threading
from pathlib import Path

import pytest

from netlab.errors import InputError
from netlab.lab import plan_cache
from netlab.plan.operations import Plan, StartProgram

TEXT = """\
nodes: {a: {}, b: {}}
links:
  - ends: [a:eth0, b:eth0]
    middleboxes: [{python: "box.py:Box"}]
"""
BOX = "from netlab.middlebox import Middlebox\nclass Box(Middlebox):\n    pass\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "netlab-lab" / "plans"


def write(directory: Path, box: str = BOX) -> Path:
    directory.mkdir()
    (directory / "lab.yaml").write_text(TEXT)
    (directory / "box.py").write_text(box)
    return directory


def box_of(plan: Plan) -> str:
    [start] = [o for o in plan.operations if isinstance(o, StartProgram)]
    return str(start.arguments[0]["python"])


def recalled(file: str) -> bool:
    text = plan_cache._read(file)
    assert text is not None
    return plan_cache._recall(plan_cache._entry(file, text), file, text) is not None


def test_equal_texts_in_two_directories_are_two_plans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        monkeypatch.chdir(write(tmp_path / name))
        for _ in range(2):
            assert box_of(plan_cache.plan_of("lab.yaml")) == f"{tmp_path}/{name}/box.py:Box"


def test_a_changed_box_is_checked_again(tmp_path: Path) -> None:
    place = write(tmp_path / "one")
    file = str(place / "lab.yaml")
    plan_cache.plan_of(file)
    assert recalled(file)
    (place / "box.py").write_text("class Other:\n    pass\n")
    assert not recalled(file)
    with pytest.raises(InputError, match="has no class `Box`"):
        plan_cache.plan_of(file)


def test_no_flipped_bit_is_believed(tmp_path: Path, cache: Path) -> None:
    file = str(write(tmp_path / "one") / "lab.yaml")
    plan = plan_cache.plan_of(file)
    [entry] = cache.iterdir()
    whole = entry.read_bytes()
    for place in range(0, len(whole), 7):
        entry.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert not recalled(file)
    assert plan_cache.plan_of(file) == plan


def test_deep_nesting_is_no_plan(tmp_path: Path, cache: Path) -> None:
    import zlib

    file = str(write(tmp_path / "one") / "lab.yaml")
    plan = plan_cache.plan_of(file)
    [entry] = cache.iterdir()
    deep = b"[" * 200_000
    entry.write_bytes(b"%08x\n" % zlib.crc32(deep) + deep)
    assert not recalled(file)
    assert plan_cache.plan_of(file) == plan


def test_only_entries_are_pruned(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_cache, "ENTRIES", 1)
    cache.mkdir(parents=True, mode=0o700)
    for name in ("letter.txt", "0123.json", "01234567.json"):
        (cache / name).write_text("")
        os.utime(cache / name, (0, 0))
    plan_cache.plan_of(str(write(tmp_path / "one") / "lab.yaml"))
    left = {path.name for path in cache.iterdir()}
    assert {"letter.txt", "0123.json"} < left
    assert "01234567.json" not in left


def test_a_directory_that_others_may_exchange_is_not_used(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    file = str(write(tmp_path / "one") / "lab.yaml")
    plan_cache.plan_of(file)
    assert list(cache.glob("*")) == []


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "lab.yaml"
    os.mkfifo(pipe)
    failed = []

    def plan() -> None:
        with pytest.raises(InputError, match="not a regular file"):
            plan_cache.plan_of(str(pipe))
        failed.append(pipe)

    thread = threading.Thread(target=plan, daemon=True)
    thread.start()
    thread.join(60)
    assert failed == [pipe]
