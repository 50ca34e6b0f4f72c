"""Watch a lab for as long as a ``with`` block lasts, then ask what became of its packets.

with lab.observe() as watch:
    lab["client"].run(["ping", "-c1", "server"])
assert watch.fates.where(proto=1).arrived
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Self

from netlab.capture.session import Observation
from netlab.trace.build import build_traces

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from types import TracebackType

    from netlab.capture.collector import RunInNetns
    from netlab.capture.evidence import Evidence, Frame, NodeInfo
    from netlab.capture.session import Kind
    from netlab.trace.model import Traces


class Watch:
    """An observation and what follows from it; the properties are there after the block."""

    def __init__(
        self, inventory: Mapping[str, NodeInfo], inside: RunInNetns, kinds: Collection[Kind] = ()
    ) -> None:
        self._observation = Observation(inventory, inside, kinds)
        self.is_over = False
        """Whether the block has ended, so that there is something to ask."""

    def __enter__(self) -> Self:
        self._observation.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._observation.__exit__(kind, error, trace)
        self.is_over = True

    def live(self) -> Iterator[Frame]:
        """The frames since the last time, in order of time; while the observation lasts."""
        return self._observation.live()

    def settle(self, quiet: float = 0.05, limit: float = 5.0) -> None:
        """Wait until no frame was seen for ``quiet`` seconds, at most ``limit`` seconds."""
        now = time.monotonic()
        end, seen, since = now + limit, self._observation.activity(), now
        while now < end and now - since < quiet:
            time.sleep(quiet / 10)
            now, count = time.monotonic(), self._observation.activity()
            if count != seen:
                seen, since = count, now

    @property
    def evidence(self) -> Evidence:
        """All that was seen."""
        return self._observation.evidence

    @cached_property
    def traces(self) -> Traces:
        """The fate of every packet."""
        return build_traces(self.evidence)
