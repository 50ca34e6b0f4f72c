"""A middlebox of one's own, as docs/middleboxes.md shows it."""

from netlab.middlebox import Middlebox


class EverySecond(Middlebox):
    def __init__(self):
        self.seen = {"outbound": 0, "inbound": 0}

    def packet(self, pkt, direction, now):
        self.seen[direction] += 1
        if self.seen[direction] % 2:
            yield pkt


class Breaks(Middlebox):
    """A box with a mistake: it cannot count to three."""

    def __init__(self):
        self.seen = 0

    def packet(self, pkt, direction, now):
        self.seen += 1
        yield {1: pkt, 2: pkt, 4: pkt}[self.seen]
