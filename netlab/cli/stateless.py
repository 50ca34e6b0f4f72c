"""``stateless``: a TCP server that keeps nothing of its connections, and proxies built on it."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import json
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from netlab.cli import add_command
from netlab.errors import Diagnostic, InputError, LabError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlab.drive.stateless.ports import Port
    from netlab.drive.stateless.server import Application
    from netlab.stateless.bursts import Source
    from netlab.stateless.framing import Framing


class Endpoint(NamedTuple):
    """An address, as text or a name, and a port."""

    host: str
    port: int

    @property
    def packed(self) -> bytes:
        """The address as it stands on the wire."""
        return ipaddress.ip_address(self.host).packed


class Service(NamedTuple):
    """What is served: made inside the running loop, by ``application``."""

    framing: Framing
    application: Callable[[argparse.Namespace], Application]
    source: Source | None = None


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
        "--backend", type=endpoint, metavar="HOST:PORT", help="ask this server, by ordinary TCP"
    )
    http.add_argument(
        "--withhold-ack", action="store_true",
        help="acknowledge a request only when the client closes: its timer then mends lost answers",
    )  # fmt: skip
    http.set_defaults(service=_http)

    dns = add(
        "dns",
        "answer DNS over TCP by asking a resolver over UDP",
        "--listen 198.51.100.2:53 --resolver 198.51.100.1",
    )
    dns.add_argument(
        "--resolver", type=endpoint_53, required=True, metavar="HOST[:PORT]",
        help="the resolver (port 53 unless said otherwise)",
    )  # fmt: skip
    dns.set_defaults(service=_dns, withhold_ack=False)

    echo = add("echo", "send back what comes (RFC 862)", "--listen 198.51.100.2:7")
    echo.set_defaults(service=_echo, withhold_ack=False)

    for command in (http, dns, echo):
        _common(command)
        command.set_defaults(run=_run)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen", type=listen, required=True, metavar="ADDRESS:PORT",
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
        "--segment-size", type=_number(216, 8960), metavar="N",
        help="largest payload of a segment (default: the client's MSS, over IPv6 at most 1220)",
    )  # fmt: skip
    parser.add_argument(
        "--no-offload", action="store_true", help="cut segments and compute checksums in Python"
    )
    parser.add_argument(
        "--workers", type=_number(1, 64), default=1, metavar="N",
        help="processes that share the traffic (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=_number(1, 65535), default=1024, metavar="N",
        help="requests in flight to a backend; more wait for the client to repeat them",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=_number(1, 300), default=5, metavar="S",
        help="seconds that a backend may take (default: 5)",
    )  # fmt: skip
    parser.add_argument(
        "--stats", action="store_true",
        help="print what happened and what is kept, as a line of JSON, each second and at the end",
    )  # fmt: skip


def endpoint(text: str) -> Endpoint:
    """``HOST:PORT`` or ``[IPV6]:PORT``; an ``argparse`` type."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return Endpoint(host, int(port))


def endpoint_53(text: str) -> Endpoint:
    """As ``endpoint``, with port 53 for a host alone."""
    with contextlib.suppress(ValueError):
        return Endpoint(str(ipaddress.ip_address(text)), 53)
    return endpoint(text if ":" in text else f"{text}:53")


def listen(text: str) -> Endpoint:
    """As ``endpoint``, for one address of a host."""
    found = endpoint(text)
    try:
        address = ipaddress.ip_address(found.host)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{found.host!r} is no IP address") from None
    if address.is_unspecified or address.is_multicast:
        raise argparse.ArgumentTypeError(f"{address} is no address of one host")
    return Endpoint(str(address), found.port)


