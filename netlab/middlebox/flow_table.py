"""What boxes remember of connections, with bounds: in number, in octets, in time.

The connection that was silent for longest goes first. A box that remembers makes its memory of
this, so that no stream of packets costs more than its parameters allow.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Generic, TypeVar

from netlab.middlebox.parameters import Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")

FLOWS = Parameter(
    "flows", "integer", "connections remembered; the longest silent goes first", 4096, 1, 1 << 20
)
# RFC 5382 REQ-5: a connection may be silent for two hours and four minutes.
IDLE = Parameter("idle", "duration", "a connection that is silent for longer is forgotten",
                 7440.0, 1e-3, 1e6)  # fmt: skip


def octets(help_: str, default: int = 1 << 26) -> Parameter:
    """The parameter for how much is kept of all connections together."""
    return Parameter("octets", "integer", help_, default, 1, 1 << 32)


class FlowTable(Generic[K, V]):
    """At most ``flows`` entries, none silent for ``idle`` seconds, of ``octets`` together.

    ``forgotten`` counts what went, by the bound that it exceeded.
    """

    def __init__(
        self,
        flows: int,
        idle: float,
        octets: int | None = None,
        forgot: Callable[[K, V], object] | None = None,
    ) -> None:
        self._flows = flows
        self._idle = idle
        self._most_octets = octets
        self._forgot = forgot
        self._entries: OrderedDict[K, tuple[V, float]] = OrderedDict()
        self._weights: dict[K, int] = {}
        self.octets = 0
        self.forgotten: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def values(self) -> Iterator[V]:
        """All that is remembered."""
        return (value for value, _ in self._entries.values())

    def oldest(self, count: int) -> list[tuple[K, V]]:
        """The entries that were silent for longest."""
        return [(key, value) for (key, (value, _)), _ in zip(self._entries.items(), range(count),
                                                             strict=False)]  # fmt: skip

    def peek(self, key: K) -> V | None:
        """What is remembered; it does not count as a use."""
        entry = self._entries.get(key)
        return entry[0] if entry else None

    def get(self, key: K, now: float) -> V | None:
        """What is remembered, which was used ``now``."""
        self._age(now)
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries[key] = entry[0], now
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, now: float) -> None:
        """Remember; if that is too much, the longest silent entry goes."""
        self._age(now)
        self._entries[key] = value, now
        self._entries.move_to_end(key)
        while len(self._entries) > self._flows:
            self._forget(next(iter(self._entries)), "flows")

    def weigh(self, key: K, octets: int) -> None:
        """An entry takes so much; if that is too much, the longest silent ones go."""
        if key not in self._entries:
            return
        self.octets += octets - self._weights.get(key, 0)
        self._weights[key] = octets
        while self._most_octets is not None and self.octets > self._most_octets:
            self._forget(next(iter(self._entries)), "octets")

    @property
    def room(self) -> int:
        """Octets that are left."""
        return max((self._most_octets or 1 << 62) - self.octets, 0)

    def is_full(self) -> bool:
        """Whether one more entry would be too much."""
        return len(self._entries) >= self._flows

    def pop(self, key: K) -> V | None:
        """Forget an entry that is over."""
        entry = self._entries.pop(key, None)
        self.octets -= self._weights.pop(key, 0)
        return entry[0] if entry else None

    def _age(self, now: float) -> None:
        while self._entries:
            key, (_, used) = next(iter(self._entries.items()))
            if used > now - self._idle:
                return
            self._forget(key, "idle")

    def _forget(self, key: K, why: str) -> None:
        value = self.pop(key)
        self.forgotten[why] += 1
        if self._forgot and value is not None:
            self._forgot(key, value)


class Timers(Generic[K]):
    """When each of many is due, the first of them at hand."""

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._number = 0

    def set(self, key: K, due: float | None) -> None:
        """It is due then, or never."""
        if due is None or due == float("inf"):
            self._due.pop(key, None)
        elif self._due.get(key) != due:
            self._due[key] = due
            self._number += 1
            heappush(self._heap, (due, self._number, key))
        if len(self._heap) > 2 * len(self._due) + 64:
            # Most entries are of times that do not hold any more.
            self._heap = sorted((due, n, key) for n, (key, due) in enumerate(self._due.items()))
            self._number = len(self._heap)

    def first(self) -> float | None:
        """When the first is due."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[K]:
        """Those that are due by now, each once, in order; they are so no more."""
        found = []
        while (first := self.first()) is not None and first <= now:
            key = heappop(self._heap)[2]
            del self._due[key]
            found.append(key)
        return found
