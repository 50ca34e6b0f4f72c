"""IPv4 packets to IPv6 and back (RFC 7915), with the hosts behind as ``AddressPool`` says.

Sans-I/O: a packet goes in, the packets that it becomes come out, which may be an error to whoever
sent it. What cannot be translated becomes nothing.

Transport checksums are updated, never recomputed (RFC 1624): what was corrupted on the way
stays corrupt, and a quote that was cut short can be translated as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netlab.siit.messages import (
    DIFFERENCE,
    MINIMUM_MTU,
    TO_V4_QUERY,
    TO_V6_QUERY,
    error_to_v4,
    error_to_v6,
)
from netlab.wire import Malformed, icmp, ipv4, ipv6, tcp, udp
from netlab.wire.address import is_unicast
from netlab.wire.checksum import checksum, pseudo_header, update

if TYPE_CHECKING:
    from netlab.siit.address_pool import AddressPool
    from netlab.siit.embedding import Embedding
    from netlab.wire import Buffer

FRAGMENT_HEADER = 8
IGMP = 2

MAXIMUM_DF_FREE = MINIMUM_MTU - DIFFERENCE
"""Up to this many octets a packet passes everywhere; it may be fragmented (section 5.1)."""

_CHECKSUM_AT = {tcp.PROTOCOL: 16, udp.PROTOCOL: 6}
_SOURCE_ROUTES = frozenset({131, 137})  # loose and strict (RFC 791 section 3.1)
_SEGMENTS_LEFT = 3  # its offset in a routing header
_KEPT_OUT = frozenset({ipv6.AUTHENTICATION, ipv6.MOBILITY})


class Untranslatable(Exception):
    """Why a packet becomes nothing; ``answer`` is an error to its sender, or empty."""

    def __init__(self, why: str, answer: bytes = b"") -> None:
        super().__init__(why)
        self.answer = answer


class Translation(NamedTuple):
    """What a packet became: other packets, or, if it was ``refused``, at most an error."""

    packets: list[bytes]
    refused: str = ""


class Translator:
    """One translator between its two sides.

    ``own`` is its packed IPv4 address, for errors that it sends to IPv6 hosts; ``mtu`` that of the
    IPv6 links. TTL and hop limit grow by one: the translator sits between two forwarding
    decisions of one kernel, and together they shall be one hop.
    """

    def __init__(self, embedding: Embedding, lending: AddressPool, own: bytes, mtu: int) -> None:
        self.embedding = embedding
        self.lending = lending
        self.own = own
        self.mtu = mtu
        self._identification = 0

    def receive(self, packet: Buffer) -> list[bytes]:
        """Translate a packet of either version; the packets to send, none if it was dropped."""
        return self.translate(packet).packets

    def translate(self, packet: Buffer) -> Translation:
        """The same, and why where it is not translated."""
        try:
            if packet[0] >> 4 == 6:
                return Translation([self._to_ipv4(bytes(packet))])
            return Translation(self._to_ipv6(bytes(packet)))
        except Untranslatable as refused:
            return Translation([refused.answer] if refused.answer else [], str(refused))
        except (Malformed, IndexError) as error:
            return Translation([], str(error) or "it is cut short")

    # Addresses.

    def _v4(self, address: bytes) -> bytes:
        if address not in self.embedding:
            if not is_unicast(address):
                raise Untranslatable("not a host's address")
            return self.lending.lend(address)
        found = self.embedding.extract(address)
        if not is_unicast(found):
            raise Untranslatable("the embedded IPv4 address is not a host address")
        return found

    def _v6(self, address: bytes) -> bytes:
        if address in self.lending:
            host = self.lending.holder(address)
            if host is None:
                raise Untranslatable("no mapping for this address")
            return host
        if not is_unicast(address):
            raise Untranslatable("not a host's address")
        return self.embedding.embed(address)

    # IPv4 to IPv6: section 4.

    def _to_ipv6(self, packet: bytes) -> list[bytes]:
        header = ipv4.parse(packet)
        if header.destination not in self.lending:
            raise Untranslatable("not for a host behind")
        if _unexpired_source_route(header.options):
            raise Untranslatable("source route", self._error4(packet, icmp.SOURCE_ROUTE_FAILED))
        upper = bytes(ipv4.payload(packet, header))
        can_fragment = not header.flags & ipv4.DONT_FRAGMENT
        length = ipv6.HEADER_LENGTH + len(upper)
        if not can_fragment and length > self.mtu:
            mtu = self.mtu - DIFFERENCE
            answer = self._error4(packet, icmp.FRAGMENTATION_NEEDED, mtu)
            raise Untranslatable("too long", answer)
        data = self._upper6(header, upper, len(upper))
        ttl = min(header.ttl + 1, 255)
        if not header.is_fragment and (not can_fragment or length <= MINIMUM_MTU):
            return [self._header6(header, ttl, len(data)) + data]
        room = (
            MINIMUM_MTU - ipv6.HEADER_LENGTH - FRAGMENT_HEADER & ~7 if can_fragment else len(data)
        )
        pieces = []
        for at in range(0, len(data), room):
            piece = data[at : at + room]
            more = at + room < len(data) or bool(header.flags & ipv4.MORE_FRAGMENTS)
            offset = header.fragment_offset + at
            pieces.append(self._header6(header, ttl, len(piece), (offset, more)) + piece)
        return pieces

    def _header6(
        self,
        header: ipv4.Header,
        ttl: int,
        length: int,
        fragment: tuple[int, bool] | None = None,
    ) -> bytes:
        protocol = icmp.PROTOCOL_V6 if header.protocol == icmp.PROTOCOL else header.protocol
        extension = b""
        following = protocol
        if fragment:
            offset, more = fragment
            body = ipv6.Fragment(header.identification, offset, more)
            extension = bytes([protocol]) + ipv6.fragment_extension(body).body
            following = ipv6.FRAGMENT
        fixed = ipv6.Header(
            self._v6(header.source),
            self._v6(header.destination),
            following,
            ttl,
            header.traffic_class,
            payload_length=len(extension) + length,
        )
        return ipv6.encode_header(fixed) + extension

    def _upper6(
        self, header: ipv4.Header, upper: bytes, length: int, *, quoted: bool = False
    ) -> bytes:
        """The upper layer, of which the header says that it has ``length`` octets."""
        source, destination = self._v6(header.source), self._v6(header.destination)
        if header.protocol == IGMP:
            raise Untranslatable("IGMP stays on its link")
        if header.protocol != icmp.PROTOCOL:
            if header.protocol == udp.PROTOCOL and upper[6:8] == bytes(2):
                return _with_udp_checksum(header, upper, length, source + destination)
            old = header.source + header.destination
            return _readdressed(
                header.protocol, header.fragment_offset, upper, old, source + destination
            )
        if header.is_fragment:
            raise Untranslatable("the length of a fragmented ICMP message is not known")
        message = icmp.parse(upper)
        query = TO_V6_QUERY.get(message.type)
        if query is not None:
            pseudo = _pseudo(source, destination, length)
            return _retyped(upper, query, bytes(len(pseudo)), pseudo)
        if quoted:
            raise Untranslatable("an error about an error")
        error = error_to_v6(message, self.mtu)
        if error is None:
            raise Untranslatable("no ICMPv6 message says this")
        quote = self._quote6(_without_extensions(message.body, message.rest >> 16 & 0xFF, 4))
        room = MINIMUM_MTU - ipv6.HEADER_LENGTH - icmp.HEADER_LENGTH
        return icmp.encode(icmp.Message(*error, quote[:room]), source, destination)

    def _quote6(self, quote: bytes) -> bytes:
        """The start of a packet in an error, in which lengths are those of the whole."""
        header = ipv4.parse(quote[:2] + len(quote).to_bytes(2, "big") + quote[4:])
        whole = int.from_bytes(quote[2:4], "big") - header.header_length
        if whole < 0:
            raise Untranslatable("the quoted packet is shorter than its header")
        data = self._upper6(header, quote[header.header_length :], whole, quoted=True)
        fragment = None
        if header.is_fragment:
            fragment = header.fragment_offset, bool(header.flags & ipv4.MORE_FRAGMENTS)
        return self._header6(header, header.ttl, whole, fragment) + data

    @staticmethod
    def _error4(packet: bytes, code: int, rest: int = 0) -> bytes:
        message = icmp.unreachable(packet, code)._replace(rest=rest)
        sender, receiver = packet[12:16], packet[16:20]
        # In the receiver's name: to come from an address of its own, Linux believes no packet.
        # The NAT beyond puts its outside address there, as for every packet from within.
        data = icmp.encode(message, receiver, sender)
        return ipv4.encode(ipv4.Header(receiver, sender, icmp.PROTOCOL, flags=0), data)

    # IPv6 to IPv4: section 5.

    def _to_ipv4(self, packet: bytes) -> bytes:
        header = ipv6.parse(packet)
        if header.destination not in self.embedding or header.source in self.embedding:
            raise Untranslatable("not from within to without")
        chain = ipv6.upper_layer(packet, header)
        self._check_routing(packet, header, chain)
        upper = packet[chain.offset : header.total_length]
        data = self._upper4(header, chain, upper, len(upper))
        hops = min(header.hop_limit + 1, 255)
        return self._header4(header, chain, hops, len(data)) + data

    def _check_routing(self, packet: bytes, header: ipv6.Header, chain: ipv6.UpperLayer) -> None:
        at = ipv6.HEADER_LENGTH
        for extension in chain.extensions:
            if extension.kind in _KEPT_OUT:
                raise Untranslatable("it covers the addresses")
            if extension.kind == ipv6.ROUTING and extension.body[_SEGMENTS_LEFT - 1]:
                message = icmp.Message(
                    icmp.V6_PARAMETER_PROBLEM, 0, at + _SEGMENTS_LEFT, packet[:1232]
                )
                source = self.embedding.embed(self.own)
                answer = ipv6.encode(
                    ipv6.Header(source, header.source, icmp.PROTOCOL_V6),
                    icmp.encode(message, source, header.source),
                )
                raise Untranslatable("a route through further nodes", answer)
            at += 1 + len(extension.body)

    def _header4(
        self, header: ipv6.Header, chain: ipv6.UpperLayer, hops: int, length: int
    ) -> bytes:
        protocol = icmp.PROTOCOL if chain.protocol == icmp.PROTOCOL_V6 else chain.protocol
        total = ipv4.MINIMUM_LENGTH + length
        flags, offset = ipv4.DONT_FRAGMENT, 0
        identification = 0
        if chain.fragment:
            flags = ipv4.MORE_FRAGMENTS if chain.fragment.more else 0
            offset = chain.fragment.offset
            identification = chain.fragment.identification & 0xFFFF
        elif total <= MAXIMUM_DF_FREE:
            flags = 0
            self._identification = identification = self._identification % 0xFFFF + 1
        blank = ipv4.Header(
            self._v4(header.source),
            self._v4(header.destination),
            protocol,
            hops,
            identification,
            flags,
            offset,
            header.traffic_class,
            total_length=total,
        )
        right = checksum(ipv4.encode_header(blank))
        return ipv4.encode_header(blank._replace(header_checksum=right))

    def _upper4(
        self,
        header: ipv6.Header,
        chain: ipv6.UpperLayer,
        upper: bytes,
        length: int,
        *,
        quoted: bool = False,
    ) -> bytes:
        source, destination = self._v4(header.source), self._v4(header.destination)
        if chain.protocol != icmp.PROTOCOL_V6:
            offset = chain.fragment.offset if chain.fragment else 0
            old = header.source + header.destination
            return _readdressed(chain.protocol, offset, upper, old, source + destination)
        if chain.fragment and (chain.fragment.offset or chain.fragment.more):
            raise Untranslatable("the length of a fragmented ICMPv6 message is not known")
        message = icmp.parse(upper)
        query = TO_V4_QUERY.get(message.type)
        if query is not None:
            pseudo = _pseudo(header.source, header.destination, length)
            return _retyped(upper, query, pseudo, bytes(len(pseudo)))
        if quoted:
            raise Untranslatable("an error about an error")
        error = error_to_v4(message)
        if error is None:
            raise Untranslatable("no ICMP message says this")
        quote = self._quote4(_without_extensions(message.body, message.rest >> 24, 8))
        return icmp.encode(icmp.Message(*error, quote), source, destination)

    def _quote4(self, quote: bytes) -> bytes:
        there = max(len(quote) - ipv6.HEADER_LENGTH, 0).to_bytes(2, "big")
        header = ipv6.parse(quote[:4] + there + quote[6:])
        chain = ipv6.upper_layer(quote, header)
        whole = ipv6.HEADER_LENGTH + int.from_bytes(quote[4:6], "big") - chain.offset
        if whole < 0:
            raise Untranslatable("the quoted packet is shorter than its headers")
        data = self._upper4(header, chain, quote[chain.offset :], whole, quoted=True)
        return self._header4(header, chain, header.hop_limit, whole) + data


def _readdressed(protocol: int, offset: int, upper: bytes, old: bytes, new: bytes) -> bytes:
    """TCP or UDP with the checksum for other addresses; all else as it is."""
    at = _CHECKSUM_AT.get(protocol)
    if at is None or offset or len(upper) < at + 2:
        return upper
    length = max(len(old), len(new))
    was = int.from_bytes(upper[at : at + 2], "big")
    check = update(was, old.rjust(length, b"\0"), new.rjust(length, b"\0"))
    if protocol == udp.PROTOCOL:
        check = check or 0xFFFF  # RFC 768: zero is "none"
    return upper[:at] + check.to_bytes(2, "big") + upper[at + 2 :]


def _with_udp_checksum(header: ipv4.Header, upper: bytes, length: int, new: bytes) -> bytes:
    """IPv6 has no datagrams without checksum (RFC 8200 section 8.1)."""
    if header.fragment_offset:
        return upper
    if header.is_fragment or length > len(upper):
        raise Untranslatable("no checksum, and not all data to compute it from")
    return udp.encode(udp.parse(upper), upper[udp.HEADER_LENGTH :], new[:16], new[16:])


def _pseudo(source: bytes, destination: bytes, length: int) -> bytes:
    """The pseudo header of ICMPv6, reduced to its sum."""
    return pseudo_header(source, destination, icmp.PROTOCOL_V6, length).to_bytes(2, "big")


def _retyped(upper: bytes, kind: int, old: bytes, new: bytes) -> bytes:
    """A query of another type; ``old`` and ``new`` are what else its checksum covers."""
    was = int.from_bytes(upper[2:4], "big")
    check = update(was, upper[:2] + old, bytes([kind, upper[1]]) + new)
    return bytes([kind, upper[1]]) + check.to_bytes(2, "big") + upper[4:]


def _without_extensions(body: bytes, length: int, unit: int) -> bytes:
    """The quote alone: RFC 4884 extensions begin after ``length`` words of ``unit`` octets."""
    return body[: length * unit] if length else body


def _unexpired_source_route(options: bytes) -> bool:
    """Whether a source route still has addresses to visit (section 4.1)."""
    at = 0
    while at < len(options) and options[at] != 0:
        if options[at] == 1:
            at += 1
            continue
        if at + 2 >= len(options) or options[at + 1] < 2:
            return False
        if options[at] in _SOURCE_ROUTES:
            return options[at + 2] <= options[at + 1]
        at += options[at + 1]
    return False
