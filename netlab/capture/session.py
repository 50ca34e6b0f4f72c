"""All collectors together, for as long as a ``with`` block lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from netlab.capture.box_events import Boxes
from netlab.capture.collector import Reader
from netlab.capture.conntrack import Conntrack
from netlab.capture.counters import Counters
from netlab.capture.drops import Drops
from netlab.capture.evidence import Evidence, Gap
from netlab.capture.nft_trace import NftTrace
from netlab.capture.packet_reports import PacketReports, has_tun
from netlab.capture.packets import Capture

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from types import TracebackType

    from netlab.capture.collector import Collector, RunInNetns
    from netlab.capture.evidence import BoxEvent, Count, Frame, NodeInfo, Source

Kind = Literal["capture", "arrivals", "nft", "drops", "conntrack", "counters", "boxes", "programs"]
ALL: tuple[Source, ...] = ("counters", "drops", "conntrack", "nft", "boxes", "programs", "capture")
"""In the order in which they start: the backbone last, so that nothing is seen halfway."""


class Observation:
    """What happens in the nodes of ``inventory``; ``evidence`` is there after the block.

    A collector that this machine or user does not allow is a ``Gap`` in the evidence, not an
    error. Nothing stays behind, whatever ends the block.
    """

    def __init__(
        self,
        inventory: Mapping[str, NodeInfo],
        inside: RunInNetns,
        kinds: Collection[Kind] = (),
    ) -> None:
        nodes = tuple(inventory)
        wanted = {"capture" if kind == "arrivals" else kind for kind in kinds or ALL}
        self._inventory = inventory
        self._gaps: list[Gap] = []
        self._arrivals_only = "arrivals" in kinds
        arrivals = [n for n in nodes if self._arrivals_only and _is_wired(inventory[n])]
        self._capture = Capture(nodes, inside, arrivals)
        self._nft = NftTrace(nodes, inside)
        self._drops = Drops(nodes, inside)
        self._conntrack = Conntrack(nodes, inside)
        self._counters = Counters(nodes, inside)
        wires = [node for node, place in inventory.items() if place.kind == "inline"]
        self._boxes = Boxes(wires, inside)
        self._reports = PacketReports(inventory, inside, self._capture)
        made: dict[Source, Collector] = {
            "counters": self._counters,
            "drops": self._drops,
            "conntrack": self._conntrack,
            "nft": self._nft,
            "boxes": self._boxes,
            "programs": self._reports,
            "capture": self._capture,
        }
        self._wanted = {kind: made[kind] for kind in ALL if kind in wanted}
        self._gaps += [
            Gap(kind, "was not asked for")
            for kind in ALL
            if kind not in wanted
            and (wires or kind != "boxes")
            and (has_tun(inventory) or kind != "programs")
        ]
        self._running: list[Collector] = []
        self.copied = 0
        """How many frames had been seen when some were last taken or discarded."""
        self._evidence: Evidence | None = None

    def __enter__(self) -> Self:
        try:
            for kind, collector in self._wanted.items():
                # Whatever it had opened when it failed is closed by its stop.
                self._running.append(collector)
                try:
                    collector.start()
                except (OSError, KeyError, ValueError) as error:
                    self._running.remove(collector)
                    collector.stop()
                    self._gaps.append(Gap(kind, f"not possible here: {error}"))
            buffers = [b for collector in self._running for b in collector.buffers()]
            self._reader = Reader(buffers)
        except BaseException:
            for collector in self._running:
                collector.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.stop()
        for collector in reversed(self._running):
            collector.stop()
            self._gaps += collector.gaps

    def activity(self) -> int:
        """How many frames were seen so far."""
        return self._capture.seen()

    def new_frames(self) -> list[Frame]:
        """The frames since the last time, in order of time; they stay in the evidence."""
        with self._reader.lock:
            return self._capture.news()

    def take_frames(self) -> list[Frame]:
        """The frames since the last time, in order of time; they are forgotten here."""
        with self._reader.lock:
            self._reader.read_now()
            self.copied = self._capture.seen()
            taken = self._capture.take()
        return taken()

    def take(self, most: int | None = None, since_ns: int = 0) -> Evidence:
        """What was collected since the last time; it is forgotten here.

        Of more than ``most`` frames the first since then are taken, about so many, and the others
        lost.
        Events of boxes are there until ``forget_boxes``; counters and gaps are not part of it.
        """
        with self._reader.lock:
            self._reader.read_now()
            self.copied = self._capture.seen()
            frames, verdicts = self._capture.take(most, since_ns), self._nft.take()
            drops, flows = self._drops.take(), self._conntrack.take()
            box_events, reports = self._boxes.take(), self._reports.take()
        return Evidence(
            self._inventory,
            tuple(frames()),
            tuple(verdicts()),
            tuple(drops()),
            gaps=tuple(self._gaps),
            flows=tuple(flows()),
            arrivals_only=self._arrivals_only,
            box_events=tuple(box_events()),
            reports=tuple(reports()),
            tun_programs=tuple(self._reports.tun_programs()),
        )

    def discard(self) -> None:
        """Forget what was collected and not taken."""
        with self._reader.lock:
            self._reader.read_now()
            self.copied = self._capture.seen()
            for collector in self._running:
                collector.discard()

    def forget_boxes(self, used: Iterable[BoxEvent], before_ns: int) -> None:
        """Forget events of boxes that were used, and those from before that time."""
        self._boxes.forget(used, before_ns)

    def counts_since_last(self, node: str) -> list[Count]:
        """Counters of ``node`` that rose since it was last asked."""
        return self._counters.since_last(node) if self._counters in self._running else []

    def lost(self) -> int:
        """How many frames so far came faster than they could be read; no one saw them."""
        return self._capture.lost()

    def missed(self) -> int:
        """The same with those that were more than are kept."""
        return self._capture.lost() + self._capture.refused()

    @property
    def evidence(self) -> Evidence:
        """What was collected; read once, then kept."""
        if self._evidence is None:
            self._evidence = Evidence(
                self._inventory,
                tuple(self._capture.frames()),
                tuple(self._nft.verdicts()),
                tuple(self._drops.drops()),
                (*self._counters.counts(), *self._boxes.counts()),
                gaps=tuple(self._gaps),
                flows=tuple(self._conntrack.events()),
                arrivals_only=self._arrivals_only,
                box_events=tuple(self._boxes.box_events()),
                reports=tuple(self._reports.reports()),
                tun_programs=tuple(self._reports.tun_programs()),
            )
        return self._evidence


def _is_wired(place: NodeInfo) -> bool:
    """Whether all that goes out of a node comes in at another."""
    return all(interface.peer for interface in place.interfaces)
