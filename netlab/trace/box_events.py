"""Packets in a wire with boxes: which track a carriage is of, and in words what was done."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from netlab.middlebox.recorder import TOLD
from netlab.trace.disposition import Disposition
from netlab.trace.model import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netlab.capture.evidence import Carriage, Deed, Frame
    from netlab.trace.track import Track

ETHERNET = 14

_WORDS = {
    "kept": "kept",
    "failed": "dropped by an error",
    "delayed": "delayed",
    "rewritten": "rewritten",
    "merged": "merged",
    "duplicated": "sent twice",
    "cut": "cut",
    "returned": "sent back",
    "answered": "answered",
    "injected": "followed by a packet",
}


class Carriages:
    """Carriages that wait for the frame that they belong to: both keep the order of the wire."""

    def __init__(self, carriages: Iterable[Carriage]) -> None:
        self._coming: dict[tuple[str, str, bytes], deque[Carriage]] = {}
        self._leaving: dict[tuple[str, str, bytes], deque[Carriage]] = {}
        self._tracks: dict[int, Track] = {}
        for carriage in carriages:
            if carriage.came:
                self._coming.setdefault((carriage.node, *carriage.came), deque()).append(carriage)
            for end in carriage.left:
                self._leaving.setdefault((carriage.node, *end), deque()).append(carriage)

    def coming(self, frame: Frame) -> Carriage | None:
        """What a frame that came in to a wire is to its boxes."""
        return _take(self._coming, frame)

    def leaving(self, node: str, interface: str, frame: Frame) -> Carriage | None:
        """The same for a frame that goes out of a wire, wherever it was seen."""
        return _take(self._leaving, frame._replace(node=node, interface=interface))

    def follow(self, carriage: Carriage, track: Track) -> None:
        """It is this track's."""
        self._tracks[id(carriage)] = track

    def track_of(self, carriage: Carriage) -> Track | None:
        """The track that came in with it."""
        return self._tracks.get(id(carriage))


def _take(waiting: dict[tuple[str, str, bytes], deque[Carriage]], frame: Frame) -> Carriage | None:
    key = (frame.node, frame.interface, frame.data[ETHERNET : ETHERNET + TOLD])
    queue = waiting.get(key)
    return queue.popleft() if queue else None


def told(carriage: Carriage) -> tuple[str, ...]:
    """What the boxes did with a packet that went on: ``delayed by impair (nat.yaml:12)``."""
    words = [
        f"{'made' if n == 0 and not carriage.came else _WORDS[deed.what]} by {_who(deed)}"
        for n, deed in enumerate(carriage.deeds)
        if deed.what != "kept"
    ]
    return tuple(dict.fromkeys(words))


def _who(deed: Deed) -> str:
    return f"{deed.box} ({deed.topology})" if deed.topology else deed.box


def by_box(track: Track, what: str) -> Reason | None:
    """Which box made other packets of it, if one says so: ``cut into pieces by split``."""
    deeds = track.carriage.deeds if track.carriage else ()
    deed = next((d for d in deeds if d.what in ("cut", "merged", "kept")), None)
    if deed is None:
        return None
    label = f"{deed.box} at {track.node}"
    return Reason("box", f"{what} by {deed.box}", "", deed.topology, label)


def kept(carriage: Carriage, node: str) -> tuple[Disposition, Reason]:
    """Why a packet went into a wire and did not come out."""
    if carriage.left:
        text = "left the boxes on the wire, and nobody saw it leave the wire"
        return Disposition.UNKNOWN, Reason("inferred", text)
    if not carriage.deeds:
        return Disposition.STILL_QUEUED, Reason("inferred", "on its way through the boxes")
    deed = next((d for d in carriage.deeds if d.what in ("kept", "failed")), carriage.deeds[-1])
    label = f"{deed.box} at {node}"
    match deed.what:
        case "kept":
            because = f": {deed.text}" if deed.text else ""
            text = f"dropped by {deed.box}{because}"
        case "failed":
            text = f"dropped by an error of {deed.box}: {deed.text}"
        case "delayed":
            text = f"{deed.box} delays it by {deed.text}"
            return Disposition.STILL_QUEUED, Reason("box", text, "", deed.topology, label)
        case _:
            text = f"{_WORDS[deed.what]} by {deed.box}"
    return Disposition.CONSUMED, Reason("box", text, "", deed.topology, label)
