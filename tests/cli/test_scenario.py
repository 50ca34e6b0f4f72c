"""``list``, ``run``, ``demo`` as a user types them."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import subprocess
import termios
import time

import pytest

from netlab.cli import main
from netlab.scenario import bundled
from netlab.scenario.read import read
from tests.helpers.commands import NETLAB


def test_list_names_them_all(capsys):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert "one-packet-offload" in printed
    assert main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(row["title"] for row in rows)


@pytest.mark.parametrize(
    "argv", [["run"], ["run", "--all", "two-clients"], ["run", "--all", "--keep"], ["run", "no"]]
)
def test_wrong_usage(argv, capsys):
    assert main(argv) == 2
    assert re.search(r"error\[E91[02]\]", capsys.readouterr().err)


def test_patience_gives_each_step_so_many_times_as_long():
    scenario = read(bundled.find("one-packet-filter"))
    slower = scenario.with_patience(3)
    assert [step.timeout for step in slower.steps] == [3 * s.timeout for s in scenario.steps]
    with pytest.raises(SystemExit):
        main(["run", "one-packet-filter", "--patience", "0"])


@pytest.mark.kernel
@pytest.mark.usefixtures("netlab_leaves_no_trace")
def test_run_prints_json_and_writes_a_report(capsys, tmp_path):
    assert main(["run", "one-packet-filter", "--json", "--report", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == [
        "scenario", "passed", "runs", "digest", "digests_equal",
        "expectations", "fates", "seed", "environment",
    ]  # fmt: skip
    assert found["fates"][1]["by"] == "first-packet-only"
    page = (tmp_path / "one-packet-filter.html").read_text()
    assert page.count("<svg ") >= 4
    assert "first-packet-only" in page
    assert "✅" in (tmp_path / "one-packet-filter.md").read_text()
    assert json.loads((tmp_path / "one-packet-filter.json").read_text()) == found
    assert 'href="one-packet-filter.html"' in (tmp_path / "index.html").read_text()


@pytest.mark.kernel
@pytest.mark.usefixtures("netlab_leaves_no_trace")
def test_a_run_is_replayed_from_its_json(capsys, tmp_path):
    file = tmp_path / "outcome.json"
    main(["run", "one-packet-filter", "--seed", "7", "--json"])
    outcome = json.loads(capsys.readouterr().out)
    file.write_text(json.dumps(outcome))
    assert main(["run", "--replay", str(file), "--json"]) == 0
    again = capsys.readouterr()
    assert "same result as before" in again.err
    assert json.loads(again.out) == outcome  # seed and hashes, too
    outcome["environment"]["kernel"] = "2.6.32"
    file.write_text(json.dumps([{**outcome, "scenario": "other"}, {**outcome, "digest": "0" * 64}]))
    assert main(["run", "one-packet-filter", "--replay", str(file)]) == 1
    told = capsys.readouterr().err
    assert "kernel 2.6.32 then" in told
    assert "result differs from 000" in told


@pytest.mark.kernel
@pytest.mark.usefixtures("netlab_leaves_no_trace")
def test_a_demo_without_a_terminal_tells_all_and_does_not_stop(capsys):
    assert main(["demo", "one-packet-filter"]) == 0
    printed = capsys.readouterr().out
    assert "netlab explain one-packet-filter/client server --proto 253" in printed
    assert "## Why" in printed


def _own_terminal():
    """Lead a session whose terminal is the standard input: Ctrl-C typed there is a signal."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A program on a terminal of its own, read and typed into as a person would."""

    def __init__(self, *argv):
        self.shown = ""
        self._own, terminal = pty.openpty()
        self._process = subprocess.Popen(
            [*NETLAB, *argv],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            preexec_fn=_own_terminal,  # noqa: PLW1509 - there are no threads here
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1"},
        )
        os.close(terminal)

    def until(self, wanted):
        """What was shown since, up to ``wanted``; nothing stands for the program's end."""
        deadline = time.monotonic() + 60
        while not wanted or wanted not in self.shown:
            ready, _, _ = select.select([self._own], [], [], deadline - time.monotonic())
            assert ready, f"{wanted!r} never came: {self.shown}"
            read = b""
            with contextlib.suppress(OSError):  # EIO: nobody has the terminal any more
                read = os.read(self._own, 65536)
            if not read:
                assert not wanted, self.shown
                break
            self.shown += read.decode()
        before, _, self.shown = self.shown.partition(wanted) if wanted else (self.shown, "", "")
        return before

    def type(self, keys):
        os.write(self._own, keys)

    def end(self):
        shown = self.until("")
        os.close(self._own)
        return shown, self._process.wait(60)


STOP = "any key …"


@pytest.mark.kernel
@pytest.mark.usefixtures("netlab_leaves_no_trace")
def test_a_demo_on_a_terminal_stops_and_explains_and_any_key_goes_on():
    terminal = Terminal("demo", "one-packet-filter")
    first = terminal.until(STOP)
    assert "Five packets of a protocol that nobody knows." in first
    assert "$ netlab explain one-packet-filter/client server --proto 253" in first
    assert "✓" not in first  # nothing is done before a key is pressed
    terminal.type(b"x")
    second = terminal.until(STOP)
    assert "packets 2 to 5: denied at home by first-packet-only" in second
    assert "#2-5: client → home, died there: forward chain" in second
    assert "IPv6 passes the same filter." in second
    terminal.type(b"\x1b[C")  # an arrow: one key, three octets
    terminal.until(STOP)
    terminal.type(b"\r")
    terminal.until(STOP)
    terminal.type(b" ")
    last, code = terminal.end()
    assert "## Why" in last
    assert STOP not in last
    assert code == 0


@pytest.mark.kernel
@pytest.mark.usefixtures("netlab_leaves_no_trace")
def test_ctrl_c_ends_a_demo():
    terminal = Terminal("demo", "one-packet-filter")
    terminal.until(STOP)
    terminal.type(b"\x03")
    shown, code = terminal.end()
    assert code == 130
    assert "Traceback" not in shown
