"""What the packets say of a pair: how two hosts met, and why they did not. Pure.

Of a program only its end is looked at. A packet is *direct* if it is not for the server; two have
met directly if a direct packet of each arrived at the other.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Network
from typing import TYPE_CHECKING, NamedTuple

from netlab.io.meet.server import EXCHANGE_PORT
from netlab.scenario.meet.pairs import ANNA, BORIS, PREFIXES, SERVER, SERVER_ADDRESSES
from netlab.topology.builder import NAT64
from netlab.trace.disposition import Disposition
from netlab.trace.explain import how_it_ended
from netlab.wire import address, stun
from netlab.wire.view import ICMP, ICMPV6, TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from netlab.scenario.meet.played import How
    from netlab.trace.model import PacketTrace, Traces
    from netlab.wire.view import Key, View

HOSTS = (ANNA, BORIS)
NATS = {ANNA: ("nat-a", "carrier-a"), BORIS: ("nat-b", "carrier-b")}
"""The translators of each side, from its host outward."""

INDICATIONS = (0x0016, 0x0017)
"""TURN's Send and Data indication (RFC 8656 section 18.1)."""


def _servers() -> frozenset[bytes]:
    own = [address.packed(each) for each in SERVER_ADDRESSES]
    bases = [IPv6Network(prefix).network_address.packed[:12] for prefix in PREFIXES.values()]
    return frozenset([*own, *(base + each for base in bases for each in own if len(each) == 4)])


SERVERS = _servers()


class Sent(NamedTuple):
    """A packet of a host's: as it was first seen, and the trace that it ended in.

    They differ where a NAT64 took the packet and gave out another, of the other IP version.
    """

    first: PacketTrace
    end: PacketTrace

    @property
    def destination(self) -> bytes:
        """Where its sender sent it."""
        return self.first.packet.destination

    @property
    def nodes(self) -> tuple[str, ...]:
        """Where it was seen, each node once."""
        traces = (self.first, self.end)
        return tuple(dict.fromkeys(hop.node for trace in traces for hop in trace.hops))

    @property
    def is_untranslated(self) -> bool:
        """Whether it arrived with the addresses and ports that it left with."""
        return self.end.last is not None and _ends(self.first.packet) == _ends(self.end.last)


class Direction(NamedTuple):
    """The direct packets of one host's for the other, and its packets that the server got."""

    sender: str
    receiver: str
    sent: tuple[Sent, ...]
    arrived: tuple[Sent, ...]
    at_server: tuple[Sent, ...]


def own(traces: Iterable[PacketTrace], host: str) -> list[Sent]:
    """What a host sent: no ICMP errors, no housekeeping, no copies and pieces."""
    traces = list(traces)
    beyond = _beyond_nat64(traces)
    return [
        Sent(each, beyond.get(each.id, each))
        for each in traces
        if each.origin == host
        and not each.is_housekeeping
        and each.proto not in (ICMP, ICMPV6, 0)
        and not each.parents
    ]


def _beyond_nat64(traces: Sequence[PacketTrace]) -> dict[int, PacketTrace]:
    """By the id of a packet that a NAT64 took: what it gave out next with the same content."""
    waiting: dict[tuple[str, int, Key], list[PacketTrace]] = {}
    found = {}
    for each in sorted(traces, key=lambda trace: trace.time_ns):
        if each.hops and each.hops[0].interface == NAT64 and each.hops[0].direction == "in":
            known = waiting.get((each.origin, each.proto, each.packet.key))
            if known:
                found[known.pop(0).id] = each
        elif each.interface == NAT64 and each.disposition is Disposition.ABSORBED:
            waiting.setdefault((each.node, each.proto, each.packet.key), []).append(each)
    return found


def directions(traces: Traces) -> tuple[Direction, Direction]:
    """From anna to boris, and back."""
    return _direction(traces, ANNA, BORIS), _direction(traces, BORIS, ANNA)


def _direction(traces: Traces, sender: str, receiver: str) -> Direction:
    sent = own(traces, sender)
    direct = tuple(each for each in sent if each.destination not in SERVERS)
    arrived = tuple(each for each in direct if each.end.arrived and each.end.node == receiver)
    at_server = tuple(each for each in sent if each.end.arrived and each.end.node == SERVER)
    return Direction(sender, receiver, direct, arrived, at_server)


