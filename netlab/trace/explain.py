"""The answer in one sentence: how many were sent, how many arrived, where the others died.

    3 sent, 1 arrived. #2 and #3 died in nat, forward chain, rule "first-packet-only" (nat.yaml:23).

A packet that was cut or merged arrived if all that came of it did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netlab.trace.disposition import Disposition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from netlab.trace.model import PacketTrace, Reason


class ProbeResult(NamedTuple):
    """What came of one thing that was sent; ``decisive`` is the fate that its end follows from.

    ``refusal`` is what the sender's own kernel said instead of sending, if it did.
    """

    number: int
    decisive: PacketTrace | None
    refusal: str = ""

    @property
    def arrived(self) -> bool:
        """Whether all of it arrived."""
        return self.decisive is not None and self.decisive.arrived


def decisive(
    parts: Iterable[PacketTrace], everything: Mapping[int, PacketTrace]
) -> PacketTrace | None:
    """Of a packet in several parts, the first that did not arrive, else the last.

    Parts that live on in others are followed there; ``everything`` is all fates by id.
    """
    last = None
    waiting = list(parts)
    seen: set[int] = set()
    while waiting:
        packet_trace = waiting.pop(0)
        if packet_trace.id in seen:
            continue
        seen.add(packet_trace.id)
        children = [everything[child] for child in packet_trace.children if child in everything]
        following = [child for child in children if not child.copied]
        if packet_trace.disposition.lives_on and following:
            waiting += following
            continue
        if not packet_trace.arrived:
            return packet_trace
        last = packet_trace
    return last


def sentence(results: Sequence[ProbeResult]) -> str:
    """The answer."""
    arrived = sum(outcome.arrived for outcome in results)
    found = [f"{len(results)} sent, {arrived or 'none'} arrived."]
    groups: dict[str, list[int]] = {}
    for outcome in results:
        if not outcome.arrived:
            groups.setdefault(_end(outcome), []).append(outcome.number)
    for end, numbers in groups.items():
        who = "It" if len(results) == 1 else named(numbers)
        found.append(f"{who} {end}.")
    return " ".join(found)


def _end(outcome: ProbeResult) -> str:
    packet_trace = outcome.decisive
    if packet_trace is None:
        return f"never left: {outcome.refusal or 'nobody saw it'}"
    where = f"in {packet_trace.node}"
    if packet_trace.disposition is Disposition.UNKNOWN:
        return f"vanished {where}: {packet_trace.reason.text}"
    if packet_trace.disposition is Disposition.LOST_ON_LINK:
        return f"got lost on a wire: {packet_trace.reason.text}"
    if packet_trace.disposition is Disposition.STILL_QUEUED:
        return f"had not yet come out of {packet_trace.node}: {packet_trace.reason.text}"
    hedge = "probably " if packet_trace.reason.source == "inferred" else ""
    joint = "," if packet_trace.reason.source == "nft" else ":"
    return f"{hedge}died {where}{joint} {because(packet_trace.reason)}"


def because(reason: Reason) -> str:
    """The reason, and the place in the topology that it came from."""
    return f"{reason.text} ({reason.topology})" if reason.topology else reason.text


def named(numbers: Sequence[int]) -> str:
    """``#2 and #3``, ``#1, #4 and #5``, ``#2 to #9``."""
    first, last = numbers[0], numbers[-1]
    if len(numbers) > 2 and last - first == len(numbers) - 1:
        return f"#{first} to #{last}"
    words = [f"#{number}" for number in numbers]
    if len(words) > 12:
        words = [*words[:10], f"{len(words) - 10} more"]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
