"""What counters say of packets whose end nobody saw.

A counter names no packet. If in a node as many packets are in question as it rose by, or fewer,
it was all of them; if more, it was some of them, and nobody knows which: then each of those is
``unknown``, and says why.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from netlab.trace.checksums import is_wrong
from netlab.trace.disposition import Disposition
from netlab.wire import tcp
from netlab.wire.view import ICMP, MALFORMED, TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from netlab.capture.evidence import Evidence
    from netlab.trace.model import Source
    from netlab.trace.track import Track
    from netlab.wire.view import View

_D = Disposition


class Suspicion(NamedTuple):
    """What a counter says of a packet."""

    disposition: Disposition
    text: str
    source: Source = "inferred"


class Cause(NamedTuple):
    """A way to end that counters tell of: which ones, and which packets may be meant.

    ``at_home`` is whether it concerns packets that had reached their destination.
    """

    counters: tuple[str, ...]
    at_home: bool
    disposition: Disposition
    text: str
    fits: Callable[[View], bool]
    source: Source = "inferred"
    silent: bool = False
    """The kernel gives no reason for such a packet: it counts it, and consumes it as if used."""


def _syn(packet: View) -> bool:
    return packet.protocol == TCP and packet.flags & (tcp.SYN | tcp.ACK) == tcp.SYN


def _protocol(*numbers: int) -> Callable[[View], bool]:
    return lambda packet: packet.protocol in numbers


def _any(_: View) -> bool:
    return True


CAUSES = (
    Cause(("Ip.InHdrErrors", "Ip6InHdrErrors"), False, _D.TTL_EXPIRED, "TTL expired",
          lambda packet: packet.ttl <= 1 and packet.protocol != MALFORMED),
    Cause(("Ip.InHdrErrors", "Ip6InHdrErrors"), False, _D.MALFORMED, "the IP header is wrong",
          lambda packet: packet.protocol == MALFORMED),
    Cause(("Ip.FragFails", "Ip6InTooBigErrors"), False, _D.TOO_BIG, "larger than the MTU",
          lambda packet: packet.dont_fragment),
    Cause(("IpExt.InCsumErrors",), False, _D.BAD_CHECKSUM, "the IP header checksum is wrong", _any),
    Cause(("IpExt.InCsumErrors",), True, _D.BAD_CHECKSUM, "the IP header checksum is wrong", _any),
    Cause(("TcpExt.IPReversePathFilter",), False, _D.RPF_FAILED, "reverse path filter", _any),
    Cause(("TcpExt.IPReversePathFilter",), True, _D.RPF_FAILED, "reverse path filter", _any),
    Cause(("conntrack.insert_failed", "conntrack.drop"), False, _D.NAT_CLASH,
          "its translation is taken: conntrack could not confirm the entry (insert_failed)",
          _any, "conntrack"),
    Cause(("IpExt.InNoRoutes", "Ip.OutNoRoutes", "Ip6InNoRoutes", "Ip6OutNoRoutes"), False,
          _D.NO_ROUTE, "no route to the destination", _any),
    Cause(("Ip.InAddrErrors", "Ip6InAddrErrors"), False, _D.NOT_FORWARDING,
          "the node does not forward", _any),
    Cause(("queue.*.drops",), False, _D.QUEUE_FULL, "the interface's queue is full", _any),
    Cause(("queue.*.backlog",), False, _D.STILL_QUEUED, "waits in the interface's queue", _any),
    Cause(("Ip.InDiscards", "Ip.OutDiscards"), False, _D.KERNEL_DROP,
          "discarded by the kernel", _any),
    Cause(("Udp.InCsumErrors", "Udp6InCsumErrors"), True, _D.BAD_CHECKSUM,
          "the UDP checksum is wrong", _protocol(UDP)),
    Cause(("Tcp.InCsumErrors",), True, _D.BAD_CHECKSUM, "the TCP checksum is wrong",
          _protocol(TCP)),
    Cause(("Icmp.InCsumErrors",), True, _D.BAD_CHECKSUM, "the ICMP checksum is wrong",
          _protocol(ICMP)),
    Cause(("Udp.NoPorts", "Udp6NoPorts"), True, _D.NO_LISTENER, "no socket listens there",
          _protocol(UDP)),
    Cause(("Udp.RcvbufErrors", "Udp6RcvbufErrors"), True, _D.SOCKET_FULL,
          "the socket's receive buffer is full", _protocol(UDP)),
    Cause(("TcpExt.ListenOverflows", "TcpExt.ListenDrops"), True, _D.SOCKET_FULL,
          "the listener's accept queue is full", _syn, silent=True),
    Cause(("Ip.InUnknownProtos", "Ip6InUnknownProtos"), True, _D.NO_LISTENER,
          "no socket takes this protocol", lambda p: p.protocol not in (ICMP, TCP, UDP)),
)  # fmt: skip


SILENT = tuple(cause for cause in CAUSES if cause.silent)


def suspicions(
    evidence: Evidence,
    doubtful: Iterable[Track],
    explained: Counter[tuple[str, Disposition]],
    is_at_home: Callable[[Track], bool],
    causes: Sequence[Cause] = CAUSES,
) -> dict[int, Suspicion]:
    """By ``id(track)``, what the counters of its node say; nothing for the unsuspected.

    ``explained`` is how many packets are already known to have ended so in a node: what a counter
    rose by for them speaks of nobody else.
    """
    rose: dict[str, Counter[str]] = {}
    for count in evidence.counts:
        rose.setdefault(count.node, Counter())[_generic(count.name)] += count.delta
    waiting: dict[str, list[tuple[Track, bool]]] = {}
    for track in doubtful:
        if track.node in rose:
            waiting.setdefault(track.node, []).append((track, is_at_home(track)))
    found: dict[int, Suspicion] = {}
    for node, tracks in waiting.items():
        found |= _in_node(node, rose[node], tracks, explained, evidence, causes=causes)
    return found


def _in_node(
    node: str,
    rose: Counter[str],
    tracks: list[tuple[Track, bool]],
    explained: Counter[tuple[str, Disposition]],
    evidence: Evidence,
    *,
    causes: Sequence[Cause],
) -> dict[int, Suspicion]:
    found: dict[int, Suspicion] = {}
    for cause in causes:
        delta = max(rose[name] for name in cause.counters) - explained[node, cause.disposition]
        if delta <= 0:
            continue
        meant = [
            track
            for track, home in tracks
            if home == cause.at_home and id(track) not in found and cause.fits(track.view)
        ]
        if cause.disposition is _D.BAD_CHECKSUM:
            meant = [track for track in meant if _looks_wrong(track, evidence)]
        if len(meant) <= delta:
            said = Suspicion(cause.disposition, f"{cause.text} [a counter]", cause.source)
        else:
            text = f"{cause.text} for {delta} of {len(meant)} such packets; which, nobody saw"
            said = Suspicion(_D.UNKNOWN, text)
        found |= {id(track): said for track in meant}
    return found


def _looks_wrong(track: Track, evidence: Evidence) -> bool:
    """Whether a checksum of the captured packet is wrong, as far as it was captured."""
    last = track.last
    return last is None or is_wrong(evidence.frames[last.frame])


def _generic(name: str) -> str:
    """``queue.eth0.drops`` as ``queue.*.drops``."""
    parts = name.split(".")  # only one in names of snmp6, such as Icmp6InMsgs
    return f"{parts[0]}.*.{parts[-1]}" if len(parts) > 2 else name
