"""Packets in a wire with boxes: which track a carriage is of, and in words what was done."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from netlab.middlebox.recorder import TOLD
from netlab.trace.disposition import Disposition
from netlab.trace.model import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netlab.capture.evidence import BoxAction, BoxEvent, Frame
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


class BoxEvents:
    """Carriages that wait for the frame that they belong to: both keep the order of the wire."""

    def __init__(self, box_events: Iterable[BoxEvent]) -> None:
        self._coming: dict[tuple[str, str, bytes], deque[BoxEvent]] = {}
        self._leaving: dict[tuple[str, str, bytes], deque[BoxEvent]] = {}
        self._tracks: dict[int, Track] = {}
        for box_event in box_events:
            if box_event.came:
                self._coming.setdefault((box_event.node, *box_event.came), deque()).append(
                    box_event
                )
            for end in box_event.left:
                self._leaving.setdefault((box_event.node, *end), deque()).append(box_event)

    def coming(self, frame: Frame) -> BoxEvent | None:
        """What a frame that came in to a wire is to its boxes."""
        return _take(self._coming, frame)

    def leaving(self, node: str, interface: str, frame: Frame) -> BoxEvent | None:
        """The same for a frame that goes out of a wire, wherever it was seen."""
        return _take(self._leaving, frame._replace(node=node, interface=interface))

    def follow(self, box_event: BoxEvent, track: Track) -> None:
        """It is this track's."""
        self._tracks[id(box_event)] = track

    def track_of(self, box_event: BoxEvent) -> Track | None:
        """The track that came in with it."""
        return self._tracks.get(id(box_event))


def _take(waiting: dict[tuple[str, str, bytes], deque[BoxEvent]], frame: Frame) -> BoxEvent | None:
    key = (frame.node, frame.interface, frame.data[ETHERNET : ETHERNET + TOLD])
    queue = waiting.get(key)
    return queue.popleft() if queue else None


def describe(box_event: BoxEvent) -> tuple[str, ...]:
    """What the boxes did with a packet that went on: ``delayed by impair (nat.yaml:12)``."""
    words = [
        f"{'made' if n == 0 and not box_event.came else _WORDS[action.what]} by {_who(action)}"
        for n, action in enumerate(box_event.actions)
        if action.what != "kept"
    ]
    return tuple(dict.fromkeys(words))


def _who(action: BoxAction) -> str:
    return f"{action.box} ({action.topology})" if action.topology else action.box


def by_box(track: Track, what: str) -> Reason | None:
    """Which box made other packets of it, if one says so: ``cut into pieces by split``."""
    actions = track.box_event.actions if track.box_event else ()
    action = next((d for d in actions if d.what in ("cut", "merged", "kept")), None)
    if action is None:
        return None
    label = f"{action.box} at {track.node}"
    return Reason("box", f"{what} by {action.box}", "", action.topology, label)


def kept(box_event: BoxEvent, node: str) -> tuple[Disposition, Reason]:
    """Why a packet went into a wire and did not come out."""
    if box_event.left:
        text = "left the boxes on the wire, and nobody saw it leave the wire"
        return Disposition.UNKNOWN, Reason("inferred", text)
    if not box_event.actions:
        return Disposition.STILL_QUEUED, Reason("inferred", "on its way through the boxes")
    action = next(
        (d for d in box_event.actions if d.what in ("kept", "failed")), box_event.actions[-1]
    )
    label = f"{action.box} at {node}"
    match action.what:
        case "kept":
            because = f": {action.text}" if action.text else ""
            text = f"dropped by {action.box}{because}"
        case "failed":
            text = f"dropped by an error of {action.box}: {action.text}"
        case "delayed":
            text = f"{action.box} delays it by {action.text}"
            return Disposition.STILL_QUEUED, Reason("box", text, "", action.topology, label)
        case _:
            text = f"{_WORDS[action.what]} by {action.box}"
    return Disposition.ABSORBED, Reason("box", text, "", action.topology, label)
