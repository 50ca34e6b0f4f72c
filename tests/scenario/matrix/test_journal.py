"""The journal: what was done is not done again, and nothing else is believed."""

import contextlib
import json
import os
import subprocess
import sys

import pytest

from netlab.scenario.matrix import journal
from netlab.scenario.matrix.cells import cells
from netlab.scenario.matrix.journal import Journal
from netlab.scenario.matrix.perform import Found
from netlab.scenario.packets import Packet

KEYS = ["a", "b", "c"]
PACKET = Packet(1, "UDP", "client", "denied", "box", "allow-list", ("client:eth0",), ("IP::TTL",))
FOUND = Found("udp", "allow-list", "0 denied", (PACKET,))


def interrupted(*done):
    """What was known before these were done."""
    with contextlib.suppress(KeyboardInterrupt), Journal(KEYS, Found.from_json) as kept:
        before = dict(kept.done)
        for key in done:
            kept.note(key, FOUND)
        raise KeyboardInterrupt
    return before


def test_what_was_done_is_known_after_an_interruption():
    interrupted("a", "b")
    with Journal(KEYS, Found.from_json) as kept:
        assert kept.done == {"a": FOUND, "b": FOUND}


def test_nothing_is_left_of_a_run_that_came_to_its_end():
    with Journal(KEYS, Found.from_json) as kept:
        kept.note("a", FOUND)
        assert journal.place(KEYS).exists()
    assert not journal.place(KEYS).exists()


def test_other_cells_have_another_journal():
    interrupted("a")
    with Journal(["a", "b"], Found.from_json) as kept:
        assert not kept.done


def test_fresh_forgets():
    interrupted("a")
    with Journal(KEYS, Found.from_json, fresh=True) as kept:
        assert not kept.done


TORN = [b'{"key": "b", "traf', b"\xff\n", b"[]\n", b'{"key": "b"}\n', b"\0"]


@pytest.mark.parametrize("tail", TORN)
def test_a_torn_line_counts_for_nothing_and_spoils_nothing(tail):
    interrupted("a")
    place = journal.place(KEYS)
    place.write_bytes(place.read_bytes() + tail)
    assert interrupted("c") == {"a": FOUND}
    assert [json.loads(line)["key"] for line in place.read_text().splitlines()] == ["a", "c"]


def test_while_one_has_it_another_has_none():
    with Journal(KEYS, Found.from_json) as one:
        one.note("a", FOUND)
        with Journal(KEYS, Found.from_json) as other:
            assert not other.done
            other.note("b", FOUND)
        assert journal.place(KEYS).exists()
        assert b'"b"' not in journal.place(KEYS).read_bytes()


def test_a_home_that_cannot_be_written_to_costs_the_journal_only(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with Journal(KEYS, Found.from_json) as kept:
        kept.note("a", FOUND)
        assert kept.done == {"a": FOUND}


def test_a_journal_survives_sigkill(tmp_path):
    code = (
        "import os, signal\n"
        "from netlab.scenario.matrix.journal import Journal\n"
        "from netlab.scenario.matrix.perform import Found\n"
        f"with Journal({KEYS}, Found.from_json) as kept:\n"
        "    kept.note('a', Found('udp', 'x', '3', ()))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False, env=dict(os.environ))
    with Journal(KEYS, Found.from_json) as kept:
        assert kept.done == {"a": Found("udp", "x", "3", ())}


def test_a_key_follows_from_all_that_a_result_depends_on(scenario, every_cell, monkeypatch):
    made = every_cell[:14]
    keys = [journal.key(cell) for cell in made]
    assert len({*keys}) == len(made)
    again = list(cells(scenario.steps[0].action, scenario.file, scenario.topology))[:14]
    assert [journal.key(cell) for cell in again] == keys
    monkeypatch.setattr("platform.release", lambda: "99.0")
    assert journal.key(made[0]) != keys[0]
