"""What a scenario came to: the verdict, the digest, and the form that programs read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netlab.scenario.judge import Observation, Verdict
    from netlab.scenario.matrix.perform import Found
    from netlab.scenario.model import Scenario, Step
    from netlab.trace.model import Traces


@dataclass(frozen=True, slots=True)
class Done:
    """A step that was done: what was observed and what was judged.

    ``traces`` are those of its packets with all their hops, if it was watched, and ``numbers``
    (fate id to number) tell which packet is which.
    """

    step: Step
    seen: Observation
    verdicts: tuple[Verdict, ...]
    commands: tuple[str, ...] = ()
    """What a user types to repeat it."""
    traces: Traces | None = None
    numbers: dict[int, int] = field(default_factory=dict)
    cells: tuple[Found, ...] = ()
    """The result of each cell of a matrix."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a scenario from lab to verdict."""

    done: tuple[Done, ...]

    @property
    def passed(self) -> bool:
        """Whether every step came to its end and every expectation was met."""
        return all(verdict.passed for verdict in self.verdicts)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """All verdicts in order."""
        return tuple(verdict for done in self.done for verdict in done.verdicts)

    @property
    def digest(self) -> str:
        """Equal digests mean that the same thing happened to the same packets.

        SHA-256 over exit codes, numbered packets, expected columns of tables and verdicts, all
        without times, random ports and sequence numbers.
        """
        canonical = [_canonical(done) for done in self.done]
        text = json.dumps(canonical, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def _canonical(done: Done) -> dict[str, Any]:
    table = done.step.expected.table
    rows = done.seen.table
    return {
        "step": done.step.name,
        "exit": done.seen.exit,
        "packets": [packet.to_json() for packet in done.seen.packets],
        "table": sorted([row.get(column, "") for column in table.columns] for row in rows)
        if table and rows is not None
        else None,
        "verdicts": [[verdict.text, verdict.passed] for verdict in done.verdicts],
    }


@dataclass(frozen=True, slots=True)
class Outcome:
    """All runs of a scenario; ``environment`` says where and with what they were made."""

    scenario: Scenario
    runs: tuple[Run, ...]
    seed: int
    environment: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether all runs passed and came to the same."""
        return bool(self.runs) and self.digests_equal and all(run.passed for run in self.runs)

    @property
    def digests_equal(self) -> bool:
        """Whether the same thing happened in each run."""
        return len({run.digest for run in self.runs}) == 1

    @property
    def telling(self) -> Run:
        """The first run that failed, else the first."""
        return next((run for run in self.runs if not run.passed), self.runs[0])

    def to_json(self) -> dict[str, Any]:
        """The form that ``netlab run --json`` prints."""
        run = self.telling
        cells = [
            {"step": done.step.name, **cell.to_json()} for done in run.done for cell in done.cells
        ]
        return {
            "scenario": self.scenario.name,
            "passed": self.passed,
            "runs": len(self.runs),
            "digest": run.digest,
            "digests_equal": self.digests_equal,
            "expectations": [
                {"text": v.text, "passed": v.passed, "observed": v.observed} for v in run.verdicts
            ],
            "fates": [
                {"step": done.step.name, **packet.to_json()}
                for done in run.done
                for packet in done.seen.packets
            ],
            **({"cells": cells} if cells else {}),
            "seed": self.seed,
            "environment": self.environment,
        }
