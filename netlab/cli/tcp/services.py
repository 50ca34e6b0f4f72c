"""``tcp echo``, ``discard``, ``chargen`` and ``http``: servers on the userspace stack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli.tcp import stack
from netlab.errors import Diagnostic, InputError

if TYPE_CHECKING:
    import argparse

    from netlab.io.tcp.services import Service


def echo(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab tcp echo``."""
    _service(parser, "echo", 7)


def discard(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab tcp discard``."""
    _service(parser, "discard", 9)


def chargen(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab tcp chargen``."""
    _service(parser, "chargen", 19)


def http(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab tcp http``."""
    _service(parser, "http", 80)
    parser.add_argument(
        "directory", metavar="DIR", nargs="?", default=".", help="what to serve (default: here)"
    )


def _service(parser: argparse.ArgumentParser, name: str, port: int) -> None:
    parser.epilog = f"example:\n  netlab tcp {name} --node probe"
    stack.options(parser)
    parser.add_argument(
        "--port", metavar="N", type=stack.port, default=port, help=f"(default: {port})"
    )
    parser.add_argument("--count", metavar="N", type=int, help="end after N connections")
    parser.set_defaults(
        run=lambda arguments: stack.run(_serve(arguments, _chosen(arguments, name)))
    )


def _chosen(arguments: argparse.Namespace, name: str) -> Service:
    from netlab.io.tcp import services

    if name != "http":
        service: Service = getattr(services, name)
        return service
    directory = Path(arguments.directory)
    if not directory.is_dir():
        raise InputError(Diagnostic("E703", f"{directory} is not a directory"))
    return services.http(directory)


async def _serve(arguments: argparse.Namespace, service: Service) -> int:
    from netlab.io.tcp import services

    async with stack.stack(arguments) as tcp:
        listener = await tcp.listen(arguments.port, backlog=1024)
        stack.tell(f"listening: port {arguments.port}, {', '.join(tcp.addresses)}")
        await services.serve(listener, service, arguments.count)
    return 0
