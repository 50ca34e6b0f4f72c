"""What boxes do to segments that no kernel would send: the questions of Honda et al. (2011).

Both ends write their segments by hand, so that it is known what was sent and what arrived.
"""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING, NamedTuple, Self

from netlab.lab import reconfigure
from netlab.middlebox import Packet
from netlab.topology.model import Box
from netlab.verify.probe import SECONDS, Probe, drain, one_cpu
from netlab.wire import ipv4, tcp
from netlab.wire.address import packed

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from netlab.lab.lab import Lab

SERVICE, PORT_OF_LAST = 80, 81
MODULUS = 1 << 32
WIRE, GUARD = "guard:outside", "guard"

MSS = tcp.encode_options(tcp.Options(mss=1460))
UNKNOWN = bytes([253, 4, 0xBE, 0xEF])
"""An option for experiments (RFC 4727)."""


class Setting(NamedTuple):
    """A box, and where it is; ``holds`` if it keeps data back for a while."""

    name: str
    place: str = WIRE
    kind: str = ""
    parameters: tuple[tuple[str, object], ...] = ()
    holds: bool = False


SETTINGS = (
    Setting("nothing"),
    Setting("option-remove", WIRE, "option-remove"),
    Setting("option-drop", GUARD, "option-drop"),
    Setting("sequence-rewrite", WIRE, "sequence-rewrite"),
    Setting("hole-blocker", WIRE, "hole-blocker"),
    Setting("strict-window", GUARD, "strict-window"),
    Setting("proxy-ack", WIRE, "proxy-ack"),
    Setting("first-copy", WIRE, "first-copy"),
    Setting("split", WIRE, "split", (("size", 536),)),
    Setting("coalesce", WIRE, "coalesce", (("size", 200),), holds=True),
)


