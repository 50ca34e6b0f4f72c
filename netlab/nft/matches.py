"""Whether a packet is what a rule asks for; ``None`` where only the kernel knows."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from netlab.wire.protocols import NUMBERS
from netlab.wire.view import ICMP, ICMPV6, TCP, UDP, View

if TYPE_CHECKING:
    from netlab.nft.ruleset import Situation, Tracked

ECN = {"not-ect": 0, "ect1": 1, "ect0": 2, "ce": 3}
_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32}


def matched(what: str, sign: str, value: str, here: Situation) -> bool | None:
    """Whether ``what`` of the packet is, or is not, one of the values."""
    wanted = values(value)
    if not _has(what, here.packet):
        return False
    try:
        if what == "ct state" or what.startswith("ct status"):
            found = _of_flow(what, wanted, here.tracked)
            return found if found is None or sign == "==" else not found
        number = _number(what, here)
        if number is not None and sign not in ("==", "!="):
            other = int(wanted[0], 0)
            return {
                ">": number > other, "<": number < other, ">=": number >= other,
                "<=": number <= other,
            }[sign]  # fmt: skip
        if sign not in ("==", "!="):
            return None
        if number is not None:
            return any(within(number, one) for one in wanted) == (sign == "==")
        if what.startswith("tcp flags"):
            return _flagged(what, value, here.packet) == (sign == "==")
        return any(_is(what, one, here.packet, here) for one in wanted) == (sign == "==")
    except (ValueError, LookupError):
        return None


def _has(what: str, packet: View) -> bool:
    """Whether the packet has such a field; nft passes over rules about what is not there."""
    for word, there in (
        ("ip ", packet.version == 4),
        ("ip6 ", packet.version == 6),
        ("frag ", packet.version == 6),
        ("tcp ", packet.protocol == TCP),
        ("udp ", packet.protocol == UDP),
        ("icmp ", packet.protocol == ICMP),
        ("icmpv6 ", packet.protocol == ICMPV6),
    ):
        if what.removeprefix("ct original ").startswith(word):
            return there
    return True


def _number(what: str, here: Situation) -> int | None:
    """The number that is looked at, if it is one."""
    packet = here.packet
    match what.split():
        case ["ct", "original", "packets"]:
            return here.tracked.packets
        case ["ip", "ttl"] | ["ip6", "hoplimit"] | ["ip" | "ip6", "dscp"]:
            return packet.traffic_class >> 2 if what.endswith("dscp") else packet.ttl
        case ["ip", "frag-off", *_] | ["frag", "frag-off"]:
            if packet.is_fragment:
                raise LookupError("it may come in pieces")
            return 0
    return None


def _of_flow(what: str, wanted: list[str], tracked: Tracked) -> bool | None:
    if what == "ct state":
        may = tracked.states
        return True if may <= {*wanted} else None if may & {*wanted} else False
    if what.endswith("& dnat"):
        return tracked.has_dnat == (wanted[0] not in ("0", "0x0"))
    if wanted == ["dnat"]:
        return tracked.has_dnat
    return None


def _flagged(what: str, value: str, packet: View) -> bool:
    """``tcp flags & (fin | syn) == syn``; without a mask any of the flags will do."""
    wanted = flags(value)
    _, _, mask = what.partition(" & ")
    if not mask:
        return bool(packet.flags & wanted)
    return packet.flags & flags(mask) == wanted


def flags(words: str) -> int:
    """TCP flags by name, joined by commas or bars, as bits."""
    total = 0
    for word in words.strip("(){}").replace(",", "|").split("|"):
        total |= _FLAGS[word.strip()] if word.strip() in _FLAGS else int(word, 0)
    return total


def _is(what: str, value: str, packet: View, here: Situation) -> bool:
    """Whether one value fits; ``ValueError`` or ``LookupError`` if that cannot be decided."""
    match what.split():
        case ["iifname" | "oifname" as side]:
            name = here.incoming if side == "iifname" else here.outgoing
            return name.startswith(value[:-1]) if value.endswith("*") else name == value
        case ["meta", "nfproto"]:
            return {"ipv4": 4, "ipv6": 6}[value] == packet.version
        case ["meta", "l4proto"] | ["ip", "protocol"] | ["ip6", "nexthdr"]:
            if value in NUMBERS:
                return packet.protocol == NUMBERS[value]
            return within(packet.protocol, value)
        case ["ip", "saddr" | "daddr" as side, "&", mask]:
            address = packet.source if side == "saddr" else packet.destination
            masked = bytes(a & b for a, b in zip(address, ip_address(mask).packed, strict=True))
            return masked == ip_address(value).packed
        case ["ip" | "ip6", "saddr" | "daddr" as side]:
            return _inside(packet.source if side == "saddr" else packet.destination, value)
        case ["ct", "original", _, "saddr" | "daddr" as side]:
            return _inside(here.tracked.original[side == "daddr"], value)
        case ["ip" | "ip6", "ecn"]:
            return packet.traffic_class & 3 == ECN[value]
        case [_, "sport" | "dport" as side]:
            port = packet.source_port if side == "sport" else packet.destination_port
            if not port:
                raise LookupError("the kernel will choose it")
            return within(port, value)
        case ["icmp" | "icmpv6", "type"]:
            # The only such packets that are asked for are an echo request and its reply.
            return value == ("echo-reply" if here.tracked.is_reply else "echo-request")
        case ["ct", "direction"]:
            return value == ("reply" if here.tracked.is_reply else "original")
    raise LookupError(what)


def _inside(packed: bytes, value: str) -> bool:
    address = ip_address(packed)
    first, dash, last = value.partition("-")
    if dash:
        return int(ip_address(first)) <= int(address) <= int(ip_address(last))
    return address in ip_network(value, strict=False)


def values(value: str) -> list[str]:
    """The members of an anonymous set, or the one value."""
    return [v.strip().strip('"') for v in value.strip("{}").split(",") if v.strip()]


def within(number: int, value: str) -> bool:
    """Whether a number is ``value``, or in that range."""
    first, _, last = value.partition("-")
    return int(first, 0) <= number <= int(last or first, 0)
