"""Why a number passed or failed, in a few words.

outcome    meaning
received   the server has them all: its raw socket, or its interface if it held none
partly     some arrived, some did not
refused    they arrived, and an ICMP error came back
taken      they arrived, no raw socket got them and nothing came back: the kernel kept them
lost       they left and did not arrive
unsent     the client's own kernel said no
unknown    they left, and nothing watches at the far end
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, get_args

from netlab.hdp import numbers

if TYPE_CHECKING:
    from collections.abc import Callable

Outcome: TypeAlias = Literal["received", "partly", "refused", "taken", "lost", "unsent", "unknown"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class Loss(NamedTuple):
    """Packet ``serial``, from 0, was lost at ``node`` (empty: seen nowhere).

    ``rule`` and ``reason`` are what a witness said: the label of the rule, the kernel's own word.
    ``after_leaving``: it was seen to leave that node and not to reach the next.
    """

    serial: int
    node: str
    rule: str = ""
    reason: str = ""
    after_leaving: bool = False


class Case(NamedTuple):
    """What is known about one number; the fields are those of ``sweep.Row``."""

    family: int
    argument: int
    socket_error: int | None
    send_error: int | None
    sent: int
    on_wire: int
    arrived: int | None
    received: int | None
    reply: str | None
    losses: tuple[Loss, ...] = ()
    clashed: frozenset[str] = frozenset()
    untranslated: bool = False

    @property
    def protocol(self) -> int:
        """The number on the wire."""
        return numbers.on_the_wire(self.argument)


# What Linux does itself with each number, and so neither refuses nor leaves to others: the
# handlers that inet_add_protocol() and inet6_add_protocol() registered in the measured kernel.
_TAKERS_V4 = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 103: "PIM", 136: "UDP-Lite"}
_TAKERS_V6 = {
    6: "TCP", 17: "UDP", 43: "routing header code", 44: "reassembly",
    58: "ICMPv6", 60: "destination options code", 103: "PIM", 136: "UDP-Lite",
}  # fmt: skip

_NO_NEXT_HEADER = (6, 59)

_SOCKET_ERRORS = {
    errno.EPROTONOSUPPORT: "socket(): 0 is IPPROTO_IP, a wildcard, and a raw socket needs a number",
    errno.EINVAL: "socket(): Linux knows 0 ... 262",
    errno.EPERM: "socket(): CAP_NET_RAW is missing",
    errno.EACCES: "socket(): CAP_NET_RAW is missing",
}

_ICMP = {
    "icmp 3/0": "net unreachable", "icmp 3/1": "host unreachable",
    "icmp 3/2": "protocol unreachable", "icmp 3/3": "port unreachable",
    "icmp 3/4": "fragmentation needed", "icmp 3/9": "network prohibited",
    "icmp 3/10": "host prohibited", "icmp 3/13": "administratively prohibited",
    "icmp 11/0": "TTL exceeded", "icmp 11/1": "reassembly time exceeded",
    "icmp 12/0": "parameter problem",
    "icmp6 1/0": "no route", "icmp6 1/1": "administratively prohibited",
    "icmp6 1/3": "address unreachable", "icmp6 1/4": "port unreachable",
    "icmp6 2/0": "packet too big", "icmp6 3/0": "hop limit exceeded",
    "icmp6 4/0": "erroneous header field", "icmp6 4/1": "unrecognised next header",
    "icmp6 4/2": "unrecognised option",
}  # fmt: skip


def judge(case: Case) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    outcome = _outcome(case)
    reason = _REASONS[outcome](case)
    notes = [reason] if reason else []
    if outcome != "unsent":
        notes += _notes(case)
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
    reply = case.reply or ""
    meaning = _ICMP.get(reply)
    text = f"{reply} {meaning}" if meaning else reply
    return f"no listener: {text}" if reply in ("icmp 3/2", "icmp6 4/1") else text


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
    """Each place with its rule and its packets, the packets named only if not all were lost."""
    places: dict[str, list[int]] = {}
    for loss in case.losses:
        places.setdefault(_place(loss, case), []).append(loss.serial + 1)
    if len(places) == 1 and len(case.losses) == case.sent:
        return next(iter(places))
    return "; ".join(
        place + "".join(f" #{serial}" for serial in serials) for place, serials in places.items()
    )


def _place(loss: Loss, case: Case) -> str:
    if not loss.node:
        return "sent, and seen nowhere"
    if loss.rule:
        return f"{loss.node}: {loss.rule} dropped"
    if loss.after_leaving:
        return f"lost after leaving {loss.node}"
    # The kernel has no reason of its own for a clash: Netfilter dropped the packet, as by a rule.
    if loss.node in case.clashed and loss.reason in ("", "NETFILTER_DROP"):
        return f"{loss.node}: conntrack clash (insert_failed), dropped"
    return f"{loss.node}: dropped, {loss.reason}" if loss.reason else f"{loss.node}: dropped"


def _notes(case: Case) -> list[str]:
    notes = []
    if case.argument != case.protocol:
        notes.append(f"leaves as protocol {case.protocol}")
    if case.argument == numbers.IPPROTO_RAW:
        option = "IP_HDRINCL" if case.family == 4 else "IPV6_HDRINCL"
        notes.append(f"IPPROTO_RAW, with {option} switched off")
    if case.untranslated:
        notes.append("left the NAT untranslated")
    if case.reply and case.received:
        notes.append(f"{case.reply} came back")
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
