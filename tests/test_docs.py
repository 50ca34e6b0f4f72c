"""What the pages show is what happens: their console blocks are run, in order, in a real lab."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.kernel


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def steps(page: str):
    """Each command of the console blocks with the output that the page shows."""
    for block in blocks(page, "console"):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = step.partition("\n")
            yield command, shown


def as_pattern(shown: str) -> str:
    """A pattern for the shown output: ``…`` is anything, and a time is any time."""
    pattern = re.escape(shown).replace("\\\n", "\n")
    pattern = pattern.replace("…\n", "(?:.*\n)*").replace("…", ".*")
    return re.sub(r"time=?(?:\\ )?[\d\\.]+(?:\\ )?ms", r"time.*ms", pattern)


@pytest.fixture
def run(tmp_path):
    """Run a line in a shell where `netlab` is the command and the topologies are at hand."""
    (tmp_path / "topologies").symlink_to(ROOT / "topologies")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "netlab"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m netlab "$@"\n')
    command.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "LC_ALL": "C.UTF-8",
    }

    def run(line: str) -> str:
        ran = subprocess.run(
            ["sh", "-c", line],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return ran.stdout

    yield run
    run("netlab down --all")


def check(page: str, run) -> None:
    for command, shown in steps(page):
        printed = run(command)
        assert re.fullmatch(as_pattern(shown), printed), f"$ {command}\n{printed}"


def test_the_tutorial_is_true(run, tmp_path):
    page = (ROOT / "docs" / "tutorial.md").read_text()
    [office] = blocks(page, "yaml")
    (tmp_path / "office.yaml").write_text(office)
    check(page, run)


@pytest.mark.root
def test_the_page_on_fates_is_true(run):
    check((ROOT / "docs" / "fate.md").read_text(), run)


@pytest.mark.parametrize("page", ["hdp", "one-packet-mystery"])
def test_the_pages_on_hdp_are_true(page, run):
    check((ROOT / "docs" / f"{page}.md").read_text(), run)


def test_the_readme_s_first_screen_is_true(run):
    page = (ROOT / "README.md").read_text()
    check(page[: page.index("```yaml")], run)


@pytest.mark.root
def test_the_readme_says_why_packets_died(run):
    page = (ROOT / "README.md").read_text()
    section = page[page.index("## Why did my packet die?") : page.index("## Two commands")]
    assert len(list(steps(section))) == 5
    check(section, run)


def test_the_readme_s_file_is_the_shipped_one():
    """Without comments and spacing, they describe the same lab."""
    from netlab.plan.build import build
    from netlab.topology import load, loads

    [shown] = blocks((ROOT / "README.md").read_text(), "yaml")
    shipped = build(load(ROOT / "topologies" / "nat.yaml"))
    ours = build(loads(shown, "topologies/nat.yaml"))

    def bare(plan):
        return [re.sub(r"nat\.yaml:\d+", "", repr(o)) for o in plan.operations]

    assert bare(ours) == bare(shipped)