class End:
    """One end: sends segments of a connection to the other, and hears what arrives of it."""

    def __init__(self, probe: Probe, node: str, port: int) -> None:
        self.address, self.port = probe.lab[node].address, port
        self.sequence = 1000
        self.heard = 0
        """The next sequence number that this end expects, by what it has heard."""
        self._mouth = probe.open(node, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._ear = probe.open(node, socket.SOCK_RAW, tcp.PROTOCOL)

    def send(
        self, to: Self, flags: int = tcp.ACK, data: bytes = b"", *,
        options: bytes = b"", skip: int = 0, beyond: int = 0,
    ) -> None:  # fmt: skip
        """A segment: ``skip`` octets behind the next, acknowledging ``beyond`` more than heard."""
        a, b = packed(self.address), packed(to.address)
        sequence = (self.sequence + skip) % MODULUS
        ack = (self.heard + beyond) % MODULUS if flags & tcp.ACK else 0
        head = tcp.Header(self.port, to.port, sequence, ack, flags, 65535, options=options)
        segment = ipv4.encode(ipv4.Header(a, b, tcp.PROTOCOL), tcp.encode(head, data, a, b))
        self._mouth.sendto(segment, (to.address, 0))

    def wait(self) -> None:
        """Until something has come."""
        assert select.select([self._ear], [], [], SECONDS)[0], "nothing came"

    def arrived(self, of: Self) -> list[Packet]:
        """What came of the connection with the other end since the last look."""
        packets = [Packet(octets) for octets, _ in drain(self._ear)]
        ports = (of.port, self.port)
        return [
            p for p in packets if p.tcp and (p.tcp.source_port, p.tcp.destination_port) == ports
        ]


class Connection:
    """A connection by hand, through whatever is on the way."""

    def __init__(self, probe: Probe, port: int, *, holds: bool) -> None:
        self._probe = probe
        self._holds = holds
        self.client, self.server = End(probe, "client", port), End(probe, "server", SERVICE)

    def settle(self) -> None:
        """What was sent is where it goes now, there and back, or will never be."""
        client, server = self.client.address, self.server.address
        self._probe.settle(("client", client), ("server", server), ("client", client))
        if self._holds:
            # What is held back later is also let go later.
            last, there = (
                End(self._probe, "client", PORT_OF_LAST),
                End(self._probe, "server", PORT_OF_LAST),
            )
            last.send(there, data=b"last")
            while not there.arrived(last):
                there.wait()

    def to_server(self) -> list[Packet]:
        """What the server has heard."""
        self.settle()
        return self.server.arrived(self.client)

    def knock(self, options: bytes = MSS) -> Packet | None:
        """Send a SYN; what arrives of it."""
        self.client.send(self.server, tcp.SYN, options=options)
        self.client.sequence += 1
        return next(iter(self.to_server()), None)

    def open(self) -> Self:
        """The whole handshake."""
        syn = self.knock()
        assert syn
        assert syn.tcp
        self.server.heard = (syn.tcp.seq + 1) % MODULUS
        self.server.send(self.client, tcp.SYN | tcp.ACK, options=MSS)
        self.server.sequence += 1
        self.settle()
        [answer] = self.client.arrived(self.server)
        assert answer.tcp
        self.client.heard = (answer.tcp.seq + 1) % MODULUS
        self.client.send(self.server)
        assert self.to_server()
        return self


def option_on_syn(new: Connection) -> str:
    """An option that nobody knows, on a SYN."""
    return _fate_of_option(new.knock(MSS + UNKNOWN))


def option_on_data(new: Connection) -> str:
    """The same on a segment with data."""
    new.open().client.send(new.server, data=b"data", options=UNKNOWN)
    return _fate_of_option(next(iter(new.to_server()), None))


def _fate_of_option(packet: Packet | None) -> str:
    if packet is None or packet.tcp is None:
        return "segment lost"
    return "passes" if UNKNOWN in packet.tcp.options else "removed"


def first_number(new: Connection) -> str:
    """The sequence number of a SYN."""
    sent = new.client.sequence
    syn = new.knock()
    return "kept" if syn and syn.tcp and syn.tcp.seq == sent else "rewritten"


def hole(new: Connection) -> str:
    """Data behind a hole: what comes before them was lost."""
    new.open().client.send(new.server, data=b"later", skip=100)
    return "passes" if new.to_server() else "stopped"


def early_ack(new: Connection) -> str:
    """An ACK of data that the server has not sent."""
    new.open().client.send(new.server, beyond=1000)
    found = new.to_server()
    if not found or not found[0].tcp:
        return "stopped"
    return "passes" if found[0].tcp.ack == new.server.sequence + 1000 else "corrected"


def stranger_ack(new: Connection) -> str:
    """Whether data are acknowledged although the server is silent."""
    new.open().client.send(new.server, data=b"data")
    new.to_server()
    return "by the box" if new.client.arrived(new.server) else "none"


def other_data(new: Connection) -> str:
    """A retransmission that says something else than the first time."""
    new.open()
    for data in (b"first", b"other"):
        new.client.send(new.server, data=data)
    payloads = [packet.payload for packet in new.to_server()]
    return "passes" if payloads[1:] == [b"other"] else "with the first data"


def long_segment(new: Connection) -> str:
    """A segment of 1,000 octets."""
    new.open().client.send(new.server, data=bytes(1000))
    return _count(new)


def short_segments(new: Connection) -> str:
    """Two segments of 100 octets that follow each other."""
    new.open()
    for skip in (0, 100):
        new.client.send(new.server, data=bytes(100), skip=skip)
    return _count(new)


def _count(new: Connection) -> str:
    return str(sum(bool(packet.payload) for packet in new.to_server()))


QUESTIONS: dict[str, Callable[[Connection], str]] = {
    "option on a SYN": option_on_syn,
    "option on data": option_on_data,
    "first number": first_number,
    "behind a hole": hole,
    "early ACK": early_ack,
    "ACK of a silent server": stranger_ack,
    "repeated otherwise": other_data,
    "1000 octets in": long_segment,
    "2 times 100 in": short_segments,
}


def ask(lab: Lab, rng: random.Random) -> list[dict[str, str]]:
    """A row for each box, a column for each question, each asked on a connection of its own."""
    rows = []
    ports = iter(rng.sample(range(1024, 30_000), len(SETTINGS) * len(QUESTIONS)))
    with one_cpu():
        for setting in SETTINGS:
            boxes = [Box(setting.kind, setting.parameters)] if setting.kind else []
            reconfigure.put_boxes(lab, setting.place, boxes)
            row = {"box": setting.name}
            for name, question in QUESTIONS.items():
                with Probe(lab) as probe:
                    row[name] = question(Connection(probe, next(ports), holds=setting.holds))
            rows.append(row)
            reconfigure.put_boxes(lab, setting.place, [])
    return rows
