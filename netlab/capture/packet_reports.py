"""What programs say that they did with each packet, and who has a TUN device open.

The reports are datagrams, of which the kernel holds few: they are read as they come.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.capture.collector import RECORDS, Reader
from netlab.capture.evidence import Gap, PacketReport, TunProgram
from netlab.linux import packet_reports

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from netlab.capture.collector import RunInNetns
    from netlab.capture.evidence import NodeInfo
    from netlab.capture.packets import Capture


LOOKS = 2.0
"""Seconds between two looks at who has a TUN device open."""


class PacketReports:
    """The reports in the nodes of ``inventory``; the programs in wires report otherwise.

    To be stopped after ``capture``, which knows by then whether there were other devices.
    """

    def __init__(
        self, inventory: Mapping[str, NodeInfo], inside: RunInNetns, capture: Capture
    ) -> None:
        self.gaps: list[Gap] = []
        self._inside = inside
        self._nodes = [node for node, place in inventory.items() if place.kind != "inline"]
        self._capture = capture
        self._has_tun = has_tun(inventory)
        self._planned = {(n, i.name) for n, place in inventory.items() for i in place.interfaces}
        self._sockets: dict[str, socket.socket] = {}
        self._namespaces: dict[int, str] = {}
        self._messages: list[tuple[str, int, bytes]] = []
        self._names: dict[int, str] = {}
        self._holders: dict[tuple[str, str], str] = {}
        self._reader: Reader | None = None
        self._reports: list[PacketReport] = []
        self._looked = 0.0
        self._refused: dict[str, int] = {}

    def start(self) -> None:
        """Listen in every node."""
        for node in self._nodes:
            observer, number = self._inside(node, _open)
            self._namespaces[number] = node
            if observer is None:
                text = "four others observe this node, so programs do not report to this one"
                self.gaps.append(Gap("programs", text, node))
            else:
                self._sockets[node] = observer
        if self._has_tun:
            self._look()
        self._reader = Reader(
            [(one.fileno(), partial(self._drain, node)) for node, one in self._sockets.items()], 0
        )

    def buffers(self) -> Iterable[tuple[int, Callable[[], None]]]:
        """None that the others' thread empties."""
        return ()

    def stop(self) -> None:
        """Take the last reports."""
        others = self._capture.interfaces() - self._planned
        if self._has_tun or any(name != "lo" for _, name in others):
            self._look()
        if self._reader:
            self._reader.stop()
        for node, observer in self._sockets.items():
            self._drain(node)
            observer.close()
        self._sockets.clear()
        self._reports = list(self._read(self._messages))
        for node, count in self._refused.items():
            self.gaps.append(Gap("programs", f"{count} reports were more than are kept", node))

    def take(self) -> Callable[[], list[PacketReport]]:
        """The reports since the last time; they are forgotten here, and read by the result."""
        if self._has_tun and time.monotonic() > self._looked + LOOKS:
            self._look()
        taken = self._forget()
        return lambda: list(self._read(taken))

    def discard(self) -> None:
        """Forget what was reported and not yet taken."""
        self._forget()

    def _forget(self) -> list[tuple[str, int, bytes]]:
        if self._reader is None:
            return []
        with self._reader.lock:
            taken, self._messages = self._messages, []
        return taken

    def _look(self) -> None:
        self._looked = time.monotonic()
        for (number, device), program in packet_reports.tun_programs().items():
            if number in self._namespaces:
                self._holders[self._namespaces[number], device] = program

    def _drain(self, node: str) -> None:
        while True:
            try:
                message, pid = packet_reports.receive(self._sockets[node])
            except OSError:
                return
            if pid and pid not in self._names:
                self._names[pid] = packet_reports.program_name(pid)  # while it is there
            if len(self._messages) < RECORDS:
                self._messages.append((node, pid, message))
            else:
                self._refused[node] = self._refused.get(node, 0) + 1

    def _read(self, messages: Iterable[tuple[str, int, bytes]]) -> Iterator[PacketReport]:
        for node, pid, message in messages:
            program = f"{pid}/{self._names.get(pid, '?')}"
            try:
                came, end, text, sent = packet_reports.decode(message)
            except ValueError as error:
                text = f"{program} sent a malformed report: {error}"
                self.gaps.append(Gap("programs", text, node))
            else:
                yield PacketReport(node, program, came, end, text, sent)

    def reports(self) -> list[PacketReport]:
        """All reports, in the order in which they came; what is not one is a gap."""
        return self._reports

    def tun_programs(self) -> list[TunProgram]:
        """Who had which device open."""
        return [TunProgram(*place, program) for place, program in self._holders.items()]


def has_tun(inventory: Mapping[str, NodeInfo]) -> bool:
    """Whether any node has a TUN device by its plan."""
    return any(i.kind == "tun" for place in inventory.values() for i in place.interfaces)


def _open() -> tuple[socket.socket | None, int]:
    """An observer, and the number of the calling thread's namespace."""
    return packet_reports.listener(), Path("/proc/thread-self/ns/net").stat().st_ino
