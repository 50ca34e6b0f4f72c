"""Middleboxes: the catalogue of known kinds, and the few lines that make one of your own.

    packet      Packet: an IP packet in transit, read when asked for, copied with changes
    box         Middlebox: what you derive from; After, Back and Drop: what else it may yield
    chain       Chain: boxes in a row and the packets between them, sans-I/O
    recorder    Recorder: reports what each box of a chain did with each packet
    report      how an inline program sends that to its observers
    examples    datagram, segment: packets to try a box with
    simulated_link  SimulatedLink: a chain with a virtual clock, to test a box without root
    parameters  what a parameter of a kind may be
    kind        Kind: the shape of a catalogue entry; Rules: nftables rules as data
    rules/      kinds that nftables can express
    boxes/      kinds that need a program, as classes over packets
    catalogue   all of them by name

A middlebox that swallows every second packet of each direction::

    from netlab.middlebox import Middlebox, SimulatedLink, datagram

    class EverySecond(Middlebox):
        def __init__(self):
            self.seen = {"outbound": 0, "inbound": 0}

        def packet(self, pkt, direction, now):
            self.seen[direction] += 1
            if self.seen[direction] % 2:
                yield pkt

    link = SimulatedLink(EverySecond())
    link.send("outbound", [datagram(b"1"), datagram(b"2"), datagram(b"3")])
    assert [a.packet.payload for a in link.run()] == [b"1", b"3"]

In a topology file it is put on a link: ``middleboxes: [{python: "boxes.py:EverySecond"}]``.
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
