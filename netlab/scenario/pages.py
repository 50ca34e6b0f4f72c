"""What a scenario came to, as files: a page to read and to show, a summary in Markdown for CI."""

from __future__ import annotations

import json
import os
import re
import shlex
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from netlab.diagram import graph, page, trace_text
from netlab.diagram.page import Badge, Code, Grid, Link, Page, Picture, Prose, Section
from netlab.diagram.sequence import draw
from netlab.diagram.topology.path_overlay import MOST_LANES
from netlab.errors import Diagnostic, LabError
from netlab.scenario import bundled
from netlab.topology import load
from netlab.trace.model import Traces

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlab.diagram.page import Block
    from netlab.diagram.paths import Way
    from netlab.plan.operations import Plan
    from netlab.scenario.matrix.perform import Found
    from netlab.scenario.outcome import Done, Outcome
    from netlab.scenario.packets import Packet
    from netlab.topology.model import Topology

INDEX = "index.html"
MOST_ROWS = 300
"""Rows of a table that a page shows."""


def write(outcome: Outcome, directory: str) -> list[Path]:
    """Write NAME.html, NAME.md and NAME.json into ``directory``, and its index; the files.

    The directory is made if need be. The JSON is the outcome, which ``run --replay`` takes.
    """
    where = Path(directory)
    name = outcome.scenario.name
    pages = {
        f"{name}.html": page.html(compose(outcome)),
        f"{name}.md": markdown(outcome),
        f"{name}.json": json.dumps(outcome.to_json(), indent=2, ensure_ascii=False) + "\n",
    }
    try:
        where.mkdir(parents=True, exist_ok=True)
        for file, content in pages.items():
            (where / file).write_text(content, encoding="utf-8")
    except OSError as error:
        raise _unwritten(error, directory) from None
    return [*(where / file for file in pages), index(directory)]


def index(directory: str) -> Path:
    """Write ``index.html``, which leads to the page of every outcome in ``directory``; the file.

    Of several that write at the same time one is the last, and others may be missing in it: who
    starts several writes it again at the end.
    """
    where = Path(directory)
    rows = sorted(filter(None, map(_listed, where.glob("*.json"))))
    good = sum(passed for *_, passed in rows)
    grid = Grid(
        ("scenario", "what it shows", "expectations met", "digest"),
        tuple((Link(name, f"{name}.html"), title, met, digest)
              for name, title, met, digest, _ in rows),
        tuple("good" if passed else "bad" for *_, passed in rows),
        is_open=True,
    )  # fmt: skip
    badge = Badge(f"{good} of {len(rows)} passed", "good" if good == len(rows) else "bad")
    made = page.html(Page("Scenarios", (badge,), (Section("all", "Each has a page", (grid,)),)))
    try:
        # Whole or not at all: somebody may be reading.
        half = where / f".index.{os.getpid()}"
        half.write_text(made, encoding="utf-8")
        half.replace(where / INDEX)
    except OSError as error:
        raise _unwritten(error, directory) from None
    return where / INDEX


def _listed(file: Path) -> tuple[str, str, str, str, bool] | None:
    """A row of the index, if ``file`` is an outcome that has a page."""
    try:
        outcome = json.loads(file.read_text(encoding="utf-8"))
        # The first is the page's; the drawings have titles of their own.
        title = re.findall("<title>(.*?)</title>", file.with_suffix(".html").read_text("utf-8"))[0]
        verdicts = [expectation["passed"] for expectation in outcome["expectations"]]
        name = outcome["scenario"]
        met = f"{sum(verdicts)} of {len(verdicts)}"
        title = unescape(title).removeprefix(f"{name}: ")
        return name, title, met, outcome["digest"][:16], outcome["passed"]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _unwritten(error: OSError, directory: str) -> LabError:
    message = f"cannot write {error.filename or directory}: {error.strerror}"
    return LabError(Diagnostic("E913", message))


