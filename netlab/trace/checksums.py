"""Whether the checksums of a captured packet are right, as far as it was captured.

The kernel verifies UDP's only when a program reads the datagram, or asks whether there is one to
be read; until then a wrong one lies in the socket's buffer like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.wire import Malformed, icmp, ipv4, ipv6, tcp, udp
from netlab.wire.view import ICMP, ICMPV6, TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.capture.evidence import Frame
    from netlab.wire.view import View

_VERIFY = {UDP: udp.verify, TCP: tcp.verify, ICMP: icmp.verify, ICMPV6: icmp.verify}


def is_wrong(frame: Frame) -> bool:
    """Whether a checksum of the packet is wrong; headers that contradict themselves count as so."""
    octets = packet_of(frame)
    try:
        return not _verified(octets)
    except (Malformed, IndexError):
        return True


def is_wrong_udp(frames: Sequence[Frame], packet: View) -> bool:
    """Whether a datagram that ``frames`` carry, one or all its fragments in order, has a wrong one.

    False if that cannot be seen. ``packet`` is any of the fragments.
    """
    if packet.protocol != UDP or not all(f.is_summed and len(f.data) == f.length for f in frames):
        return False
    try:
        body = b"".join(_payload(packet_of(frame)) for frame in frames)
        # What a kernel lets a program see: a length that is wrong it notices at once, and says so.
        return not udp.verify(body, packet.source, packet.destination)
    except (Malformed, IndexError):
        return False


def packet_of(frame: Frame) -> bytes:
    """From the IP header on."""
    return frame.data[14:] if frame.ethernet else frame.data


def _payload(octets: bytes) -> bytes:
    if octets[0] >> 4 == 4:
        return bytes(ipv4.payload(octets, ipv4.parse(octets)))
    header = ipv6.parse(octets)
    return octets[ipv6.upper_layer(octets, header).offset : header.total_length]


def _verified(octets: bytes) -> bool:
    if octets[0] >> 4 == 4:
        header = ipv4.parse(octets)
        if not ipv4.verify(octets, header):
            return False
        if header.is_fragment:
            return True
        source, destination = header.source, header.destination
        protocol, body = header.protocol, ipv4.payload(octets, header)
    else:
        six = ipv6.parse(octets)
        upper = ipv6.upper_layer(octets, six)
        source, destination = six.source, six.destination
        protocol, body = upper.protocol, memoryview(octets)[upper.offset : six.total_length]
    return protocol not in _VERIFY or _VERIFY[protocol](body, source, destination)
