"""The track of one packet: every place where it was seen, and what it is to other packets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

    from netlab.capture.evidence import BoxEvent, Direction, KernelDrop, PacketReport
    from netlab.trace.rule_trace import RuleTrace
    from netlab.wire.view import View


class Sighting(NamedTuple):
    """A packet at an interface; ``frame`` is its index among the frames of the evidence."""

    time_ns: int
    node: str
    interface: str
    direction: Direction
    view: View
    frame: int


class Track:
    """One packet from where it was first seen to where it was seen last.

    ``begins`` is the packet as first seen and ``node`` where it is now, also for a packet that
    never reached an interface. ``children`` are the packets that it became: the pieces that it
    was cut into, its copies, or the one that it was merged into (``becoming`` says which).
    """

    __slots__ = (
        "becoming",
        "begins",
        "box_event",
        "box_events",
        "children",
        "copied",
        "copied_from",
        "covered",
        "drop",
        "node",
        "parents",
        "report",
        "reports",
        "rule_traces",
        "sightings",
        "time_ns",
    )

    def __init__(self, begins: View, node: str, time_ns: int) -> None:
        self.begins = begins
        self.node = node
        self.time_ns = time_ns
        self.sightings: list[Sighting] = []
        self.rule_traces: list[RuleTrace] = []
        self.drop: KernelDrop | None = None
        self.box_event: BoxEvent | None = None
        """What the boxes of the wire did with it, if that is where it is."""
        self.box_events: dict[int, BoxEvent] = {}
        """The same for each sighting where it left a wire, by its index."""
        self.report: PacketReport | None = None
        """What the program says that took it, if it is with one."""
        self.reports: list[PacketReport] = []
        """All that programs said of it."""
        self.parents: list[Track] = []
        self.children: list[Track] = []
        self.becoming: Literal["", "cut", "merged"] = ""
        self.copied = False
        """Whether it is a copy that a node made of its parent."""
        self.copied_from: View | None = None
        """The parent as it came in to that node."""
        self.covered = 0
        """Octets of this packet that have gone on as pieces."""

    def add_copy(self, copy: Track, node: str) -> None:
        """``copy`` is one that ``node`` made of this packet."""
        copy.copied = True
        copy.parents.append(self)
        copy.copied_from = next(
            (s.view for s in self.sightings if s.node == node and s.direction == "in"), None
        )
        self.children.append(copy)

    def is_looped(self, own: Collection[bytes]) -> bool:
        """Whether a node with the addresses ``own`` handed it to itself: a broadcast's own copy."""
        first = self.sightings[0] if self.sightings else None
        return (
            first is not None
            and len(self.sightings) == 1
            and first.direction == "in"
            and first.interface != "lo"
            and first.view.source in own
        )

    @property
    def last(self) -> Sighting | None:
        """Where it was seen last."""
        return self.sightings[-1] if self.sightings else None

    @property
    def time_at_end(self) -> int:
        """When it was seen last."""
        return self.sightings[-1].time_ns if self.sightings else self.time_ns

    @property
    def view(self) -> View:
        """The packet as it was last seen."""
        return self.sightings[-1].view if self.sightings else self.begins

    @property
    def rule_trace(self) -> RuleTrace | None:
        """Its passage through the rules of the node where it is, if that was traced."""
        if self.rule_traces and self.rule_traces[-1].node == self.node:
            return self.rule_traces[-1]
        return None

    @property
    def is_dead(self) -> bool:
        """Whether a rule or the kernel is known to have ended it."""
        return self.drop is not None or any(p.dropped for p in self.rule_traces)
