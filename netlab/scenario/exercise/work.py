"""What a student's work came to: points, what holds, the fates of packets. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netlab.scenario.exercise.submission import Violation
    from netlab.scenario.judge import Verdict
    from netlab.scenario.model import Scenario, Step

MOST_OBSERVED = 2000
"""Characters of an observation that a report keeps."""


class Part(NamedTuple):
    """A step that is worth points: what was expected, and how the packets that failed fared.

    ``verdicts`` are empty for a step that was never reached.
    """

    name: str
    of: int
    verdicts: tuple[Verdict, ...]
    journeys: str = ""

    @property
    def points(self) -> int:
        """All that it is worth, or none."""
        return self.of if self.passed else 0

    @property
    def passed(self) -> bool:
        """Whether it was tried, and every expectation was met."""
        return bool(self.verdicts) and all(verdict.passed for verdict in self.verdicts)

    def to_json(self) -> dict[str, Any]:
        """``name``, ``points``, ``of``, ``expectations`` (``text passed observed``), ``fate``."""
        return {
            "name": self.name,
            "points": self.points,
            "of": self.of,
            "expectations": [
                {"text": v.text, "passed": v.passed, "observed": v.observed[:MOST_OBSERVED]}
                for v in self.verdicts
            ],
            "fate": self.journeys,
        }


class Work(NamedTuple):
    """A student's work. ``error`` says why nothing could be tried; then it has no points.

    Neither has work that changes what it may not change (``violations``).
    """

    exercise: str
    title: str
    submission: str
    parts: tuple[Part, ...]
    violations: tuple[str, ...] = ()
    error: str = ""

    @property
    def of(self) -> int:
        """The points that can be had."""
        return sum(part.of for part in self.parts)

    @property
    def points(self) -> int:
        """The points that it has."""
        if self.violations or self.error:
            return 0
        return sum(part.points for part in self.parts)

    @property
    def passed(self) -> bool:
        """Whether all is as it should be."""
        return not (self.violations or self.error) and all(part.passed for part in self.parts)

    @property
    def missing(self) -> list[str]:
        """In a line each, why it has not all points."""
        if self.error:
            return [self.error.splitlines()[0]]
        failed = [v.text for part in self.parts for v in part.verdicts if not v.passed]
        untried = [f"{part.name}: was not tried" for part in self.parts if not part.verdicts]
        return [*self.violations, *failed, *([] if self.violations else untried)]

    def to_json(self) -> dict[str, Any]:
        """The form that ``check-work --json`` and ``grade --json`` print."""
        return {
            "exercise": self.exercise,
            "submission": self.submission,
            "passed": self.passed,
            "points": self.points,
            "of": self.of,
            "violations": list(self.violations),
            "error": self.error,
            "steps": [part.to_json() for part in self.parts],
        }


def unreachable(scenario: Scenario, submission: str, error: str) -> Work:
    """Work of which nothing could be tried."""
    return Work(scenario.name, scenario.title, submission, untried(scenario.steps), error=error)


def refused(scenario: Scenario, submission: str, violations: Iterable[Violation]) -> Work:
    """Work that changes what it may not change: nothing of it is tried."""
    texts = tuple(f"line {violation.line}: {violation.text}" for violation in violations)
    return Work(scenario.name, scenario.title, submission, untried(scenario.steps), texts)


def untried(steps: Iterable[Step]) -> tuple[Part, ...]:
    """The parts of an exercise before anything is tried."""
    return tuple(Part(step.name, step.points, ()) for step in steps if is_graded(step))


def is_graded(step: Step) -> bool:
    """Whether a step has something that may be met or not, and is worth points for it."""
    from netlab.scenario.model import Expected

    return step.points > 0 and step.expected != Expected()


def from_json(found: dict[str, Any], title: str) -> Work:
    """The work of its JSON form.

    Raises:
        ValueError, KeyError, TypeError: it is not such a form.
    """
    from netlab.scenario.judge import Verdict

    parts = tuple(
        Part(
            str(part["name"]),
            int(part["of"]),
            tuple(
                Verdict(str(e["text"]), bool(e["passed"]), str(e["observed"]))
                for e in part["expectations"]
            ),
            str(part["fate"]),
        )
        for part in found["steps"]
    )
    return Work(
        str(found["exercise"]),
        title,
        str(found["submission"]),
        parts,
        tuple(map(str, found["violations"])),
        str(found["error"]),
    )


def markdown(work: Work) -> str:
    """A page for the student or the teacher."""
    return "\n".join(_markdown(work)) + "\n"


def _markdown(work: Work) -> Iterator[str]:
    yield f"## {_cell(work.submission)}: {work.points} of {work.of} points"
    yield ""
    yield f"Exercise *{_cell(work.exercise)}*: {_cell(work.title)}"
    for violation in work.violations:
        yield ""
        yield f"**Not allowed:** {_cell(violation)}"
    if work.error:
        yield ""
        yield from (f"    {line}".rstrip() for line in work.error.splitlines())
    if not any(part.verdicts for part in work.parts):
        return
    yield ""
    yield "| points | expectation | observed |"
    yield "|---|---|---|"
    for part in work.parts:
        for number, verdict in enumerate(part.verdicts):
            points = f"{part.points}/{part.of}" if not number else ""
            mark = "✅" if verdict.passed else "❌"
            yield f"| {points} | {mark} {_cell(verdict.text)} | {_cell(verdict.observed)} |"
    for part in work.parts:
        if part.journeys:
            yield ""
            yield f"What became of the packets of *{_cell(part.name)}*:"
            yield ""
            # Indented, so that nothing in it can end the block.
            yield from (f"    {line}".rstrip() for line in part.journeys.splitlines())


def _cell(text: str) -> str:
    """Text that stays in its cell and is nothing but text."""
    escaped = "".join(f"\\{c}" if c in "\\|<>[]*_`" else c for c in text[:300])
    return " ".join(escaped.split())
