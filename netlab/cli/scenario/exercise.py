"""``exercise`` and ``check-work``: a student sees the task, and tries what he or she has made."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli import console
from netlab.errors import Diagnostic, InputError, LabError
from netlab.topology.shipped import SUFFIXES

if TYPE_CHECKING:
    import argparse

    from netlab.lab.lab import Lab
    from netlab.scenario.exercise.work import Work
    from netlab.scenario.model import Exercise, Scenario


def exercise(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab exercise``."""
    parser.epilog = (
        "Hints open one by one: --hints 1 shows the first, --hints 2 the first two.\n\n"
        "examples:\n"
        "  netlab exercise missing-gateway\n"
        "  netlab exercise missing-gateway --copy gateway.yaml\n"
        "  netlab exercise missing-gateway --hints 1"
    )
    parser.add_argument(
        "exercise", metavar="NAME|FILE", help="one of `netlab list --exercises`, or a scenario file"
    )
    parser.add_argument("--hints", type=int, default=0, metavar="N", help="show the first N hints")
    parser.add_argument(
        "--copy", metavar="FILE", help="write the exercise's topology file, to be put right"
    )
    parser.set_defaults(run=_exercise)


def _exercise(arguments: argparse.Namespace) -> int:
    scenario, asked = _read(arguments.exercise)
    if arguments.copy:
        _copy(scenario, arguments.copy)
        name = Path(arguments.copy).name
        print(f"the lab is in {arguments.copy}; when it is right: netlab check-work {name}")
        return 0
    if not 0 <= arguments.hints <= len(asked.hints):
        message = f"{scenario.name} has {len(asked.hints)} hints, not {arguments.hints}"
        raise InputError(Diagnostic("E923", message, hint=f"--hints {len(asked.hints)}"))
    if arguments.hints:
        for number, hint in enumerate(asked.hints[: arguments.hints], 1):
            print(f"{number}. {hint}")
        return 0
    file = f"{scenario.name}.yaml"
    print(console.style(f"{scenario.name}: {scenario.title}", "bold"))
    print(f"\n{asked.task}\n")
    print(f"begin: netlab exercise {arguments.exercise} --copy {file}")
    print(f"try:   netlab up {file}, then netlab check-work {scenario.name}, or without a lab")
    print(f"       netlab check-work {file}")
    if asked.hints:
        print(
            f"hints: {len(asked.hints)}, the first: netlab exercise {arguments.exercise} --hints 1"
        )
    return 0


def _copy(scenario: Scenario, path: str) -> None:
    """Write the given topology to a file that is not there yet."""
    text = scenario.topology.read_text(encoding="utf-8")
    try:
        with open(path, "x", encoding="utf-8") as stream:  # noqa: PTH123 - never over another file
            stream.write(text)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise LabError(Diagnostic("E913", message, hint="name another file")) from None


def check_work(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab check-work``."""
    parser.epilog = (
        "Of a file, a lab of its own is made and removed; a lab that runs is tried as it is.\n"
        "Which exercise it is follows from the lab's name (`name:` in the file), or --exercise.\n"
        "Exit code 0 if it has all points, 1 if not.\n\n"
        "examples:\n"
        "  netlab check-work missing-gateway\n"
        "  netlab check-work gateway.yaml --markdown\n"
        "  netlab check-work mylab --exercise missing-gateway --json"
    )
    parser.add_argument(
        "work", metavar="FILE|LAB", nargs="?",
        help="a topology file, or a lab; may be left out if only one is running",
    )  # fmt: skip
    parser.add_argument("--exercise", metavar="NAME|FILE", help="which exercise it is")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print the result as JSON")
    how.add_argument("--markdown", action="store_true", help="print the result as Markdown")
    parser.set_defaults(run=_check_work)


def _check_work(arguments: argparse.Namespace) -> int:
    from netlab.cli.scenario import ProgressPrinter, end_well
    from netlab.scenario.exercise import check, work

    end_well()
    quiet = arguments.json or arguments.markdown
    progress = ProgressPrinter(quiet=quiet)
    if is_file(arguments.work):
        file = Path(arguments.work)
        scenario = of_file(file, arguments.exercise)
        progress.title(scenario)
        made = check.check_file(scenario, file, after=progress.after)
    else:
        lab = _lab(arguments.work)
        scenario = _of_name(lab.name, arguments.exercise, f"the lab is named {lab.name}")
        progress.title(scenario)
        made = check.check_lab(scenario, lab, after=progress.after)
    if arguments.json:
        console.print_json(made.to_json())
    elif arguments.markdown:
        print(work.markdown(made), end="")
    else:
        _say(made, scenario, arguments.exercise or scenario.name)
    return 0 if made.passed else 1


def is_file(word: str | None) -> bool:
    """Whether a word means a file, and not a lab."""
    return word is not None and (word.endswith(SUFFIXES) or "/" in word or os.path.isfile(word))  # noqa: PTH113


def of_file(file: Path, chosen: str | None) -> Scenario:
    """The exercise that a topology file is about: ``chosen``, or that of its lab's name.

    Raises:
        InputError: E924 if it names no exercise; what is wrong with the file's form.
    """
    from netlab.topology import source
    from netlab.topology.problems import Problems
    from netlab.topology.shipped import stem

    if chosen:
        return _read(chosen)[0]
    problems = Problems(str(file))
    tree = source.parse(source.read(file, problems), problems)
    problems.raise_if_any()
    entry = tree.entries.get("name")
    name = entry[1].value if entry and isinstance(entry[1], source.Scalar) else stem(str(file))
    return _of_name(name, None, f"its lab is named {name}")


def _of_name(name: str, chosen: str | None, why: str) -> Scenario:
    from netlab.scenario import bundled

    if chosen is None and name not in bundled.exercises():
        message = f"{why}, and no exercise is"
        hint = "say which: --exercise NAME, one of netlab list --exercises"
        raise InputError(Diagnostic("E924", message, hint=hint))
    return _read(chosen or name)[0]


def _lab(name: str | None) -> Lab:
    from netlab.lab.lab import Lab

    return Lab.attach(name)


def _read(name: str) -> tuple[Scenario, Exercise]:
    """An exercise by its name or file."""
    from netlab.scenario import bundled
    from netlab.scenario.read import read

    scenario = read(bundled.find(name))
    if scenario.exercise is None:
        message = f"{scenario.name} is a scenario without `exercise:`"
        hint = f"netlab run {name}, or one of netlab list --exercises"
        raise InputError(Diagnostic("E924", message, hint=hint))
    return scenario, scenario.exercise


def _say(made: Work, scenario: Scenario, name: str) -> None:
    """Points, and what to do next."""
    for violation in made.violations:
        print(f"  {console.style('✗', 'red')} {violation}")
    if made.error:
        print(made.error, file=sys.stderr)
    word = console.style("passed", "green") if made.passed else console.style("not yet", "red")
    print(f"{word}: {made.points} of {made.of} points")
    asked = scenario.exercise
    if not made.passed and asked and asked.hints:
        print(f"{len(asked.hints)} hints, the first: netlab exercise {name} --hints 1")
