"""``nat``: make a NAT of a running lab forget, and measure NATs from outside of any lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.cli import add_command

if TYPE_CHECKING:
    import argparse

    from netlab.lab.lab import Lab


def nat(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab nat``."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _rebind(add_command(commands, "rebind", "give a NAT's mappings other ports, flows living on"))
    _reboot(add_command(commands, "reboot", "let a NAT forget all, as a router restarted"))
    _server(add_command(commands, "server", "serve STUN on two addresses, for `nat probe`"))


def _rebind(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "The next packet from inside takes the new port; what comes to the old one is refused.\n\n"
        "examples:\n  netlab nat rebind nat\n  netlab nat rebind mylab/nat --seed 7"
    )
    parser.add_argument("target", metavar="[LAB/]NODE", help="a NAT")
    parser.add_argument("--seed", type=int, default=0, help="what ports follow from (default: 0)")
    parser.set_defaults(run=_do_rebind)


def _do_rebind(arguments: argparse.Namespace) -> int:
    from netlab.lab import translations

    lab, node = _attach(arguments.target)
    print(translations.rebind(lab, node, arguments.seed))
    return 0


def _reboot(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example:\n  netlab nat reboot mylab/nat"
    parser.add_argument("target", metavar="[LAB/]NODE", help="a NAT")
    parser.set_defaults(run=_do_reboot)


def _do_reboot(arguments: argparse.Namespace) -> int:
    from netlab.lab import translations

    lab, node = _attach(arguments.target)
    print(translations.reboot(lab, node))
    return 0


def _attach(target: str) -> tuple[Lab, str]:
    from netlab.lab.lab import Lab

    name, slash, node = target.rpartition("/")
    return Lab.attach(name if slash else None), node


def _server(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "With two addresses of this machine clients can measure mapping and filtering (RFC 5780);\n"
        "with one, only their outside endpoint. Stop it with Ctrl-C.\n\n"
        "example:\n  netlab nat server 192.0.2.1 192.0.2.2"
    )
    parser.add_argument("addresses", metavar="ADDRESS", nargs="+", help="addresses of this machine")
    parser.add_argument(
        "--port", type=int, default=3478, metavar="PORT",
        help="the first of two ports that follow each other (default: 3478)",
    )  # fmt: skip
    parser.add_argument(
        "--exchange", type=int, metavar="PORT",
        help="also pass lines on between clients, by TCP at this port",
    )  # fmt: skip
    parser.set_defaults(run=_serve)


def _serve(arguments: argparse.Namespace) -> int:
    import ipaddress

    from netlab.cli.scenario import end_well
    from netlab.errors import Diagnostic, InputError
    from netlab.io.meet.server import serve

    for text in arguments.addresses:
        try:
            ipaddress.ip_address(text)
        except ValueError:
            message = f"{text!r} is not an address"
            raise InputError(Diagnostic("E424", message, hint="as in 192.0.2.1")) from None
    ports = (arguments.port, arguments.port + 1)
    if not 0 < arguments.port < 65535:
        message = f"{arguments.port} and the port after it are not two ports"
        raise InputError(Diagnostic("E424", message, hint="from 1 to 65534"))
    ends = ", ".join(f"{host} port {ports[0]} and {ports[1]}" for host in arguments.addresses)
    end_well()
    try:
        serve(
            arguments.addresses, ports, arguments.exchange,
            lambda: print(f"STUN at {ends}", flush=True),
        )  # fmt: skip
    except OSError as error:
        message = f"cannot listen at {ends}: {error.strerror}"
        hint = "an address of this machine, and ports that no other program has"
        raise InputError(Diagnostic("E424", message, hint=hint)) from None
    except KeyboardInterrupt:
        return 0
    return 0
