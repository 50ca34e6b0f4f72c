"""``hdp latency``: HDP against UDP through a running lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.cli import console
from netlab.cli.hdp import within, write

if TYPE_CHECKING:
    import argparse

ROUNDS = 1000


def latency(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab hdp latency``."""
    parser.epilog = (
        "From the sender's clock before sending to the listener's after waking up; both are\n"
        "programs of one machine and read one clock.\n\n"
        "example:\n"
        "  netlab hdp latency --from client --to server --svg latency.svg"
    )
    parser.add_argument("--lab", metavar="LAB", help="may be left out if only one is running")
    parser.add_argument(
        "--from", dest="source", metavar="NODE", required=True, help="the sending node"
    )
    parser.add_argument(
        "--to", dest="destination", metavar="NODE", required=True, help="the receiving node"
    )
    parser.add_argument(
        "--rounds", type=within(2, 100_000), default=ROUNDS, metavar="N",
        help=f"datagrams of each kind (default: {ROUNDS})",
    )  # fmt: skip
    parser.add_argument("--svg", metavar="FILE", help="also draw the distributions into this file")
    parser.add_argument("--json", action="store_true", help="print every single latency, in ns")
    parser.set_defaults(run=_latency)


def _latency(arguments: argparse.Namespace) -> int:
    from netlab.diagram.hdp import plot
    from netlab.lab.lab import Lab
    from netlab.probe.latency import measure

    lab = Lab.attach(arguments.lab)
    found = measure(lab, arguments.source, arguments.destination, arguments.rounds)
    if arguments.svg:
        subtitle = f"{arguments.source} to {arguments.destination} in {lab.name}, "
        subtitle += f"{arguments.rounds} of each kind, one at a time, in turns"
        picture = plot.svg(found, "From one program to another", subtitle)
        write(arguments.svg, picture)
    if arguments.json:
        console.print_json(found)
        return 0
    rows = [("KIND", "LEAST", "QUARTER", "MEDIAN", "3 QUARTERS", "95 OF 100 (us)")]
    for name, values in found.items():
        least, lower, middle, upper, p95 = map(str, plot.summary(values))
        rows.append((name, least, lower, middle, upper, p95))
    print(console.columns(rows))
    return 0
