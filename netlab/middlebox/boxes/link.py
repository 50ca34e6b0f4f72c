"""What a link does to packets: delay, jitter, rate, loss, duplication, reordering.

Each property draws from its own random stream, one number for each packet of its direction:
whether packet 17 is lost depends on the seed and on 17, not on what else the link does.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random
from typing import TYPE_CHECKING

from netlab.middlebox.box import After, Direction, Drop, Middlebox
from netlab.middlebox.kind import Kind
from netlab.middlebox.packet import Packet
from netlab.middlebox.parameters import Parameter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from netlab.middlebox.box import Verdict


@dataclass(frozen=True, slots=True)
class Impairment:
    """One direction of a link.

    ``delay`` and ``jitter`` in seconds: each packet waits ``delay`` and up to ``jitter`` more, and
    none overtakes another because of it. ``rate`` in bit/s of IP packets, 0 for no limit; a packet
    that would wait longer than ``queue`` seconds for its turn is dropped, and so is one that would
    be the next after ``limit`` that wait, for whatever reason. ``loss``, ``duplicate``
    and ``reorder`` are probabilities for each packet; a reordered one does not wait for the delay
    and so overtakes. A burst begins at a packet with probability ``burst_begin`` and ends at one
    with ``burst_end``; while it lasts ``burst_loss`` holds in place of ``loss`` (Gilbert 1960,
    Elliott 1963). ``corrupt`` is the probability that a bit behind the IP header is turned.
    """

    delay: float = 0.0
    jitter: float = 0.0
    rate: float = 0.0
    queue: float = 0.1
    limit: int = 100_000
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    burst_begin: float = 0.0
    burst_end: float = 1.0
    burst_loss: float = 1.0

    @property
    def is_random(self) -> bool:
        """True if a seed matters."""
        chances = (self.loss, self.duplicate, self.reorder, self.corrupt, self.burst_begin)
        return bool(self.jitter or any(chances))


class Link(Middlebox):
    """Both directions of an impaired link."""

    def __init__(self, outbound: Impairment, inbound: Impairment, seed: int = 0) -> None:
        self._ways = {
            "outbound": _Way(outbound, f"{seed} outbound"),
            "inbound": _Way(inbound, f"{seed} inbound"),
        }

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """Lost, sent twice, sent late."""
        return self._ways[direction].packet(pkt, now)


class _Way:
    """One direction, with its queue and its random streams."""

    def __init__(self, impairment: Impairment, seed: str) -> None:
        self._is = impairment
        streams = [Random(f"netlab link {seed} {i}").random for i in range(7)]  # noqa: S311
        self._loss, self._twice, self._early, self._late = streams[:4]
        self._turned, self._which, self._burst = streams[4:]
        self._in_burst = False
        self._free_at = 0.0
        self._last = 0.0
        self._waiting: list[float] = []

    def packet(self, pkt: Packet, now: float) -> Iterator[Verdict]:
        link = self._is
        # Of each stream one number for each packet, whatever becomes of it; of one that nothing
        # depends on, none.
        early = link.reorder and self._early() < link.reorder
        late = link.jitter * self._late() if link.jitter else 0.0
        copies = 2 if link.duplicate and self._twice() < link.duplicate else 1
        if link.corrupt and self._turned() < link.corrupt:
            pkt = self._corrupted(pkt)
        if link.burst_begin:
            turns = self._burst() < (link.burst_end if self._in_burst else link.burst_begin)
            self._in_burst ^= turns
        loss = link.burst_loss if self._in_burst else link.loss
        if loss and self._loss() < loss:
            yield Drop("loss in a burst" if self._in_burst else "random loss")
            return
        begins = max(now, self._free_at)
        while self._waiting and self._waiting[0] <= now:
            heappop(self._waiting)
        if begins - now > link.queue or len(self._waiting) >= link.limit:
            yield Drop("its queue is full")
            return
        if link.rate:
            self._free_at = begins + len(pkt) * 8 / link.rate
            begins = self._free_at
        if early:
            leaves = begins
        else:
            leaves = max(begins + link.delay + late, self._last)
            self._last = leaves
        for _ in range(copies):
            if leaves > now:
                heappush(self._waiting, leaves)
                yield After(leaves - now, pkt)
            else:
                yield pkt

    def _corrupted(self, pkt: Packet) -> Packet:
        """The packet with one bit turned, behind its IP header if there is anything."""
        octets = bytearray(pkt.octets)
        first = pkt.offset if pkt.offset < len(octets) else 0
        bit = int(self._which() * 8 * (len(octets) - first))
        octets[first + bit // 8] ^= 1 << bit % 8
        return Packet(octets, pkt.link)


class Duplicator(Middlebox):
    """Sends every nth packet of a direction twice."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._seen = {"outbound": 0, "inbound": 0}

    def packet(self, pkt: Packet, direction: Direction, now: float) -> Iterator[Verdict]:
        """The packet, and now and then once more."""
        del now
        yield pkt
        self._seen[direction] += 1
        if self._seen[direction] % self._every == 0:
            yield pkt


