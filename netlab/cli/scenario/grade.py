"""``grade``: a folder of submissions becomes a table of points."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli import console
from netlab.errors import Diagnostic, InputError, LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.scenario.exercise.work import Work
    from netlab.scenario.model import Scenario

MOST_MISSING = 60
"""Characters of what is missing in the table on a terminal; CSV and JSON have all."""


def grade(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab grade``."""
    parser.epilog = (
        "Every topology file below DIR is tried in a lab of its own, in a sandbox: it sees no\n"
        "other submission, leaves nothing behind and ends after --timeout. Exit code 0 if all\n"
        "could be graded, whatever their points, 1 if some could not.\n\n"
        "examples:\n"
        "  netlab grade submissions --csv > points.csv\n"
        "  netlab grade submissions --exercise firewall-order -j 4 --report reports"
    )
    parser.add_argument("directory", metavar="DIR", help="where the submissions are")
    parser.add_argument(
        "--exercise", metavar="NAME|FILE", help="which exercise (default: by each file's `name:`)"
    )
    parser.add_argument(
        "-j", dest="jobs", type=_jobs, metavar="N", default=os.cpu_count() or 1,
        help="how many at a time (default: one per processor)",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=_seconds, default=120.0, metavar="S",
        help="seconds for each (default: 120)",
    )  # fmt: skip
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--csv", action="store_true", help="print the table as CSV")
    how.add_argument("--json", action="store_true", help="print all results as JSON")
    parser.add_argument("--report", metavar="DIR", help="write a page of Markdown for each there")
    parser.set_defaults(run=_grade)


def _jobs(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 1 and 64")
    return int(text)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 3600")
    return number


def _grade(arguments: argparse.Namespace) -> int:
    from netlab.cli.scenario import end_well
    from netlab.scenario.exercise import grade as grading
    from netlab.scenario.exercise import work

    end_well()
    directory = Path(arguments.directory)
    files = grading.submissions(directory)
    chosen, works = [], {}
    for file in files:
        try:
            chosen.append((file, _exercise_of(file, arguments.exercise)))
        except InputError as error:
            if arguments.exercise:
                raise
            name = os.path.relpath(file, directory)
            works[file] = work.Work("", "", name, (), error=str(error))
    progress = console.Progress("graded", least=2)
    made = grading.grade(
        directory, chosen, jobs=arguments.jobs, seconds=arguments.timeout, after=progress
    )
    works |= {file: each for (file, _), each in zip(chosen, made, strict=True)}
    ordered = [works[file] for file in files]
    if arguments.report:
        _report(ordered, Path(arguments.report))
    if arguments.json:
        console.print_json([each.to_json() for each in ordered])
    elif arguments.csv:
        print(grading.csv_text(ordered), end="")
    else:
        _table(ordered)
    return 1 if any(each.error for each in ordered) else 0


def _exercise_of(file: Path, chosen: str | None) -> Scenario:
    from netlab.cli.scenario.exercise import of_file

    return of_file(file, chosen)


def _table(works: Sequence[Work]) -> None:
    from netlab.scenario.exercise import grade as grading

    rows = [("SUBMISSION", "EXERCISE", "POINTS", "MISSING")]
    for name, exercise, points, of, _, missing in grading.rows(works):
        short = missing if len(missing) <= MOST_MISSING else f"{missing[: MOST_MISSING - 1]}…"
        rows.append((_visible(name), exercise, f"{points}/{of}", _visible(short)))
    print(console.columns(rows))
    passed = sum(each.passed for each in works)
    print(f"{passed} of {len(works)} have all points")


def _visible(text: str) -> str:
    """A stranger's text on one line of a terminal, which obeys none of it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _report(works: Sequence[Work], where: Path) -> None:
    from netlab.scenario.exercise import work

    try:
        where.mkdir(parents=True, exist_ok=True)
        for each in works:
            name = each.submission.replace(os.sep, "__")
            (where / f"{name}.md").write_text(work.markdown(each), encoding="utf-8")
    except OSError as error:
        message = f"cannot write {error.filename or where}: {error.strerror}"
        raise LabError(Diagnostic("E913", message)) from None
