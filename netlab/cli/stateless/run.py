"""Run a server until it is asked to end, and leave the node as it was."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from typing import TYPE_CHECKING

from netlab.cli.stateless import attach
from netlab.errors import Diagnostic, InputError, LabError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from netlab.cli.stateless.services import Service
    from netlab.cli.stateless.values import Endpoint
    from netlab.io.stateless.ports import Port


def run(arguments: argparse.Namespace) -> int:
    """``netlab stateless http``, ``dns`` and ``echo``."""
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
            interface = arguments.interface or attach.only_interface()
            if not attach.is_own(where):
                attach.must_not_forward(where, interface)
            elif first:
                from netlab.lab import suppress_rst

                stack.enter_context(suppress_rst.held_back(where.host, where.port))
        port = attach.port(arguments, where, fanout)
        stack.callback(port.close)
        return _serve(arguments, service, port, secret, announce=first)


def _serve(
    arguments: argparse.Namespace, service: Service, port: Port, secret: bytes, *, announce: bool
) -> int:
    import asyncio

    from netlab.io.stateless.server import Server
    from netlab.stateless import reference, responder
    from netlab.stateless.interfaces import Rules

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
            core=reference if arguments.as_published else responder,
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


@contextlib.contextmanager
def _workers(count: int) -> Iterator[bool]:
    """Fork all workers but this one, which gets True; they end with it, however it ends."""
    from netlab.linux.pdeathsig import set_pdeathsig

    children: list[int] = []
    for _ in range(count - 1):
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            set_pdeathsig(parent)
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