def how(traces: Traces, *, met: bool) -> How:
    """How two met; ``none`` where the condition held without a packet of one for the other."""
    if not met:
        return "none"
    both = directions(traces)
    if all(each.arrived for each in both):
        plain = all(any(packet.is_untranslated for packet in each.arrived) for each in both)
        return "host" if plain else "reflexive"
    if all(_is_relayed_to(traces, host) for host in HOSTS):
        return "relayed"
    return "none"


def _ends(view: View) -> tuple[bytes, bytes, int, int]:
    return view.source, view.destination, view.source_port, view.destination_port


def _is_relayed_to(traces: Traces, host: str) -> bool:
    """Whether the server sent data to a host that is neither an answer of STUN's nor a line."""
    arrived = (e for e in own(traces, SERVER) if e.end.arrived and e.end.node == host)
    return any(_is_relayed(each.first.packet) for each in arrived)


def _is_relayed(packet: View) -> bool:
    payload = packet.transport[packet.header_length :]
    if packet.protocol == TCP and not packet.payload_length:
        return False
    if packet.source_port in (stun.PORT, stun.PORT + 1):
        kind = int.from_bytes(payload[:2])
        return len(payload) >= 2 and (0x4000 <= kind < 0x5000 or kind in INDICATIONS)
    return packet.protocol in (TCP, UDP) and packet.source_port != EXCHANGE_PORT


def reason(
    traces: Traces, filtering: Mapping[str, str], programs: Mapping[str, str], *, how_long: str = ""
) -> str:
    """Why two did not meet, in a sentence.

    ``filtering`` is that of each NAT by its node; ``programs`` is how each host's program ended,
    as in ``exited with 1``; ``how_long`` is what is said of a limit that was reached.
    """
    both = directions(traces)
    silent = [each for each in both if not each.sent]
    deaf = [each for each in both if each.sent and not each.arrived]
    for each in silent:
        ended = programs[each.sender]
        if not deaf or len(silent) == 2:
            return (
                f"{each.sender} sent nothing to {_possessive(each.receiver)} addresses;"
                f" its program {ended}"
            )
    if not deaf:
        ends = " and ".join(f"{_possessive(host)} program {programs[host]}" for host in HOSTS)
        return f"packets arrived both ways, but the condition did not hold: {ends}{how_long}"
    # The side whose port is another than the server saw explains more than the other.
    refusals = [
        _refusal(each, other, filtering) for each, other in _with_other(both) if each in deaf
    ]
    return next((text for text, tells_ports in refusals if tells_ports), refusals[0][0])


def _with_other(both: Sequence[Direction]) -> list[tuple[Direction, Direction]]:
    one, other = both
    return [(one, other), (other, one)]


def _refusal(lost: Direction, back: Direction, filtering: Mapping[str, str]) -> tuple[str, bool]:
    """Why the packets of one direction died, and whether a changed port is the reason."""
    who, whom = _possessive(lost.sender), lost.receiver
    nats = NATS[whom]
    at_nat = [each.end for each in lost.sent if each.end.node in nats]
    if not at_nat:
        end = max(lost.sent, key=lambda each: len(each.nodes)).end
        return f"{who} packets for {whom} {how_it_ended(end)}", False
    node = Counter(each.node for each in at_nat).most_common(1)[0][0]
    box = f"{_possessive(whom)} {'NAT' if node.startswith('nat') else 'carrier-grade NAT'}"
    text = f"{box} refused {who} packets: "
    kind = filtering.get(node)
    if not kind:
        return text + how_it_ended(at_nat[-1]), False
    text += f"filtering {kind}"
    refused = next(each for each in at_nat if each.node == node)
    port, aimed = refused.packet.source_port, 0
    if refused.last:
        port, aimed = refused.last.source_port, refused.last.destination_port
    seen = _ports(each for each in lost.at_server if each.end.proto == UDP)
    if port and seen and port not in seen:
        changed = f"{who} port for {whom} was {port} and not the {seen[0]} that the server saw"
        return f"{text}, and {changed}", True
    used = _ports(each for each in back.sent if "internet" in each.nodes)
    if aimed and used and aimed not in used:
        theirs = f"{_possessive(whom)} port for {lost.sender} was {used[0]}"
        text += f", and they went to port {aimed}, but {theirs}"
    return text, False


def _ports(packets: Iterable[Sent]) -> list[int]:
    """The source ports that packets had where they were last seen."""
    return list(dict.fromkeys(e.end.last.source_port for e in packets if e.end.last))


def _possessive(name: str) -> str:
    return f"{name}'" if name.endswith("s") else f"{name}'s"
