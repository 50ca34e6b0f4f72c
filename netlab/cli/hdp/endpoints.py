"""``hdp server`` and ``hdp client``: the two ends, on this machine or in a node."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

from netlab.cli.hdp import spans, within
from netlab.errors import Diagnostic, InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from netlab.hdp.endpoint import Garbage, Received
    from netlab.hdp.endpoint import Server as ServerEnd
    from netlab.hdp.table import Row
    from netlab.io.hdp.endpoints import Target

EXPERIMENT = 253
"""The number to use without a better one: RFC 3692 keeps it for experiments and tests."""

_LARGEST = 65_535 - 40 - 12
TABLES = ("markdown", "csv", "json")


def server(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab hdp server``."""
    parser.epilog = (
        "It ends after --count datagrams, after --seconds, or by Ctrl-C; then come tables.\n\n"
        "examples:\n"
        "  netlab hdp server --protocol all --format rows\n"
        "  netlab exec server -- netlab hdp server --family 6 --count 10 --format csv"
    )
    _common(parser, default=str(EXPERIMENT))
    parser.add_argument("--count", type=within(1, 10**9), metavar="N", help="end after N datagrams")
    parser.add_argument(
        "--seconds", type=within(0, 10**6, float), metavar="S", help="end after S seconds"
    )
    parser.add_argument(
        "--format",
        choices=("text", "rows", *TABLES),
        default="text",
        help="headers and data, a line for each, or a table at the end (default: text)",
    )
    parser.add_argument(
        "--no-hold",
        action="store_true",
        help="with `--protocol all`: let the kernel answer with ICMP, as if no socket were open",
    )
    parser.set_defaults(run=_server)


def _server(arguments: argparse.Namespace) -> int:
    from netlab.hdp import endpoint
    from netlab.io.hdp import endpoints as drive

    end = endpoint.Server(arguments.framing)
    listen = drive.Listen(
        arguments.family or 4, _one_number(arguments), not arguments.no_hold, arguments.seconds
    )
    kept: list[Received] = []
    with _asked_to_stop() as stop, contextlib.closing(drive.server(end, listen, stop)) as events:
        for event in events:
            if event is None:
                what = "all protocols" if listen.protocol is None else f"protocol {listen.protocol}"
                print(f"listening: IPv{listen.family}, {what}", file=sys.stderr, flush=True)
                continue
            show(event, arguments.format)
            if isinstance(event, endpoint.Received):
                kept += [event] if arguments.format in TABLES else []
                if end.received == arguments.count:
                    break
    if arguments.format in TABLES:
        print_received(arguments.format, kept)
    _summary(end)
    return 0


def _one_number(arguments: argparse.Namespace) -> int | None:
    if arguments.protocol == "all":
        return None
    numbers = spans(arguments.protocol)
    if len(numbers) != 1:
        raise InputError(
            Diagnostic("E606", "a server listens to one number or to all", hint="--protocol all")
        )
    return numbers[0]


def show(event: Received | Garbage, form: str) -> None:
    """One event at once: garbage on standard error, datagrams as ``text`` or ``rows``."""
    from netlab.hdp import endpoint, text

    if isinstance(event, endpoint.Garbage):
        print(text.garbage(event), file=sys.stderr, flush=True)
    elif form == "text":
        print(text.received(event), end="\n\n", flush=True)
    elif form == "rows":
        print(text.row(event), flush=True)


def print_received(form: str, events: Sequence[Received]) -> None:
    """All datagrams as the server's table."""
    from netlab.hdp import table
    from netlab.wire import address

    rows = [
        table.ServerRow(e.protocol, e.time, address.text(e.source), e.length, e.sent)
        for e in events
    ]
    print_table(form, table.ServerRow, rows)


def _summary(end: ServerEnd) -> None:
    counts = [f"{end.received} received"]
    counts += [f"{count} {reason}" for reason, count in end.garbage.most_common()]
    print("; ".join(counts), file=sys.stderr)


