"""What a scenario came to, as files: a summary in Markdown for CI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netlab.errors import Diagnostic, LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.scenario.outcome import Outcome


def write(outcome: Outcome, directory: str) -> list[Path]:
    """Write NAME.md into ``directory``, which is made if need be; the files."""
    where = Path(directory)
    pages = {f"{outcome.scenario.name}.md": markdown(outcome)}
    try:
        where.mkdir(parents=True, exist_ok=True)
        for name, content in pages.items():
            (where / name).write_text(content, encoding="utf-8")
    except OSError as error:
        message = f"cannot write {error.filename or directory}: {error.strerror}"
        raise LabError(Diagnostic("E913", message)) from None
    return [where / name for name in pages]


def markdown(outcome: Outcome) -> str:
    """A summary for a page of CI: the verdict, each expectation, what failed."""
    return "\n".join(_markdown(outcome)) + "\n"


def _markdown(outcome: Outcome) -> Iterator[str]:
    scenario, run = outcome.scenario, outcome.telling
    yield f"### {'✅' if outcome.passed else '❌'} {scenario.name}: {scenario.title}"
    yield ""
    yield "| | expectation | observed |"
    yield "|---|---|---|"
    for verdict in run.verdicts:
        mark = "✅" if verdict.passed else "❌"
        yield f"| {mark} | {_cell(verdict.text)} | {_cell(verdict.observed)} |"
    same = "" if outcome.digests_equal else ", **not the same each time**"
    yield ""
    yield f"{len(outcome.runs)} run(s){same}; digest `{run.digest[:16]}`, seed {outcome.seed}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:300]
