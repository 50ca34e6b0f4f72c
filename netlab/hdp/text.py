"""A datagram for people: IP header, HDP header and data, as the original prints them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from netlab.hdp import numbers
from netlab.wire import address, ipv4

if TYPE_CHECKING:
    from netlab.hdp.endpoint import Garbage, Received
    from netlab.wire import ipv6

_SECOND = 1_000_000_000
_INDENT = " " * 6
_SHOWN = 2048


def received(event: Received) -> str:
    """Several lines without a final newline."""
    lines = [_ip(event)]
    if event.hdp:
        latency = f"{(event.latency or 0) / 1000:.1f} us"
        ports = f"{event.hdp.source_port} -> {event.hdp.destination_port}"
        lines.append(f"HDP   {ports}  sent {moment(event.hdp.timestamp)}  latency {latency}")
    elif event.udp:
        ports = f"{event.udp.source_port} -> {event.udp.destination_port}"
        lines.append(
            f"UDP   {ports}  length {event.udp.length}  checksum {event.udp.checksum:#06x}"
        )
    lines += [_INDENT + line for line in data(event.data)]
    return "\n".join(lines)


def garbage(event: Garbage) -> str:
    """One line, and the first octets in hexadecimal."""
    where = f" from {address.text(event.source)}" if event.source else ""
    number = "" if event.protocol is None else f" protocol {event.protocol}"
    first = f"\n{_INDENT}{event.excerpt.hex(' ', 4)}" if event.excerpt else ""
    return f"?{where}{number}  {event.length} octets: {event.reason}{first}"


def row(event: Received) -> str:
    """One short line, for many datagrams."""
    latency = "" if event.latency is None else f"{event.latency / 1000:.1f} us"
    name = numbers.name(event.protocol)
    return (
        f"{event.protocol:3} {name:8}  {moment(event.time)}  {address.text(event.source):15}"
        f"  {event.length:5} octets  {latency:>12}"
    )


def moment(nanoseconds: int) -> str:
    """A time in UTC (RFC 3339) to the nanosecond; the bare number if it is beyond the year 9999."""
    seconds, rest = divmod(nanoseconds, _SECOND)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"
    except (ValueError, OverflowError, OSError):
        return f"{nanoseconds} ns"


def data(octets: bytes) -> list[str]:
    """Text without control characters; anything else in hexadecimal."""
    shown = octets[:_SHOWN]
    try:
        lines = shown.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        lines = []
    # Control characters of a stranger must not reach the terminal.
    if not all(line.replace("\t", " ").isprintable() for line in lines) or (shown and not lines):
        lines = [shown[i : i + 32].hex(" ", 4) for i in range(0, len(shown), 32)]
    return lines + ([f"… {len(octets)} octets in all"] if len(octets) > _SHOWN else [])


def _ip(event: Received) -> str:
    name = numbers.name(event.protocol)
    protocol = f"{event.protocol} ({name})" if name else str(event.protocol)
    if event.ip is None:
        return f"IPv6  {address.text(event.source)}  next header {protocol}  {event.length} octets"
    if isinstance(event.ip, ipv4.Header):
        return _ipv4(event.ip, protocol)
    return _ipv6(event.ip, protocol)


def _ipv4(header: ipv4.Header, protocol: str) -> str:
    flags = "  DF" if header.flags & ipv4.DONT_FRAGMENT else ""
    flags += "  MF" if header.flags & ipv4.MORE_FRAGMENTS else ""
    return (
        f"IPv4  {address.text(header.source)} -> {address.text(header.destination)}  protocol "
        f"{protocol}  ttl {header.ttl}  id {header.identification:#06x}{flags}  "
        f"{header.total_length} octets"
    )


def _ipv6(header: ipv6.Header, protocol: str) -> str:
    return (
        f"IPv6  {address.text(header.source)} -> {address.text(header.destination)}  next header "
        f"{protocol}  hop limit {header.hop_limit}  {header.payload_length} octets"
    )
