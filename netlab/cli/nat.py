"""``nat``: make a NAT of a running lab forget, and measure NATs from outside of any lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.cli import add_command

if TYPE_CHECKING:
    import argparse

    from netlab.io.meet.probe import Measured
    from netlab.lab.lab import Lab


def nat(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab nat``."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _rebind(add_command(commands, "rebind", "give a NAT's mappings other ports, flows living on"))
    _reboot(add_command(commands, "reboot", "let a NAT forget all, as a router restarted"))
    _probe(add_command(commands, "probe", "measure the NAT between here and a server"))
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


def _probe(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "SERVER runs `netlab nat server`, or another STUN server with two addresses (RFC 5780).\n"
        "Nothing is sent to anybody else. What --output writes is a preset, which a topology\n"
        "names by its file: `preset: ./my-router.yaml`.\n\n"
        "examples:\n"
        "  netlab nat probe stun.example.org\n"
        "  netlab nat probe 192.0.2.1:3478 --timeouts 180 --output my-router.yaml"
    )
    parser.add_argument("server", metavar="SERVER[:PORT]", help="a STUN server with two addresses")
    parser.add_argument(
        "--timeouts", type=int, default=0, metavar="S",
        help="also try how long a mapping lives, up to S seconds (takes so long)",
    )  # fmt: skip
    parser.add_argument("--output", "-o", metavar="FILE", help="write a preset file")
    parser.add_argument("--json", action="store_true", help="print what was measured as JSON")
    parser.set_defaults(run=_do_probe)


def _do_probe(arguments: argparse.Namespace) -> int:
    import random
    import socket

    from netlab.cli import console
    from netlab.errors import Diagnostic, InputError
    from netlab.io.meet.probe import Prober
    from netlab.wire.stun import PORT, Endpoint

    host, _, port = arguments.server.partition(":")
    if not 0 <= arguments.timeouts <= 3600 or not (port or "1").isdecimal():
        message = f"{arguments.server} with timeouts up to {arguments.timeouts} s"
        hint = "as in 192.0.2.1:3478, and up to 3600 seconds"
        raise InputError(Diagnostic("E424", message, hint=hint))
    try:
        number = int(port or PORT)
        address = socket.getaddrinfo(host, number, socket.AF_INET, socket.SOCK_DGRAM)[0][4][0]
    except (OSError, UnicodeError, OverflowError) as error:
        message = f"{arguments.server} has no IPv4 address: {error}"
        raise InputError(Diagnostic("E424", message, hint="as in 192.0.2.1:3478")) from None
    with Prober(Endpoint(str(address), number), random.Random()) as prober:  # noqa: S311 - identifiers
        found = prober.measure(longest=arguments.timeouts)
    if arguments.output:
        _write(arguments.output, _preset(found, arguments.server))
    if arguments.json:
        about = {k: list(v) if isinstance(v, tuple) else v for k, v in found._asdict().items()}
        console.print_json({"nat": found.nat(), **about})
        return 0
    _print(found)
    return 0


def _print(found: Measured) -> None:
    from netlab.cli import console

    if not found.is_translated:
        print(f"no NAT: {found.own} is {found.outside} at the server")
    rows = [("PROPERTY", "MEASURED"), ("outside endpoint", f"{found.own} is {found.outside}")]
    rows += [(key, str(value)) for key, value in found.nat().items() if key != "timeouts"]
    rows.append(("fragments", "pass" if found.fragments else "do not pass"))
    if found.udp_timeout:
        lived, dead = found.udp_timeout
        end = f"and not {dead} s" if dead else "the longest that was tried"
        rows.append(("udp timeout", f"a mapping lives {lived} s, {end}"))
    print(console.columns([(a, b.lower() if b in ("True", "False") else b) for a, b in rows]))
    for note in found.notes:
        print(f"({note})")


def _preset(found: Measured, server: str) -> str:
    import yaml

    about = {
        "summary": f"Measured from inside by netlab nat probe {server}.",
        "observed": "; ".join(found.notes) or "everything that can be measured was",
        "consequences": "not said",
        "nat": found.nat(),
    }
    text: str = yaml.safe_dump(about, sort_keys=False, allow_unicode=True)
    return text


def _write(file: str, text: str) -> None:
    from pathlib import Path

    from netlab.errors import Diagnostic, LabError

    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"cannot write {file}: {error.strerror}"
        raise LabError(Diagnostic("E913", message)) from None


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
