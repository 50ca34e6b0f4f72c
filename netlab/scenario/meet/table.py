"""All pairs that were played, and the forms in which they are read: JSON, text, Markdown, JUnit."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from netlab.errors import Diagnostic, LabError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from netlab.scenario.meet.pairs import Pair
    from netlab.scenario.meet.played import Played

HOWS = {"host": "host", "reflexive": "reflexive", "relayed": "relayed", "none": "no packet"}


@dataclass(frozen=True, slots=True)
class Table:
    """The pairs in the order in which they were asked for; ``fates`` is the folder of their files.

    ``environment`` says with what and where the table was made.
    """

    played: tuple[Played, ...]
    seed: int
    environment: dict[str, Any]
    fates: Path

    @property
    def met(self) -> bool:
        """Whether all pairs met in all runs."""
        return all(each.met for each in self.played)

    def __getitem__(self, pair: str) -> Played:
        """The pair ``A:B``; ``KeyError`` for one that was not played."""
        a, _, b = pair.partition(":")
        for each in self.played:
            if (each.a, each.b) == (a, b or a):
                return each
        raise KeyError(pair)

    def file(self, pair: Played) -> Path:
        """The file with the fates of a pair's packets."""
        return self.fates / f"{pair.a}~{pair.b}.json".replace("/", "_")

    def to_json(self) -> dict[str, Any]:
        """The form that ``netlab meet --json`` prints."""
        return {
            "pairs": [
                {
                    "a": each.a,
                    "b": each.b,
                    "met": each.met,
                    "how": each.how,
                    "runs": len(each.attempts),
                    "met_runs": each.met_runs,
                    "seconds": each.seconds,
                    "packets": each.telling.packets,
                    "reason": each.telling.reason,
                    "fates": str(self.file(each)),
                }
                for each in self.played
            ],
            "seed": self.seed,
            "environment": self.environment,
        }

    def rows(self) -> list[tuple[str, ...]]:
        """A heading, and a row for each pair."""
        return [
            ("ANNA", "BORIS", "", "HOW", "RUNS", "SECONDS", "PACKETS"),
            *(
                (
                    each.a,
                    each.b,
                    each.word,
                    HOWS[each.how] if each.met_runs else "",
                    f"{each.met_runs}/{len(each.attempts)}",
                    f"{each.seconds:.2f}",
                    str(each.telling.packets),
                )
                for each in self.played
            ),
        ]

    def reasons(self) -> Iterator[tuple[str, str]]:
        """Each pair that did not always meet, and why."""
        for each in self.played:
            if not each.met:
                yield f"{each.a} and {each.b}", each.telling.reason

    def text(self) -> str:
        """The table and the reasons, a line for each."""
        lines = ["  ".join(filter(None, row)) for row in self.rows()[1:]]
        lines += [f"{pair}: {reason}" for pair, reason in self.reasons()]
        return "\n".join([*lines, self.summary()])

    def summary(self) -> str:
        """``8 of 10 pairs met``, and how many are flaky."""
        met = sum(each.met for each in self.played)
        flaky = sum(each.is_flaky for each in self.played)
        return f"{met} of {len(self.played)} pairs met" + (f", {flaky} flaky" if flaky else "")

    def markdown(self) -> str:
        """The table for the summary of a build, with a sentence for each pair that did not meet."""
        head, *rows = self.rows()
        lines = [f"## {self.summary()}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
        reasons = [f"* **{pair}**: {reason}" for pair, reason in self.reasons()]
        return "\n".join([*lines, *([""] if reasons else []), *reasons]) + "\n"

    def junit(self, required: Collection[Pair] | None = None) -> str:
        """JUnit XML with a test case for each pair.

        A pair that did not always meet is a failure; where ``required`` names pairs, others are
        skipped.
        """
        cases = []
        failures = skipped = 0
        for each in self.played:
            inner = ""
            if not each.met:
                about = f"message={quoteattr(f'{each.word}: {each.telling.reason}')}"
                if required is None or (each.a, each.b) in required:
                    failures += 1
                    kind = quoteattr(each.word)
                    inner = f"<failure type={kind} {about}>{escape(str(self.file(each)))}</failure>"
                else:
                    skipped += 1
                    inner = f"<skipped {about}/>"
            name = quoteattr(f"{each.a}:{each.b}")
            time = sum(run.seconds for run in each.attempts)
            about = f'classname="netlab.meet" name={name} time="{time:.3f}"'
            cases.append(f"  <testcase {about}>{inner}</testcase>")
        counts = f'tests="{len(cases)}" failures="{failures}" skipped="{skipped}" errors="0"'
        head = f'<?xml version="1.0" encoding="utf-8"?>\n<testsuite name="netlab meet" {counts}>\n'
        return head + "\n".join(cases) + "\n</testsuite>\n"


def default_folder(seed: int, environment: dict[str, Any]) -> Path:
    """Where the fates of such a table are kept; the same for the same table."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    text = json.dumps([seed, environment], sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Path(base) / "netlab-lab" / "meet" / name


def save(table: Table) -> None:
    """Write the fates of each pair.

    Raises:
        LabError: a file cannot be written (E913).
    """
    try:
        table.fates.mkdir(parents=True, exist_ok=True)
        for each in table.played:
            text = json.dumps(each.to_json(), indent=1, ensure_ascii=False)
            table.file(each).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        message = f"cannot write {error.filename or table.fates}: {error.strerror}"
        raise LabError(Diagnostic("E913", message)) from None
