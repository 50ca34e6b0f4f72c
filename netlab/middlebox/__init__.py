"""Middleboxes: the catalogue of known kinds, and the few lines that make one of your own.

    packet      Packet: an IP packet in transit, read when asked for, copied with changes
    box         Middlebox: what you derive from; After, Back and Drop: what else it may yield
    line        Line: boxes one behind the other and what is under way between them, sans-I/O
    witness     Witness: tells what each box of a line did with each packet
    report      how a wire's program sends that to those who watch
    sample      datagram, segment: packets to try a box with
    wire        Wire: a line with a virtual clock, to test a box without root
    parameters  what a parameter of a kind may be
    kind        Kind: the shape of a catalogue entry; Rules: nftables rules as data
    rules/      kinds that nftables can express
    boxes/      kinds that need a program, as classes over packets
    catalogue   all of them by name

A middlebox that swallows every second packet of each direction::

    from netlab.middlebox import Middlebox, Wire, datagram

    class EverySecond(Middlebox):
        def __init__(self):
            self.seen = {"outbound": 0, "inbound": 0}

        def packet(self, pkt, direction, now):
            self.seen[direction] += 1
            if self.seen[direction] % 2:
                yield pkt

    wire = Wire(EverySecond())
    wire.send("outbound", [datagram(b"1"), datagram(b"2"), datagram(b"3")])
    assert [a.packet.payload for a in wire.run()] == [b"1", b"3"]

In a topology file it stands on a link, as ``middleboxes: [{python: "boxes.py:EverySecond"}]``.
"""

from __future__ import annotations

from netlab.middlebox.box import After, Back, Direction, Drop, Middlebox, opposite
from netlab.middlebox.chain import Chain
from netlab.middlebox.examples import datagram, segment
from netlab.middlebox.packet import Packet
from netlab.middlebox.simulated_link import Arrival, SimulatedLink

__all__ = [
    "After",
    "Arrival",
    "Back",
    "Chain",
    "Direction",
    "Drop",
    "Middlebox",
    "Packet",
    "SimulatedLink",
    "datagram",
    "opposite",
    "segment",
]
