"""Many subnets as few prefixes that hold exactly the same addresses."""

from __future__ import annotations

from ipaddress import summarize_address_range
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from netlab.topology.model import Network


class Aggregate:
    """Sums up any choice of ``networks``, which are of one IP version and do not overlap.

    The result equals ipaddress.collapse_addresses. That walks all subnets for every router of a
    lab; here they are sorted once, and a choice without gaps, as most are where subnets were
    given in order, is seen to be one range by looking at its two ends.
    """

    def __init__(self, networks: Mapping[int, Network]) -> None:
        ordered = sorted(networks.items(), key=lambda item: int(item[1].network_address))
        self._rank = {key: rank for rank, (key, _) in enumerate(ordered)}
        self._networks = [network for _, network in ordered]
        self._first = [int(n.network_address) for n in self._networks]
        self._last = [int(n.broadcast_address) for n in self._networks]
        self._gaps = [0]
        """Before each rank: how often the next subnet did not follow at once on the last."""
        for last, first in zip(self._last, self._first[1:], strict=False):
            self._gaps.append(self._gaps[-1] + (first != last + 1))

    def of(self, keys: Iterable[int]) -> list[Network]:
        """The fewest prefixes that hold exactly the networks of ``keys``, in order."""
        ranks = sorted(map(self._rank.__getitem__, keys))
        spans: list[tuple[int, int]] = []
        todo = [(0, len(ranks) - 1)] if ranks else []
        while todo:
            left, right = todo.pop()
            low, high = ranks[left], ranks[right]
            if high - low != right - left or self._gaps[low] != self._gaps[high]:
                middle = (left + right) // 2
                todo += [(middle + 1, right), (left, middle)]
            elif spans and self._last[spans[-1][1]] + 1 == self._first[low]:
                spans[-1] = spans[-1][0], high
            else:
                spans.append((low, high))
        return [
            prefix
            for low, high in spans
            for prefix in summarize_address_range(
                self._networks[low].network_address,
                self._networks[high].broadcast_address,
            )
        ]
