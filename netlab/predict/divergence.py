"""Where a packet's path differs from the prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.trace.disposition import Disposition

if TYPE_CHECKING:
    from netlab.trace.model import Hop, PacketTrace


def divergence(predicted: PacketTrace, observed: PacketTrace) -> str:
    """Where what was seen first differs from what was predicted; empty if it does not."""
    for number, (one, other) in enumerate(zip(predicted.hops, observed.hops, strict=False)):
        if one[:3] != other[:3]:
            before = f"after {observed.hops[number - 1].node}" if number else "at the start"
            return (
                f"{before}: predicted {one.node}:{one.interface} {one.direction},"
                f" seen {other.node}:{other.interface} {other.direction}"
            )
        if _rewriting(one) != _rewriting(other):
            return (
                f"at {one.node}:{one.interface}: predicted"
                f" {', '.join(_rewriting(one)) or 'no change'},"
                f" seen {', '.join(_rewriting(other)) or 'no change'}"
            )
    if predicted.disposition is Disposition.UNKNOWN:
        return ""
    at_home = predicted.arrived and observed.node == predicted.node
    if at_home and observed.disposition in (
        Disposition.DELIVERED, Disposition.NO_LISTENER, Disposition.SOCKET_FULL
    ):  # fmt: skip
        return ""
    if (predicted.node, predicted.disposition) == (observed.node, observed.disposition):
        return ""
    return (
        f"in {observed.node}: predicted {predicted.disposition} in {predicted.node},"
        f" seen {observed.disposition}"
    )


def _rewriting(hop: Hop) -> list[str]:
    """The changes that a prediction can know: of addresses and of the TTL."""
    return [c for c in hop.changes if c.startswith(("IP::Src", "IP::Dst", "IP::TTL"))]
