"""``logs``: what programs printed, whole or as it grows."""

import os
import select
import subprocess
import time

import pytest

from netlab.cli.logs import _visible
from tests.cli.test_labs import ROOT
from tests.helpers.commands import NETLAB
from tests.helpers.commands import printed as netlab

TEXT = """\
name: {name}
nodes:
  talker:
    programs:
      one:
        run: [sh, -c, 'echo "first of one"; while read line </srv/pipe; do echo "$line"; done']
        ready: {{log: first}}
      two:
        run: [sh, -c, 'echo "first of two"; printf unfinished; exec sleep 1000']
        ready: {{log: unfinished}}
  quiet:
links: [{{ends: [talker:eth0, quiet:eth0], subnet: 10.9.0.0/24}}]
"""

pytestmark = pytest.mark.kernel


@pytest.fixture
def lab(tmp_path):
    """A lab of a name of its own: a node with two programs, and one without."""
    name = f"logs-{os.getpid()}"
    file = tmp_path / "talk.yaml"
    file.write_text(TEXT.format(name=name).replace("/srv/pipe", str(tmp_path / "pipe")))
    os.mkfifo(tmp_path / "pipe")
    netlab("up", str(file))
    yield name
    if name in netlab("status"):
        netlab("down", name)


def test_a_program_a_node_and_a_lab_print_their_logs(lab):
    assert netlab("logs", f"{lab}/talker/one") == "first of one\n"
    lines = netlab("logs", f"{lab}/talker").splitlines()
    assert "talker/one: first of one" in lines
    assert "talker/two: unfinished" in lines
    assert netlab("logs", lab).splitlines() == lines


def test_a_lab_need_not_be_named_if_it_is_the_only_one(lab):
    assert netlab("logs", "talker/one") == "first of one\n"
    assert "talker/two: first of two" in netlab("logs")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("{lab}/talker/on", "E441"),
        ("{lab}/quiet/one", "hint: it has none"),
        ("{lab}/talk", "did you mean talker?"),
        ("nowhere/talker/one", "E403"),
        ("{lab}/talker/one/more", "E442"),
    ],
)
def test_what_is_not_there_is_named(lab, words, said):
    assert said in netlab("logs", words.format(lab=lab), code=1)


def test_a_node_without_programs_says_so(lab):
    assert netlab("logs", f"{lab}/quiet") == ""


def test_followed_logs_grow_and_end_with_the_lab(lab, tmp_path):
    argv = [*NETLAB, "logs", f"{lab}/talker/one", "-f"]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE) as following:
        try:
            assert _line(following) == b"first of one\n"
            (tmp_path / "pipe").write_text("it grew\n")
            assert _line(following) == b"it grew\n"
            netlab("down", lab)
            assert following.wait(30) == 0
        finally:
            following.kill()


def _line(process: subprocess.Popen[bytes]) -> bytes:
    """The next line, or what there is of it after half a minute."""
    assert process.stdout
    fd = process.stdout.fileno()
    found, end = b"", time.monotonic() + 30
    while not found.endswith(b"\n") and select.select([fd], [], [], 30)[0]:
        found += os.read(fd, 1)
        assert time.monotonic() < end
    return found


def test_control_characters_are_shown_and_not_obeyed():
    assert _visible("\x1b") == "\\x1b"
    assert _visible("\r") == ""