def _number(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not between {low} and {high}")
        return int(text)

    return number


def _http(arguments: argparse.Namespace) -> Service:
    from netlab.drive.stateless.backends import Files, HttpBackend, Text
    from netlab.stateless.http import Http

    if arguments.text is not None:
        text = Text(arguments.text.encode("utf-8", "surrogateescape") + b"\n")
        return Service(Http(), lambda _: text)
    if arguments.file is not None:
        try:
            if not arguments.file.is_dir():
                raise NotADirectoryError(20, "not a directory")
            files = Files(arguments.file)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise InputError(Diagnostic("E803", f"{arguments.file}: {reason}")) from None
        return Service(Http(), lambda _: files, files)
    backend = HttpBackend(*arguments.backend, timeout=arguments.timeout, raw=arguments.as_published)
    return Service(Http(), lambda _: backend)


def _dns(_: argparse.Namespace) -> Service:
    from netlab.drive.stateless.backends import Resolver
    from netlab.stateless.dns import Dns

    def resolver(arguments: argparse.Namespace) -> Application:
        return Resolver(*arguments.resolver, timeout=arguments.timeout, raw=arguments.as_published)

    return Service(Dns(), resolver)


def _echo(_: argparse.Namespace) -> Service:
    from netlab.drive.stateless.backends import echo
    from netlab.stateless.framing import Echo

    return Service(Echo(), lambda _: echo)


def _run(arguments: argparse.Namespace) -> int:
    service: Service = arguments.service(arguments)
    where: Endpoint = arguments.listen
    if arguments.tun is not None and arguments.workers > 1:
        raise InputError(Diagnostic("E808", "a TUN device feeds one worker", hint="--interface"))
    # Shared by all workers, so that any of them knows what another promised.
    secret = os.urandom(32)
    fanout = os.getpid() if arguments.workers > 1 else None
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(_workers(arguments.workers))
        if arguments.tun is None:
            interface = arguments.interface or _only_interface()
            if not _is_own(where):
                _must_not_forward(where, interface)
            elif first:
                from netlab.kernel import resets

                stack.enter_context(resets.held_back(where.host, where.port))
        port = _port(arguments, where, fanout)
        stack.callback(port.close)
        return _serve(arguments, service, port, secret, announce=first)


def _serve(
    arguments: argparse.Namespace, service: Service, port: Port, secret: bytes, *, announce: bool
) -> int:
    import asyncio

    from netlab.drive.stateless.server import Server
    from netlab.stateless import published, responder
    from netlab.stateless.exchange import Rules

    rules = Rules(
        service.framing,
        cookie=not arguments.no_cookie,
        withhold=arguments.withhold_ack,
        source=service.source,
    )
    if arguments.segment_size:
        size = arguments.segment_size
        rules = rules._replace(segment_size=size, segment_size_v6=size)

    async def serve() -> None:
        try:
            application = service.application(arguments)
        except OSError as error:
            raise LabError(Diagnostic("E804", f"the backend: {error.strerror}")) from None
        server = Server(
            port,
            (arguments.listen.packed, arguments.listen.port),
            rules,
            application,
            core=published if arguments.as_published else responder,
            secret=secret,
            limit=arguments.limit,
            timeout=arguments.timeout + 1,  # the backend's own time-out has the nicer answer
        )
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        server.start()
        if announce:
            print(f"listening on {arguments.listen.host} port {arguments.listen.port}", flush=True)
        last: dict[str, int] = {}
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), 1 if arguments.stats else None)
            if arguments.stats and (ended.is_set() or server.statistics() != last):
                last = server.statistics()
                print(json.dumps(last), flush=True)
        server.stop()

    asyncio.run(serve())
    return 0


def _port(arguments: argparse.Namespace, where: Endpoint, fanout: int | None) -> Port:
    from netlab.drive.stateless import bpf, ports

    offload = not arguments.no_offload
    try:
        if arguments.tun is not None:
            from netlab.kernel import tun

            socket.if_nametoindex(arguments.tun)  # attaching would make one that is not there
            return ports.TunPort(tun.attach(arguments.tun, offload=offload), offload=offload)
        # Long answers go on by the client's pure acknowledgements.
        acks = bool(getattr(arguments, "file", None)) and not arguments.as_published
        return ports.PacketPort(
            arguments.interface or _only_interface(),
            bpf.segments_for(where.packed, where.port, pure_acks=acks),
            offload=offload,
            fanout=fanout,
        )
    except PermissionError as error:
        hint = "be root, or be inside a lab of your own"
        raise Unavailable(
            Diagnostic("E805", f"no packet socket: {error.strerror}", hint=hint)
        ) from None
    except OSError as error:
        name = arguments.tun or arguments.interface or "the interface"
        raise LabError(Diagnostic("E806", f"{name}: {error.strerror}")) from None


def _only_interface() -> str:
    names = [name for _, name in socket.if_nameindex() if name != "lo"]
    if len(names) != 1:
        there = ", ".join(names) or "none but lo"
        raise InputError(
            Diagnostic("E807", f"which interface? there is {there}", hint="--interface NAME")
        )
    return names[0]


def _is_own(where: Endpoint) -> bool:
    """Whether the kernel here owns the address: only then may a socket be bound to it."""
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((where.host, 0))
        except OSError:
            return False
    return True


def _must_not_forward(where: Endpoint, interface: str) -> None:
    """A kernel that forwards would send each packet on, or answer that it cannot."""
    version = 6 if ":" in where.host else 4
    setting = Path(f"/proc/sys/net/ipv{version}/conf/{interface}/forwarding")
    if setting.exists() and setting.read_text().strip() != "0":
        raise LabError(
            Diagnostic(
                "E802",
                f"{where.host} is not this node's own, and the kernel forwards packets for it",
                hint="listen on an own address, in a node that does not forward, or use --tun",
            )
        )


@contextlib.contextmanager
def _workers(count: int) -> Iterator[bool]:
    """Fork all workers but this one, which gets True; they end with it, however it ends."""
    from netlab.kernel.parent import end_with

    children: list[int] = []
    for _ in range(count - 1):
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            end_with(parent)
            yield False
            return
        children.append(child)
    try:
        yield True
    finally:
        for child in children:
            os.kill(child, signal.SIGTERM)
        for child in children:
            os.waitpid(child, 0)
