"""An IP packet on its way through a middlebox."""

from __future__ import annotations

from typing import Any

from netlab.wire import Buffer, Malformed, icmp, ipv4, ipv6, tcp, udp


class Packet:
    """The octets of one IPv4 or IPv6 packet; everything else is read when first asked for.

    A packet is never changed: ``with_tcp`` and ``with_ip`` give a copy with right lengths and
    checksums. What cannot be parsed is ``None``, so that a box lets pass what it does not know.
    """

    __slots__ = ("_ip", "_read", "_tcp", "link", "number", "octets", "offset", "protocol")

    number: int
    """Which packet of a watched line this is; one made new has none, nor has a changed copy."""

    def __init__(self, octets: Buffer, link: bytes = b"") -> None:
        self.octets = bytes(octets)
        self.link = link
        """The Ethernet header that it came with, if any; a copy with changes keeps it."""
        self._read = False

    def __repr__(self) -> str:
        return f"Packet({self.octets!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packet) and self.octets == other.octets

    def __hash__(self) -> int:
        return hash(self.octets)

    def __len__(self) -> int:
        return len(self.octets)

    def __getattr__(self, name: str) -> Any:
        # Only slots that are not yet filled come here.
        if name in ("_ip", "_tcp", "offset", "protocol") and not self._read:
            self._parse()
            return getattr(self, name)
        raise AttributeError(name)

    def _parse(self) -> None:
        self._read = True
        self._ip: ipv4.Header | ipv6.Header | None = None
        self._tcp: tcp.Header | None = None
        self.protocol: int = -1
        """The upper-layer protocol, or -1 if this is not an IP packet."""
        self.offset: int = 0
        """Octets before the upper layer."""
        try:
            if self.octets[:1] and self.octets[0] >> 4 == 6:
                header = ipv6.parse(self.octets)
                upper = ipv6.upper_layer(self.octets, header)
                self._ip, self.protocol, self.offset = header, upper.protocol, upper.offset
                whole = upper.fragment is None
            else:
                v4 = ipv4.parse(self.octets)
                self._ip, self.protocol, self.offset = v4, v4.protocol, v4.header_length
                whole = not v4.is_fragment
            if whole and self.protocol == tcp.PROTOCOL:
                self._tcp = tcp.parse(self.upper)
        except Malformed:
            return

    @property
    def ip(self) -> ipv4.Header | ipv6.Header | None:
        """The IP header."""
        return self._ip

    @property
    def tcp(self) -> tcp.Header | None:
        """The TCP header; ``None`` for other protocols and for fragments."""
        return self._tcp

    @property
    def source(self) -> bytes:
        """The packed source address; empty if this is not an IP packet."""
        return self._ip.source if self._ip else b""

    @property
    def destination(self) -> bytes:
        """The packed destination address; empty if this is not an IP packet."""
        return self._ip.destination if self._ip else b""

    @property
    def upper(self) -> memoryview:
        """What the IP header and its extensions carry, link padding left out."""
        end = self._ip.total_length if self._ip else len(self.octets)
        return memoryview(self.octets)[self.offset : end]

    @property
    def payload(self) -> bytes:
        """The data of a TCP segment or UDP datagram; of other protocols all that IP carries."""
        if self._tcp:
            return bytes(tcp.payload(self.upper, self._tcp))
        if self.protocol == udp.PROTOCOL and len(self.upper) >= udp.HEADER_LENGTH:
            return bytes(self.upper[udp.HEADER_LENGTH :])
        return bytes(self.upper)

    def with_tcp(self, payload: bytes | None = None, **fields: Any) -> Packet:
        """A copy with another payload or other fields of the TCP header (``seq=``, ``options=``).

        ``ValueError`` if this is not a TCP segment, or if the result does not fit into a packet.

        Raises:
            ValueError: this is not a TCP segment, or the result does not fit.
        """
        if self._tcp is None:
            raise ValueError("not a TCP segment")
        data = self.payload if payload is None else payload
        segment = tcp.encode(self._tcp._replace(**fields), data, self.source, self.destination)
        return self.with_upper(segment)

    def with_upper(self, upper: Buffer) -> Packet:
        """A copy with something else above IP.

        Raises:
            ValueError: this is not an IP packet.
        """
        if isinstance(self._ip, ipv4.Header):
            return Packet(ipv4.encode(self._ip, upper), self.link)
        if self._ip is None:
            raise ValueError("not an IP packet")
        length = self.offset - ipv6.HEADER_LENGTH + len(upper)
        fixed = ipv6.encode_header(self._ip._replace(payload_length=length))
        return Packet(
            fixed + self.octets[ipv6.HEADER_LENGTH : self.offset] + bytes(upper), self.link
        )

    def with_ip(self, **fields: Any) -> Packet:
        """A copy with other fields of the IP header (``ttl=``, ``traffic_class=``).

        Addresses are in the pseudo header: they are not for this method.

        Raises:
            ValueError: this is not an IP packet.
        """
        if isinstance(self._ip, ipv4.Header):
            return Packet(ipv4.encode(self._ip._replace(**fields), self.upper), self.link)
        if self._ip is None:
            raise ValueError("not an IP packet")
        fixed = ipv6.encode_header(self._ip._replace(**fields))
        return Packet(fixed + self.octets[ipv6.HEADER_LENGTH :], self.link)

    @property
    def flow(self) -> tuple[bytes, int, bytes, int] | None:
        """(source, source port, destination, destination port) of a TCP segment."""
        head = self._tcp
        if head is None:
            return None
        return (self.source, head.source_port, self.destination, head.destination_port)

    @property
    def is_icmp_error(self) -> bool:
        """True for an ICMP or ICMPv6 message that quotes another packet."""
        upper = self.upper
        if self.protocol == icmp.PROTOCOL and len(upper) >= icmp.HEADER_LENGTH:
            return icmp.is_error(4, upper[0])
        if self.protocol == icmp.PROTOCOL_V6 and len(upper) >= icmp.HEADER_LENGTH:
            return icmp.is_error(6, upper[0])
        return False

    def answer(self, payload: bytes = b"", **fields: Any) -> Packet:
        """A TCP segment the other way: addresses and ports swapped, for what a box injects.

        Raises:
            ValueError: this is not a TCP segment.
        """
        head = self._tcp
        if head is None or self._ip is None:
            raise ValueError("not a TCP segment")
        back = tcp.Header(head.destination_port, head.source_port, **fields)
        segment = tcp.encode(back, payload, self.destination, self.source)
        link = self.link[6:12] + self.link[:6] + self.link[12:]
        if isinstance(self._ip, ipv4.Header):
            ip = ipv4.Header(self.destination, self.source, tcp.PROTOCOL)
            return Packet(ipv4.encode(ip, segment), link)
        v6 = ipv6.Header(self.destination, self.source, tcp.PROTOCOL)
        return Packet(ipv6.encode(v6, segment), link)
