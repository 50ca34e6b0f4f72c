"""The options that every command with a stack of its own has, and the stack that they mean."""

from __future__ import annotations

import contextlib
import ipaddress
import sys
from typing import TYPE_CHECKING

from netlab.errors import Diagnostic, InputError, LabError

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Coroutine
    from typing import Any

    from netlab.io.tcp.asyncio import TcpStack
    from netlab.io.tcp.driver import Device
    from netlab.io.tcp.tun import Tun
    from netlab.tcp.settings import Settings

ALGORITHMS = ("cubic", "reno")


def options(parser: argparse.ArgumentParser) -> None:
    """Where the stack lives and how it behaves."""
    where = parser.add_argument_group("where the stack is")
    where.add_argument("--node", metavar="[LAB/]NODE", help="in a node of a running lab")
    where.add_argument("--tun", metavar="NAME", default="tun0", help="its device (default: tun0)")
    where.add_argument(
        "--address",
        metavar="IP",
        action="append",
        help="its address, may be repeated (default: those that the kernel routes to the device)",
    )
    how = parser.add_argument_group("how it behaves")
    how.add_argument(
        "--plain", action="store_true", help="one packet at a time, without the device's offloads"
    )
    how.add_argument(
        "--congestion",
        choices=ALGORITHMS,
        default="cubic",
        help="congestion control (default: cubic)",
    )
    how.add_argument("--no-nagle", action="store_true", help="send small segments at once")
    how.add_argument("--ecn", action="store_true", help="ask for ECN")
    how.add_argument("--verbose", action="store_true", help="tell each segment and change of state")
    how.add_argument("--trace", metavar="FILE", help="write all packets to a pcapng file")


def settings(arguments: argparse.Namespace) -> Settings:
    """The settings that the options mean."""
    from netlab.tcp.settings import Settings

    return Settings(
        nagle=not arguments.no_nagle, congestion=arguments.congestion, ecn=arguments.ecn
    )


@contextlib.asynccontextmanager
async def stack(arguments: argparse.Namespace) -> AsyncIterator[TcpStack]:
    """The stack that the options mean, running and to be found by ``netlab tcp states``."""
    from netlab.io.tcp import log, states
    from netlab.io.tcp.asyncio import TcpStack

    tun, addresses = _open(arguments)
    with contextlib.ExitStack() as held:
        held.callback(tun.close)
        device: Device = tun
        if arguments.trace:
            file = held.enter_context(_create(arguments.trace))
            device = log.Watched(device, log.recorder(file))
        if arguments.verbose:
            device = log.Watched(device, log.teller(tell))
        tcp = TcpStack(device, addresses, settings(arguments))
        if arguments.verbose:
            tcp.on_state = lambda local, remote, state: tell(f"   {local} {remote} {state}")
        async with tcp, states.published(tcp):
            yield tcp


def tell(line: str) -> None:
    """A line for people, beside the data."""
    print(line, file=sys.stderr, flush=True)


def _create(path: str) -> Any:
    try:
        return open(path, "wb")  # noqa: PTH123 - the caller closes it
    except OSError as error:
        raise InputError(Diagnostic("E703", f"{path}: {error.strerror}")) from None


def _open(arguments: argparse.Namespace) -> tuple[Tun, list[str]]:
    from netlab.io.tcp.tun import Tun

    def there() -> Tun:
        return Tun(arguments.tun, offload=not arguments.plain)

    if arguments.node:
        from netlab.lab import rootless
        from netlab.lab.lab import find_node
        from netlab.linux import namespaces

        lab, node = find_node(arguments.node)
        rootless.join(lab)
        tun = namespaces.inside(lab.namespace(node), there)
    else:
        tun = there()
    addresses = arguments.address or tun.addresses
    try:
        for address in addresses:
            ipaddress.ip_address(address)
    except ValueError:
        tun.close()
        raise InputError(Diagnostic("E704", f"{address} is not an IP address")) from None
    if not addresses:
        tun.close()
        hint = "--address IP, or a route: ip route add IP/32 dev " + arguments.tun
        raise LabError(Diagnostic("E705", f"no address is routed to {arguments.tun}", hint=hint))
    return tun, addresses


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run a command to its end, or to SIGTERM or SIGHUP; a failure of TCP is the command's error.

    Told to go, it resets what is still open: ssh hangs up on its ProxyCommand so.
    """
    import asyncio
    import signal

    from netlab.tcp.events import UserError

    async def until_told() -> int:
        task = asyncio.ensure_future(main)
        received = []

        def stop(number: int) -> None:
            received.append(number)
            task.cancel()

        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        try:
            return await task
        except asyncio.CancelledError:
            return 128 + received[0]

    try:
        return asyncio.run(until_told())
    except (OSError, UserError) as error:
        raise LabError(Diagnostic("E706", str(error))) from None


def port(text: str) -> int:
    """A port number; an ``argparse`` type."""
    import argparse

    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 1 to 65535")
    return int(text)
