"""One cell: build its lab, send the traffic, report the result."""

from __future__ import annotations

import secrets
import select
import socket
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from netlab.io.probes import Probes, listener
from netlab.lab.lab import Lab
from netlab.scenario import packets
from netlab.scenario.matrix import traffic
from netlab.scenario.matrix.converse import converse
from netlab.scenario.model import Watched
from netlab.scenario.packets import Packet
from netlab.trace.explain import NEVER_LEFT
from netlab.trace.probe_results import probed
from netlab.wire.shapes import SHAPES, UDPLITE
from netlab.wire.view import TCP, UDP

if TYPE_CHECKING:
    from netlab.lab.lab import LabNode
    from netlab.scenario.matrix.cells import Cell
    from netlab.scenario.matrix.traffic import Traffic
    from netlab.trace.explain import ProbeResult

COUNT = 3

WORKS = "works"
"""The result of a conversation that survives."""

MARKER_PORT = 9
MARKER_PATIENCE = 0.25
MARKERS = 40


class Found(NamedTuple):
    """The result of a cell: a few words, and the fate of each of its packets."""

    traffic: str
    obstacle: str
    text: str
    packets: tuple[Packet, ...]

    @property
    def survived(self) -> bool:
        """Whether all came through."""
        return self.text.partition(" ")[0] in (str(COUNT), WORKS)

    def to_json(self) -> dict[str, Any]:
        """As a line of the journal has it."""
        return self._asdict() | {"packets": [packet.to_json() for packet in self.packets]}

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> Self:
        """The same back; ``KeyError`` or ``TypeError`` for something else."""
        found = tuple(
            Packet(**{**each, "way": tuple(each["way"]), "changes": tuple(each["changes"])})
            for each in line["packets"]
        )
        return cls(line["traffic"], line["obstacle"], line["text"], found)


def perform(cell: Cell) -> Found:
    """The result; the lab is removed."""
    kind = traffic.find(cell.traffic)
    assert kind
    with Lab(cell.plan, name=f"matrix-{secrets.token_hex(6)}") as lab:
        if kind.tcp:
            text, seen = _conversation(lab, cell, kind)
        else:
            text, seen = _packets(lab, cell, kind)
    return Found(cell.traffic, cell.obstacle, text, seen)


def _conversation(lab: Lab, cell: Cell, kind: Traffic) -> tuple[str, tuple[Packet, ...]]:
    assert kind.tcp
    with lab.observe() as watch:
        text = converse(kind.tcp, lab[cell.source], lab[cell.target])
        watch.settle()
    return text, tuple(packets.watched(watch.traces, Watched(TCP)))


def _packets(lab: Lab, cell: Cell, kind: Traffic) -> tuple[str, tuple[Packet, ...]]:
    client, server = lab[cell.source], lab[cell.target]
    shape = SHAPES[kind.shape] if kind.shape else None
    probes = Probes(
        server.address, kind.protocol, port=kind.port, count=COUNT, size=kind.size, shape=shape
    )
    with _Receiver(server, probes) as rx, lab.observe() as watch:
        probes.send(client.inside)
        rx.listen()
        if rx.missing:
            _follow(client, server)
        watch.settle()
        rx.listen()
    _, outcomes = probed(watch.traces, probes, one_way=True)
    leaked = lab[cell.box].kind == "nat" and client.address in rx.sources
    return _told(rx, outcomes, leaked=leaked), tuple(packets.sent(outcomes))


def _told(rx: _Receiver, outcomes: list[ProbeResult], *, leaked: bool) -> str:
    lost = {_end(outcome) for outcome in outcomes if outcome.number in rx.missing}
    words = [str(COUNT - len(rx.missing)), *sorted(lost)]
    if rx.repeated:
        words.append("doubled")
    if leaked:
        words.append("untranslated")
    return " ".join(words)


def _end(outcome: ProbeResult) -> str:
    """How a packet ended that the server's program did not get."""
    if outcome.decisive is None:
        return NEVER_LEFT
    return "unread" if outcome.arrived else str(outcome.decisive.disposition)


def _follow(client: LabNode, server: LabNode) -> None:
    """Return when datagrams that were sent after the packets have arrived.

    No box lets them overtake, so what is not there by then was lost. They may be lost themselves,
    and are then sent again, each as a flow of its own.
    """
    with server.socket(socket.AF_INET, socket.SOCK_DGRAM) as waiting:
        waiting.bind((server.address, MARKER_PORT))
        for _ in range(MARKERS):
            with client.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
                sending.sendto(b"", waiting.getsockname())
            if select.select([waiting], [], [], MARKER_PATIENCE)[0]:
                return


class _Receiver:
    """Takes the packets where they are to arrive, and knows which have."""

    def __init__(self, server: LabNode, probes: Probes) -> None:
        self._probes = probes
        self._arrived: list[int] = []
        self.sources: set[str] = set()
        self._has_header, self._socket = server.inside(lambda: _open(probes))
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def missing(self) -> set[int]:
        """The numbers of those that have not come."""
        return {*range(1, self._probes.count + 1)} - {*self._arrived}

    @property
    def repeated(self) -> bool:
        """Whether one has come twice."""
        return len(self._arrived) > len({*self._arrived})

    def listen(self) -> None:
        """Take what is there."""
        while True:
            try:
                octets, source = self._socket.recvfrom(65_535)
            except BlockingIOError:
                return
            # A raw socket has the IP header too, another one not even the UDP header.
            behind_ip = octets[(octets[0] & 15) * 4 :] if self._has_header else bytes(8) + octets
            number = self._probes.number_of(self._probes.proto, (0, 0), behind_ip)
            if number is not None:
                self._arrived.append(number)
                self.sources.add(source[0])


def _open(probes: Probes) -> tuple[bool, socket.socket]:
    """A socket for the packets, and whether it shows the IP header."""
    if probes.proto == UDPLITE:
        try:
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, UDPLITE)
        except OSError:
            pass  # Linux 6.17 and later can do without
        else:
            opened.bind(("", probes.port))
            return False, opened
    return probes.proto != UDP, listener(probes.family, probes.proto, probes.port)
