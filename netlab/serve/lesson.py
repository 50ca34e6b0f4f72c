"""PURE: a scenario as a lesson: a question before each answer, and the votes of the class."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from netlab.scenario.model import Send

if TYPE_CHECKING:
    from netlab.scenario.judge import Verdict
    from netlab.scenario.model import Scenario, Step
    from netlab.scenario.packets import Packet

Phase: TypeAlias = Literal["story", "question", "doing", "answer", "over"]

MOST_VOTERS = 1000

ARRIVE = ("all arrive", "some arrive", "none arrives")
"""What can be thought of packets before they are sent."""

YES_OR_NO = ("yes", "no")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a step showed: which choice was right, if any, and what was seen."""

    right: str
    sentences: tuple[str, ...]
    verdicts: tuple[tuple[str, bool, str], ...]
    output: str = ""


@dataclass(frozen=True, slots=True)
class Lesson:
    """Where a lesson is. ``place`` counts the steps from 0; votes are by voter."""

    scenario: Scenario
    phase: Phase = "story"
    place: int = 0
    votes: dict[str, str] = field(default_factory=dict)
    answer: Answer | None = None

    @property
    def step(self) -> Step:
        """The step that it is at."""
        return self.scenario.steps[self.place]

    def next(self) -> Lesson:
        """To the question of the next step; to the end after the last."""
        if self.phase == "story":
            return replace(self, phase="question")
        if self.phase != "answer":
            return self
        if self.place + 1 == len(self.scenario.steps):
            return replace(self, phase="over", votes={}, answer=None)
        return replace(self, phase="question", place=self.place + 1, votes={}, answer=None)

    def vote(self, voter: str, choice: str) -> Lesson:
        """With this voter's choice, which may be changed until the step is done."""
        if self.phase != "question" or choice not in choices(self.step):
            return self
        if voter not in self.votes and len(self.votes) >= MOST_VOTERS:
            return self
        return replace(self, votes={**self.votes, voter: choice})

    def begin(self) -> Lesson:
        """The step is being done: no more votes."""
        return replace(self, phase="doing") if self.phase == "question" else self

    def show(self, answer: Answer) -> Lesson:
        """The truth."""
        return replace(self, phase="answer", answer=answer) if self.phase == "doing" else self

    def to_json(self, commands: tuple[str, ...] = ()) -> dict[str, Any]:
        """What the page shows; whose vote is which stays here."""
        counts = Counter(self.votes.values())
        at_step = self.phase in ("question", "doing", "answer")
        return {
            "title": self.scenario.title,
            "story": self.scenario.story,
            "phase": self.phase,
            "place": self.place,
            "of": len(self.scenario.steps),
            "name": self.step.name if at_step else "",
            "explain": self.step.explain if at_step else "",
            "question": question(self.step) if at_step else "",
            "commands": list(commands) if at_step else [],
            "choices": [{"text": choice, "votes": counts[choice]} for choice in choices(self.step)]
            if at_step
            else [],
            "voters": len(self.votes),
            "answer": {
                "right": self.answer.right,
                "sentences": list(self.answer.sentences),
                "verdicts": [list(verdict) for verdict in self.answer.verdicts],
                "output": self.answer.output,
            }
            if self.answer
            else None,
        }


def question(step: Step) -> str:
    """What the class is asked before a step; empty where there is nothing to be guessed."""
    if isinstance(step.action, Send):
        count = step.action.count
        what = "Will the packet arrive" if count == 1 else f"Will the {count} packets arrive"
        return f"{what} at {step.action.target}?"
    if choices(step):
        return "Will it succeed?"
    return ""


def choices(step: Step) -> tuple[str, ...]:
    """What can be voted for."""
    expected = step.expected
    if isinstance(step.action, Send):
        return ARRIVE if step.action.count > 1 else YES_OR_NO
    if expected.packets or expected.output or expected.not_output:
        return YES_OR_NO
    return ()


def answer(
    step: Step, packets: tuple[Packet, ...], verdicts: tuple[Verdict, ...], code: int | None,
    output: str = "",
) -> Answer:  # fmt: skip
    """The truth of a step."""
    arrived = sum(packet.disposition == "delivered" for packet in packets)
    right = ""
    if isinstance(step.action, Send):
        if step.action.count == 1:
            right = "yes" if arrived else "no"
        else:
            right = ARRIVE[0 if arrived == step.action.count else 1 if arrived else 2]
    elif choices(step):
        right = "yes" if code == 0 else "no"
    return Answer(
        right,
        tuple(str(packet) for packet in packets),
        tuple((v.text, v.passed, v.observed) for v in verdicts),
        output[:4000],
    )
