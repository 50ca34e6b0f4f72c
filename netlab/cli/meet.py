"""``meet``: through which pairs of NATs two programs find each other, and if not, why."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from netlab.cli import console
from netlab.cli.scenario import count, end_well

if TYPE_CHECKING:
    from netlab.scenario.meet.table import Table

MOST_RUNS = 1000
COLOURS = {"met": "green", "flaky": "yellow", "not met": "red"}


def meet(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab meet``."""
    parser.epilog = (
        "Exit code 0 if every pair of --require met in every run (default: none is required),\n"
        "else 1. Without --a and --b a small UDP program of our own plays. In commands {stun},\n"
        "{exchange}, {server}, {name}, {peer} and {seed} are filled in; docs/meet.md has all of\n"
        "them. A run that was interrupted goes on where it stopped.\n\n"
        "examples:\n"
        "  netlab meet\n"
        "  netlab meet --pairs 'home-router:*' --report out\n"
        "  netlab meet --a './peer {stun} {exchange}' --b './peer {stun} {exchange}' \\\n"
        "      --until 'output:^connected' --pairs all --repeat 3 --require classic"
    )
    parser.add_argument("--a", metavar="CMD", default="", help="what anna runs, behind the first")
    parser.add_argument("--b", metavar="CMD", default="", help="what boris runs, behind the second")
    parser.add_argument(
        "--rendezvous", metavar="CMD", default="",
        help="what runs at the public server in place of our exchange of lines",
    )  # fmt: skip
    parser.add_argument(
        "--turn", action="store_true", help="run coturn at the server in place of our STUN server"
    )
    parser.add_argument(
        "--until", metavar="CONDITION", default="exit:0",
        help="they have met: exit:CODE, output:REGEX, packet:udp[/PORT]; of both programs, or "
        "with a: or b: before it of one (default: exit:0)",
    )  # fmt: skip
    parser.add_argument(
        "--pairs", metavar="LIST", default="classic",
        help="classic, presets, all, or a list as in home-router:symmetric,none:nat64, with * "
        "(default: classic)",
    )  # fmt: skip
    parser.add_argument(
        "--require", metavar="LIST", help="the pairs that must meet, as for --pairs"
    )
    parser.add_argument(
        "--repeat", type=count(MOST_RUNS), default=1, metavar="N",
        help="play each pair N times; one that does not always meet is flaky (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=_seconds, default=20.0, metavar="S",
        help="seconds that a run of a pair may take (default: 20)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="random seed (default: 0)")
    parser.add_argument(
        "-j", dest="jobs", type=count(64), default=0, metavar="N",
        help="pairs at a time (default: as many as keep the cores busy)",
    )  # fmt: skip
    parser.add_argument(
        "--scheduler", metavar="tcp://HOST:PORT", default="",
        help="play the pairs on the workers of this dask.distributed scheduler",
    )  # fmt: skip
    parser.add_argument("--fresh", action="store_true", help="do not resume an interrupted run")
    parser.add_argument(
        "--report", metavar="DIR",
        help="write meet.html, .md, .json and .xml (JUnit), and fates/, into this directory",
    )  # fmt: skip
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the table as JSON")
    form.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.set_defaults(run=_meet)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 3600 seconds")
    return seconds


def _meet(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from netlab.scenario.matrix.options import MatrixOptions
    from netlab.scenario.meet import pages, pairs
    from netlab.scenario.meet.meet import meet as play

    required = None if arguments.require is None else pairs.pairs(arguments.require, "--require")
    if arguments.report:
        pages.prepare(arguments.report)
    end_well()
    table = play(
        arguments.a,
        arguments.b,
        rendezvous=arguments.rendezvous,
        until=arguments.until,
        pairs=arguments.pairs,
        repeat=arguments.repeat,
        limit=arguments.limit,
        seed=arguments.seed,
        turn=arguments.turn,
        fates=Path(arguments.report) / "fates" if arguments.report else "",
        options=MatrixOptions(
            scheduler=arguments.scheduler,
            jobs=arguments.jobs,
            fresh=arguments.fresh,
            progress=console.Progress("pair", least=2),
            report=lambda line: print(line, file=sys.stderr, flush=True),
        ),
    )
    if arguments.report:
        pages.write(table, arguments.report, required)
    if arguments.json:
        console.print_json(table.to_json())
    elif arguments.markdown:
        print(table.markdown(), end="")
    else:
        _print(table)
    missed = [
        each for each in table.played if (each.a, each.b) in (required or ()) and not each.met
    ]
    for each in missed:
        print(f"required, and {each.word}: {each.a}:{each.b}", file=sys.stderr)
    return 1 if missed else 0


def _print(table: Table) -> None:
    heading, *rows = table.rows()
    lines = console.columns([heading, *rows]).splitlines()
    at = lines[1].index(rows[0][2], len(rows[0][0]) + 2 + len(rows[0][1]))
    print(lines[0])
    for line, row in zip(lines[1:], rows, strict=True):
        word = row[2]
        end = at + len(word)
        print(line[:at] + console.style(line[at:end], COLOURS[word]) + line[end:])
    for pair, reason in table.reasons():
        print(f"{pair}: {reason}")
    print(f"{table.summary()}; fates in {table.fates}")
