"""What a link does to packets, seen from its two ends: how late, how many, in what order.

A loaded machine makes packets later, never earlier, and loses none of these: lower bounds are
strict, upper ones leave room. Of probabilities the number of packets is such that a right link is
outside the bounds less than once in ten million times.
"""

from __future__ import annotations

import time
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

from netlab.verify.check import Check
from netlab.verify.crafted import datagram
from netlab.verify.seen import fields
from netlab.verify.tap import NotMeasured

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from netlab.verify.scene import LinkScene

SIGMAS = 5.5
SLACK = 0.03
"""Seconds that a machine without much load adds to one of several tries."""

MOST = 6000
FASTEST = 2e8
"""Bits per second: a faster link looks like one without a limit."""

SOURCE = "Linux tc-netem(8); RFC 2680; RFC 5560; RFC 4737"


def check(where: str, scene: LinkScene, values: Mapping[str, Any]) -> Iterator[Check]:
    """A row for each property that the link has, in each direction that it is said for."""
    ways = {"both": ("outbound", "inbound"), "outbound": ("outbound",), "inbound": ("inbound",)}
    for way in ways[values["direction"]]:
        side = "a" if way == "outbound" else "b"
        one = _Way(scene, side, values)
        for name, declared, seen in one.rows():
            label = f"{way} {name}"
            try:
                yield Check(where, label, declared, seen(), one.how, source=SOURCE)
            except NotMeasured as why:
                yield Check(where, label, declared, None, one.how, str(why), SOURCE)


