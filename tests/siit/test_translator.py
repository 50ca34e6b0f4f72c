"""Packets through the translator, against RFC 7915's words and the parsers of ``netlab.wire``."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.siit import AddressPool, Embedding, Translator
from netlab.siit.embedding import WELL_KNOWN
from netlab.wire import icmp, ipv4, ipv6, tcp, udp
from netlab.wire.address import packed

HOST = packed("2001:db8:1::5")
ROUTER = packed("2001:db8:1::ffff")
LENT = packed("240.64.0.1")
SERVER = packed("198.51.100.2")
SERVER6 = packed("64:ff9b::c633:6402")
OWN = packed("203.0.113.2")
PROTOCOLS = {6: tcp, 17: udp}


def translator(mtu: int = 1500) -> Translator:
    made = Translator(Embedding(WELL_KNOWN), AddressPool(IPv4Network("240.64.0.0/16")), OWN, mtu)
    made.lending.lend(HOST)
    return made


def upper(protocol: int, data: bytes, source: bytes, destination: bytes) -> bytes:
    if protocol == 6:
        return tcp.encode(tcp.Header(4000, 80, flags=tcp.SYN), data, source, destination)
    if protocol == 17:
        return udp.encode(udp.Header(4000, 53), data, source, destination)
    version = 4 if len(source) == 4 else 6
    return icmp.encode(icmp.echo_request(version, 7, 1, data), source, destination)


def from_host(protocol: int, data: bytes = b"data", **fields) -> bytes:
    kind = icmp.PROTOCOL_V6 if protocol == icmp.PROTOCOL else protocol
    content = upper(protocol, data, HOST, SERVER6) if protocol in (1, 6, 17) else data
    return ipv6.encode(ipv6.Header(HOST, SERVER6, kind, **fields), content)


def to_host(protocol: int, data: bytes = b"data", **fields) -> bytes:
    content = upper(protocol, data, SERVER, LENT) if protocol in (1, 6, 17) else data
    return ipv4.encode(ipv4.Header(SERVER, LENT, protocol, **fields), content)


def is_right(packet: bytes) -> bool:
    """Whether every checksum of a packet is right."""
    if packet[0] >> 4 == 4:
        header = ipv4.parse(packet)
        content, protocol = ipv4.payload(packet, header), header.protocol
        good = ipv4.verify(packet, header)
        source, destination = header.source, header.destination
    else:
        fixed = ipv6.parse(packet)
        chain = ipv6.upper_layer(packet, fixed)
        content, protocol, good = memoryview(packet)[chain.offset :], chain.protocol, True
        source, destination = fixed.source, fixed.destination
    check = PROTOCOLS.get(protocol, icmp)
    return good and check.verify(content, source, destination)


DATA = st.binary(max_size=1200)


@given(st.sampled_from([1, 6, 17]), DATA, st.integers(0, 255), st.integers(1, 255))
def test_out_with_right_checksums(protocol, data, traffic_class, hops):
    packet = from_host(protocol, data, traffic_class=traffic_class, hop_limit=hops)
    (out,) = translator().receive(packet)
    header = ipv4.parse(out)
    assert is_right(out)
    assert (header.source, header.destination) == (LENT, SERVER)
    assert (header.protocol, header.traffic_class) == (protocol, traffic_class)
    assert header.ttl == min(hops + 1, 255)
    assert bytes(ipv4.payload(out, header)).endswith(data)


@given(st.sampled_from([1, 6, 17]), DATA, st.integers(0, 255), st.integers(1, 255))
def test_in_with_right_checksums(protocol, data, traffic_class, ttl):
    packet = to_host(protocol, data, traffic_class=traffic_class, ttl=ttl)
    (back,) = translator().receive(packet)
    header = ipv6.parse(back)
    assert is_right(back)
    assert (header.source, header.destination) == (SERVER6, HOST)
    assert (header.traffic_class, header.hop_limit) == (traffic_class, min(ttl + 1, 255))
    assert back.endswith(data)


@given(st.binary(max_size=100), st.booleans())
def test_whatever_comes_in_does_no_harm(octets, is_v6):
    header = from_host(58)[:40] if is_v6 else to_host(1)[:20]
    for packet in (octets, header + octets, header[:-1] + octets):
        translator().receive(packet)


@given(st.data())
def test_a_packet_with_any_octet_changed_does_no_harm(data):
    packet = bytearray(data.draw(st.sampled_from(EVERYTHING)))
    for _ in range(3):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    translator().receive(bytes(packet))


def test_an_error_whose_quote_claims_to_be_shorter_than_its_header_is_not_translated():
    total_length = slice(20 + 8 + 2, 20 + 8 + 4)
    errors = [p for p in EVERYTHING if p[0] >> 4 == 4 and p[9] == icmp.PROTOCOL and p[20] == 11]
    assert errors
    for packet in errors:
        changed = bytearray(packet)
        changed[total_length] = bytes(2)
        assert translator().receive(bytes(changed)) == []


def test_what_was_corrupt_stays_corrupt():
    packet = from_host(6)
    (out,) = translator().receive(packet[:-1] + b"\xff")
    header = ipv4.parse(out)
    assert not tcp.verify(ipv4.payload(out, header), LENT, SERVER)


@pytest.mark.parametrize(("octets", "flags"), [(1260, 0), (1261, ipv4.DONT_FRAGMENT)])
def test_a_short_packet_may_be_fragmented_a_long_one_not(octets, flags):
    """RFC 7915 section 5.1."""
    made = translator()
    outs = [made.receive(from_host(17, bytes(octets - 28)))[0] for _ in range(2)]
    headers = [ipv4.parse(out) for out in outs]
    assert [h.total_length for h in headers] == [octets] * 2
    assert [h.flags for h in headers] == [flags] * 2
    numbers = {h.identification for h in headers}
    assert numbers == {0} if flags else len(numbers - {0}) == 2


def test_an_unknown_protocol_passes_as_it_is():
    (out,) = translator().receive(from_host(253, b"whatever"))
    header = ipv4.parse(out)
    assert (header.protocol, out[20:]) == (253, b"whatever")
    (back,) = translator().receive(to_host(253, b"whatever"))
    assert (ipv6.parse(back).next_header, back[40:]) == (253, b"whatever")


# Fragments.


def test_an_ipv6_fragment_becomes_an_ipv4_one():
    first = upper(17, bytes(1000), HOST, SERVER6)
    whole = []
    for offset, piece in ((0, first[:504]), (504, first[504:])):
        extension = ipv6.fragment_extension(ipv6.Fragment(0x12345678, offset, offset == 0))
        packet = ipv6.encode(ipv6.Header(HOST, SERVER6, 17), piece, (extension,))
        (out,) = translator().receive(packet)
        header = ipv4.parse(out)
        assert header.identification == 0x5678
        assert (header.fragment_offset, header.flags) == (offset, int(offset == 0))
        whole.append(bytes(ipv4.payload(out, header)))
    assert udp.verify(b"".join(whole), LENT, SERVER)


@given(st.integers(0, 4000), st.sampled_from([6, 17]))
def test_what_may_be_fragmented_fits_everywhere(size, protocol):
    pieces = translator().receive(to_host(protocol, bytes(size), flags=0, identification=99))
    assert all(len(piece) <= 1280 for piece in pieces)
    if len(pieces) == 1:
        assert is_right(pieces[0])
        return
    data, more = b"", True
    for piece in pieces:
        header = ipv6.parse(piece)
        chain = ipv6.upper_layer(piece, header)
        assert chain.fragment
        assert (chain.fragment.identification, chain.fragment.offset) == (99, len(data))
        data, more = data + piece[chain.offset :], chain.fragment.more
        assert more is (piece is not pieces[-1])
    assert PROTOCOLS[protocol].verify(data, SERVER6, HOST)


def test_what_must_not_be_fragmented_is_too_long():
    made = translator(mtu=1400)
    assert made.receive(to_host(17, bytes(1380 - 28)))
    packet = to_host(17, bytes(1381 - 28))
    (answer,) = made.receive(packet)
    header = ipv4.parse(answer)
    message = icmp.parse(ipv4.payload(answer, header))
    assert is_right(answer)
    assert (header.source, header.destination) == (LENT, SERVER)
    assert (message.type, message.code, message.rest) == (3, 4, 1380)
    assert packet.startswith(message.body)


def test_a_datagram_without_checksum_gets_one():
    blank = udp.encode_header(udp.Header(1, 2, 12, 0)) + b"data"
    header = ipv4.Header(SERVER, LENT, 17)
    (back,) = translator().receive(ipv4.encode(header, blank))
    assert is_right(back)
    fragment = header._replace(flags=ipv4.MORE_FRAGMENTS)
    assert translator().receive(ipv4.encode(fragment, blank)) == []


# What is not translated.

ROUTE = (ipv6.Extension(ipv6.ROUTING, bytes([0, 0, 1, 0, 0, 0, 0])),)
ARRIVED = (ipv6.Extension(ipv6.ROUTING, bytes(7)),)


@pytest.mark.parametrize(
    "packet",
    [
        ipv6.encode(ipv6.Header(HOST, packed("2001:db8::9"), 17), bytes(8)),
        ipv6.encode(ipv6.Header(packed("64:ff9b::101:101"), SERVER6, 17), bytes(8)),
        ipv6.encode(ipv6.Header(packed("ff02::1"), SERVER6, 17), bytes(8)),
        ipv6.encode(ipv6.Header(HOST, packed("64:ff9b::e000:1"), 17), bytes(8)),
        ipv6.encode(ipv6.Header(HOST, packed("64:ff9b::f040:1"), 17), bytes(8)),
        ipv6.encode(
            ipv6.Header(HOST, SERVER6, 17),
            bytes(8),
            (ipv6.Extension(ipv6.AUTHENTICATION, bytes([1, *bytes(10)])),),
        ),
        ipv6.encode(
            ipv6.Header(HOST, SERVER6, 58),
            upper(1, bytes(8), HOST, SERVER6),
            (ipv6.fragment_extension(ipv6.Fragment(1, 0, more=True)),),
        ),
        ipv4.encode(ipv4.Header(SERVER, packed("10.0.0.1"), 17), bytes(8)),
        ipv4.encode(ipv4.Header(SERVER, packed("240.64.0.2"), 17), bytes(8)),
        ipv4.encode(ipv4.Header(packed("240.9.0.1"), LENT, 17), bytes(8)),
        ipv4.encode(ipv4.Header(SERVER, LENT, 2), bytes(8)),
        to_host(1, bytes(8), flags=ipv4.MORE_FRAGMENTS),
    ],
    ids=[
        "not below the prefix", "from below the prefix", "from a group", "to a group",
        "to a lent address", "authenticated", "a fragment of an echo", "not a lent address",
        "lent to nobody", "from a reserved address", "IGMP", "a fragment of an IPv4 echo",
    ],
)  # fmt: skip
def test_becomes_nothing(packet):
    assert translator().receive(packet) == []


def test_a_route_through_other_nodes_is_refused():
    packet = ipv6.encode(ipv6.Header(HOST, SERVER6, 17), bytes(8), ROUTE)
    (answer,) = translator().receive(packet)
    header = ipv6.parse(answer)
    message = icmp.parse(ipv6.payload(answer, header))
    assert is_right(answer)
    assert header.destination == HOST
    assert (message.type, message.code, message.rest) == (4, 0, 43)
    packet = ipv6.encode(ipv6.Header(HOST, SERVER6, 17), bytes(8), ARRIVED)
    (out,) = translator().receive(packet)
    assert len(out) == 28


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        (bytes([131, 7, 4, *SERVER, 0]), False),
        (bytes([1, 137, 7, 4, *SERVER]), False),
        (bytes([131, 7, 8, *SERVER, 0]), True),
        (bytes([7, 7, 4, *SERVER, 0]), True),
        (bytes([131, 1, 1, 0]), True),
    ],
)
def test_a_source_route_passes_only_at_its_end(options, passes):
    (answer,) = translator().receive(to_host(17, options=options))
    if passes:
        assert ipv6.parse(answer).destination == HOST
        return
    message = icmp.parse(ipv4.payload(answer, ipv4.parse(answer)))
    assert (message.type, message.code) == (3, 5)


# Errors: type, code and second word, as sections 4.2 and 5.2 say.

TO_V6 = [
    ((3, 0, 0), (1, 0, 0)),
    ((3, 1, 0), (1, 0, 0)),
    ((3, 2, 0), (4, 1, 6)),
    ((3, 3, 0), (1, 4, 0)),
    ((3, 4, 1400), (2, 0, 1420)),
    ((3, 4, 9000), (2, 0, 1500)),
    ((3, 4, 576), (2, 0, 1280)),
    ((3, 4, 0), (2, 0, 1280)),
    ((3, 5, 0), (1, 0, 0)),
    ((3, 9, 0), (1, 1, 0)),
    ((3, 10, 0), (1, 1, 0)),
    ((3, 12, 0), (1, 0, 0)),
    ((3, 13, 0), (1, 1, 0)),
    ((3, 14, 0), None),
    ((3, 15, 0), (1, 1, 0)),
    ((4, 0, 0), None),
    ((5, 1, 0), None),
    ((11, 0, 0), (3, 0, 0)),
    ((11, 1, 0), (3, 1, 0)),
    ((12, 0, 8 << 24), (4, 0, 7)),
    ((12, 0, 16 << 24), (4, 0, 24)),
    ((12, 0, 10 << 24), None),
    ((12, 1, 0), None),
    ((13, 0, 0), None),
    ((17, 0, 0), None),
]
TO_V4 = [
    ((1, 0, 0), (3, 1, 0)),
    ((1, 1, 0), (3, 10, 0)),
    ((1, 2, 0), (3, 1, 0)),
    ((1, 3, 0), (3, 1, 0)),
    ((1, 4, 0), (3, 3, 0)),
    ((1, 5, 0), None),
    ((2, 0, 1300), (3, 4, 1280)),
    ((3, 0, 0), (11, 0, 0)),
    ((3, 1, 0), (11, 1, 0)),
    ((4, 0, 7), (12, 0, 8 << 24)),
    ((4, 0, 24), (12, 0, 16 << 24)),
    ((4, 0, 40), None),
    ((4, 1, 6), (3, 2, 0)),
    ((4, 2, 0), None),
    ((133, 0, 0), None),
    ((135, 0, 0), None),
    ((143, 0, 0), None),
]


@pytest.mark.parametrize(("told", "becomes"), TO_V6, ids=str)
@pytest.mark.parametrize("protocol", [1, 6, 17])
def test_an_icmp_error(told, becomes, protocol):
    sent = ipv4.encode(ipv4.Header(LENT, SERVER, protocol), upper(protocol, b"d", LENT, SERVER))
    message = icmp.Message(told[0], told[1], told[2], sent)
    hop = packed("192.0.2.1")
    packet = ipv4.encode(ipv4.Header(hop, LENT, 1), icmp.encode(message, hop, LENT))
    answers = translator().receive(packet)
    if becomes is None:
        assert answers == []
        return
    (answer,) = answers
    header = ipv6.parse(answer)
    said = icmp.parse(ipv6.payload(answer, header))
    assert is_right(answer)
    assert (header.source, header.destination) == (packed("64:ff9b::c000:201"), HOST)
    assert (said.type, said.code, said.rest) == becomes
    quote = icmp.quoted(said)
    assert (quote.source, quote.destination) == (HOST, SERVER6)
    assert is_right(said.body)


@pytest.mark.parametrize(("told", "becomes"), TO_V4, ids=str)
@pytest.mark.parametrize("protocol", [1, 6, 17])
def test_an_icmpv6_error(told, becomes, protocol):
    kind = 58 if protocol == 1 else protocol
    sent = ipv6.encode(ipv6.Header(SERVER6, HOST, kind), upper(protocol, b"d", SERVER6, HOST))
    message = icmp.Message(told[0], told[1], told[2], sent)
    packet = ipv6.encode(ipv6.Header(ROUTER, SERVER6, 58), icmp.encode(message, ROUTER, SERVER6))
    made = translator()
    answers = made.receive(packet)
    if becomes is None:
        assert answers == []
        return
    (answer,) = answers
    header = ipv4.parse(answer)
    said = icmp.parse(ipv4.payload(answer, header))
    assert is_right(answer)
    assert (made.lending.holder(header.source), header.destination) == (ROUTER, SERVER)
    assert (said.type, said.code, said.rest) == becomes
    quote = icmp.quoted(said)
    assert (quote.source, quote.destination) == (SERVER, LENT)
    assert is_right(said.body)


def test_a_quote_that_was_cut_short_is_translated_as_far_as_it_goes():
    sent = ipv4.encode(ipv4.Header(LENT, SERVER, 6), upper(6, bytes(500), LENT, SERVER))
    message = icmp.Message(3, 3, 0, sent[:28])
    packet = ipv4.encode(ipv4.Header(SERVER, LENT, 1), icmp.encode(message, SERVER, LENT))
    (answer,) = translator().receive(packet)
    said = icmp.parse(answer[40:])
    assert ipv6._LAYOUT.unpack_from(said.body)[1] == 520, "the length of the whole"
    assert icmp.quoted(said).transport == sent[20:28]


def test_an_error_fits_into_the_smallest_mtu():
    sent = ipv4.encode(ipv4.Header(LENT, SERVER, 17), upper(17, bytes(1400), LENT, SERVER))
    message = icmp.Message(11, 0, 0, sent)
    packet = ipv4.encode(ipv4.Header(SERVER, LENT, 1), icmp.encode(message, SERVER, LENT))
    (answer,) = translator().receive(packet)
    assert len(answer) == 1280
    assert is_right(answer)


def test_extensions_of_an_error_are_left_behind():
    """RFC 4884: the length of the quote, in words of four octets here and of eight there."""
    sent = ipv4.encode(ipv4.Header(LENT, SERVER, 17), upper(17, bytes(100), LENT, SERVER))
    message = icmp.Message(11, 0, 32 << 16, sent + bytes([0x20, 0, 0, 0, 0, 8, 1, 1, 1, 2, 3, 4]))
    packet = ipv4.encode(ipv4.Header(SERVER, LENT, 1), icmp.encode(message, SERVER, LENT))
    (answer,) = translator().receive(packet)
    said = icmp.parse(answer[40:])
    assert said.rest == 0
    assert len(said.body) == 148
    assert is_right(said.body)


def test_an_error_about_an_error_is_none():
    inner = icmp.encode(icmp.Message(3, 3, 0, bytes(28)), LENT, SERVER)
    sent = ipv4.encode(ipv4.Header(LENT, SERVER, 1), inner)
    message = icmp.Message(11, 0, 0, sent[:28])
    packet = ipv4.encode(ipv4.Header(SERVER, LENT, 1), icmp.encode(message, SERVER, LENT))
    assert translator().receive(packet) == []


EVERYTHING = [
    from_host(6),
    from_host(1),
    to_host(17),
    to_host(1),
    ipv4.encode(
        ipv4.Header(SERVER, LENT, 1),
        icmp.encode(icmp.Message(11, 0, 0, to_host(6)), SERVER, LENT),
    ),
    ipv6.encode(
        ipv6.Header(ROUTER, SERVER6, 58),
        icmp.encode(icmp.Message(3, 0, 0, from_host(6)), ROUTER, SERVER6),
    ),
]
