"""Packets that wait in a place, a node or the far end of a wire, to be seen again."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from netlab.trace.nat_bindings import SURE
from netlab.trace.rule_trace import MOST_ALIKE
from netlab.wire.view import ALIKE, TCP, match_score

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.trace.track import Track
    from netlab.wire.view import Key, View


class PendingPackets:
    """Tracks by content key, each in order of arrival."""

    def __init__(self) -> None:
        self._by_key: dict[Key, dict[int, Track]] = {}
        self._all: dict[int, Track] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, track: Track) -> None:
        """Let a track wait here."""
        self._by_key.setdefault(track.view.key, {})[id(track)] = track
        self._all[id(track)] = track

    def remove(self, track: Track) -> None:
        """The track has gone on; no matter if it was not here."""
        if self._all.pop(id(track), None) is None:
            return
        same = self._by_key[track.view.key]
        del same[id(track)]
        if not same:
            del self._by_key[track.view.key]

    def __contains__(self, track: Track) -> bool:
        return id(track) in self._all

    def find(
        self,
        packet: View,
        fits: Callable[[Track], bool] | None = None,
        *,
        newest: bool = False,
        weigh: Callable[[Track], int] | None = None,
    ) -> Track | None:
        """The track that looks most like ``packet``; of equals the oldest, or the ``newest``.

        ``weigh`` is what others say for a track, or, below zero, against it.
        """
        same = self._by_key.get(packet.key)
        if not same:
            return None
        order = reversed(same.values()) if newest else iter(same.values())
        best, most = None, -1000
        enough = ALIKE + SURE if weigh else ALIKE
        for track in islice(order, MOST_ALIKE):
            if fits and not fits(track):
                continue
            alike = match_score(track.view, packet) + (weigh(track) if weigh else 0)
            if alike > most:
                best, most = track, alike
                if alike >= enough:
                    break
        return best

    def latest(self) -> list[Track]:
        """The tracks that came last, the very last first."""
        return list(islice(reversed(self._all.values()), MOST_ALIKE))

    def overlapping(self, packet: View) -> list[tuple[Track, int]]:
        """Tracks of whose octets ``packet`` carries some, and how many: cut from them or merged."""
        if _span(packet) is None:
            return []
        found = [(track, _overlap(track.view, packet)) for track in reversed(self.latest())]
        return [(track, amount) for track, amount in found if amount]


def carried(packet: View) -> int:
    """How much there is to carry on: TCP's payload, or the octets of a datagram."""
    return packet.payload_length if packet.protocol == TCP else packet.length


def _span(packet: View) -> tuple[tuple[int, ...], int, int] | None:
    """What a packet carries of a stream or of a datagram: of which, from where, how much.

    TCP's stream is known by its acknowledgement number: ports and addresses may differ from one
    side of a NAT to the other, but nothing else is sent with the same numbers meanwhile.
    """
    if packet.protocol == TCP and not packet.is_fragment and packet.payload_length:
        return (TCP, packet.acknowledgement), packet.sequence, packet.payload_length
    if packet.is_fragment or (packet.version == 4 and packet.identification):
        return (-1, *packet.datagram), packet.fragment_offset, packet.length
    return None


def _overlap(a: View, b: View) -> int:
    """How many octets of one stream or datagram both carry; 0 if they are not of one."""
    one, other = _span(a), _span(b)
    if one is None or other is None or one[0] != other[0]:
        return 0
    if one[0][0] != TCP:
        if not (a.is_fragment or b.is_fragment):
            return 0  # two whole datagrams that happen to have the same identification
        return max(0, min(one[1] + one[2], other[1] + other[2]) - max(one[1], other[1]))
    if one[2] < other[2]:
        a, b, one, other = b, a, other, one
    offset = (other[1] - one[1]) & 0xFFFFFFFF  # sequence numbers begin again at zero
    if offset + other[2] > one[2]:
        return 0
    # A stream may be sent again, and cut otherwise: only the content makes it the same.
    inner, outer = b.transport[b.header_length :], a.transport[a.header_length + offset :]
    seen = min(len(inner), len(outer))
    return other[2] if inner[:seen] == outer[:seen] else 0
