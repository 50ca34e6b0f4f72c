"""A sample: a topology, what is done to it, the packets, and what must be seen of them."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from netlab.lab.lab import Lab
from tests.oracle.ask import Crafted, Flow
from tests.oracle.path import Path, draw
from tests.oracle.truth import Truth
from tests.oracle.witness import Door, Seen, Witness


@dataclass
class Question:
    """One flow in a lab, its truth, and the witnesses that confirm it."""

    flow: Flow | Crafted
    truth: Truth
    witnesses: list[Witness]
    doors: list[Door] = field(default_factory=list)
    patience: float = 0.4
    settled: Callable[[Seen], Truth] | None = None
    """The truth where only the witnesses can count: how many datagrams a buffer holds, say."""
    predictable: bool = True
    """Whether the topology file alone says how the packets end."""


@dataclass
class Sample:
    """A lab and its questions, asked one after the other; only the first meets a fresh lab."""

    path: Path
    questions: list[Question]
    prepare: list[Callable[[Lab], object]] = field(default_factory=list)
    """What is done to the running lab before anything is asked."""


class Draw(NamedTuple):
    """What a kind draws from: a seeded source, and whether packets are copied on the way."""

    rng: random.Random
    copies: bool

    def path(
        self,
        *,
        length: int | None = None,
        shortest: int = 1,
        families: tuple[int, ...] = (4, 6),
    ) -> Path:
        return draw(
            self.rng, length=length, copies=self.copies, shortest=shortest, families=families
        )

    def family(self) -> int:
        return self.rng.choice((4, 4, 6))


class Kind(NamedTuple):
    """A family of samples that share what happens to their packets."""

    name: str
    make: Callable[[Draw], Sample]
    copies: bool
    """Whether it is drawn with ways that copy packets, too."""
    slow: bool
    """Whether one takes seconds: the suite has fewer of them."""


KINDS: list[Kind] = []


def kind(
    name: str, *, copies: bool = True, slow: bool = False
) -> Callable[[Callable[[Draw], Sample]], Callable[[Draw], Sample]]:
    """Register a function that makes samples."""

    def register(make: Callable[[Draw], Sample]) -> Callable[[Draw], Sample]:
        KINDS.append(Kind(name, make, copies, slow))
        return make

    return register
