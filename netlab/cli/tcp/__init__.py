"""``tcp``: a TCP of our own, on a TUN device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.cli import add_command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def tcp(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab tcp`` and what comes below it."""
    from netlab.cli.tcp import drive, netcat, relay, services, states

    parser.epilog = (
        "examples:\n"
        "  netlab up topologies/stack.yaml\n"
        "  netlab tcp http --node probe srv &\n"
        "  netlab exec server -- curl http://192.168.1.100/\n"
        "  netlab tcp states"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, summary: str, describe: Callable[[argparse.ArgumentParser], None]) -> None:
        describe(add_command(commands, name, summary))

    add("listen", "take one connection, as netcat does", netcat.listen)
    add("connect", "open one connection, as netcat does", netcat.connect)
    add("echo", "send back what comes (RFC 862)", services.echo)
    add("discard", "throw away what comes (RFC 863)", services.discard)
    add("chargen", "send characters without end (RFC 864)", services.chargen)
    add("http", "serve the files of a directory", services.http)
    add("relay", "let any program speak through the stack: SOCKS 5, forwarded ports", relay.relay)
    add("drive", "let an outside tester drive the stack by messages", drive.drive)
    add("states", "show the live connections, as `ss -i` does", states.states)
