"""A folder of submissions becomes a table; no submission reaches another, or lasts."""

import csv
import io
import json

import pytest

from netlab.scenario.exercise import grade
from netlab.scenario.exercise.work import Part, Work, markdown
from netlab.scenario.judge import Verdict
from tests.cli.test_labs import ROOT
from tests.helpers.commands import printed as netlab

GIVEN = ROOT / "topologies/exercises/missing-gateway.yaml"
SOLUTION = ROOT / "scenarios/exercises/solutions/missing-gateway.yaml"


def work(name: str, text: str = "expected", *, passed: bool = False) -> Work:
    part = Part("a step", 2, (Verdict(text, passed, "seen"),))
    return Work("exercise", "About it", name, (part,))


def test_csv_is_read_back_and_no_cell_is_a_formula():
    hostile = ['=cmd|"/c calc"!A1', "+1", "-1", "@x", 'quo"te, comma', "two\nlines"]
    text = grade.csv_text([work(name, name) for name in hostile])
    [head, *rows] = csv.reader(io.StringIO(text))
    assert tuple(head) == grade.COLUMNS
    assert [row[0].removeprefix("'") for row in rows] == hostile
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_a_page_shows_hostile_text_as_text():
    page = markdown(work("<script>alert(1)</script>.yaml", "| [a](javascript:x) *b* `c`"))
    assert "<script>" not in page
    assert "\\<script\\>" in page
    assert "\\| \\[a\\]" in page


def test_submissions_are_files_below_the_folder_and_no_links(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("b.yaml", "a/c.yml", "notes.txt", ".hidden/d.yaml"):
        (tmp_path / name).write_text("nodes: {}\n")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "b.yaml")
    found = [str(path.relative_to(tmp_path)) for path in grade.submissions(tmp_path)]
    assert found == ["a/c.yml", "b.yaml"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: None, "is not a directory"),
        (lambda d: d.mkdir(), "no topology file is in"),
    ],
)
def test_a_folder_without_submissions_is_refused(tmp_path, make, said):
    make(tmp_path / "works")
    refused = netlab("grade", str(tmp_path / "works"), code=2)
    assert "E925" in refused
    assert said in refused


@pytest.mark.kernel
def test_each_gets_its_points_and_a_page(tmp_path):
    works = tmp_path / "works"
    (works / "dora").mkdir(parents=True)
    (works / "anna.yaml").write_text(SOLUTION.read_text())
    (works / "boris.yaml").write_text(GIVEN.read_text())
    (works / "clara.yaml").write_text("nodes: [")
    (works / "dora" / "locked.yaml").write_text(
        SOLUTION.read_text().replace("router: {kind: router}", "router: {kind: nat, outside: wan}")
    )
    printed = netlab(
        "grade", str(works), "--exercise", "missing-gateway", "--csv", "--report",
        str(tmp_path / "pages"), "-j", "2", code=1,
    )  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert [(row["submission"], row["points"], row["of"]) for row in rows] == [
        ("anna.yaml", "5", "5"),
        ("boris.yaml", "1", "5"),
        ("clara.yaml", "0", "5"),
        ("dora/locked.yaml", "0", "5"),
    ]
    assert "E106" in rows[2]["missing"]
    assert "`nodes.router` was changed" in rows[3]["missing"]
    assert len(list((tmp_path / "pages").iterdir())) == 4
    assert "Network is unreachable" in (tmp_path / "pages" / "boris.yaml.md").read_text()


@pytest.mark.kernel
def test_programs_of_a_submission_see_nothing_and_end(tmp_path):
    exercise = tmp_path / "exercise"
    works = tmp_path / "works"
    exercise.mkdir()
    works.mkdir()
    text = (ROOT / "scenarios/exercises/missing-gateway.yaml").read_text()
    text = text.replace("../../topologies/exercises/missing-gateway.yaml", "given.yaml")
    text = text.replace("solutions/missing-gateway.yaml", "solution.yaml")
    text = text.replace("  locked:", "  own-programs: true\n  #")
    (exercise / "own.yaml").write_text(text)
    (exercise / "given.yaml").write_text(GIVEN.read_text())
    (exercise / "solution.yaml").write_text("# the secret solution\n" + SOLUTION.read_text())

    def submit(name: str, script: str) -> None:
        program = json.dumps({"run": ["sh", "-c", script], "ready": {"exit": 0, "timeout": 1}})
        lines = SOLUTION.read_text().replace(
            "  printer:\n", f"  printer: {{programs: {{x: {program}}}}}\n"
        )
        (works / name).write_text(lines)

    submit("a-spy.yaml", f"cat {works}/*; cat {exercise}/solution.yaml; exit 3")
    submit("b-slow.yaml", "sleep 1000; exit 0")
    (works / "c-good.yaml").write_text("# the good work of another\n" + SOLUTION.read_text())
    argv = ["grade", str(works), "--exercise", str(exercise / "own.yaml"), "--json"]
    printed = netlab(*argv, code=1)
    spy, slow, good = json.loads(printed)
    assert "ended with exit code 3" in spy["error"]
    assert "the good work" not in printed
    assert "secret solution" not in printed
    assert "was not ready after 1 s" in slow["error"]
    assert good["points"] == 5


@pytest.mark.kernel
def test_what_takes_too_long_is_ended(tmp_path):
    (tmp_path / "anna.yaml").write_text(SOLUTION.read_text())
    printed = netlab("grade", str(tmp_path), "--timeout", "0.2", "--csv", code=1)
    assert "0,5,no,not done within 0.2 seconds" in printed


def test_submissions_may_not_lie_around_the_exercise(tmp_path):
    text = (ROOT / "scenarios/exercises/missing-gateway.yaml").read_text()
    text = text.replace("../../topologies", str(ROOT / "topologies"))
    text = text.replace("solutions/missing", str(ROOT / "scenarios/exercises/solutions/missing"))
    (tmp_path / "exercise.yaml").write_text(text)
    (tmp_path / "anna.yaml").write_text(SOLUTION.read_text())
    argv = ["grade", str(tmp_path), "--exercise", str(tmp_path / "exercise.yaml")]
    assert "is among the submissions" in netlab(*argv, code=2)
