"""Packets that went to a program: which report a frame belongs to, and in words what was done.

    kernel ──out──► device ─► program ─► device ──in──► kernel        a TUN device
    wire ──in──► interface ─► program ─► interface ──out──► wire      a packet socket

A program says of each packet that it ended there, or what it went on as.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from netlab.capture.evidence import Gap
from netlab.linux.packet_reports import OCTETS
from netlab.trace.disposition import Disposition
from netlab.trace.model import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netlab.capture.evidence import Evidence, Frame, PacketReport
    from netlab.trace.track import Track

_ETHERNET = 14
_WORDS = frozenset(str(end) for end in Disposition if not end.lives_on)


class ProgramReports:
    """Reports that wait for the frame that they belong to: equal ones keep their order."""

    def __init__(self, reports: Iterable[PacketReport]) -> None:
        self._coming: dict[tuple[str, str, bytes], deque[PacketReport]] = {}
        self._leaving: dict[tuple[str, str, bytes], deque[PacketReport]] = {}
        self._tracks: dict[int, Track] = {}
        for report in reports:
            if report.came:
                self._coming.setdefault((report.node, *report.came), deque()).append(report)
            for place in report.left:
                self._leaving.setdefault((report.node, *place), deque()).append(report)

    def coming(self, frame: Frame, track: Track) -> PacketReport | None:
        """The report on a frame that went to a program; it is about this track."""
        report = _take(self._coming, frame)
        if report:
            self._tracks[id(report)] = track
            track.reports.append(report)
        return report

    def leaving(self, frame: Frame) -> PacketReport | None:
        """The report of which a frame that came from a program is a result."""
        return _take(self._leaving, frame)

    def track_of(self, report: PacketReport) -> Track | None:
        """The track that the program read."""
        return self._tracks.get(id(report))


def _take(
    waiting: dict[tuple[str, str, bytes], deque[PacketReport]], frame: Frame
) -> PacketReport | None:
    if not waiting:
        return None
    start = _ETHERNET if frame.ethernet else 0
    queue = waiting.get((frame.node, frame.interface, frame.data[start : start + OCTETS]))
    return queue.popleft() if queue else None


class Programs:
    """Who is behind which device, and what is to be said of packets that went there."""

    def __init__(self, evidence: Evidence) -> None:
        self._inventory = evidence.inventory
        self._wired = {
            (node, i.name)
            for node, place in evidence.inventory.items()
            for i in place.interfaces
            if i.peer
        }
        self._holders = {(p.node, p.interface): p.program for p in evidence.tun_programs}
        self._devices = set(self._holders) | {
            (node, i.name)
            for node, place in evidence.inventory.items()
            for i in place.interfaces
            if i.kind == "tun"
        }
        self._reporting = {(r.node, r.came[0]): r.program for r in evidence.reports if r.came}
        self._silent: dict[tuple[str, str], None] = {}
        self._leading_out: dict[tuple[str, str], None] = {}
        self._strange = sorted(
            {(r.node, r.end) for r in evidence.reports if r.end and r.end not in _WORDS}
        )

    def is_behind(self, frame: Frame) -> bool:
        """Whether a program is at the other end of the interface: a TUN or TAP device."""
        return not frame.ethernet or (frame.node, frame.interface) in self._devices

    def unopened(self, node: str, came_by: str) -> str:
        """The TUN device that no program has open, if the way from ``came_by`` leads only there."""
        place = self._inventory.get(node)
        others = [i for i in place.interfaces if i.name != came_by] if place else []
        closed = [i.name for i in others if i.kind == "tun" and (node, i.name) not in self._holders]
        return closed[0] if len(closed) == len(others) == 1 else ""

    def end(self, track: Track) -> tuple[Disposition, Reason] | None:
        """What the program says of a packet that it took; ``None`` if it went on."""
        report = track.report
        if report is None or report.came is None:
            return None
        who = self._who(track.node, report.came[0])
        because = f": {report.text}" if report.text else ""
        if report.end:
            end = Disposition(report.end) if report.end in _WORDS else Disposition.ABSORBED
            verb = "taken" if end.arrived else "refused"
            return end, Reason("program", f"{verb} by {who}{because}", program=report.program)
        if report.left:
            text = f"written by {who}, and no capture saw it after that"
            return Disposition.UNKNOWN, Reason("inferred", text, program=report.program)
        text = f"dropped by {who}{because}"
        return Disposition.ABSORBED, Reason("program", text, program=report.program)

    def without_report(self, node: str, interface: str) -> tuple[Disposition, Reason]:
        """What to say of a packet that went to a program which said nothing of it."""
        place = (node, interface)
        program = self._reporting.get(place) or self._holders.get(place, "")
        self._silent[place] = None
        fault = "did not report this one" if place in self._reporting else "does not report"
        text = f"handed to {self._who(node, interface)}, which {fault}"
        return Disposition.UNKNOWN, Reason("inferred", text, program=program)

    def lead_out(self, node: str, interface: str) -> None:
        """A packet left by an interface of which nobody knows where it leads."""
        self._leading_out[node, interface] = None

    def gaps(self) -> list[Gap]:
        """What was out of sight, once all ends are known: where packets went that no one reports.

        Programs that said nothing of a packet, or what cannot be, and interfaces that lead out.
        """
        out = [
            Gap("capture", f"{interface} leads out of the lab", node)
            for node, interface in self._leading_out
        ]
        silent = [
            Gap("programs", f"the program behind {interface} does not report all packets", node)
            for node, interface in self._silent
        ]
        return (
            out
            + silent
            + [
                Gap("programs", f"a program reports the end `{word}`, which is none", node)
                for node, word in self._strange
            ]
        )

    def _who(self, node: str, interface: str) -> str:
        is_wired = (node, interface) in self._wired
        return f"the program {'at' if is_wired else 'behind'} {interface}"
