"""What of a packet can be seen, by name, and whether it is what a script expects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlab.verify.crafted import FLAGS, ends, is_icmp
from netlab.wire import Malformed, icmp, ipv4, ipv6, tcp, udp
from netlab.wire.checksum import VALID, ones_complement_sum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netlab.middlebox import Packet

Seen = dict[str, Any]


def options(octets: bytes) -> list[tuple[int, bytes]]:
    """TCP options as (kind, value), padding left out."""
    found = []
    at = 0
    while at < len(octets) and octets[at] != tcp.END_OF_OPTIONS:
        if octets[at] == tcp.NO_OPERATION:
            at += 1
            continue
        size = octets[at + 1] if at + 1 < len(octets) else 0
        if size < 2 or at + size > len(octets):
            break
        found.append((octets[at], octets[at + 2 : at + size]))
        at += size
    return found


def fields(packet: Packet, hops: int = 0) -> Seen:
    """Everything that scripts speak of; ``hops`` are given back to the TTL."""
    found: Seen = {"protocol": packet.protocol}
    header = packet.ip
    if header is not None:
        found["dscp"], found["ecn"] = header.traffic_class >> 2, header.traffic_class & 3
    if isinstance(header, ipv4.Header):
        found["ttl"], found["id"] = header.ttl + hops, header.identification
        found["arriving-ttl"] = header.ttl
    elif isinstance(header, ipv6.Header):
        found["ttl"], found["arriving-ttl"] = header.hop_limit + hops, header.hop_limit
    head = packet.tcp
    if head is not None:
        read = tcp.parse_options(head.options)
        found |= {
            "seq": head.seq,
            "ack": head.ack,
            "flags": "".join(name for name, bit in FLAGS.items() if head.flags & bit),
            "window": head.window,
            "mss": read.mss,
            "wscale": read.window_scale,
            "sack": [list(block) for block in read.sack],
            "options": options(head.options),
            "offset": head.header_length,
            "reset": bool(head.flags & tcp.RST),
        }
    elif is_icmp(packet):
        _icmp(packet, found)
    if packet.protocol == udp.PROTOCOL and ends(packet)[0][1] == 53:
        found["answer"] = ".".join(map(str, packet.payload[-4:]))
    found["data"] = packet.payload.rstrip(b"\0").decode("utf-8", "replace")
    found["length"] = len(packet.payload)
    return found


def _icmp(packet: Packet, found: Seen) -> None:
    try:
        message = icmp.parse(packet.upper)
    except Malformed:
        return
    found["icmp"] = f"{message.type}/{message.code}"
    if packet.is_icmp_error and len(message.body) >= 20:
        version6 = message.body[0] >> 4 == 6
        header = ipv6.HEADER_LENGTH if version6 else (message.body[0] & 15) * 4
        found["quote"] = len(message.body) - header
        if not version6:
            right = ones_complement_sum(message.body[:header]) == VALID
            found["quoted-sum"] = "right" if right else "wrong"
            total = int.from_bytes(message.body[2:4], "big")
            found["quote-data"] = bytes(message.body[header:total])


def matches(expected: Any, sent: Seen, came: Sequence[Seen]) -> bool:
    """Whether what came is what is expected of the packet ``sent``."""
    if expected == "nothing":
        return not came
    if expected == "unchanged":
        return len(came) == 1 and not _changed(sent, came[0])
    if isinstance(expected, dict) and "pieces" in expected:
        return bool([c["length"] for c in came] == expected["pieces"])
    if expected == {}:
        return bool(came)
    return bool(came) and any(all(_is(k, v, sent, c) for k, v in expected.items()) for c in came)


def _changed(sent: Seen, came: Seen) -> list[str]:
    """What differs; an arriving TTL is less by each hop."""
    return [k for k in sent if k != "arriving-ttl" and came.get(k) != sent[k]]


def _is(name: str, value: Any, sent: Seen, came: Seen) -> bool:
    if name == "contains":
        return str(value) in str(came.get("data", ""))
    if name == "without":
        return value not in [kind for kind, _ in came.get("options", ())]
    if name == "options-but":
        return list(came.get("options", ())) == [o for o in sent["options"] if o[0] != value]
    if value == "same":
        return bool(came.get(name) == sent.get(name))
    if value == "less":
        return bool(came.get(name, 0) < sent.get(name, 0))
    if isinstance(value, dict) and "not" in value:
        return name in came and came[name] != value["not"]
    return bool(came.get(name) == value)


def said(expected: Any) -> str:
    """An expectation in words."""
    if isinstance(expected, str):
        return {"nothing": "nothing", "unchanged": "unchanged"}.get(expected, expected)
    if expected == {}:
        return "a packet"
    words = []
    for name, value in expected.items():
        if name == "reset":
            words.append("a reset" if value else "no reset")
        elif name == "without":
            words.append(f"without option {value}")
        elif name == "options-but":
            words.append(f"all options but {value}")
        elif name == "pieces":
            words.append(f"{len(value)} of {' '.join(map(str, dict.fromkeys(value)))} octets")
        elif isinstance(value, dict):
            words.append(f"{name} not {value['not']}")
        else:
            words.append(f"{name} {value}")
    return ", ".join(words)


def instead(expected: Any, sent: Seen, came: Sequence[Seen]) -> str:
    """What came, in the words that the expectation is in."""
    if not came:
        return "nothing"
    if expected in ("nothing", "unchanged"):
        changed = _changed(sent, came[0])
        if not changed and len(came) == 1:
            return "unchanged"
        how = ", ".join(f"{k} {came[0].get(k)}" for k in changed) or "unchanged"
        return how if len(came) == 1 else f"{len(came)} packets, {how}"
    if "pieces" in expected:
        return said({"pieces": [c["length"] for c in came]})
    return said(
        {
            name: [kind for kind, _ in came[0].get("options", ())]
            if name in ("without", "options-but")
            else came[0].get(name)
            for name in expected
        }
        | {"packets": len(came)}
    ).replace("without option", "options")


def of_each(numbers: Sequence[int], period: int) -> int | None:
    """How many of each ``period`` numbers there are, if always the same ones; else ``None``.

    ``numbers`` are a subset of 0 .. a multiple of ``period``.
    """
    rests = {n % period for n in numbers}
    top = max(numbers, default=-1)
    times = -(-(top + 1) // period)
    if times and len(numbers) != len(rests) * times:
        return None
    return len(rests)


def counted(came: Sequence[Seen], total: int, expected: Mapping[str, int], what: str) -> str:
    """Which of numbered packets are missing, or came twice, in words."""
    arrived = [c["id"] - 1 for c in came if 0 < c.get("id", 0) <= total]
    if what == "lost":
        chosen = [n for n in range(total) if n not in set(arrived)]
    else:
        chosen = [n for n in range(total) if arrived.count(n) > 1]
    period = expected["of-each"]
    number = of_each(chosen, period)
    if number is None:
        return f"{len(chosen)} of {total} {what}, without a period of {period}"
    return f"{number} of each {period} {what}" if number else f"none {what}"
