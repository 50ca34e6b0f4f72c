"""Header layouts, and nothing else: bytes in, frozen records out, and back.

    module      records                       functions
    checksum    -                             ones_complement_sum, checksum, pseudo_header, update
    address     -                             packed, text, is_multicast, is_unicast
    ipv4        Header                        parse, encode, payload
    ipv6        Header, Extension, Fragment   parse, encode, upper_layer, payload
    tcp         Header, Options               parse, encode, verify, payload,
                                              parse_options, encode_options
    udp         Header                        parse, encode, verify, payload
    icmp        Message, Quote                parse, encode, verify, quoted; unreachable, too_big,
                                              time_exceeded, echo_request, echo_reply

Every ``parse(buffer)`` takes ``bytes``, ``bytearray`` or ``memoryview``, checks lengths before it
reads, and raises ``Malformed`` with the reason; it never verifies a checksum (``verify`` does) and
never copies a payload (``payload(buffer, header)`` is a view). Integers are in host order, lengths
and offsets in octets, IP addresses *packed*: 4 or 16 ``bytes`` (``address.text`` shows them).

``encode(...)`` of a transport takes the two addresses, for the pseudo header, and fills in length
and checksum; ``encode_header`` writes a record exactly as it is, wrong checksum and all, so
that ``encode_header(parse(x))`` is the header of ``x`` again.

    >>> from netlab.wire import ipv4, tcp
    >>> from netlab.wire.address import packed
    >>> a, b = packed("10.0.0.1"), packed("10.0.0.2")
    >>> syn = tcp.encode(tcp.Header(4000, 80, seq=7, flags=tcp.SYN), b"", a, b)
    >>> packet = ipv4.encode(ipv4.Header(a, b, protocol=6), syn)
    >>> tcp.parse(ipv4.payload(packet, ipv4.parse(packet))).seq
    7
"""

from __future__ import annotations

Buffer = bytes | bytearray | memoryview


class Malformed(ValueError):
    """The bytes are not what they should be; ``str()`` is the reason, in a few words."""
