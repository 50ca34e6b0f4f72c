"""A table of pairs as files: a page to read and to show, Markdown, JSON and JUnit for CI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.diagram import page
from netlab.diagram.page import Badge, Code, Grid, Link, Page, Prose, Section
from netlab.errors import Diagnostic, LabError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from netlab.diagram.page import Cell
    from netlab.scenario.meet.pairs import Pair
    from netlab.scenario.meet.played import Played
    from netlab.scenario.meet.table import Table

STATES = {"met": "good", "flaky": "", "not met": "bad"}


def write(table: Table, directory: str, required: Collection[Pair] | None = None) -> list[Path]:
    """Write ``meet.html``, ``.md``, ``.json`` and ``.xml``, and a page for each pair; the files.

    Raises:
        LabError: a file cannot be written (E913).
    """
    where = Path(directory)
    texts = {
        where / "meet.html": page.html(compose(table)),
        where / "meet.md": table.markdown(),
        where / "meet.json": json.dumps(table.to_json(), indent=2, ensure_ascii=False) + "\n",
        where / "meet.xml": table.junit(required),
    }
    for each in table.played:
        texts[_page_file(table, each)] = page.html(_of_pair(each))
    try:
        for file, text in texts.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"cannot write {error.filename or directory}: {error.strerror}"
        raise LabError(Diagnostic("E913", message)) from None
    return list(texts)


def prepare(directory: str) -> None:
    """Make the directories, before hours are spent on what cannot be kept.

    Raises:
        LabError: they cannot be made (E913).
    """
    try:
        (Path(directory) / "fates").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot write {error.filename or directory}: {error.strerror}"
        raise LabError(Diagnostic("E913", message)) from None


def _page_file(table: Table, pair: Played) -> Path:
    return table.file(pair).with_suffix(".html")


def compose(table: Table) -> Page:
    """The page: every pair at one look, then row by row, and why some did not meet."""
    badge = Badge(table.summary(), "good" if table.met else "bad")
    sections = [
        Section("table", "Who meets whom", (_square(table),)),
        Section("pairs", "Each pair", (_rows(table),)),
    ]
    if reasons := list(table.reasons()):
        rows = tuple((pair, reason) for pair, reason in reasons)
        grid = Grid(("pair", "why"), rows, ("bad",) * len(rows), is_open=True)
        sections.append(Section("why", "Why not", (grid,)))
    about = table.environment
    foot = f"seed {table.seed}, netlab {about['netlab']}, Linux {about['kernel']}"
    return Page("Which pairs meet", (badge,), tuple(sections), foot)


def _target(pair: Played) -> str:
    return f"fates/{pair.a.replace('/', '_')}~{pair.b.replace('/', '_')}.html"


def _square(table: Table) -> Grid:
    """A row for each first side, a column for each second; a cell leads to its fates."""
    by_pair = {(each.a, each.b): each for each in table.played}
    rows = list(dict.fromkeys(each.a for each in table.played))
    columns = list(dict.fromkeys(each.b for each in table.played))

    def cell(a: str, b: str) -> Cell:
        found = by_pair.get((a, b))
        if found is None:
            return ""
        said = found.how if found.met else found.word
        return Link(said, _target(found), STATES[found.word])

    return Grid(
        ("anna", *columns),
        tuple((a, *(cell(a, b) for b in columns)) for a in rows),
        is_open=True,
        dense=True,
    )


def _rows(table: Table) -> Grid:
    heading, *rows = table.rows()
    cells: list[tuple[Cell, ...]] = [
        (*row[:2], Link(row[2], _target(each), STATES[each.word]), *row[3:])
        for row, each in zip(rows, table.played, strict=True)
    ]
    head = tuple(name.lower() for name in heading)
    return Grid(head, tuple(cells), tuple(STATES[each.word] for each in table.played))


def _of_pair(pair: Played) -> Page:
    """The fates of a pair's packets, run by run."""
    badge = Badge(f"{pair.word}, {pair.met_runs} of {len(pair.attempts)} runs", STATES[pair.word])
    up = Link("all pairs", "../meet.html")
    return Page(f"{pair.a} and {pair.b}", (badge,), tuple(_runs(pair)), up=up)


def _runs(pair: Played) -> Iterator[Section]:
    for number, run in enumerate(pair.attempts, 1):
        said = f"They met ({run.how})" if run.met else f"They did not meet: {run.reason}"
        text = f"{said}, after {run.seconds:.2f} s and {run.packets} packets."
        blocks: list[Prose | Code] = [Prose(text)]
        for host, ran in run.programs.items():
            ended = "still ran" if ran["exit"] is None else f"exit code {ran['exit']}"
            printed = ran["output"].rstrip() or "(it printed nothing)"
            blocks += [Prose(f"{host}'s program: {ended}."), Code(printed)]
        blocks += [Prose("The packets:"), Code(run.journeys.rstrip() or "(none)")]
        yield Section(f"run-{number}", f"Run {number}", tuple(blocks))
