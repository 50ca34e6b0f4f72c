from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.middlebox import Packet
from netlab.wire import ipv4, tcp
from tests.middlebox.packets import (
    CLIENT,
    SERVER,
    answer,
    datagram,
    error,
    is_right,
    segment,
    segment6,
)


@pytest.mark.parametrize("make", [segment, segment6])
def test_a_copy_with_other_data_has_right_lengths_and_checksums(make):
    changed = make(b"hello", seq=7).with_tcp(b"good day", seq=9)
    assert (changed.payload, changed.tcp.seq) == (b"good day", 9)
    assert is_right(changed)


@pytest.mark.parametrize("make", [segment, segment6])
def test_a_copy_with_another_ip_header_keeps_the_rest(make):
    before = make(b"hello")
    changed = before.with_ip(traffic_class=4)
    assert changed.ip.traffic_class == 4
    assert bytes(changed.upper) == bytes(before.upper)
    assert is_right(changed)


def test_an_answer_goes_the_other_way():
    back = segment(b"hello", seq=7).answer(seq=1, ack=12, flags=tcp.ACK)
    assert (back.source, back.destination) == (SERVER, CLIENT)
    assert back.flow == answer().flow
    assert is_right(back)


def test_what_is_not_tcp_has_no_tcp_header():
    assert datagram(1).tcp is None
    assert datagram(1).payload == b"000001"
    with pytest.raises(ValueError, match="not a TCP segment"):
        datagram(1).with_tcp(seq=1)


def test_a_fragment_has_no_tcp_header():
    piece = segment(b"x" * 64).with_ip(flags=ipv4.MORE_FRAGMENTS)
    assert piece.tcp is None


def test_link_padding_is_no_payload():
    assert Packet(segment(b"hello").octets + bytes(6)).payload == b"hello"


def test_icmp_errors_are_told_from_other_packets():
    assert error(datagram(1)).is_icmp_error
    assert not segment().is_icmp_error


@given(st.binary(max_size=80))
def test_any_octets_can_be_asked_anything(octets):
    packet = Packet(octets)
    assert packet.flow is None or packet.tcp is not None
    assert packet.octets == octets
    assert isinstance(packet.payload, bytes)
    assert packet.is_icmp_error in (True, False)
    assert packet.source == b"" or packet.ip is not None