def compose(outcome: Outcome) -> Page:
    """The page: verdict, story, the lab, what was published, each step, how to repeat it."""
    from netlab.plan.build import build
    from netlab.plan.inline import insert_inline_nodes

    scenario, run = outcome.scenario, outcome.telling
    topology = load(scenario.topology)
    plan = build(topology)
    drawn = Picture(graph.svg(topology), f"The lab. {topology.description}", "drawing")
    stage = Stage(insert_inline_nodes(topology), plan)
    sections = [
        Section("story", "The story", (Prose(scenario.story),)),
        Section("lab", "The lab", (drawn,)),
        *(
            Section(
                f"step-{number}",
                _capital(done.step.name),
                tuple(_step(f"step-{number}", done, stage)),
            )
            for number, done in enumerate(run.done, 1)
        ),
    ]
    if scenario.published:
        sections.insert(2, Section("published", "Published, and here", (_published(outcome),)))
    sections.append(Section("repeat", "Repeat it", tuple(_repeat(outcome))))
    if scenario.sources:
        listed = "\n".join(f"* {source}" for source in scenario.sources)
        sections.append(Section("sources", "Sources", (Prose(listed),)))
    about = outcome.environment
    return Page(
        f"{scenario.name}: {scenario.title}",
        (_badge(outcome),),
        tuple(sections),
        f"netlab {about['netlab']}, Linux {about['kernel']}, Python {about['python']}; "
        f"digest {run.digest}; seed {outcome.seed}",
        up=Link("All scenarios", INDEX),
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _badge(outcome: Outcome) -> Badge:
    verdicts = outcome.telling.verdicts
    met = sum(verdict.passed for verdict in verdicts)
    text = f"{met} of {len(verdicts)} expectations met"
    if len(outcome.runs) > 1:
        same = "the same each time" if outcome.digests_equal else "not the same each time"
        text += f", {len(outcome.runs)} runs, {same}"
    return Badge(text, "good" if outcome.passed else "bad")


def _published(outcome: Outcome) -> Grid:
    rows = tuple((p.what, p.published, p.lab, p.source) for p in outcome.scenario.published)
    return Grid(("what", "published", "in this lab", "source"), rows)


class Stage(NamedTuple):
    """Where the packets of a scenario went: the lab as a drawing shows it, and as it was built."""

    topology: Topology
    plan: Plan


def _step(key: str, done: Done, stage: Stage) -> Iterator[Block]:
    if done.step.explain:
        yield Prose(done.step.explain)
    if done.commands:
        # What a Python function does cannot be typed.
        typed = (c if c.startswith("# ") else f"$ {c}" for c in done.commands)
        yield Code("\n".join(typed))
    if done.verdicts:
        yield Grid(
            ("", "expected", "seen"),
            tuple(("✓" if v.passed else "✗", v.text, v.observed) for v in done.verdicts),
            tuple("good" if v.passed else "bad" for v in done.verdicts),
        )
    if done.traces:
        yield from _packets(key, done, done.traces, stage)
    if done.cells:
        yield from _matrix(key, done.cells)
    elif done.seen.table:
        head = tuple(done.seen.table[0])
        rows = tuple(
            tuple(row.get(column, "") for column in head) for row in done.seen.table[:MOST_ROWS]
        )
        yield Grid(head, rows)
    elif done.seen.output.strip():
        yield Code(done.seen.output.rstrip())


def _packets(key: str, done: Done, traces: Traces, stage: Stage) -> Iterator[Block]:
    """The ways over the topology, the ladder, the table; each row leads to its drawing."""
    name, numbers = done.step.name, done.numbers
    ways = trace_text.ways(traces, stage.plan, numbers)
    titled = replace(stage.topology, name="Where they went", description=_left_out(ways))
    yield Picture(graph.svg(titled, ways), f"The ways of the packets: {name}", f"{key}-ways")
    steps = trace_text.ladder(traces, stage.plan, "In order of time", numbers)
    yield Picture(draw.svg(steps), f"The packets by time: {name}", f"{key}-ladder")
    packets = done.seen.packets
    yield Grid(
        ("packet", "what", "end", "where", "because", "its way"),
        tuple(
            (Link(f"#{p.number}", f"#{key}-ways"), p.what, p.disposition, p.at, p.by,
             " → ".join(p.way))
            for p in packets
        ),
        keys=tuple(f"{key}-packet-{p.number}" for p in packets),
        packets=tuple(str(p.number) for p in packets),
    )  # fmt: skip


def _matrix(key: str, cells: Sequence[Found]) -> Iterator[Block]:
    """The table, and behind it the packets of each cell, which the cell leads to."""
    rows: dict[str, list[Found]] = {}
    for cell in cells:
        rows.setdefault(cell.obstacle, []).append(cell)
    kinds = tuple(dict.fromkeys(cell.traffic for cell in cells))
    yield Grid(
        ("obstacle", *kinds),
        tuple((name, *(_verdict(key, cell) for cell in row)) for name, row in rows.items()),
        dense=True,
    )
    yield Prose("## What became of the packets")
    for name, row in rows.items():
        yield Prose(f"### {name}")
        packets = [(cell, packet) for cell in row for packet in cell.packets or (None,)]
        yield Grid(
            ("traffic", "packet", "from", "end", "where", "because", "changed", "its way"),
            tuple(_line(cell, packet) for cell, packet in packets),
            keys=tuple(
                _anchor(key, cell) if packet is None or packet is cell.packets[0] else ""
                for cell, packet in packets
            ),
        )


def _line(cell: Found, packet: Packet | None) -> tuple[str, ...]:
    if packet is None:
        return (cell.traffic, "none was seen", *[""] * 6)
    p = packet
    # Every router takes one off the TTL; without that, what a box did is easier to see.
    changed = ", ".join(change for change in p.changes if not change.endswith(" IP::TTL"))
    way = " → ".join(p.way)
    what = f"#{p.number} {p.what}"
    return cell.traffic, what, p.origin, p.disposition, p.at, p.by, changed, way


def _verdict(key: str, cell: Found) -> Link:
    return Link(cell.text, f"#{_anchor(key, cell)}", "good" if cell.survived else "bad")


def _anchor(key: str, cell: Found) -> str:
    return f"{key}-{cell.obstacle}-{cell.traffic}"


def _left_out(ways: Sequence[Way]) -> str:
    more = len(ways) - MOST_LANES
    return f"{more} more ways are in the ladder and the table." if more > 0 else ""


def _repeat(outcome: Outcome) -> Iterator[Block]:
    scenario = outcome.scenario
    shipped = scenario.file.parent == bundled.directory()
    name = scenario.name if shipped else shlex.quote(str(scenario.file))
    only = outcome.environment.get("only", "")
    part = f" --only {shlex.quote(only)}" if only else ""
    yield Code(
        f"$ netlab run {name}{part} --seed {outcome.seed}\n"
        f"$ netlab run {name}{part} --repeat 100\n"
        f"$ netlab run {name} --replay {scenario.name}.json\n"
        f"$ netlab demo {name}\n"
        f"$ netlab run {name} --keep    # and look around; then: netlab down {scenario.name}"
    )
    rows = tuple((key.replace("_", " "), value) for key, value in outcome.environment.items())
    yield Grid(("made with", ""), rows)


MOST_SHOWN = 3
"""Packets whose journeys a failed step shows."""


def journeys(done: Done) -> str:
    """The paths of the first packets that did not end as expected; empty if all did."""
    wrong = [n for verdict in done.verdicts if not verdict.passed for n in verdict.packets]
    shown = sorted(set(wrong))[:MOST_SHOWN]
    chosen = [
        packet_trace
        for packet_trace in done.traces or ()
        if done.numbers.get(packet_trace.id) in shown
    ]
    return trace_text.text(Traces(chosen), done.numbers) if chosen else ""


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
    for done in run.done:
        if shown := journeys(done):
            yield ""
            yield f"What became of the packets of *{_cell(done.step.name)}*:"
            yield ""
            # Indented, so that nothing in it can end the block.
            yield from (f"    {line}".rstrip() for line in shown.splitlines())
    same = "" if outcome.digests_equal else ", **not the same each time**"
    yield ""
    yield f"{len(outcome.runs)} run(s){same}; digest `{run.digest[:16]}`, seed {outcome.seed}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:300]
