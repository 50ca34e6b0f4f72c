"""Why a number passed or failed, in a few words; of what died, in those of ``explain``."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NamedTuple

from netlab.hdp import numbers
from netlab.trace.disposition import Disposition
from netlab.trace.explain import how_it_ended, named
from netlab.wire import icmp

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.probe.rows import Outcome
    from netlab.trace.model import PacketTrace


class Loss(NamedTuple):
    """Packet ``number``, from 1, did not arrive; ``end`` is its trace, ``None`` if it has none."""

    number: int
    end: PacketTrace | None = None


class Case(NamedTuple):
    """What is known about one number; the fields are those of ``Row``.

    ``reply`` is type and code of the ICMP error that came back.
    """

    family: int
    argument: int
    socket_error: int | None
    send_error: int | None
    sent: int
    on_wire: int
    arrived: int | None
    received: int | None
    reply: tuple[int, int] | None
    losses: tuple[Loss, ...] = ()
    untranslated: bool = False

    @property
    def protocol(self) -> int:
        """The number on the wire."""
        return numbers.on_the_wire(self.argument)

    @property
    def reply_text(self) -> str | None:
        """``icmp 3/2`` or ``icmp6 4/1``."""
        if self.reply is None:
            return None
        kind, code = self.reply
        return f"icmp{'' if self.family == 4 else '6'} {kind}/{code}"


# What Linux does itself with each number, and so neither refuses nor leaves to others: the
# handlers that inet_add_protocol() and inet6_add_protocol() registered in the measured kernel.
_TAKERS_V4 = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 103: "PIM", 136: "UDP-Lite"}
_TAKERS_V6 = {
    6: "TCP", 17: "UDP", 43: "routing header code", 44: "reassembly",
    58: "ICMPv6", 60: "destination options code", 103: "PIM", 136: "UDP-Lite",
}  # fmt: skip

_NO_NEXT_HEADER = (6, 59)

_NO_LISTENER = {
    4: {(icmp.UNREACHABLE, icmp.PROTOCOL_UNREACHABLE)},
    6: {(icmp.V6_PARAMETER_PROBLEM, icmp.V6_UNRECOGNIZED_NEXT_HEADER)},
}

_SOCKET_ERRORS = {
    errno.EPROTONOSUPPORT: "socket(): 0 is IPPROTO_IP, a wildcard, and a raw socket needs a number",
    errno.EINVAL: "socket(): Linux knows 0 ... 262",
    errno.EPERM: "socket(): CAP_NET_RAW is missing",
    errno.EACCES: "socket(): CAP_NET_RAW is missing",
}

_BEFORE_DELIVERY = frozenset(
    {
        Disposition.DENIED, Disposition.NAT_CLASH, Disposition.RPF_FAILED, Disposition.MARTIAN,
        Disposition.NO_ROUTE, Disposition.NOT_FORWARDING, Disposition.TTL_EXPIRED,
    }
)  # fmt: skip
"""How a packet dies at its destination before any protocol of the kernel gets it."""

_AT_DELIVERY = frozenset({Disposition.NO_LISTENER, Disposition.UNKNOWN})


def has_reached(end: PacketTrace, server: str | None, protocol: int) -> bool:
    """Whether a packet that ended so came as far as the protocols of ``server``.

    What one of the kernel's own protocols refuses has reached it.
    """
    if not end.hops or (end.node, end.hops[-1].node) != (server, server):
        return False
    if end.hops[-1].direction != "in":
        return False
    if end.arrived or end.disposition in _AT_DELIVERY:
        return True
    version = end.packet.version
    return protocol in _takers(version) and end.disposition not in _BEFORE_DELIVERY


def judge(case: Case) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    outcome = _outcome(case)
    reason = _REASONS[outcome](case)
    notes = [reason] if reason else []
    if outcome != "unsent":
        notes += _notes(case, outcome)
    return outcome, "; ".join(notes)


def _outcome(case: Case) -> Outcome:
    if case.sent == 0:
        return "unsent"
    if case.arrived is None:
        return "refused" if case.reply else "unknown"
    if case.arrived == 0:
        return "lost"
    if case.arrived < case.sent:
        return "partly"
    if case.received:
        return "received"
    if case.reply:
        return "refused"
    kept = case.protocol in _takers(case.family) or (case.family, case.protocol) == _NO_NEXT_HEADER
    return "taken" if case.received == 0 or kept else "received"


def _takers(family: int) -> dict[int, str]:
    return _TAKERS_V4 if family == 4 else _TAKERS_V6


def _unsent(case: Case) -> str:
    if case.socket_error is not None:
        known = _SOCKET_ERRORS.get(case.socket_error)
        return known or f"socket(): {_errno(case.socket_error)}"
    if case.send_error == errno.EINVAL and case.argument == numbers.IPPROTO_RAW:
        return "sendto(): IPPROTO_RAW needs an IPv6 header (IPV6_HDRINCL)"
    if case.send_error == errno.EINVAL and case.argument > 255:
        return "sendto(): no such next header"
    return f"sendto(): {_errno(case.send_error or 0)}"


def _errno(number: int) -> str:
    return errno.errorcode.get(number, f"errno {number}")


def _refused(case: Case) -> str:
    return (
        f"no listener: {_reply(case)}" if case.reply in _NO_LISTENER[case.family] else _reply(case)
    )


def _reply(case: Case) -> str:
    """``icmp 3/2 protocol unreachable``."""
    assert case.reply
    meaning = icmp.MEANINGS[case.family].get(case.reply)
    return f"{case.reply_text} {meaning}" if meaning else f"{case.reply_text}"


def _taken(case: Case) -> str:
    taker = _takers(case.family).get(case.protocol)
    if taker:
        return f"the kernel's {taker} took it"
    if (case.family, case.protocol) == _NO_NEXT_HEADER:
        return "no next header: the kernel reads no further"
    return "no raw socket got it and no reply came"


def _received(case: Case) -> str:
    return "received" if case.received else "arrived"


def _lost(case: Case) -> str:
    """Each end, with its packets only if not all ended so."""
    ends: dict[str, list[int]] = {}
    for loss in case.losses:
        end = how_it_ended(loss.end) if loss.end else "was seen nowhere"
        ends.setdefault(end, []).append(loss.number)
    if len(ends) == 1 and len(case.losses) == case.sent:
        return next(iter(ends))
    return "; ".join(f"{named(lost)} {end}" for end, lost in ends.items())


def _notes(case: Case, outcome: Outcome) -> list[str]:
    notes = []
    if case.argument != case.protocol:
        notes.append(f"leaves as protocol {case.protocol}")
    if case.argument == numbers.IPPROTO_RAW:
        option = "IP_HDRINCL" if case.family == 4 else "IPV6_HDRINCL"
        notes.append(f"IPPROTO_RAW, with {option} switched off")
    if case.untranslated:
        notes.append("left the NAT untranslated")
    if case.reply and outcome != "refused":
        notes.append(f"{_reply(case)} came back")
    taker = _takers(case.family).get(case.protocol)
    if taker and case.received:
        notes.append("a copy: the kernel takes this number too")
    return notes


_REASONS: dict[Outcome, Callable[[Case], str]] = {
    "received": _received,
    "partly": _lost,
    "refused": _refused,
    "taken": _taken,
    "lost": _lost,
    "unsent": _unsent,
    "unknown": lambda _: "sent; the target was not watched",
}
