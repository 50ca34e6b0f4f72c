"""What the pages show is what happens: their console blocks are run, in order, in a real lab."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from netlab.scenario import bundled

ROOT = Path(__file__).parents[1]

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    for link in links:
        if re.match(r"https?://|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_picture_is_shown_and_is_one():
    shown = {
        p for page in PAGES for p in re.findall(r"\((?:docs/)?pictures/([^)]+)\)", page.read_text())
    }
    there = {path.name: path for path in (ROOT / "docs" / "pictures").iterdir()}
    assert shown == set(there)
    for path in there.values():
        assert ET.parse(path).getroot().tag.endswith("svg")


PICTURES = runpy.run_path(str(ROOT / "scripts" / "pictures.py"))


def test_the_pictures_of_labs_are_up_to_date():
    for name, lab in PICTURES["LABS"].items():
        drawn = PICTURES["graph"].svg(PICTURES["load"](ROOT / "topologies" / f"{lab}.yaml"))
        assert (ROOT / "docs" / "pictures" / f"{name}.svg").read_text() == drawn, "run `make docs`"


@pytest.mark.kernel
@pytest.mark.root
@pytest.mark.soak
def test_the_pictures_of_packets_are_up_to_date(netlab_leaves_no_trace):
    for name, drawn in PICTURES["pictures"]().items():
        assert (ROOT / "docs" / "pictures" / f"{name}.svg").read_text() == drawn, "run `make docs`"


def test_the_lesson_has_five_commands_and_ninety_minutes():
    page = (ROOT / "docs" / "lesson-nat.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", page, re.MULTILINE)
    assert sum(int(minutes) for minutes, _ in rows) == 90
    commands = [command for _, command in rows if command.startswith("`")]
    assert len(commands) == 5
    names = {command.strip("`").removeprefix("netlab demo ") for command in commands}
    assert names <= set(bundled.names())
    for minutes, command in rows[1:]:
        assert f"## {minutes} minutes: {command}\n" in page
    played = re.findall(r"netlab (?:run|demo) ([a-z-]+)`", page)
    assert set(played) <= set(bundled.names())


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


@pytest.mark.kernel
def test_the_tutorial_is_true(run, tmp_path):
    page = (ROOT / "docs" / "tutorial.md").read_text()
    [office] = blocks(page, "yaml")
    (tmp_path / "office.yaml").write_text(office)
    check(page, run)


@pytest.mark.kernel
def test_the_page_on_writing_scenarios_is_true(run, tmp_path):
    page = (ROOT / "docs" / "writing-scenarios.md").read_text()
    for name, content in zip(("provider.yaml", "claim.yaml"), blocks(page, "yaml"), strict=True):
        assert f"`{name}`:\n\n```yaml" in page
        (tmp_path / name).write_text(content)
    check(page, run)


@pytest.mark.kernel
@pytest.mark.root
def test_the_page_on_fates_is_true(run):
    check((ROOT / "docs" / "fate.md").read_text(), run)


@pytest.mark.kernel
@pytest.mark.parametrize("page", ["hdp", "one-packet-mystery"])
def test_the_pages_on_hdp_are_true(page, run):
    check((ROOT / "docs" / f"{page}.md").read_text(), run)


@pytest.mark.kernel
def test_the_page_on_exercises_is_true(run):
    check((ROOT / "docs" / "exercises.md").read_text(), run)


@pytest.mark.kernel
def test_the_page_on_meeting_is_true(run):
    check((ROOT / "docs" / "meet.md").read_text(), run)


@pytest.mark.kernel
def test_the_readme_s_first_screen_is_true(run):
    page = (ROOT / "README.md").read_text()
    check(page[: page.index("```yaml")], run)


@pytest.mark.kernel
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


@pytest.mark.kernel
def test_the_readme_s_program_runs_as_it_is_shown(run, tmp_path):
    program = next(b for b in blocks((ROOT / "README.md").read_text(), "python") if "Lab(" in b)
    (tmp_path / "program.py").write_text(program)
    assert "1 received" in run(f"{sys.executable} program.py")
