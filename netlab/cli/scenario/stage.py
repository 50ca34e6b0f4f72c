"""``demo``: a scenario step by step, each explained before it is done."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TYPE_CHECKING

from netlab.cli import console
from netlab.cli.scenario import Teller
from netlab.scenario.perform import commands
from netlab.scenario.run import play

if TYPE_CHECKING:
    from netlab.scenario.model import Scenario, Step

WIDTH = 78


def show(scenario: Scenario, *, keep: bool) -> int:
    """Play it, stopping before each step where there is a terminal; the exit code."""
    from netlab.report import graph
    from netlab.topology import load

    told = Teller(quiet=False)
    told.title(scenario)
    print()
    print(graph.text(load(scenario.topology), width=console_width()))

    def before(step: Step) -> None:
        print(console.style(step.name, "bold"))
        if step.explain:
            print(textwrap.indent(textwrap.fill(step.explain, WIDTH), "  "))
        for line in commands(step, scenario.name, scenario.file.parent):
            print(console.style(f"  $ {line}", "cyan"))
        pause()

    made = play(scenario, keep=keep, before=before, after=told.after)
    print()
    print(scenario.story.rstrip())
    return 0 if made.passed else 1


def console_width() -> int:
    """Columns of the terminal, 100 where there is none."""
    return os.get_terminal_size().columns if sys.stdout.isatty() else 100


def pause() -> None:
    """Wait for any key; without a terminal go on."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    import termios
    import tty

    print(console.style("  any key …", "dim"), end="", flush=True)
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        os.read(terminal, 1)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        print("\r\x1b[K", end="", flush=True)
