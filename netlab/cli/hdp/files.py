"""``hdp merge``, ``diff``, ``decode``, ``dissector``: what needs no network."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, TypeVar

from netlab.cli import console
from netlab.cli.hdp import octets_of, text_of, write
from netlab.errors import Diagnostic, InputError, Position

if TYPE_CHECKING:
    import argparse

    from netlab.hdp.table import ClientRow, ServerRow
    from netlab.probe.rows import Sweep

RowT = TypeVar("RowT", "ClientRow", "ServerRow")


def merge(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab hdp merge``."""
    parser.epilog = "example:\n  netlab hdp merge client.csv server.csv --format markdown"
    parser.add_argument(
        "client", metavar="CLIENT", help="the client's table: Markdown, CSV or JSON"
    )
    parser.add_argument("server", metavar="SERVER", help="the server's table")
    parser.add_argument(
        "--format",
        choices=("markdown", "csv", "json"),
        default="markdown",
        help="of the result (default: markdown)",
    )
    parser.set_defaults(run=_merge)


def _merge(arguments: argparse.Namespace) -> int:
    from netlab.cli.hdp.endpoints import print_table
    from netlab.hdp import table

    sent = _rows(arguments.client, table.ClientRow)
    received = _rows(arguments.server, table.ServerRow)
    print_table(arguments.format, table.MergedRow, table.merge(sent, received))
    return 0


def _rows(path: str, kind: type[RowT]) -> list[RowT]:
    from netlab.hdp import table

    text = text_of(path)
    try:
        rows = table.read(text)
    except table.Unreadable as problem:
        lines = text.splitlines() or [""]
        position = Position(path, problem.line, 1)
        source = lines[min(problem.line, len(lines)) - 1]
        raise InputError(Diagnostic("E608", str(problem), position, source)) from None
    found = [row for row in rows if isinstance(row, kind)]
    if len(found) < len(rows):
        raise InputError(
            Diagnostic(
                "E609",
                f"{path} is a table of {type(rows[0]).__name__}, not {kind.__name__}",
                hint="the client's table comes first: netlab hdp merge CLIENT SERVER",
            )
        )
    return found


def diff(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab hdp diff``."""
    parser.epilog = (
        "Times are not compared. The exit code is 0 if nothing differs, else 1.\n\n"
        "example:\n"
        "  netlab hdp sweep --lab a --from client --to server --json > a.json\n"
        "  netlab hdp sweep --lab b --from client --to server --json > b.json\n"
        "  netlab hdp diff a.json b.json"
    )
    parser.add_argument("before", metavar="BEFORE", help="a sweep, as --json prints it")
    parser.add_argument("after", metavar="AFTER", help="another")
    parser.add_argument("--path", action="store_true", help="also compare hops and packet lengths")
    parser.add_argument("--json", action="store_true", help="print a list of changes as JSON")
    parser.set_defaults(run=_diff)


def _diff(arguments: argparse.Namespace) -> int:
    from netlab.probe import compare

    found = compare.changes(_sweep(arguments.before), _sweep(arguments.after), way=arguments.path)
    if arguments.json:
        console.print_json([compare.to_json(change) for change in found])
    else:
        print("\n".join(compare.lines(found)) if found else "no difference")
    return 1 if found else 0


def _sweep(path: str) -> Sweep:
    from netlab.probe.rows import Sweep

    try:
        return Sweep.from_json(json.loads(text_of(path)))
    except ValueError as problem:
        hint = "netlab hdp sweep … --json > FILE"
        raise InputError(Diagnostic("E610", f"{path}: {problem}", hint=hint)) from None


def macos(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab hdp macos``."""
    parser.epilog = (
        "Published data, to be put beside a sweep; netlab does not run on macOS.\n\n"
        "example:\n"
        "  netlab hdp sweep 127.0.0.1 --listen --numbers 0-256 --packets 1 --json > linux.json\n"
        "  netlab hdp macos --json > macos.json\n"
        "  netlab hdp diff linux.json macos.json"
    )
    parser.add_argument("--svg", metavar="FILE", help="also draw the grid into this file")
    parser.add_argument("--json", action="store_true", help="print the rows as a sweep does")
    parser.set_defaults(run=_macos)


def _macos(arguments: argparse.Namespace) -> int:
    from netlab.diagram.hdp import grid
    from netlab.probe import published

    made = published.macos()
    title = "HDP under every protocol number, macOS on loopback"
    if arguments.svg:
        write(arguments.svg, grid.svg(made.rows, title, published.SOURCE))
    if arguments.json:
        console.print_json(made.to_json())
    else:
        heading = f"{title}: {published.SOURCE}"
        print(grid.terminal(made.rows, heading, colour=console.coloured()), end="")
    return 0


def decode(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab hdp decode``."""
    parser.epilog = (
        "example:\n"
        "  netlab exec nat -- tcpdump -i any -w - | netlab hdp decode -\n"
        "  netlab hdp decode run.pcapng --format csv"
    )
    parser.add_argument("file", metavar="FILE", help="pcap or pcapng; `-` is standard input")
    parser.add_argument(
        "--framing", choices=("hdp", "udp"), default="hdp",
        help="the header after the IP header (default: hdp)",
    )  # fmt: skip
    parser.add_argument(
        "--all", action="store_true", help="also what is neither from nor to port 420"
    )
    parser.add_argument(
        "--format",
        choices=("text", "rows", "markdown", "csv", "json"),
        default="text",
        help="as of the server (default: text)",
    )
    parser.set_defaults(run=_decode)


def _decode(arguments: argparse.Namespace) -> int:
    from netlab.cli.hdp import endpoints
    from netlab.hdp import capture, endpoint
    from netlab.wire import Malformed, hdp

    end = endpoint.Server(arguments.framing)
    kept = []
    try:
        for captured in capture.read(octets_of(arguments.file)):
            event = end.packet(captured.packet, captured.time)
            header = getattr(event, "hdp", None) or getattr(event, "udp", None)
            ports = (header.source_port, header.destination_port) if header else ()
            if arguments.all or hdp.PORT in ports:
                endpoints.show(event, arguments.format)
                kept += [event] if isinstance(event, endpoint.Received) else []
    except Malformed as problem:
        raise InputError(Diagnostic("E611", f"{arguments.file}: {problem}")) from None
    if arguments.format in endpoints.TABLES:
        endpoints.print_received(arguments.format, kept)
    print(f"{len(kept)} datagrams", file=sys.stderr)
    return 0


def dissector(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab hdp dissector``."""
    parser.epilog = (
        "example:\n"
        "  netlab hdp dissector > hdp.lua && tshark -X lua_script:hdp.lua -r run.pcapng\n"
        "  netlab hdp dissector > ~/.local/lib/wireshark/plugins/hdp.lua"
    )
    parser.set_defaults(run=_dissector)


def _dissector(_: argparse.Namespace) -> int:
    from importlib import resources

    print(resources.files("netlab.hdp").joinpath("data/hdp.lua").read_text("utf-8"), end="")
    return 0
