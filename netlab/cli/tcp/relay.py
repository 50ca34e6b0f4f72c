"""``tcp relay``: programs that know nothing of our TCP speak through it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.cli.tcp import stack
from netlab.errors import Diagnostic, InputError, LabError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from netlab.io.tcp.relay import LocalService
    from netlab.io.tcp.streams import Streams

SOCKS = "127.0.0.1:1080"


class Forward(NamedTuple):
    """``[ADDRESS:]PORT:HOST:PORT``: where to listen, and where to connect to."""

    address: str
    port: int
    host: str
    host_port: int


def relay(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab tcp relay``."""
    parser.epilog = (
        "Local ports are those of the node's kernel, for programs in the node (`netlab exec`).\n"
        "\n"
        "examples:\n"
        "  netlab tcp relay --node probe --socks &\n"
        "  netlab exec probe -- curl --proxy socks5h://127.0.0.1:1080 http://server/\n"
        "  netlab tcp relay --node probe --forward 5201:198.51.100.2:5201 &\n"
        "  netlab exec probe -- iperf3 -c 127.0.0.1\n"
        "  netlab tcp relay --node probe --reverse 22:127.0.0.1:22"
    )
    what = parser.add_argument_group("what is carried (all of them may be repeated)")
    what.add_argument(
        "--socks",
        metavar="[ADDRESS:]PORT",
        nargs="?",
        const=SOCKS,
        action="append",
        type=_local,
        help=f"a SOCKS 5 server with CONNECT and BIND, RFC 1928 (without a value: {SOCKS})",
    )
    what.add_argument(
        "--forward",
        metavar="[ADDRESS:]PORT:HOST:PORT",
        action="append",
        type=_forward,
        help="local callers are connected to HOST through the stack",
    )
    what.add_argument(
        "--reverse",
        metavar="[ADDRESS:]PORT:HOST:PORT",
        action="append",
        type=_forward,
        help="callers of the stack's port are connected to HOST in the node",
    )
    stack.options(parser)
    parser.set_defaults(run=lambda arguments: stack.run(_relay(arguments)))


def _local(text: str) -> tuple[str, int]:
    """``[ADDRESS:]PORT``."""
    host, _, number = text.rpartition(":")
    return _address(host or "127.0.0.1", text), stack.port(number)


def _address(host: str, text: str) -> str:
    import argparse

    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: {host} is not an IP address") from None


def _forward(text: str) -> Forward:
    """An IPv6 address is written in brackets."""
    import argparse
    import re

    found = re.fullmatch(r"(?:(\[[^]]*\]|[^:\[\]]*):)?(\d+):(\[[^]]*\]|[^:\[\]]+):(\d+)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not [ADDRESS:]PORT:HOST:PORT")
    address, port, host, host_port = found.groups()
    local = _address(address, text) if address else "127.0.0.1"
    return Forward(local, stack.port(port), host.strip("[]"), stack.port(host_port))


async def _relay(arguments: argparse.Namespace) -> int:
    from netlab.io.tcp import relay as shells

    if not (arguments.socks or arguments.forward or arguments.reverse):
        hint = "--socks, --forward PORT:HOST:PORT or --reverse PORT:HOST:PORT"
        raise InputError(Diagnostic("E707", "nothing to relay", hint=hint))
    resolve = _resolver(arguments)
    place = stack.Place(arguments)
    async with contextlib.AsyncExitStack() as held:
        tcp: Streams = await held.enter_async_context(stack.stack(arguments))
        tasks: list[asyncio.Task[None]] = []
        for address, port in arguments.socks or ():
            await _serve(held, place, address, port, shells.Socks(tcp, resolve).serve)
            stack.tell(f"listening: SOCKS 5 at {address} port {port}")
        for one in arguments.forward or ():
            service = shells.forward(tcp, one.host, one.host_port, resolve)
            await _serve(held, place, one.address, one.port, service)
            stack.tell(
                f"listening: {one.address} port {one.port}, for {one.host} port {one.host_port}"
            )
        for one in arguments.reverse or ():
            listener = await tcp.listen(one.port, backlog=1024)
            dial = _dialler(place)
            tasks.append(
                asyncio.create_task(shells.reverse(listener, one.host, one.host_port, dial))
            )
            held.callback(tasks[-1].cancel)
            stack.tell(
                f"listening: the stack's port {one.port}, for {one.host} port {one.host_port}"
            )
        await asyncio.gather(*tasks, asyncio.Event().wait())
    return 0


async def _serve(
    held: contextlib.AsyncExitStack,
    place: stack.Place,
    address: str,
    port: int,
    service: LocalService,
) -> None:
    """Listen at a port of the node's kernel."""

    def there() -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        return made

    try:
        listening = place.inside(there)
    except OSError as error:
        text = f"{address} port {port}: {error.strerror}"
        raise LabError(Diagnostic("E708", text, hint="another port, or --forward again")) from None
    server = await asyncio.start_server(service, sock=listening, backlog=1024)
    held.callback(server.close)


def _dialler(
    place: stack.Place,
) -> Callable[[str, int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    async def dial(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = place.inside(lambda: socket.socket(family, socket.SOCK_STREAM))
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, (host, port))
        return await asyncio.open_connection(sock=made)

    return dial


def _resolver(arguments: argparse.Namespace) -> Callable[[str], Awaitable[list[str]]]:
    """The addresses of a name, as programs of the node would find them."""
    from netlab.cli.packets.target import known_as
    from netlab.lab.lab import find_node, plan_of

    lab, node = find_node(arguments.node) if arguments.node else (None, "")

    async def resolve(name: str) -> list[str]:
        with contextlib.suppress(ValueError):
            return [str(ipaddress.ip_address(name))]
        if lab is not None:
            return list(known_as(plan_of(lab), node, name))
        found: list[tuple[Any, ...]] = await asyncio.get_running_loop().getaddrinfo(
            name, None, type=socket.SOCK_STREAM
        )
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    return resolve