def _link(
    *,
    delay: float,
    jitter: float,
    rate: float,
    queue: float,
    limit: int,
    loss: Fraction,
    duplicate: Fraction,
    reorder: Fraction,
    corrupt: Fraction,
    burst_begin: Fraction,
    burst_end: Fraction,
    burst_loss: Fraction,
    direction: str,
    seed: int,
) -> Link:
    chances = (loss, duplicate, reorder, corrupt, burst_begin, burst_end, burst_loss)
    set_ = Impairment(delay, jitter, rate, queue, limit, *map(float, chances))
    none = Impairment()
    return Link(
        none if direction == "inbound" else set_, none if direction == "outbound" else set_, seed
    )


IMPAIRMENTS = (
    Parameter("delay", "duration", "how long each packet waits", 0.0, 0, 3600),
    Parameter("jitter", "duration", "up to this much longer, order kept", 0.0, 0, 3600),
    Parameter("rate", "rate", "bits per second of IP packets; 0 for no limit", 0.0, 0, 1e12),
    Parameter("queue", "duration", "the longest wait for the rate; beyond it, loss", 0.1, 0, 3600),
    Parameter("limit", "integer", "packets of a direction that wait", 100_000, 1, 10_000_000),
    Parameter("loss", "share", "probability that a packet is lost", 0),
    Parameter("duplicate", "share", "probability that a packet comes twice", 0),
    Parameter("reorder", "share", "probability that a packet skips the delay", 0),
    Parameter("corrupt", "share", "probability that a bit of a packet is turned", 0),
    Parameter("burst-begin", "share", "probability at each packet that a burst of loss begins", 0),
    Parameter("burst-end", "share", "probability at each packet of a burst that it is over", 1),
    Parameter("burst-loss", "share", "probability that a packet of a burst is lost", 1),
)

KINDS = (
    Kind(
        "impair",
        "A link that delays, limits, loses, repeats, reorders and corrupts. The fate of a packet"
        " depends on the seed and on its number in its direction, nothing else.",
        "Linux tc-netem; RFC 8289 appendix (queues); Gilbert 1960, Elliott 1963 (bursts)",
        "Round-trip time, throughput and loss as declared, the same packets in each run.",
        (
            *IMPAIRMENTS,
            Parameter(
                "direction",
                "choice",
                "which way",
                "both",
                choices=("both", "outbound", "inbound"),
            ),
            Parameter("seed", "integer", "where the numbers are drawn from", 0),
        ),
        box=_link,
    ),
    Kind(
        "duplicator",
        "Sends packets twice, each of them or every nth of a direction.",
        "RFC 2680 section 2 (a path may duplicate); RFC 5560",
        "The packet arrives twice, the second right behind the first.",
        (Parameter("every", "integer", "which packets; 1 for each", 1, 1, 1_000_000),),
        box=Duplicator,
    ),
)
