"""The server: from a lab to a page that can be opened, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import signal
import socket
import sys
from typing import TYPE_CHECKING

from aiohttp import web

from netlab.diagram import graph
from netlab.errors import Diagnostic, LabError
from netlab.lab import reconfigure, record
from netlab.lab.reaper import Undertaker
from netlab.plan.inline import insert_inline_nodes
from netlab.serve.app import application
from netlab.serve.live import Feed
from netlab.serve.play import Play
from netlab.serve.roles import Tokens
from netlab.serve.room import Room

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from netlab.lab.lab import Lab
    from netlab.scenario.model import Scenario
    from netlab.serve.sampling import Shown

TOKENS = "tokens.json"
LOCAL, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - only if it is asked for


def serve(lab: Lab, scenario: Scenario | None, *, port: int, share: bool, browser: bool) -> int:
    """Serve a lab until Ctrl-C; one that does not run yet is started, and removed at the end.

    Raises:
        LabError: E951 if the port cannot be had; what the start of the lab raises.
    """
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(_listen(EVERYWHERE if share else LOCAL, port))
        if lab._found is None:  # noqa: SLF001 - whether it was attached
            stack.enter_context(Undertaker(lab.name))
            lab.start()
            stack.callback(lab.stop)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_run(lab, scenario, listening, share=share, browser=browser))
    return 0


def _listen(host: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        message = f"port {port} cannot be had: {error.strerror}"
        raise LabError(Diagnostic("E951", message, hint="--port 0 takes any")) from None
    return opened


async def _run(
    lab: Lab, scenario: Scenario | None, listening: socket.socket, *, share: bool, browser: bool
) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    tokens = _tokens(lab)
    room = Room(lab)

    def publish(drawn: list[dict[str, Any]] | None, shown: Shown) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(room.packets, drawn, shown)

    topology = insert_inline_nodes(reconfigure.topology_now(lab))
    svg = graph.svg(topology, marked=True)
    story = _story(scenario.story) if scenario else ""
    with contextlib.ExitStack() as stack:
        if scenario:
            room.play = stack.enter_context(Play(scenario, lab, room.broadcast))
        room.feed = stack.enter_context(Feed(lab, _lines(lab), publish))
        runner = web.AppRunner(application(room, tokens, svg, story), access_log=None)
        await runner.setup()
        site = web.SockSite(runner, listening, shutdown_timeout=1)
        await site.start()
        remembering = asyncio.create_task(room.remember())
        _announce(listening, tokens, share=share, browser=browser)
        try:
            await ended.wait()
        finally:
            remembering.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await remembering
            await runner.cleanup()


def _tokens(lab: Lab) -> Tokens:
    """Those of an earlier server of the same lab, so that pages find back; else new ones.

    They are kept with the lab, where its owner alone may look, and go with it.
    """
    try:
        return Tokens(*json.loads(lab.running.document(TOKENS)))
    except (LabError, ValueError, TypeError):
        pass
    tokens = Tokens(secrets.token_urlsafe(24), secrets.token_urlsafe(24))
    with contextlib.suppress(LabError):
        record.prepare(lab.running, TOKENS, json.dumps(tokens))
        record.commit(lab.running, TOKENS)
    return tokens


def _announce(listening: socket.socket, tokens: Tokens, *, share: bool, browser: bool) -> None:
    port = listening.getsockname()[1]
    teacher = f"http://{LOCAL}:{port}/?token={tokens.teacher}"
    print(teacher, flush=True)
    if share:
        print(f"for the class: http://{_address()}:{port}/?token={tokens.viewer}", flush=True)
    print("Ctrl-C ends it", file=sys.stderr, flush=True)
    if browser:
        import webbrowser

        webbrowser.open(teacher)


def _address() -> str:
    """The address by which others reach this machine, as far as its routes say; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))
        except OSError:
            return socket.gethostname()
        return str(asked.getsockname()[0])


def _lines(lab: Lab) -> Mapping[int, str]:
    """The lines of the topology file, by number; none if it cannot be read."""
    try:
        with open(lab.running.record.topology, encoding="utf-8") as stream:  # noqa: PTH123
            return dict(enumerate((line.rstrip("\n") for line in stream), 1))
    except (OSError, UnicodeDecodeError):
        return {}


def _story(markdown: str) -> str:
    from markdown_it import MarkdownIt

    rendered: str = MarkdownIt("js-default", {"html": False}).render(markdown)
    return rendered
