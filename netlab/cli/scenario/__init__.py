"""``list``, ``run``, ``demo``: lessons about networks that are played, judged and shown."""

from __future__ import annotations

import argparse
import signal
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.cli import console
from netlab.errors import Diagnostic, InputError, Unavailable

if TYPE_CHECKING:
    from netlab.lab.lab import Lab
    from netlab.scenario.matrix.options import MatrixOptions
    from netlab.scenario.model import Scenario, Step
    from netlab.scenario.outcome import Done, Outcome, Run

MOST_RUNS = 1000


def list_(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab list``."""
    parser.epilog = "examples:\n  netlab list\n  netlab list --json"
    parser.add_argument(
        "--exercises", action="store_true", help="the exercises in place of the lessons"
    )
    parser.add_argument("--json", action="store_true", help="print names, titles and needs as JSON")
    parser.set_defaults(run=_list)


def _list(arguments: argparse.Namespace) -> int:
    from netlab.scenario import bundled
    from netlab.scenario.read import read

    if arguments.exercises:
        found = [read(bundled.find(name)) for name in bundled.exercises()]
    else:
        found = [read(bundled.find(name)) for name in bundled.names()]
    if arguments.json:
        rows = [{"name": s.name, "title": s.title, "needs": list(s.needs)} for s in found]
        console.print_json(rows)
        return 0
    if arguments.exercises:
        print(console.columns([("EXERCISE", "ABOUT"), *((s.name, s.title) for s in found)]))
        print("\nbegin: netlab exercise NAME")
        return 0
    print(console.columns([("SCENARIO", "WHAT IT SHOWS"), *((s.name, s.title) for s in found)]))
    print(
        "\nplay one: netlab run NAME     step by step: netlab demo NAME\n"
        "exercises: netlab list --exercises"
    )
    return 0


def run(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab run``."""
    parser.usage = "netlab run [options] NAME|FILE\n       netlab run [options] --all"
    parser.epilog = (
        "Exit code 0 if every expectation was met in each run and all results are equal,\n"
        "1 if not, 2 for a bad file. Each run has a lab of its own.\n\n"
        "examples:\n"
        "  netlab run one-packet-offload\n"
        "  netlab run two-clients --repeat 10 --json > two-clients.json\n"
        "  netlab run two-clients --replay two-clients.json\n"
        "  netlab run --all -j 2 --report reports\n"
        "  netlab run nat-timeouts --in mylab\n"
        "  netlab run matrix --only 'udp,hdp x allow-list,home-router'"
    )
    parser.add_argument(
        "scenario", metavar="NAME|FILE", nargs="?", help="one of `netlab list`, or a file"
    )
    parser.add_argument("--all", action="store_true", help="every scenario that ships")
    parser.add_argument(
        "-j", dest="jobs", type=count(64), metavar="N",
        help="number of workers: scenarios with --all (default: 1), or cells of a matrix (default: "
        "as many as keep the cores busy)",
    )  # fmt: skip
    parser.add_argument(
        "--repeat", type=count(MOST_RUNS), default=1, metavar="N",
        help="run N times; all results must be equal (default: 1)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="random seed (default: 0)")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    parser.add_argument(
        "--report", metavar="DIR", help="write NAME.html and NAME.md into this directory"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave the lab up, named after the scenario"
    )
    parser.add_argument(
        "--patience", type=count(100), default=1, metavar="N",
        help="give each step N times as long, on a slow or emulated machine (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--replay", metavar="FILE",
        help="replay a saved result (same files and seed) and compare",
    )  # fmt: skip
    parser.add_argument(
        "--in", dest="inside", metavar="LAB",
        help="play it in a lab that runs, which stays as the steps leave it",
    )  # fmt: skip
    matrix = parser.add_argument_group(
        "a scenario with a matrix", "A run that was interrupted goes on where it stopped."
    )
    matrix.add_argument(
        "--only", metavar="'TRAFFIC x OBSTACLE'", default="",
        help="part of a matrix: TRAFFIC:OBSTACLE, with * and commas; either side may be left out",
    )  # fmt: skip
    matrix.add_argument(
        "--scheduler", metavar="tcp://HOST:PORT", default="",
        help="run the cells on the workers of this dask.distributed scheduler",
    )  # fmt: skip
    matrix.add_argument("--fresh", action="store_true", help="do not resume an interrupted run")
    parser.set_defaults(run=_run)


def count(most: int) -> Any:
    """The type of an argument that is a number from 1 to ``most``."""

    def number(text: str) -> int:
        if not text.isdecimal() or not 0 < int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not between 1 and {most}")
        return int(text)

    return number


def _run(arguments: argparse.Namespace) -> int:
    if arguments.replay and not arguments.inside:
        return _replay(arguments)
    if arguments.all == bool(arguments.scenario):
        hint = "netlab run one-packet-offload, or netlab run --all"
        raise InputError(Diagnostic("E912", "which scenario? one, or --all", hint=hint))
    if arguments.inside and (
        arguments.all or arguments.repeat > 1 or arguments.keep or arguments.replay
    ):
        message = "--in is for one run of one scenario, without --all, --repeat, --keep, --replay"
        raise InputError(Diagnostic("E912", message))
    if arguments.keep and (arguments.all or arguments.repeat > 1):
        raise InputError(Diagnostic("E912", "--keep is for one run of one scenario"))
    if arguments.all:
        _refuse_matrix_options(arguments, "--all")
    end_well()
    if arguments.all:
        from netlab.cli.scenario import everything

        return everything.run(arguments)
    return 0 if _play(arguments).passed else 1


def _replay(arguments: argparse.Namespace) -> int:
    from netlab.scenario import bundled, replay
    from netlab.scenario.read import read
    from netlab.scenario.run import environment

    if arguments.all or arguments.seed or arguments.keep:
        message = "--replay takes the seed from its file, and neither --all nor --keep"
        raise InputError(Diagnostic("E912", message))
    original = replay.read(arguments.replay, Path(arguments.scenario or "").stem)
    arguments.scenario = arguments.scenario or original.scenario
    arguments.seed = original.seed
    arguments.only = arguments.only or original.environment.get("only", "")
    now = environment(read(bundled.find(arguments.scenario)))
    replay.check(original, now)
    for difference in replay.differences(original, now):
        print(f"environment changed: {difference}", file=sys.stderr)
    end_well()
    outcome = _play(arguments)
    same = outcome.telling.digest == original.digest
    said = "same result as before" if same else f"result differs from {original.digest}"
    print(f"replay of {arguments.replay}: {said}", file=sys.stderr)
    return 0 if same and outcome.passed else 1


def end_well() -> None:
    """Handle SIGTERM as Ctrl-C, so that the lab is removed first."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)


def _play(arguments: argparse.Namespace) -> Outcome:
    """Play one scenario as the options say, and report progress."""
    from netlab.scenario import bundled
    from netlab.scenario.outcome import Outcome
    from netlab.scenario.read import read
    from netlab.scenario.run import environment, play, repeat

    scenario = solved(read(bundled.find(arguments.scenario)), in_a_lab=bool(arguments.inside))
    scenario = scenario.with_patience(arguments.patience)
    how = _how(arguments, scenario)
    inside = _running(arguments.inside, scenario) if arguments.inside else None
    quiet = arguments.json
    if arguments.repeat == 1:
        progress = ProgressPrinter(quiet=quiet)
        progress.title(scenario)
        made = play(
            scenario,
            seed=arguments.seed,
            keep=arguments.keep,
            inside=inside,
            how=how,
            before=progress.before,
            after=progress.after,
        )
        outcome = Outcome(scenario, (made,), arguments.seed, environment(scenario, how))
    else:
        counter = _Counter(arguments.repeat)
        outcome = repeat(scenario, arguments.repeat, seed=arguments.seed, how=how, after=counter)
        if not quiet:
            ProgressPrinter(quiet=False).all(outcome)
    if arguments.report:
        _report(outcome, arguments.report)
    if quiet:
        console.print_json(outcome.to_json())
    else:
        _summary(outcome)
    if arguments.keep:
        print(f"lab {scenario.name} is up; remove: netlab down {scenario.name}", file=sys.stderr)
    return outcome


def solved(scenario: Scenario, *, in_a_lab: bool = False) -> Scenario:
    """The scenario in the lab where its claims are true: of an exercise that of its solution."""
    if scenario.exercise is None or in_a_lab:
        return scenario
    if scenario.exercise.solution is None:
        message = f"{scenario.name} is an exercise without a solution: there is nothing to play"
        hint = f"netlab run {scenario.name} --in LAB, or netlab exercise {scenario.name}"
        raise InputError(Diagnostic("E922", message, hint=hint))
    return replace(scenario, topology=scenario.exercise.solution)


def _running(name: str, scenario: Scenario) -> Lab:
    """The lab that a scenario is played in."""
    from netlab.lab.lab import Lab
    from netlab.scenario.model import Matrix

    if any(isinstance(step.action, Matrix) for step in scenario.steps):
        message = f"{scenario.name} has a matrix, whose cells have labs of their own"
        raise InputError(Diagnostic("E912", message, hint=f"netlab run {scenario.name}"))
    return Lab.attach(name)


def _how(arguments: argparse.Namespace, scenario: Scenario) -> MatrixOptions:
    """What the options say about the scenario's matrix, if it has one."""
    from netlab.scenario.matrix.options import MatrixOptions
    from netlab.scenario.model import Matrix, Meet

    if not any(isinstance(step.action, Matrix | Meet) for step in scenario.steps):
        _refuse_matrix_options(arguments, scenario.name)

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    return MatrixOptions(
        only=arguments.only,
        scheduler=arguments.scheduler,
        jobs=arguments.jobs or 0,
        fresh=arguments.fresh,
        progress=console.Progress("cell", least=2),
        report=report,
    )


def _refuse_matrix_options(arguments: argparse.Namespace, what: str) -> None:
    for option in ("only", "scheduler", "fresh"):
        if getattr(arguments, option):
            message = f"--{option} is about a scenario with a matrix, not for {what}"
            raise InputError(Diagnostic("E912", message, hint="netlab run matrix"))


def _report(outcome: Outcome, directory: str) -> list[Path]:
    from netlab.scenario import pages

    return pages.write(outcome, directory)


class _Counter:
    """Which run it is, on one line of a terminal."""

    def __init__(self, total: int) -> None:
        self._progress = console.Progress("run", least=2)
        self._done = 0
        self._total = total

    def __call__(self, _: Run) -> None:
        self._done += 1
        self._progress(self._done, self._total)


class ProgressPrinter:
    """Reports the progress of a run."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def title(self, scenario: Scenario) -> None:
        """The heading."""
        if not self._quiet:
            print(console.style(f"{scenario.name}: {scenario.title}", "bold"), flush=True)

    def before(self, step: Step) -> None:
        """What is being done, where somebody looks."""
        if not self._quiet and sys.stdout.isatty():
            print(f"  … {step.name}", end="\r", flush=True)

    def after(self, done: Done) -> None:
        """The result."""
        if self._quiet:
            return
        end = "\x1b[K" if sys.stdout.isatty() else ""
        if not done.verdicts:
            print(f"  {console.style('·', 'dim')} {done.step.name}{end}", flush=True)
        for verdict in done.verdicts:
            mark = console.style("✓", "green") if verdict.passed else console.style("✗", "red")
            print(f"  {mark} {verdict.text}{end}", flush=True)
            if not verdict.passed:
                print("      seen: " + verdict.observed.replace("\n", "\n      "), flush=True)
        if not all(verdict.passed for verdict in done.verdicts):
            from netlab.scenario import pages

            print(textwrap.indent(pages.journeys(done), "      "), end="", flush=True)

    def all(self, outcome: Outcome) -> None:
        """A run that tells most of several."""
        self.title(outcome.scenario)
        for done in outcome.telling.done:
            self.after(done)


def _summary(outcome: Outcome) -> None:
    verdicts = outcome.telling.verdicts
    met = sum(verdict.passed for verdict in verdicts)
    word = console.style("passed", "green") if outcome.passed else console.style("FAILED", "red")
    runs = ""
    if len(outcome.runs) > 1:
        good = sum(run.passed for run in outcome.runs)
        same = "the same each time" if outcome.digests_equal else "NOT the same each time"
        runs = f", {good} of {len(outcome.runs)} runs, {same}"
    digest = outcome.telling.digest[:16]
    print(f"{word}: {met} of {len(verdicts)} expectations met{runs}; digest {digest}")


def demo(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab demo``."""
    parser.epilog = (
        "Any key goes on, Ctrl-C ends it. Without a terminal it does not stop.\n\n"
        "example:\n"
        "  netlab demo one-packet-offload"
    )
    parser.add_argument("scenario", metavar="NAME|FILE", help="one of `netlab list`, or a file")
    parser.add_argument(
        "--keep", action="store_true", help="leave the lab up, named after the scenario"
    )
    parser.set_defaults(run=_demo)


def _demo(arguments: argparse.Namespace) -> int:
    from netlab.cli.scenario import stage
    from netlab.scenario import bundled
    from netlab.scenario.read import read

    end_well()
    return stage.show(solved(read(bundled.find(arguments.scenario))), keep=arguments.keep)


def skipped(error: Unavailable) -> str:
    """Why a scenario cannot be played here, in a line."""
    return "; ".join(diagnostic.message for diagnostic in error.diagnostics)
