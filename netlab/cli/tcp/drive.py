"""``tcp drive``: the stack for outside testers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli.tcp import stack
from netlab.errors import Diagnostic, InputError

if TYPE_CHECKING:
    import argparse


def drive(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab tcp drive``."""
    from netlab.io.tcp import packetdrill

    # What is said there about requests is what a user needs, so it is said once.
    _, _, requests = (packetdrill.__doc__ or "").partition("\n\n")
    parser.epilog = (
        f"{requests.replace('``', '`')}\nexample:\n  netlab tcp drive --socket /tmp/tcp.sock"
    )
    parser.add_argument("--socket", metavar="PATH", required=True, help="the socket to make")
    parser.add_argument(
        "--local",
        metavar="NETWORK",
        default="192.168.0.0/16",
        help="addresses that the stack answers for (default: 192.168.0.0/16)",
    )
    parser.add_argument("--mtu", metavar="N", type=int, default=1500, help="(default: 1500)")
    parser.set_defaults(run=_drive)


def _drive(arguments: argparse.Namespace) -> int:
    import ipaddress

    from netlab.io.tcp.packetdrill import Tester

    try:
        network = str(ipaddress.ip_network(arguments.local))
    except ValueError as error:
        raise InputError(Diagnostic("E704", f"{arguments.local}: {error}")) from None
    path = Path(arguments.socket)

    async def serve() -> int:
        ready = f"listening: {path}"
        await Tester(network, mtu=arguments.mtu).serve(path, lambda: stack.tell(ready))
        return 0

    return stack.run(serve())
