"""A packet is a tree: under what was sent hang its copies, its pieces, and what it was merged into.

    sent ─┬─ copy        a switch flooded it, a box sent it twice, a group has several members
          ├─ fragment    it was larger than an MTU
          ├─ segment     a super-packet was cut (GSO)
          └─ merged      several became one (GRO, reassembly)

Of copies one is enough, of pieces all are needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.trace.disposition import Disposition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from netlab.trace.model import PacketTrace


def end_of(
    sent: Iterable[PacketTrace], everything: Mapping[int, PacketTrace]
) -> PacketTrace | None:
    """The trace from which the end of one packet follows, with its whole path; ``None`` of nothing.

    ``sent`` are the traces of what left the sender: one, or the fragments of a datagram, or tries
    of the same. ``everything`` is all traces by id.
    """
    by_offset: dict[int, list[PacketTrace]] = {}
    for root in sent:
        end = _end(root, everything)
        by_offset.setdefault(root.packet.fragment_offset, []).append(end)
    if not by_offset:
        return None
    return whole(_together([_best(ends) for ends in by_offset.values()]), everything)


def copy_that_counts(
    packet_trace: PacketTrace, everything: Mapping[int, PacketTrace]
) -> PacketTrace:
    """Of a packet and its copies the one that got furthest; its pieces are not followed."""

    def following(of: PacketTrace) -> Iterator[PacketTrace]:
        return (everything[child] for child in of.children if child in everything)

    found, waiting, seen = [], [packet_trace], {packet_trace.id}
    while waiting:
        one = waiting.pop(0)
        found.append(one)
        copies = [child for child in following(one) if child.copied and child.id not in seen]
        seen.update(copy.id for copy in copies)
        waiting += copies
    return whole(_best(found), everything)


def receivers(
    sent: Iterable[PacketTrace], everything: Mapping[int, PacketTrace]
) -> tuple[str, ...]:
    """The nodes where the packet, or a copy of it, arrived, each once."""
    every = (one for root in sent for one in below(root, everything))
    found = sorted((one for one in every if one.arrived), key=lambda one: one.id)
    return tuple(dict.fromkeys(one.node for one in found))


def whole(packet_trace: PacketTrace, everything: Mapping[int, PacketTrace]) -> PacketTrace:
    """The same with the hops of what it was copied or cut from, from the sender on."""
    hops, frames, child, packet = packet_trace.hops, packet_trace.frames, packet_trace, packet_trace
    seen = {packet_trace.id}
    while child.hops and child.parents and child.parents[0] in everything:
        parent = everything[child.parents[0]]
        if parent.id in seen:
            break
        seen.add(parent.id)
        start = child.hops[0]
        before = [n for n, hop in enumerate(parent.hops) if hop.time_ns <= start.time_ns]
        left = [
            n
            for n in before
            if (parent.hops[n].node, parent.hops[n].direction) == (start.node, "out")
        ]
        until = left[-1] if child.copied and left else len(before)
        hops, frames = parent.hops[:until] + hops, parent.frames[:until] + frames
        if child.copied:
            packet = parent
        child = parent
    if not packet_trace.copied:
        packet = packet_trace
    return packet_trace._replace(hops=hops, frames=frames, label=packet.label, packet=packet.packet)


def _end(sent: PacketTrace, everything: Mapping[int, PacketTrace]) -> PacketTrace:
    ends: dict[int, PacketTrace] = {}
    for one in below(sent, everything):
        children = [everything[child] for child in one.children if child in everything]
        pieces = [ends.get(c.id, c) for c in children if not c.copied]
        copies = [ends.get(c.id, c) for c in children if c.copied]
        own = _together(pieces) if one.disposition.lives_on and pieces else one
        ends[one.id] = _best([own, *copies])
    return ends[sent.id]


def below(sent: PacketTrace, everything: Mapping[int, PacketTrace]) -> list[PacketTrace]:
    """All that came of a packet, children before their parents."""
    found: list[PacketTrace] = []
    seen: set[int] = set()
    waiting = [(sent, False)]
    while waiting:
        one, is_done = waiting.pop()
        if is_done:
            found.append(one)
            continue
        if one.id in seen:
            continue
        seen.add(one.id)
        waiting.append((one, True))
        waiting += [(everything[c], False) for c in reversed(one.children) if c in everything]
    return found


def _together(pieces: Sequence[PacketTrace]) -> PacketTrace:
    """Of pieces that must all arrive the first that did not, else the last.

    What only waits for the others did not end by itself.
    """
    lost = [piece for piece in pieces if not piece.arrived]
    died = [piece for piece in lost if piece.disposition is not Disposition.STILL_QUEUED]
    return (died or lost or pieces[-1:])[0]


def _best(copies: Sequence[PacketTrace]) -> PacketTrace:
    """Of copies the one that got furthest: what strangers refused is of no account."""
    return max(copies, key=_standing)


def _standing(one: PacketTrace) -> int:
    if one.arrived:
        return 2
    return 0 if one.disposition is Disposition.IGNORED else 1
