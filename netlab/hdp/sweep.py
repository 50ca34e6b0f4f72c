"""Every protocol number probed, and the evidence of every hop joined into one row each.

Each probe carries a token after its HDP header: which sweep, which socket argument, which of the
packets of that number. The token, not the number, identifies a packet: it survives NAT, and an
ICMP error quotes it. Together they are 17 octets, which is what a stateful firewall's trace shows
of a transport header that it does not know.

    plan ──▶ Probe ──▶ (a driver sends and watches) ──▶ Evidence ──▶ join ──▶ Sweep ─── Row

Evidence is four kinds of record, each an observation and no judgement: ``Attempt`` (what the
sender's kernel said), ``Sighting`` (an interface saw it), ``Delivery`` (a raw socket got it),
``Reply`` (an ICMP error came back), and two that explain a loss: ``Drop`` and ``clashes``. The
judgement is in ``verdict``.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from netlab.hdp import numbers, verdict
from netlab.wire import Malformed, hdp, icmp, ipv4, ipv6

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netlab.wire import Buffer

_TOKEN = struct.Struct("!HhB")
TOKEN_LENGTH = _TOKEN.size
PACKETS_MAX = 255


class Probe(NamedTuple):
    """Packet ``serial``, counted from 0, of the socket argument ``argument``."""

    argument: int
    serial: int


class Attempt(NamedTuple):
    """What became of handing a probe to the kernel; errors as errno numbers, time of sending."""

    probe: Probe
    time: int
    socket_error: int | None = None
    send_error: int | None = None


class Sighting(NamedTuple):
    """A probe on an interface. ``source`` is the packed source address that it had there."""

    probe: Probe
    node: str
    interface: str
    outgoing: bool
    time: int
    source: bytes
    length: int


class Delivery(NamedTuple):
    """A probe that a raw socket of the server received."""

    probe: Probe
    time: int
    length: int


class Reply(NamedTuple):
    """An ICMP error, ``icmp 3/2``, that quotes a probe. ``source`` is who sent the error."""

    probe: Probe
    kind: str
    source: bytes


class Drop(NamedTuple):
    """A witness saw ``node`` drop this probe: the label of its ``rule``, or the kernel's reason.

    The kernel's reason is a word of its own (``IP_CSUM``: SKB_DROP_REASON_IP_CSUM).
    """

    probe: Probe
    node: str
    rule: str = ""
    reason: str = ""


RecordT = TypeVar("RecordT", Attempt, Sighting, Delivery, Reply, Drop)


class Evidence(NamedTuple):
    """All that was observed. ``server`` is ``None`` if nothing could be watched there.

    ``listening``: the server held a raw socket for each number. ``clashes``: how many packets
    conntrack could not confirm, by node. ``unseen``: frames that the observer itself lost.
    """

    family: int
    client: str
    server: str | None
    listening: bool
    attempts: tuple[Attempt, ...]
    sightings: tuple[Sighting, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    replies: tuple[Reply, ...] = ()
    drops: tuple[Drop, ...] = ()
    clashes: tuple[tuple[str, int], ...] = ()
    unseen: int = 0
    interrupted: bool = False


class Hop(NamedTuple):
    """How many probes of one number an interface saw."""

    node: str
    interface: str
    outgoing: bool
    packets: int


class Row(NamedTuple):
    """The result of one number.

    ``sent``, ``on_wire``, ``arrived`` and ``received`` count packets: accepted by the kernel, seen
    leaving the client, seen at the server's interface, delivered to its raw socket; ``None`` where
    nothing could watch. ``protocol`` is the number on the wire, ``None`` if there was no socket.
    ``latency_us`` is the median of sending to arriving.
    """

    argument: int
    protocol: int | None
    socket_error: int | None
    send_error: int | None
    sent: int
    on_wire: int
    arrived: int | None
    received: int | None
    reply: str | None
    latency_us: float | None
    outcome: verdict.Outcome
    reason: str
    length: int | None = None
    hops: tuple[Hop, ...] = ()


class Sweep(NamedTuple):
    """A sweep with its verdicts; ``packets`` of each number were to be sent."""

    family: int
    packets: int
    rows: tuple[Row, ...]
    unseen: int = 0
    interrupted: bool = False

    def to_json(self) -> dict[str, object]:
        """``{"family": 4, "packets": 3, "rows": [{field: value}]}``."""
        rows = [row._asdict() | {"hops": [hop._asdict() for hop in row.hops]} for row in self.rows]
        return self._asdict() | {"rows": rows}

    @classmethod
    def from_json(cls, content: dict[str, object]) -> Sweep:
        """The inverse; ``ValueError`` if that is not a sweep."""
        try:
            rows = tuple(
                Row(**row | {"hops": tuple(Hop(**hop) for hop in row["hops"])})
                for row in content["rows"]  # type: ignore[attr-defined]
            )
            return cls(**content | {"rows": rows})  # type: ignore[arg-type]
        except (KeyError, TypeError) as problem:
            raise ValueError(f"not a sweep: {problem}") from None


def plan(family: int, packets: int, arguments: Iterable[int] | None = None) -> Iterator[Probe]:
    """All probes in the order of sending: number by number."""
    if not 1 <= packets <= PACKETS_MAX:
        raise ValueError(f"{packets} packets of a number: 1 ... {PACKETS_MAX}")
    for argument in numbers.arguments(family) if arguments is None else arguments:
        for serial in range(packets):
            yield Probe(argument, serial)


def datagram(probe: Probe, run: int, now: int, size: int = 0) -> bytes:
    """The octets after the IP header, padded to ``size``; ``run`` (16 bits) names the sweep."""
    token = _TOKEN.pack(run, probe.argument, probe.serial)
    return hdp.encode(hdp.Header(now), token).ljust(size, b"\0")


def token(transport: Buffer, protocol: int, run: int) -> Probe | None:
    """Whose ``transport`` octets these are, if they are a probe of this sweep.

    The HDP header is not looked at: the kernel writes a checksum of its own into the datagrams of
    some numbers (58 and 135 of an IPv6 raw socket), right across it.
    """
    if len(transport) < hdp.HEADER_LENGTH + TOKEN_LENGTH:
        return None
    of_run, argument, serial = _TOKEN.unpack_from(transport, hdp.HEADER_LENGTH)
    if of_run != run or numbers.on_the_wire(argument) != protocol:
        return None
    return Probe(argument, serial)


def glimpse(start: Buffer, run: int) -> Probe | None:
    """Whose probe begins like this; a capture may keep only header and token."""
    if not start or start[0] >> 4 not in (4, 6):
        return None
    offset, field = ((start[0] & 15) * 4, 9) if start[0] >> 4 == 4 else (ipv6.HEADER_LENGTH, 6)
    return token(start[offset:], start[field], run) if len(start) > max(offset, field) else None


class Seen(NamedTuple):
    """A captured packet that is a probe."""

    probe: Probe
    source: bytes
    length: int


def recognise(packet: Buffer, run: int) -> Seen | Reply | None:
    """What an IP packet means to this sweep: a probe, an ICMP error about one, or nothing."""
    try:
        if packet[0] >> 4 == 4:
            header = ipv4.parse(packet)
            protocol, transport = header.protocol, ipv4.payload(packet, header)
            source, length = header.source, header.total_length
        else:
            # Not walked: a probe sent as number 43 has no routing header, only that number.
            header6 = ipv6.parse(packet)
            protocol, transport = header6.next_header, ipv6.payload(packet, header6)
            source, length = header6.source, header6.payload_length
    except (Malformed, IndexError):
        return None
    probe = token(transport, protocol, run)
    if probe:
        return Seen(probe, source, length)
    if protocol == (icmp.PROTOCOL if len(source) == 4 else icmp.PROTOCOL_V6):
        return _reply(transport, source, run)
    return None


def _reply(message: memoryview, source: bytes, run: int) -> Reply | None:
    family = 4 if len(source) == 4 else 6
    try:
        parsed = icmp.parse(message)
    except Malformed:
        return None
    if not icmp.is_error(family, parsed.type):
        return None
    body = parsed.body
    # The quote is taken by hand: it may be cut short, and an IPv6 one must not be walked either.
    offset = (body[0] & 15) * 4 if family == 4 and body else ipv6.HEADER_LENGTH
    field = 9 if family == 4 else 6
    if len(body) < offset or len(body) <= field:
        return None
    probe = token(body[offset:], body[field], run)
    if probe is None and not 0 < len(body) - offset < hdp.HEADER_LENGTH + TOKEN_LENGTH:
        return None
    # RFC 792 asks for eight octets only: enough for the number, not for the token.
    probe = probe or Probe(body[field], 0)
    return Reply(probe, f"icmp{'' if family == 4 else '6'} {parsed.type}/{parsed.code}", source)


class _OfNumber(NamedTuple):
    """The evidence about one number."""

    attempts: list[Attempt]
    sightings: list[Sighting]
    deliveries: list[Delivery]
    replies: list[Reply]
    drops: list[Drop]


def _by_argument(records: Iterable[RecordT]) -> defaultdict[int, list[RecordT]]:
    found: defaultdict[int, list[RecordT]] = defaultdict(list)
    for record in records:
        found[record.probe.argument].append(record)
    return found


def join(evidence: Evidence) -> Sweep:
    """One row for each number that was tried, in the order of trying."""
    attempts = _by_argument(evidence.attempts)
    sightings = _by_argument(evidence.sightings)
    deliveries = _by_argument(evidence.deliveries)
    replies = _by_argument(evidence.replies)
    drops = _by_argument(evidence.drops)
    # Anything about a number that was never tried is not of this sweep.
    gathered = {
        number: _OfNumber(
            tried, sightings[number], deliveries[number], replies[number], drops[number]
        )
        for number, tried in attempts.items()
    }
    origin = next((s.source for s in evidence.sightings if _leaves(s, evidence.client)), b"")
    outside = {_place(s) for s in evidence.sightings if s.source != origin}
    untranslated = {
        s.probe.argument for s in evidence.sightings if s.source == origin and _place(s) in outside
    }
    clashed = frozenset(node for node, count in evidence.clashes if count)
    rows = tuple(
        _row(argument, of_number, evidence, clashed, untranslated=argument in untranslated)
        for argument, of_number in gathered.items()
    )
    packets = max((attempt.probe.serial + 1 for attempt in evidence.attempts), default=0)
    return Sweep(evidence.family, packets, rows, evidence.unseen, evidence.interrupted)


def _place(sighting: Sighting) -> tuple[str, str, bool]:
    return sighting.node, sighting.interface, sighting.outgoing


def _leaves(sighting: Sighting, client: str) -> bool:
    return sighting.node == client and sighting.outgoing


def _arrives(sighting: Sighting, evidence: Evidence) -> bool:
    return sighting.node == evidence.server and not sighting.outgoing


def _row(
    argument: int,
    of_number: _OfNumber,
    evidence: Evidence,
    clashed: frozenset[str],
    *,
    untranslated: bool,
) -> Row:
    first = of_number.attempts[0]
    accepted = {a.probe: a.time for a in of_number.attempts if _accepted(a)}
    left = {s.probe for s in of_number.sightings if _leaves(s, evidence.client)}
    arrivals = {s.probe: s for s in of_number.sightings if _arrives(s, evidence)}
    delivered = {d.probe: d for d in of_number.deliveries}
    there = {probe: s.time for probe, s in arrivals.items()}
    there |= {probe: d.time for probe, d in delivered.items()}
    waits = [there[probe] - sent for probe, sent in accepted.items() if probe in there]
    reply = max((r.kind for r in of_number.replies), default=None)
    case = verdict.Case(
        family=evidence.family,
        argument=argument,
        socket_error=first.socket_error,
        send_error=next((a.send_error for a in of_number.attempts if a.send_error), None),
        sent=len(accepted),
        on_wire=len(left) if of_number.sightings else len(accepted),
        arrived=None if evidence.server is None else len(there),
        received=len(delivered) if evidence.listening else None,
        reply=reply,
        losses=tuple(_losses(accepted, there, of_number)) if evidence.server else (),
        clashed=clashed,
        untranslated=untranslated,
    )
    outcome, reason = verdict.judge(case)
    return Row(
        argument=argument,
        protocol=None if first.socket_error else numbers.on_the_wire(argument),
        socket_error=case.socket_error,
        send_error=case.send_error,
        sent=case.sent,
        on_wire=case.on_wire,
        arrived=case.arrived,
        received=case.received,
        reply=reply,
        latency_us=median(waits) / 1000 if waits else None,
        outcome=outcome,
        reason=reason,
        length=next((d.length for d in delivered.values()), None),
        hops=tuple(_hops(of_number.sightings)),
    )


def _accepted(attempt: Attempt) -> bool:
    return attempt.socket_error is None and attempt.send_error is None


def _losses(
    accepted: dict[Probe, int], there: dict[Probe, int], of_number: _OfNumber
) -> Iterator[verdict.Loss]:
    """Where each packet that did not arrive was seen last, and what took it, if known."""
    last = {s.probe: s for s in sorted(of_number.sightings, key=lambda s: s.time)}
    rules = {d.probe: d for d in of_number.drops if d.rule}
    reasons = {(d.probe, d.node): d.reason for d in of_number.drops if d.reason}
    for probe in accepted:
        if probe in there:
            continue
        if probe in rules:
            yield verdict.Loss(probe.serial, rules[probe].node, rules[probe].rule)
        elif probe in last:
            place = last[probe]
            reason = reasons.get((probe, place.node), "")
            yield verdict.Loss(probe.serial, place.node, "", reason, place.outgoing and not reason)
        else:
            yield verdict.Loss(probe.serial, "")


def _hops(sightings: list[Sighting]) -> Iterator[Hop]:
    """The interfaces in the order in which the first probe passed them."""
    counts: dict[tuple[str, str, bool], int] = {}
    for sighting in sorted(sightings, key=lambda s: s.time):
        counts[_place(sighting)] = counts.get(_place(sighting), 0) + 1
    for place, count in counts.items():
        yield Hop(*place, count)
