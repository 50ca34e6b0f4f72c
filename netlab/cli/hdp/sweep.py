"""``hdp sweep``: every protocol number to a target, or through a running lab."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from netlab.cli import console
from netlab.cli.hdp import spans, within, write
from netlab.errors import Diagnostic, InputError

if TYPE_CHECKING:
    from netlab.probe.rows import Sweep

PACKETS = 3
_REMOTE_QUIET = 1.0


def sweep(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab hdp sweep``."""
    parser.usage = (
        "netlab hdp sweep [options] TARGET\n"
        "       netlab hdp sweep [options] [--lab LAB] --from NODE --to NODE"
    )
    parser.epilog = (
        "In a lab every hop is watched, and the server holds a raw socket for each number. Before\n"
        "it starts connection tracking forgets all flows, so that equal labs give equal tables.\n"
        "Ctrl-C prints what there is so far.\n\n"
        "examples:\n"
        "  netlab hdp sweep --from client --to server --svg sweep.svg\n"
        "  netlab hdp sweep --lab nat --from client --to server --family 6 --json\n"
        "  netlab hdp sweep 192.0.2.10 --numbers 1-10,253 --packets 1"
    )
    parser.add_argument("target", metavar="TARGET", nargs="?", help="an address or a name")
    parser.add_argument("--lab", metavar="LAB", help="may be left out if only one is running")
    parser.add_argument("--from", dest="source", metavar="NODE", help="the node that sends")
    parser.add_argument("--to", dest="destination", metavar="NODE", help="the node that receives")
    parser.add_argument(
        "--family", type=int, choices=(4, 6), help="of IP (default: 4 if it has it)"
    )
    parser.add_argument(
        "--numbers", type=spans, metavar="LIST",
        help="socket arguments, as --numbers=-1-262 (default: IPv4 -1-262, IPv6 0-255)",
    )  # fmt: skip
    parser.add_argument(
        "--packets", type=within(1, 255), default=PACKETS, metavar="N",
        help=f"packets of each number (default: {PACKETS})",
    )  # fmt: skip
    parser.add_argument(
        "--size", type=within(0, 65_000), default=0, metavar="OCTETS",
        help="pad what follows the IP header to this size (default: 17, the least)",
    )  # fmt: skip
    parser.add_argument(
        "--listen", action=argparse.BooleanOptionalAction,
        help="hold a raw socket for each number at the target (default: in a lab)",
    )  # fmt: skip
    parser.add_argument(
        "--keep-flows", action="store_true", help="in a lab: conntrack keeps what it knows"
    )
    parser.add_argument(
        "--kernel-header",
        action="store_true",
        help="have the kernel write the header of 255 over IPv6 too, so that it can be sent",
    )
    parser.add_argument(
        "--wait", type=within(0, 60, float), metavar="S",
        help="stop after S seconds of silence (default: 0.15 in a lab, else 1)",
    )  # fmt: skip
    parser.add_argument("--svg", metavar="FILE", help="also draw the grid into this file")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print all rows as JSON")
    form.add_argument("--csv", action="store_true", help="print all rows as CSV")
    form.add_argument("--markdown", action="store_true", help="print all rows as a Markdown table")
    parser.set_defaults(run=_sweep)


def _sweep(arguments: argparse.Namespace) -> int:
    if arguments.target:
        if arguments.lab or arguments.source or arguments.destination:
            raise _usage("either TARGET, or --lab, --from and --to")
        made, title = _to_target(arguments)
    else:
        made, title = _through_lab(arguments)
    if arguments.svg:
        _draw(made, arguments.svg, title)
    _print(made, arguments, title)
    if any(row.outcome in ("lost", "partly") for row in made.rows):
        for gap in made.gaps:
            print(f"incomplete capture ({gap})", file=sys.stderr)
    if made.interrupted:
        print(f"interrupted: {len(made.rows)} numbers so far", file=sys.stderr)
        return 130
    return 0


def _usage(message: str) -> InputError:
    hint = "netlab hdp sweep --lab LAB --from NODE --to NODE, or netlab hdp sweep TARGET"
    return InputError(Diagnostic("E612", message, hint=hint))


def _to_target(arguments: argparse.Namespace) -> tuple[Sweep, str]:
    from netlab.io.hdp.endpoints import resolve
    from netlab.probe.sweep import sweep_from_here

    target = resolve(arguments.target, arguments.family)
    if arguments.listen and target.source != target.address:
        raise _usage(f"{arguments.target} is another machine: start `netlab hdp server` there")
    made = sweep_from_here(
        target,
        arguments=arguments.numbers,
        packets=arguments.packets,
        size=arguments.size,
        listen=bool(arguments.listen),
        kernel_header=arguments.kernel_header,
        quiet=_REMOTE_QUIET if arguments.wait is None else arguments.wait,
    )
    return made, f"to {arguments.target}"


def _through_lab(arguments: argparse.Namespace) -> tuple[Sweep, str]:
    from netlab.lab.lab import Lab
    from netlab.probe import sweep as probe

    if not (arguments.source and arguments.destination):
        raise _usage("which way? TARGET, or --from and --to")
    lab = Lab.attach(arguments.lab)
    source, destination = lab[arguments.source], lab[arguments.destination]
    if source.name == destination.name:
        raise _usage(f"--from and --to are both {source.name}")
    made = probe.sweep(
        lab,
        source.name,
        destination.name,
        family=arguments.family,
        arguments=arguments.numbers,
        packets=arguments.packets,
        size=arguments.size,
        listen=arguments.listen is not False,
        forget=not arguments.keep_flows,
        kernel_header=arguments.kernel_header,
        quiet=arguments.wait,
    )
    return made, f"{source.name} to {destination.name} in {lab.name}"


def _draw(made: Sweep, path: str, title: str) -> None:
    from netlab.diagram.hdp import grid

    subtitle = f"{title}, {made.packets} packets of each number"
    write(path, grid.svg(made.rows, _title(made), subtitle))


def _title(made: Sweep) -> str:
    return f"HDP under every protocol number, IPv{made.family}"


def _print(made: Sweep, arguments: argparse.Namespace, title: str) -> None:
    from netlab.diagram.hdp import grid, listing

    if arguments.json:
        console.print_json(made.to_json())
    elif arguments.csv:
        print(listing.as_csv(made), end="")
    elif arguments.markdown:
        print(listing.markdown(made), end="")
    else:
        heading = f"{_title(made)}, {title}, {made.packets} packets each"
        print(grid.terminal(made.rows, heading, colour=console.coloured()), end="")
