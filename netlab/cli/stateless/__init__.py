"""``stateless``: a TCP server that keeps nothing of its connections, and proxies built on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli import add_command
from netlab.cli.stateless import run, services, values

if TYPE_CHECKING:
    import argparse


def stateless(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab stateless`` and what comes below it."""
    parser.epilog = (
        "The server answers each segment from that segment alone. It listens on an address that\n"
        "the kernel does not own and that is routed to this node, or on one of the node's own:\n"
        "then the kernel's resets for that port are held back until the server ends.\n\n"
        "examples:\n"
        "  netlab stateless http --listen 198.51.100.2:80 --text 'Hello'\n"
        "  netlab stateless dns --listen 198.51.100.2:53 --resolver 198.51.100.1"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, summary: str, example: str) -> argparse.ArgumentParser:
        command = add_command(commands, name, summary)
        command.epilog = f"example:\n  netlab stateless {name} {example}"
        return command

    http = add(
        "http",
        "answer HTTP requests: itself, from files, or from an HTTP server behind",
        "--listen 198.51.100.2:80 --backend 127.0.0.1:8080 --stats",
    )
    content = http.add_mutually_exclusive_group(required=True)
    content.add_argument("--text", help="answer every GET with this text")
    content.add_argument(
        "--file", type=Path, metavar="DIR",
        help="serve the files of a directory; long ones in bursts that the client's ACKs ask for",
    )  # fmt: skip
    content.add_argument(
        "--backend",
        type=values.endpoint,
        metavar="HOST:PORT",
        help="ask this server, by ordinary TCP",
    )
    http.add_argument(
        "--withhold-ack", action="store_true",
        help="acknowledge a request only when the client closes: its timer then mends lost answers",
    )  # fmt: skip
    http.set_defaults(service=services.http)

    dns = add(
        "dns",
        "answer DNS over TCP by asking a resolver over UDP",
        "--listen 198.51.100.2:53 --resolver 198.51.100.1",
    )
    dns.add_argument(
        "--resolver", type=values.endpoint_53, required=True, metavar="HOST[:PORT]",
        help="the resolver (port 53 unless said otherwise)",
    )  # fmt: skip
    dns.set_defaults(service=services.dns, withhold_ack=False)

    echo = add("echo", "send back what comes (RFC 862)", "--listen 198.51.100.2:7")
    echo.set_defaults(service=services.echo, withhold_ack=False)

    for command in (http, dns, echo):
        _common(command)
        command.set_defaults(run=run.run)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen", type=values.listen, required=True, metavar="ADDRESS:PORT",
        help="where to listen; IPv6 as [2001:db8::1]:80",
    )  # fmt: skip
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--interface", metavar="NAME", help="where segments come in (default: the only interface)"
    )
    place.add_argument("--tun", metavar="NAME", help="a TUN device to which the address is routed")
    parser.add_argument(
        "--as-published", action="store_true",
        help="behave as the first such server did, faults included",
    )  # fmt: skip
    parser.add_argument(
        "--no-cookie", action="store_true",
        help="answer segments that no SYN came before: what reflection would be",
    )  # fmt: skip
    parser.add_argument(
        "--segment-size", type=values.number(216, 8960), metavar="N",
        help="largest payload of a segment (default: the client's MSS, over IPv6 at most 1220)",
    )  # fmt: skip
    parser.add_argument(
        "--no-offload", action="store_true", help="cut segments and compute checksums in Python"
    )
    parser.add_argument(
        "--workers", type=values.number(1, 64), default=1, metavar="N",
        help="processes that share the traffic (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=values.number(1, 65535), default=1024, metavar="N",
        help="requests in flight to a backend; more wait for the client to repeat them",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=values.number(1, 300), default=5, metavar="S",
        help="seconds that a backend may take (default: 5)",
    )  # fmt: skip
    parser.add_argument(
        "--stats", action="store_true",
        help="print what happened and what is kept, as a line of JSON, each second and at the end",
    )  # fmt: skip
