"""A pattern that backtracks ends when its time is over, wherever it is looked for."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from netlab.lab import patterns, programs

FOREVER = r"^(a+)+$"
TEXT = "a" * 64 + "!"


def test_it_is_found_or_not():
    assert patterns.found("^ready$", "not yet\nready\n", 5)
    assert not patterns.found("^ready$", "not ready\n", 5)
    with pytest.raises(patterns.TookTooLong):
        patterns.found("x", "x", 0)


def test_it_ends_in_the_main_thread():
    with pytest.raises(patterns.TookTooLong):
        patterns.found(FOREVER, TEXT, 0.2)


def test_it_ends_in_other_threads():
    seen: list[object] = []

    def look() -> None:
        seen.append(patterns.found("^ready$", "not yet\nready\n", 20))
        try:
            patterns.found(FOREVER, TEXT, 0.5)
        except patterns.TookTooLong as error:
            seen.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(60)
    assert seen[0] is True
    assert isinstance(seen[1], patterns.TookTooLong)


def test_an_alarm_of_the_caller_still_comes():
    came: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: came.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(patterns.TookTooLong):
            patterns.found(FOREVER, TEXT, 0.1)
        assert not came
        end = time.monotonic() + 30
        while not came and time.monotonic() < end:
            time.sleep(0.01)
        assert came == [signal.SIGALRM]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_log_is_read_once_and_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_PART", 64)
    monkeypatch.setattr(programs, "_OVERLAP", 32)
    path = tmp_path / "log"
    path.write_text("x" * 100 + "\nread")
    log = programs._Log(str(path), "^ready$\n^again$", time.monotonic() + 60)
    assert not log.matches()
    with path.open("a") as stream:
        stream.write("y\naga")
    assert not log.matches()
    with path.open("a") as stream:
        stream.write("in\n")
    read_before = log._read
    assert log.matches()
    assert log._read == read_before + 3


def test_a_line_begins_only_where_it_does(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_PART", 64)
    monkeypatch.setattr(programs, "_OVERLAP", 32)
    path = tmp_path / "log"
    path.write_text("-" * 200 + "ready" * 20)
    assert not programs._Log(str(path), "^ready", time.monotonic() + 60).matches()
