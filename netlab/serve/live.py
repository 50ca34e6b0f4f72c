"""The packets of a lab while they move, from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from netlab.errors import NetlabError
from netlab.lab import record
from netlab.serve.journey import journey
from netlab.serve.sampling import Sampler, Shown
from netlab.trace.inventory import peers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from netlab.lab.lab import Lab
    from netlab.trace.model import PacketTrace
    from netlab.trace.watch import Watch

KEPT = 2000
"""Packets that are remembered, for ladders and for who comes later."""

LOOK = 1.0
"""Seconds between two looks whether the lab is still there."""


class Feed:
    """Watches a lab for as long as the context lasts; ``publish`` gets what is new.

    It is called from the feed's own thread: with the journeys to draw and how many there were, and
    with ``None`` when the lab is gone.
    """

    def __init__(
        self,
        lab: Lab,
        lines: Mapping[int, str],
        publish: Callable[[list[dict[str, Any]] | None, Shown], None],
    ) -> None:
        self._lab = lab
        self._lines = lines
        self._publish = publish
        self._peers = peers(lab.plan)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._kept: deque[PacketTrace] = deque(maxlen=KEPT)
        self._number = 0
        self.failure = ""
        """Why it stopped before it was asked to."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)

    def kept(self) -> list[PacketTrace]:
        """The last packets that were drawn."""
        return list(self._kept)

    def is_there(self) -> bool:
        """Whether the lab is still the one that is watched."""
        return record.read(self._lab.running.directory) == self._lab.running

    def _run(self) -> None:
        shown = Shown(0, 0, 0)
        try:
            with self._lab.observe() as watch:
                self._lab.watches.remove(watch)  # nobody asks this one afterwards
                self._follow(watch)
        except (NetlabError, OSError) as error:
            self.failure = str(error)
        if not self._over.is_set():
            self._publish(None, shown)

    def _follow(self, watch: Watch) -> None:
        sampler = Sampler(time.monotonic())
        looked = time.monotonic()
        while not self._over.wait(watch.tick):
            now = time.monotonic()
            if now - looked > LOOK:
                looked = now
                if not self.is_there():
                    return
            traces = [trace for trace in watch.step().traces if not trace.is_housekeeping]
            if traces:
                chosen = [self._named(trace) for trace in sampler.choose(traces, now)]
                drawn = [journey(trace, self._peers, self._lines) for trace in chosen]
                let_go = watch.let_go.frames + watch.let_go.packets
                self._publish(drawn, Shown(sampler.seen, sampler.drawn, let_go))

    def _named(self, trace: PacketTrace) -> PacketTrace:
        """With a number of its own in the page."""
        self._number += 1
        named = trace._replace(id=self._number)
        self._kept.append(named)
        return named
