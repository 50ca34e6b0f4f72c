"""A student's work is tried: a topology file in a lab of its own, or a lab that runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.errors import InputError, LabError, Unavailable
from netlab.scenario.exercise import submission, work
from netlab.scenario.run import play
from netlab.topology import load, source
from netlab.topology.problems import Problems

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from netlab.lab.lab import Lab
    from netlab.scenario.exercise.work import Work
    from netlab.scenario.model import Scenario
    from netlab.scenario.outcome import Done, Run


def check_file(
    scenario: Scenario, file: Path, *, after: Callable[[Done], None] = lambda _: None
) -> Work:
    """Try a topology file in a lab of its own, which is gone afterwards.

    A file that cannot be read or built is work without points. ``Unavailable`` is this machine's
    affair and is raised.
    """
    name = str(file)
    try:
        violations = list(_violations(scenario, file))
        if violations:
            return work.refused(scenario, name, violations)
        made = play(replace(scenario, topology=file), to_the_end=True, after=after)
    except Unavailable:
        raise
    except (InputError, LabError) as error:
        return work.unreachable(scenario, name, str(error))
    return _work(scenario, name, made)


def check_lab(
    scenario: Scenario, lab: Lab, *, after: Callable[[Done], None] = lambda _: None
) -> Work:
    """Try a lab that runs. What of its file may be changed is not looked at."""
    made = play(scenario, inside=lab, to_the_end=True, after=after)
    return _work(scenario, lab.name, made)


def _violations(scenario: Scenario, file: Path) -> list[submission.Violation]:
    exercise = scenario.exercise
    if exercise is None:
        return []
    given, submitted = _tree(scenario.topology), _tree(file)
    found = list(submission.locked(exercise, given, submitted))
    return found + list(submission.foreign(exercise, load(scenario.topology), load(file)))


def _tree(file: Path) -> source.Mapping:
    problems = Problems(str(file))
    tree = source.parse(source.read(file, problems), problems)
    problems.raise_if_any()
    return tree


def _work(scenario: Scenario, name: str, made: Run) -> Work:
    from netlab.scenario.pages import journeys

    done = {id(one.step): one for one in made.done}
    parts = []
    for step in scenario.steps:
        one = done.get(id(step))
        verdicts, fate = (one.verdicts, journeys(one)) if one else ((), "")
        if work.is_graded(step):
            parts.append(work.Part(step.name, step.points, verdicts, fate))
        elif not all(verdict.passed for verdict in verdicts):
            parts.append(work.Part(step.name, 0, verdicts, fate))  # a preparation that failed
    return work.Work(scenario.name, scenario.title, name, tuple(parts))