class _Way:
    def __init__(self, scene: LinkScene, side: str, values: Mapping[str, Any]) -> None:
        self.scene, self.side = scene, side
        self.other = "b" if side == "a" else "a"
        self.is_ = values
        self.how = ""
        self.delay, self.jitter = float(values["delay"]), float(values["jitter"])
        self.rate, self.queue = float(values["rate"]), float(values["queue"])

    def rows(self) -> Iterator[tuple[str, str, Any]]:
        """Name, declaration, and how it is asked."""
        if self.delay or self.jitter:
            yield "delay", f"{self.delay * 1000:g} ms", self._delay
        if self.jitter:
            yield "jitter", f"up to {self.jitter * 1000:g} ms", self._jitter
        if self.rate:
            yield "rate", f"{self.rate:g} bit/s", self._rate
            yield "queue", f"{self.queue * 1000:g} ms, then loss", self._queue
        for name in ("loss", "duplicate"):
            share = float(self.is_[name])
            if share:
                yield name, f"{share:.4g}", lambda name=name, share=share: self._share(name, share)
        if float(self.is_["reorder"]):
            yield "reorder", f"{float(self.is_['reorder']):.4g}", self._reorder

    def _send(self, number: int, size: int = 20) -> list[dict[str, Any]]:
        """Send numbered packets at once; what came, when nothing can come any more."""
        scene = self.scene
        ends = (scene.a, scene.b) if self.side == "a" else (scene.b, scene.a)
        source, target = (ends[0], scene.port()), (ends[1], 5000)
        packets = [
            datagram(source, target, n.to_bytes(4, "big").ljust(size, b"\0"),
                     identification=n % 65_535 + 1)
            for n in range(number)
        ]  # fmt: skip
        scene.send(self.side, *packets)
        self._rest(number * (size + 28))
        found = [fields(p) for p in scene.take(self.other) if p.protocol == 17]
        self.how = f"{number} packets sent, {len(found)} came"
        return found

    def _rest(self, octets: int) -> None:
        """As long as anything may be under way; a link that holds it longer is found out too."""
        waits = self.delay + self.jitter + (octets * 8 / self.rate if self.rate else 0)
        self.scene.taps.rest(waits + SLACK)
        self.scene.taps.through(self.scene.side["a"], self.scene.side["b"])

    def _times(self, number: int) -> list[float]:
        """How long packets take that are sent one after the other; those that are lost left out."""
        scene, found = self.scene, []
        for _ in range(number):
            ends = (scene.a, scene.b) if self.side == "a" else (scene.b, scene.a)
            packet = datagram((ends[0], scene.port()), (ends[1], 5000))
            tap, far = scene.side[self.side], scene.side[self.other]
            far.take()
            began = time.monotonic()
            tap.send(packet, to=far.mac)
            if scene.taps.until(lambda: bool(far.received), self.delay + self.jitter + 0.3):  # noqa: B023
                found.append(time.monotonic() - began)
                scene.taps.rest(0.001)
        self.how = f"{number} packets sent one by one, {len(found)} came"
        if not found:
            raise NotMeasured("none of them came")
        return found

    def _delay(self) -> str:
        times = self._times(12)
        least = min(times)
        declared = f"{self.delay * 1000:g} ms"
        if float(self.is_["reorder"]):
            # Some skip the delay: the median is of those that do not.
            least = sorted(times)[len(times) // 2]
        serial = 33 * 8 / self.rate if self.rate else 0.0
        if self.delay <= least + 1e-6 <= self.delay + self.jitter + serial + SLACK + self.delay / 4:
            return declared
        return f"{least * 1000:.3g} ms"

    def _jitter(self) -> str:
        # A reordered packet skips the delay.
        late = sorted(t - self.delay for t in self._times(24) if t >= self.delay)
        if not late:
            return "none"
        third, median = late[len(late) // 3], late[len(late) // 2]
        if third < self.jitter * 0.1 or median > self.jitter + SLACK:
            return f"up to {late[-1] * 1000:.3g} ms, half within {median * 1000:.3g} ms"
        return f"up to {self.jitter * 1000:g} ms"

    def _rate(self) -> str:
        if self.rate > FASTEST:
            raise NotMeasured(f"more than {FASTEST:g} bit/s looks like no limit")
        size = 972
        packet = (size + 28) * 8
        number = max(4, min(200, int(self.rate * min(self.queue, 0.5) * 0.8 / packet)))
        if number * packet / self.rate < 0.004:
            raise NotMeasured("its queue is too short to see how fast it is emptied")
        scene = self.scene
        ends = (scene.a, scene.b) if self.side == "a" else (scene.b, scene.a)
        source = (ends[0], scene.port())
        packets = [datagram(source, (ends[1], 5000), bytes(size)) for _ in range(number)]
        tap, far = scene.side[self.side], scene.side[self.other]
        far.take()
        began = time.monotonic()
        tap.send(*packets, to=far.mac)
        wanted = number * packet / self.rate
        scene.taps.until(lambda: len(far.received) >= number, wanted * 3 + self.delay + 1)
        took = time.monotonic() - began - self.delay
        self.how = f"{number} packets of 1000 octets sent at once, {len(far.take())} came"
        if wanted * 0.9 <= took <= wanted * 1.3 + self.jitter + 3 * SLACK:
            return f"{self.rate:g} bit/s"
        return f"{number * packet / took:.3g} bit/s" if took > 0 else "at once"

    def _queue(self) -> str:
        declared = f"{self.queue * 1000:g} ms, then loss"
        size = 972
        packet = (size + 28) * 8
        fits = self.queue * self.rate / packet
        number = int(fits * 1.6) + 8
        if number > 2000 or self.rate > FASTEST:
            raise NotMeasured(f"it holds {fits:.0f} packets")
        self.scene.taps.rest(min(self.queue + 0.01, 3))
        came = len(self._send(number, size))
        lost = float(self.is_["loss"]) * number
        drained = number * 0.2
        if fits * 0.8 - 2 - lost * 2 <= came <= fits + 3 + drained:
            return declared
        return f"{came} of {number} packets came"

    def _share(self, name: str, share: float) -> str:
        number = int(min(MOST, max(200, ceil(30 / share))))
        if self.rate:
            number = min(number, int(self.rate * self.queue / (48 * 8)) + 1)
        if number * share < 8:
            raise NotMeasured(f"{number} packets are too few to see a share of {share:g}")
        came = self._send(number)
        ids = [c["id"] for c in came]
        lost = number - len(set(ids))
        if name == "loss":
            seen, of = lost, number
        else:
            seen, of = len(ids) - len(set(ids)), number - lost
        room = SIGMAS * sqrt(of * share * (1 - share)) + 1
        return f"{share:.4g}" if abs(seen - of * share) <= room and seen else f"{seen / of:.3g}"

    def _reorder(self) -> str:
        share = float(self.is_["reorder"])
        if not self.delay:
            raise NotMeasured("without a delay there is nothing to overtake")
        number = int(min(MOST, max(200, ceil(30 / share))))
        ids = [c["id"] for c in self._send(number)]
        overtook = sum(1 for n, one in enumerate(ids) if any(i < one for i in ids[n + 1 : n + 400]))
        room = SIGMAS * sqrt(number * share * (1 - share)) + 1
        if overtook and (abs(overtook - number * share) <= room or share > 0.9):
            return f"{share:.4g}"
        return f"{overtook / number:.3g}"
