"""The options that every command with a stack of its own has, and the stack that they mean."""

from __future__ import annotations

import contextlib
import ipaddress
import sys
from typing import TYPE_CHECKING, TypeVar

from netlab.errors import Diagnostic, InputError, LabError

if TYPE_CHECKING:
    import argparse
    import socket
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import Any

    from netlab.io.tcp.driver import Device
    from netlab.io.tcp.streams import Streams
    from netlab.io.tcp.tun import Tun
    from netlab.tcp.settings import Settings

ALGORITHMS = ("cubic", "reno")
PATIENCE = 40  # twentieths of a second
T = TypeVar("T")


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
async def stack(arguments: argparse.Namespace) -> AsyncIterator[Streams]:
    """The stack that the options mean; of a node where one runs already, that one.

    The first command of a node has the device, and serves those that come later, to their end.
    """
    place = Place(arguments)
    tun = await _tun_or_owner(arguments, place)
    if tun is None:
        async with _guest(arguments, place) as guest:
            yield guest
        return
    async with _own(arguments, place, tun) as own:
        yield own


@contextlib.asynccontextmanager
async def _guest(arguments: argparse.Namespace, place: Place) -> AsyncIterator[Streams]:
    from netlab.io.tcp.guest import GuestStack

    for given, option in (
        (arguments.plain, "--plain"),
        (arguments.verbose, "--verbose"),
        (arguments.trace, "--trace"),
        (arguments.address, "--address"),
    ):
        if given:
            text = (
                f"another program runs the stack of {arguments.tun}, and {option} is its to choose"
            )
            hint = "give it to the command that starts the stack: the first one in this node"
            raise LabError(Diagnostic("E709", text, hint=hint))
    guest = GuestStack(place.dial, settings(arguments))
    await guest.begin()
    yield guest


@contextlib.asynccontextmanager
async def _own(arguments: argparse.Namespace, place: Place, tun: Tun) -> AsyncIterator[Streams]:
    from netlab.io.tcp import log, sharing, states
    from netlab.io.tcp.asyncio import TcpStack

    with contextlib.ExitStack() as held:
        held.callback(tun.close)
        addresses = _addresses(arguments, tun)
        device: Device = tun
        if arguments.trace:
            file = held.enter_context(_create(arguments.trace))
            device = log.Watched(device, log.recorder(file))
        if arguments.verbose:
            device = log.Watched(device, log.teller(tell))
        tcp = TcpStack(device, addresses, settings(arguments))
        if arguments.verbose:
            tcp.on_state = lambda local, remote, state: tell(f"   {local} {remote} {state}")
        async with (
            tcp,
            states.published(tcp),
            sharing.shared(tcp, place.listening()) as guests,
        ):
            yield tcp
            if guests.guests:
                tell(f"{guests.guests} connections of other programs go on in this one's stack")
                await guests.alone.wait()


class Place:
    """Where the stack is: in a node of a lab, or where this process is."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._namespace: str | None = None
        self._tun = arguments.tun
        if arguments.node:
            from netlab.lab import rootless
            from netlab.lab.lab import find_node

            lab, node = find_node(arguments.node)
            rootless.join(lab)
            self._namespace = lab.namespace(node)

    def inside(self, action: Callable[[], T]) -> T:
        """Do something in its network namespace."""
        from netlab.linux import namespaces

        return action() if self._namespace is None else namespaces.inside(self._namespace, action)

    def _address(self) -> str:
        from netlab.io.tcp import frames

        return frames.name(self._tun)

    def listening(self) -> socket.socket:
        """Where the process that has the device serves others."""

        def there() -> socket.socket:
            import socket

            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            made.bind(self._address())
            return made

        return self.inside(there)

    def dial(self) -> socket.socket:
        """A connection to that process; ``OSError`` if there is none."""

        def there() -> socket.socket:
            import socket

            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                made.connect(self._address())
            except BaseException:
                made.close()
                raise
            return made

        return self.inside(there)


async def _tun_or_owner(arguments: argparse.Namespace, place: Place) -> Tun | None:
    """The device, or ``None`` if another process of ours has it and serves it.

    Between opening the device and serving others it has to do only little, so little is waited.
    """
    import asyncio

    from netlab.io.tcp.tun import Busy, Tun

    for patience in range(PATIENCE, -1, -1):
        try:
            return place.inside(lambda: Tun(arguments.tun, offload=not arguments.plain))
        except Busy:
            try:
                place.dial().close()
            except OSError:
                if not patience:
                    raise
                await asyncio.sleep(0.05)
            else:
                return None
    raise AssertionError


def tell(line: str) -> None:
    """A line for people, beside the data."""
    print(line, file=sys.stderr, flush=True)


def _create(path: str) -> Any:
    try:
        return open(path, "wb")  # noqa: PTH123 - the caller closes it
    except OSError as error:
        raise InputError(Diagnostic("E703", f"{path}: {error.strerror}")) from None


def _addresses(arguments: argparse.Namespace, tun: Tun) -> list[str]:
    addresses: list[str] = arguments.address or tun.addresses
    for address in addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise InputError(Diagnostic("E704", f"{address} is not an IP address")) from None
    if not addresses:
        hint = "--address IP, or a route: ip route add IP/32 dev " + arguments.tun
        raise LabError(Diagnostic("E705", f"no address is routed to {arguments.tun}", hint=hint))
    return addresses


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
