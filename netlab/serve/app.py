"""The web application: who is let in, what is served, and the channel to each page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from netlab.diagram import trace_text
from netlab.diagram.primitives.markup import inside
from netlab.diagram.sequence import draw
from netlab.serve import page, roles, terminal
from netlab.serve.journey import flow
from netlab.serve.room import Room, Viewer
from netlab.trace.model import Traces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from netlab.serve.roles import Role, Tokens

STATIC = Path(__file__).parent / "static"
TYPES = {".mjs": "text/javascript", ".css": "text/css"}

LONGEST_MESSAGE = 16 << 10
MOST_VIEWERS = 200
MOST_ROWS = 120
"""Packets of a conversation that a ladder shows: the last ones."""

ROOM = web.AppKey("room", Room)
TOKENS = web.AppKey("tokens", roles.Tokens)
TOPOLOGY = web.AppKey("topology", str)
STORY = web.AppKey("story", str)
TERMINALS = web.AppKey("terminals", set)

HEADERS = {
    "Content-Security-Policy": page.POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def application(room: Room, tokens: Tokens, svg: str, story: str = "") -> web.Application:
    """The application of a room; ``svg`` is its drawing, ``story`` the lesson's as safe HTML."""
    app = web.Application(middlewares=[_guard], client_max_size=LONGEST_MESSAGE)
    app[ROOM], app[TOKENS], app[TOPOLOGY], app[STORY] = room, tokens, svg, story
    app[TERMINALS] = set()
    app.router.add_get("/", _index)
    app.router.add_get("/static/{name:.+}", _static)
    app.router.add_get("/ladder", _ladder)
    app.router.add_get("/live", _live)
    app.router.add_post("/act", _act)
    app.router.add_get("/terminal", _terminal_page)
    app.router.add_get("/terminal/live", _terminal)
    return app


def _cookie(request: web.Request) -> str:
    """Cookies know no ports: the name holds it, so that two servers do not disturb each other."""
    return f"netlab-{request.url.port}"


@web.middleware
async def _guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    cookie = request.cookies.get(_cookie(request), "")
    role = request.app[TOKENS].of_request(request.query, request.headers, cookie)
    if role is None:
        return web.Response(
            status=401, text=page.refusal(), content_type="text/html", headers=HEADERS
        )
    request["role"] = role
    if request.path == "/" and "token" in request.query:
        return _let_in(request)
    try:
        response = await handler(request)
    except web.HTTPException as refused:
        refused.headers.update(HEADERS)
        raise
    if not response.prepared:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
    return response


def _let_in(request: web.Request) -> web.Response:
    """Put the token into a cookie, and take it out of the address."""
    response = web.Response(status=303, headers={**HEADERS, "Location": "/"})
    response.set_cookie(
        _cookie(request), request.query["token"], httponly=True, samesite="Strict", path="/"
    )
    return response


def _only_teacher(request: web.Request) -> None:
    if request["role"] != "teacher":
        raise web.HTTPForbidden(text="only the teacher may do that\n")
    if not roles.is_same_origin(request.headers):
        raise web.HTTPForbidden(text="not from this page\n")


async def _index(request: web.Request) -> web.Response:
    room = request.app[ROOM]
    lesson = room.play.to_json() if room.play else None
    shell = page.Shell(
        room.lab.name, request["role"], request.app[TOPOLOGY], room.journeys, lesson,
        request.app[STORY],
    )  # fmt: skip
    return web.Response(text=page.html(shell), content_type="text/html")


async def _static(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    known = {str(path.relative_to(STATIC)): path for path in STATIC.rglob("*") if path.is_file()}
    if name not in known or known[name].suffix not in TYPES:
        raise web.HTTPNotFound
    text = known[name].read_text("utf-8")
    if name == "app.css":
        text = page.style_sheet(text)
    return web.Response(text=text, content_type=TYPES[known[name].suffix])


async def _ladder(request: web.Request) -> web.Response:
    room = request.app[ROOM]
    wanted = request.query.get("flow", "")
    kept = room.feed.kept() if room.feed else []
    chosen = [trace for trace in kept if flow(trace.packet) == wanted][-MOST_ROWS:]
    if not chosen:
        raise web.HTTPNotFound(text="no packet of this conversation is known\n")
    steps = trace_text.ladder(Traces(chosen), room.lab.plan, "", {t.id: t.id for t in chosen})
    return web.Response(text=inside(draw.svg(steps), "conversation"), content_type="image/svg+xml")


async def _act(request: web.Request) -> web.Response:
    _only_teacher(request)
    try:
        form = await request.json()
    except ValueError:
        raise web.HTTPBadRequest(text="not JSON\n") from None
    if not isinstance(form, dict):
        raise web.HTTPBadRequest(text="not a form\n")
    return web.json_response(await request.app[ROOM].act(form))


# -- the channel -------------------------------------------------------------------------------


async def _live(request: web.Request) -> web.WebSocketResponse:
    if not roles.is_same_origin(request.headers):
        raise web.HTTPForbidden(text="not from this page\n")
    room = request.app[ROOM]
    if len(room.viewers) >= MOST_VIEWERS:
        raise web.HTTPServiceUnavailable(text=f"{MOST_VIEWERS} pages are open already\n")
    channel = web.WebSocketResponse(heartbeat=20, max_msg_size=LONGEST_MESSAGE, compress=False)
    await channel.prepare(request)
    viewer, voter = Viewer(), secrets.token_hex(8)
    viewer.send(json.dumps({**room.hello(), "role": request["role"]}), may_be_lost=False)
    room.viewers.add(viewer)
    sender = asyncio.create_task(_send(viewer, channel))
    try:
        async for message in channel:
            if message.type == WSMsgType.TEXT:
                await _heard(room, request["role"], voter, message.data)
    finally:
        room.viewers.discard(viewer)
        sender.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await sender
    return channel


async def _send(viewer: Viewer, channel: web.WebSocketResponse) -> None:
    while True:
        await channel.send_str(await viewer.queue.get())


async def _heard(room: Room, role: Role, voter: str, text: str) -> None:
    """A message of a page: a vote, or the teacher's word to go on."""
    try:
        said: Any = json.loads(text)
    except ValueError:
        return
    if room.play is None or not isinstance(said, dict):
        return
    if said.get("type") == "vote" and isinstance(said.get("choice"), str):
        room.play.vote(voter, said["choice"])
    elif said.get("type") == "go-on" and role == "teacher":
        await room.go_on()


# -- terminals ---------------------------------------------------------------------------------


def _node(request: web.Request) -> str:
    name = request.query.get("node", "")
    if name not in request.app[ROOM].nodes:
        raise web.HTTPNotFound(text="this lab has no such node\n")
    return name


async def _terminal_page(request: web.Request) -> web.Response:
    _only_teacher(request)
    return web.Response(
        text=page.terminal_html(_node(request)),
        content_type="text/html",
        headers={"Content-Security-Policy": page.TERMINAL_POLICY},
    )


async def _terminal(request: web.Request) -> web.WebSocketResponse:
    _only_teacher(request)
    node, opened = _node(request), request.app[TERMINALS]
    if len(opened) >= terminal.MOST:
        raise web.HTTPServiceUnavailable(text=f"{terminal.MOST} terminals are open already\n")
    channel = web.WebSocketResponse(heartbeat=20, max_msg_size=LONGEST_MESSAGE, compress=False)
    await channel.prepare(request)
    opened.add(channel)
    try:
        await terminal.serve(request.app[ROOM].lab, node, channel)
    finally:
        opened.discard(channel)
        await channel.close()
    return channel
