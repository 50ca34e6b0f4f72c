"""A lesson in a running lab: its steps are done one after the other, each in a thread."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, Self

from netlab.scenario.judge import judge
from netlab.scenario.matrix.options import MatrixOptions
from netlab.scenario.perform import Performer, commands
from netlab.serve.lesson import Lesson, answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.lab.lab import Lab
    from netlab.scenario.model import Scenario


class Play:
    """Where a lesson is, and the hands that carry out its steps; a context."""

    def __init__(
        self, scenario: Scenario, lab: Lab, tell: Callable[[dict[str, Any]], None]
    ) -> None:
        rng = random.Random(0)  # noqa: S311 - it is to be repeated, not to be secret
        self._lab = lab
        self._tell = tell
        self._performer = Performer(lab, scenario, 0, rng, MatrixOptions())
        self._lesson = Lesson(scenario)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._performer.__exit__()

    def to_json(self) -> dict[str, Any]:
        """What pages show."""
        step = self._lesson.step
        typed = tuple(commands(step, self._lab.name, self._performer.directory))
        return self._lesson.to_json(typed)

    def vote(self, voter: str, choice: str) -> None:
        """A vote of the class."""
        self._become(self._lesson.vote(voter, choice))

    async def go_on(self) -> None:
        """From the story to a question, from a question to its answer, from there to the next."""
        if self._lesson.phase != "question":
            self._become(self._lesson.next())
            return
        self._become(self._lesson.begin())
        step = self._lesson.step
        made = await asyncio.to_thread(self._performer.perform, step)
        seen = made.seen
        said = "\n".join(filter(None, (seen.output, seen.errors, seen.failure)))
        verdicts = tuple(judge(step, seen))
        if seen.table and not said:
            said = "\n".join(", ".join(f"{k}: {v}" for k, v in row.items()) for row in seen.table)
        truth = answer(step, seen.packets, verdicts, seen.exit, said)
        self._become(self._lesson.show(truth))

    def _become(self, lesson: Lesson) -> None:
        if lesson != self._lesson:
            self._lesson = lesson
            self._tell({"type": "lesson", "lesson": self.to_json()})
