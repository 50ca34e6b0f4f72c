"""Equal packets as one: the first few of each kind are kept, the others counted.

    first three of a kind     as they are
    #4 to #10,000             "and 9,997 more like #1"

Of a kind are packets between the same addresses, of one protocol, on the same way to the same
end. Of two ports only the lower one counts: the other one is usually a client's own.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from netlab.trace.model import Traces
from netlab.wire.view import TCP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netlab.trace.model import PacketTrace

FIRST = 3
"""Packets of a kind that are kept."""

KINDS = 1000
"""Kinds that are distinguished; what comes beyond is counted by its end."""


class Folded:
    """Packets, summed up as they are added; what it keeps does not grow with their number."""

    def __init__(self, first: int = FIRST) -> None:
        self._first = first
        self._kinds: dict[tuple[object, ...], list[PacketTrace]] = {}
        self.more: Counter[int] = Counter()
        """How many more there were, by the ``id`` of the first of their kind."""
        self.others: Counter[str] = Counter()
        """Packets of kinds beyond those that are distinguished, by their end."""

    def add(self, traces: Iterable[PacketTrace]) -> None:
        """Some more, in order."""
        for one in traces:
            kind = _kind(one)
            kept = self._kinds.get(kind)
            if kept is None:
                if len(self._kinds) >= KINDS:
                    self.others[f"{one.disposition} in {one.node}"] += 1
                    continue
                kept = self._kinds[kind] = []
            if len(kept) < self._first:
                kept.append(one)
            else:
                self.more[kept[0].id] += 1

    @property
    def kept(self) -> Traces:
        """Those that were kept, in order."""
        every = (one for kept in self._kinds.values() for one in kept)
        return Traces(sorted(every, key=lambda one: one.id))


def _kind(one: PacketTrace) -> tuple[object, ...]:
    packet = one.packet
    return (
        one.proto,
        packet.source,
        packet.destination,
        min(packet.source_port, packet.destination_port),
        packet.flags if one.proto == TCP else packet.key[:2],
        packet.is_fragment,
        one.copied,
        tuple((hop.node, hop.interface, hop.direction) for hop in one.hops),
        one.disposition,
        one.node,
        one.reason.text,
    )
