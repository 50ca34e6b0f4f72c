"""What is played, and what comes of it: values that go to workers and come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeAlias

if TYPE_CHECKING:
    from netlab.plan.operations import Plan
    from netlab.scenario.meet.condition import Condition

How: TypeAlias = Literal["host", "reflexive", "relayed", "none"]

LIMIT = 20.0
"""Seconds that a run may take unless something else is said."""


class Programs(NamedTuple):
    """The commands; empty ones are our own. ``turn`` adds coturn in place of our STUN server."""

    a: tuple[str, ...] = ()
    b: tuple[str, ...] = ()
    rendezvous: tuple[str, ...] = ()
    turn: bool = False


class Cell(NamedTuple):
    """A pair and all that a worker has to know to play it.

    ``filtering`` is that of each NAT by its node. ``stamps`` are the programs' files with the
    time of their last change, so that an interrupted run goes on only with the same programs.
    """

    a: str
    b: str
    plan: Plan
    programs: Programs
    until: Condition
    limit: float
    repeat: int
    seed: int
    filtering: dict[str, str]
    stamps: tuple[tuple[str, int], ...] = ()


class Attempt(NamedTuple):
    """One run of a pair. ``packets`` is how many the two hosts sent, ``fates`` what became of them.

    ``seconds`` pass from the start of the programs until the condition held, or until it could
    hold no more. ``programs`` says of each host its command, its exit code and what it printed.
    """

    met: bool
    how: How
    seconds: float
    packets: int
    reason: str
    programs: dict[str, Any]
    fates: dict[str, Any]
    journeys: str
    """The fates for people: each packet's way."""


class Played(NamedTuple):
    """All runs of a pair."""

    a: str
    b: str
    attempts: tuple[Attempt, ...]

    @property
    def met_runs(self) -> int:
        """In how many runs the two met."""
        return sum(each.met for each in self.attempts)

    @property
    def met(self) -> bool:
        """Whether they met in every run."""
        return self.met_runs == len(self.attempts)

    @property
    def is_flaky(self) -> bool:
        """Whether they met in some runs only."""
        return 0 < self.met_runs < len(self.attempts)

    @property
    def word(self) -> str:
        """``met``, ``flaky`` or ``not met``."""
        return "met" if self.met else "flaky" if self.is_flaky else "not met"

    @property
    def verdict(self) -> str:
        """``yes``, ``flaky`` or ``no``: whether they met."""
        return {"met": "yes", "not met": "no"}.get(self.word, self.word)

    @property
    def telling(self) -> Attempt:
        """The first run in which they did not meet, else the first."""
        return next((each for each in self.attempts if not each.met), self.attempts[0])

    @property
    def how(self) -> How:
        """How they met in the first run in which they did."""
        return next((each.how for each in self.attempts if each.met), "none")

    @property
    def seconds(self) -> float:
        """The median of the runs that met, or of all if none did."""
        of = [each.seconds for each in self.attempts if each.met == bool(self.met_runs)]
        return sorted(of)[len(of) // 2]

    def to_json(self) -> dict[str, Any]:
        """As a line of the journal and the file of its fates have it."""
        return {"a": self.a, "b": self.b, "runs": [each._asdict() for each in self.attempts]}

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> Self:
        """The same back; ``KeyError`` or ``TypeError`` for something else."""
        return cls(line["a"], line["b"], tuple(Attempt(**each) for each in line["runs"]))
