"""The paths of packets through a lab, to be drawn over its topology.

Packets that went the same way to the same end are one :class:`Way`, so that a flow of a thousand
is one line with a number beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Ending: TypeAlias = Literal["arrived", "dropped", "lost", "onward"]


@dataclass(frozen=True, slots=True)
class Leg:
    """A wire that was crossed, by the end where it was entered.

    ``rewritten`` says that a node before it gave the packet other addresses, ports or fields.
    """

    node: str
    interface: str
    rewritten: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """One way and its end.

    ``numbers`` are those of the packets that went it. ``ending``:

    * ``arrived``: at ``node``, their destination.
    * ``dropped``: ``node`` gave them up; ``reason`` says why.
    * ``lost``: they died on the last wire.
    * ``onward``: ``node`` cut or merged them, and they go on as other packets.

    ``rewrites`` are ``(node, what changed)``, in the order of the way.
    """

    numbers: tuple[int, ...]
    legs: tuple[Leg, ...]
    node: str
    ending: Ending
    reason: str = ""
    rewrites: tuple[tuple[str, str], ...] = ()

    @property
    def dead(self) -> bool:
        """Whether the packets died."""
        return self.ending in ("dropped", "lost")


MOST_RANGES = 3
"""Ranges of numbers that a label names."""


def span(numbers: Iterable[int]) -> str:
    """``#1``, ``#2-5``, ``#1 #3 #7-9``; where there are more ranges, the last is an ellipsis."""
    ranges = list(_ranges(sorted(set(numbers))))
    shown = [f"#{a}" if a == b else f"#{a}-{b}" for a, b in ranges]
    if len(shown) > MOST_RANGES:
        shown = [*shown[: MOST_RANGES - 1], "…"]
    return " ".join(shown)


def _ranges(numbers: list[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for index, number in enumerate(numbers):
        if index + 1 == len(numbers) or numbers[index + 1] != number + 1:
            yield numbers[start], number
            start = index + 1


def words(way: Way) -> str:
    """The way as a sentence: ``#2-5: client → nat, died there: forward chain``."""
    who = span(way.numbers) or "packets"
    nodes = " → ".join(dict.fromkeys((*(leg.node for leg in way.legs), way.node)))
    changed = "".join(f", rewritten by {node} ({what})" for node, what in way.rewrites)
    end = {
        "arrived": "arrived",
        "dropped": f"died there: {way.reason}",
        "lost": f"died on the wire: {way.reason}",
        "onward": "went on as other packets",
    }[way.ending]
    return f"{who}: {nodes}{changed}, {end}"
