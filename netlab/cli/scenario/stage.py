"""``demo``: a scenario step by step, each explained before it is done."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TYPE_CHECKING

from netlab.cli import console
from netlab.cli.scenario import ProgressPrinter
from netlab.scenario.perform import commands
from netlab.scenario.run import play

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.scenario.model import Scenario, Step
    from netlab.scenario.outcome import Done

WIDTH = 78
MOST_LINES = 14
"""Lines of what a step printed."""
MOST_WAYS = 8
"""Paths of packets printed after a step."""


def show(scenario: Scenario, *, keep: bool) -> int:
    """Play it, stopping before each step where there is a terminal; the exit code."""
    from netlab.diagram import graph, trace_text
    from netlab.diagram.paths import words
    from netlab.plan.build import build
    from netlab.topology import load

    topology = load(scenario.topology)
    plan = build(topology)
    progress = ProgressPrinter(quiet=False)
    progress.title(scenario)
    print()
    print(graph.text(topology, width=console_width()))

    def before(step: Step) -> None:
        print(console.style(step.name, "bold"))
        if step.explain:
            print(textwrap.indent(textwrap.fill(step.explain, WIDTH), "  "))
        for line in commands(step, scenario.name, scenario.file.parent):
            # What a Python function does cannot be typed.
            typed = line if line.startswith("# ") else f"$ {line}"
            print(console.style(f"  {typed}", "cyan"))
        pause()

    def after(done: Done) -> None:
        progress.after(done)
        ways = trace_text.ways(done.traces, plan, done.numbers) if done.traces else []
        for way in ways[:MOST_WAYS]:
            said = textwrap.fill(words(way), WIDTH, subsequent_indent="   ", break_on_hyphens=False)
            print(textwrap.indent(said, "  "))
        for line in _printed(done):
            print(console.style(f"    {line}", "dim"))
        print()

    made = play(scenario, keep=keep, before=before, after=after)
    print(scenario.story.rstrip())
    return 0 if made.passed else 1


def _printed(done: Done) -> Iterator[str]:
    """The beginning of what a step printed, a table as one."""
    table = done.seen.table
    head = tuple(table[0]) if table else ()
    lines = (
        console.columns([head, *(tuple(row.get(c, "") for c in head) for row in table)])
        if table
        else done.seen.output
    ).splitlines()
    yield from lines[:MOST_LINES]
    if len(lines) > MOST_LINES:
        yield f"… {len(lines) - MOST_LINES} more lines"


def console_width() -> int:
    """Columns of the terminal, 100 where there is none."""
    return os.get_terminal_size().columns if sys.stdout.isatty() else 100


def pause() -> None:
    """Wait for any key; without a terminal go on."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)  # which forgets what was typed; so it comes before the question
        print(console.style("  any key …", "dim"), end="", flush=True)
        os.read(terminal, 64)  # an arrow is one key and three octets
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        print("\r\x1b[K", end="", flush=True)
