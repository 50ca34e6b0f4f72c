"""One lab and all who look at it: messages go to every page, deeds are done one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from netlab.errors import NetlabError
from netlab.lab import reconfigure
from netlab.serve import commands, tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.lab.lab import Lab
    from netlab.serve.commands import Deed
    from netlab.serve.live import Feed
    from netlab.serve.play import Play
    from netlab.serve.sampling import Shown

LONGEST_QUEUE = 200
"""Messages that wait for a page which reads slowly; beyond that, packets are left out for it."""

MOST_PRINTED = 64 << 10
SECONDS = 60.0
"""The most that a command of the page may take."""

MOST_UNDONE = 100
REFRESH = 0.5
"""Seconds between two looks at what nodes remember, while packets move."""
IDLE = 3.0
"""The same while none do: what is forgotten without a packet is seen, too."""


class Viewer:
    """One page, and what waits to be sent to it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str] = asyncio.Queue(LONGEST_QUEUE)
        self.left_out = 0

    def send(self, message: str, *, may_be_lost: bool) -> None:
        """Queue a message; where there is no room, what may be lost is."""
        if self.queue.full():
            self.left_out += 1
            if may_be_lost:
                return
            self.queue.get_nowait()
        self.queue.put_nowait(message)


class Room:
    """The state that all pages share."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.nodes = [node.name for node in lab.plan.nodes]
        self.keepers = tables.keepers(lab.plan)
        self.viewers: set[Viewer] = set()
        self.journeys: list[dict[str, Any]] = []
        self.is_up = True
        self.feed: Feed | None = None
        self.play: Play | None = None
        self._shown: dict[str, int] = {"seen": 0, "drawn": 0, "let_go": 0}
        self._remembered: dict[str, Any] = {}
        self._down: set[str] = set()
        self._connections: list[dict[str, Any]] = []
        self._undo: list[tuple[str, Callable[[], object]]] = []
        self._doing = asyncio.Lock()
        self._moved = asyncio.Event()

    def hello(self) -> dict[str, Any]:
        """What a page gets first."""
        return {
            "type": "hello",
            "lab": self.lab.name,
            "up": self.is_up,
            "nodes": [
                {"name": n.name, "kind": n.kind, "interfaces": [i.name for i in n.interfaces]}
                for n in self.lab.nodes
                if n.kind != "inline"
            ],
            "packets": self.journeys[-60:],
            "shown": self._shown,
            "tables": self._remembered,
            "undo": len(self._undo),
            "down": sorted(self._down),
            "connections": self._connections,
            "lesson": self.play.to_json() if self.play else None,
        }

    def broadcast(self, message: dict[str, Any], *, may_be_lost: bool = False) -> None:
        """Send to every page; it is written once for all of them."""
        text = json.dumps(message)
        for viewer in self.viewers:
            viewer.send(text, may_be_lost=may_be_lost)

    def packets(self, drawn: list[dict[str, Any]] | None, shown: Shown) -> None:
        """What the feed has seen; ``None`` when the lab is gone."""
        if drawn is None:
            self.is_up = False
            self.broadcast({"type": "lab", "up": False})
            return
        self.journeys = (self.journeys + drawn)[-500:]
        self._shown = shown._asdict()
        self._moved.set()
        message = {"type": "packets", "packets": drawn, "shown": self._shown}
        self.broadcast(message, may_be_lost=True)

    async def remember(self) -> None:
        """Tell what nodes remember whenever it has changed, for as long as the lab is there."""
        has_stack = any(node.kind == "stack" for node in self.lab.plan.nodes)
        while self.is_up and (self.keepers or has_stack):
            if has_stack:
                connections = await asyncio.to_thread(tables.connections, self.lab)
                if connections != self._connections:
                    self._connections = connections
                    self.broadcast({"type": "connections", "connections": connections})
            found = {}
            for node in self.keepers:
                with contextlib.suppress(NetlabError, OSError):
                    found[node] = await asyncio.to_thread(tables.read, self.lab, node)
            if found != self._remembered:
                self._remembered = found
                self.broadcast({"type": "tables", "tables": found})
            self._moved.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), IDLE)
            await asyncio.sleep(REFRESH)

    async def go_on(self) -> None:
        """The next of a lesson; while it is under way nothing else is done."""
        if self.play and not self._doing.locked():
            async with self._doing:
                await self.play.go_on()

    # -- deeds ---------------------------------------------------------------------------------

    async def act(self, form: dict[str, Any]) -> dict[str, Any]:
        """Do what a form says, and tell every page; the message that they get."""
        if form.get("do") == "undo":
            return await self._undo_last()
        try:
            deed = commands.deed(form, self.lab.name, self.nodes)
        except commands.Refused as refused:
            return {"type": "done", "command": "", "output": str(refused), "code": 2}
        async with self._doing:
            back = await asyncio.to_thread(self._way_back, deed)
            code, output = await run(deed.argv)
            if code == 0:
                self._note_link(deed)
                self._remember_undo(deed, output, back)
        return self._tell(deed.typed, output, code)

    def _tell(self, command: str, output: str, code: int) -> dict[str, Any]:
        said = {"type": "done", "command": command, "output": output, "code": code}
        self.broadcast({**said, "undo": len(self._undo), "down": sorted(self._down)})
        return said

    def _way_back(self, deed: Deed) -> tuple[str, Callable[[], object]] | None:
        """What undoes a deed, as far as that can be known only before it is done."""
        lab = self.lab
        try:
            if deed.changes == "set":
                before = reconfigure.settings_now(lab)
                path, _, key = deed.argv[1].partition("/")[2], "", deed.argv[2].partition("=")[0]
                old = before.get(f"{path}.{key}")
                typed = f"netlab set {deed.argv[1]} {key}={old}" if old is not None else ""
                words = typed or f"# {path}.{key} is that of the file again"
                return words, lambda: reconfigure.restore(lab, before)
            if deed.changes == "link" and deed.argv[-1] not in ("up", "down"):
                wire = reconfigure.wire_of(lab, deed.argv[1].partition("/")[2])
                boxes = reconfigure.wire_state(lab, wire)["boxes"]
                return f"# {wire} as it was", lambda: reconfigure.set_wire(lab, wire, boxes)
        except NetlabError:
            pass  # the deed itself will say what is wrong
        return None

    def _remember_undo(
        self, deed: Deed, output: str, back: tuple[str, Callable[[], object]] | None
    ) -> None:
        opposite = commands.undoing_switch(deed) or commands.undoing_rule(deed, output)
        if opposite:
            back = (opposite.typed, lambda: self._undo_by(opposite))
        if back:
            self._undo = [*self._undo, back][-MOST_UNDONE:]

    def _undo_by(self, opposite: Deed) -> None:
        _run_now(opposite.argv)
        self._note_link(opposite)

    def _note_link(self, deed: Deed) -> None:
        """Which ends of links were taken down here."""
        if deed.changes == "link" and deed.argv[-1] in ("up", "down"):
            change = self._down.add if deed.argv[-1] == "down" else self._down.discard
            change(deed.argv[1].partition("/")[2])

    async def _undo_last(self) -> dict[str, Any]:
        async with self._doing:
            if not self._undo:
                return {"type": "done", "command": "", "output": "nothing to undo", "code": 2}
            words, action = self._undo.pop()
            try:
                await asyncio.to_thread(action)
            except (NetlabError, OSError) as error:
                return self._tell(words, str(error), 1)
        return self._tell(words, "undone", 0)


async def run(argv: tuple[str, ...], seconds: float = SECONDS) -> tuple[int, str]:
    """Exit code and output of ``netlab ARGV``; what prints or takes too much is cut off."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "netlab", *argv, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    assert process.stdout
    output, note = b"", ""
    try:
        async with asyncio.timeout(seconds):
            while part := await process.stdout.read(1 << 14):
                output += part
                if len(output) > MOST_PRINTED:
                    note = f"\n(stopped after {MOST_PRINTED >> 10} KiB)"
                    break
            if not note:
                await process.wait()
    except TimeoutError:
        note = f"\n(stopped after {seconds:g} seconds)"
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    text = output[:MOST_PRINTED].decode(errors="replace")
    return (1 if note else process.returncode or 0), text + note


def _run_now(argv: tuple[str, ...]) -> None:
    import subprocess

    from netlab.errors import Diagnostic, LabError

    ran = subprocess.run(
        [sys.executable, "-m", "netlab", *argv],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    if ran.returncode:
        raise LabError(Diagnostic("E951", (ran.stderr or ran.stdout).strip()))