def client(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab hdp client``."""
    parser.epilog = (
        "What comes from standard input is what each datagram carries. Without it, and with\n"
        "--grow, datagram n carries n octets.\n\n"
        "examples:\n"
        "  fortune | cowsay | netlab hdp client 192.0.2.10\n"
        "  netlab hdp client 192.0.2.10 --protocol all --count 3 --interval 0 --format csv\n"
        "  netlab exec client -- netlab hdp client server --flood --count 1000000"
    )
    parser.add_argument("target", metavar="TARGET", help="an address or a name")
    _common(parser, default=str(EXPERIMENT))
    parser.add_argument(
        "--count", type=within(1, 10**6), default=1, metavar="N",
        help="datagrams for each number (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--interval", type=within(0, 3600, float), default=0.2, metavar="S",
        help="seconds between two datagrams (default: 0.2)",
    )  # fmt: skip
    parser.add_argument(
        "--flood", action="store_true",
        help="copies of one frame as fast as this machine can; no table, --seconds at most",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=within(0, 60, float), default=10, metavar="S",
        help="how long a flood may last (default: 10)",
    )  # fmt: skip
    parser.add_argument(
        "--grow",
        action="store_true",
        help="do not read standard input; payloads grow by one octet each",
    )
    parser.add_argument(
        "--format", choices=TABLES, default="markdown", help="of the table (default: markdown)"
    )
    parser.set_defaults(run=_client)


def _client(arguments: argparse.Namespace) -> int:
    from netlab.hdp import endpoint, numbers, table
    from netlab.io.hdp import endpoints as drive

    target = drive.resolve(arguments.target, arguments.family)
    everything = arguments.protocol == "all"
    which = numbers.arguments(target.family) if everything else spans(arguments.protocol)
    if arguments.flood:
        return _flood(arguments, target, which)
    end = endpoint.Client(arguments.framing, _payload(arguments))
    rows: list[Row] = []
    with contextlib.suppress(KeyboardInterrupt):
        rows.extend(drive.client(end, target, which, arguments.count, arguments.interval))
    print_table(arguments.format, table.ClientRow, rows)
    return 0 if any(row.succeeded for row in rows if isinstance(row, table.ClientRow)) else 1


def _flood(arguments: argparse.Namespace, target: Target, which: Sequence[int]) -> int:
    from netlab.io.hdp import flood

    if len(which) != 1:
        raise InputError(Diagnostic("E606", "a flood has one number", hint="--protocol 253"))
    template = flood.learn(target.family, which[0], target.address)
    done = flood.flood(template, count=arguments.count, seconds=arguments.seconds)
    refused = f", {done.refused} refused" if done.refused else ""
    print(f"{done.sent} sent{refused} in {done.seconds:.3f} s: {done.rate:.0f} a second")
    return 0


def _payload(arguments: argparse.Namespace) -> bytes | None:
    if arguments.grow or sys.stdin is None or sys.stdin.isatty():
        return None
    octets = sys.stdin.buffer.read(_LARGEST + 1)
    if len(octets) > _LARGEST:
        message = f"more than {_LARGEST} octets do not fit into one datagram"
        raise InputError(Diagnostic("E607", message))
    return octets or None


def _common(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--family", type=int, choices=(4, 6), help="of IP (default: what the target has, or 4)"
    )
    parser.add_argument(
        "--protocol", type=_protocols, default=default, metavar="N",
        help=f"a protocol number, a list as 1-5,7, or `all` (default: {default}, for experiments)",
    )  # fmt: skip
    parser.add_argument(
        "--framing", choices=("hdp", "udp"), default="hdp",
        help="the header after the IP header (default: hdp)",
    )  # fmt: skip


def _protocols(text: str) -> str:
    if text != "all":
        spans(text)
    return text


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[int]:
    """A descriptor that is readable after Ctrl-C or SIGTERM, which then do nothing else.

    An exception would come at any point, and lose what had arrived but was not read yet.
    """
    stop, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signals = signal.SIGINT, signal.SIGTERM
    before = {number: signal.signal(number, lambda *_: None) for number in signals}
    woken = signal.set_wakeup_fd(wake)
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(stop)
        os.close(wake)


def print_table(form: str, kind: type[Row], rows: Sequence[Row]) -> None:
    """The rows on standard output as ``markdown``, ``csv`` or ``json``."""
    from netlab.hdp import table

    write = {"markdown": table.markdown, "csv": table.as_csv, "json": table.as_json}[form]
    print(write(kind, rows), end="")
