"""Packets from a few words are what the words say."""

from __future__ import annotations

import pytest

from netlab.middlebox import datagram, segment
from netlab.wire import ipv4, tcp
from netlab.wire.address import text
from tests.middlebox.packets import is_right


@pytest.mark.parametrize(
    ("source", "destination", "address"),
    [
        ("10.0.0.9:1", "192.0.2.1:65535", "10.0.0.9"),
        ("[2001:db8::9]:1", "[2001:db8::1]:65535", "2001:db8::9"),
    ],
)
def test_ends_of_either_version(source, destination, address):
    packet = segment(b"data", source, destination, flags="SF", seq=7, window=9)
    assert is_right(packet)
    assert text(packet.source) == address
    head = packet.tcp
    assert head
    assert (head.source_port, head.destination_port, head.seq, head.window) == (1, 65535, 7, 9)
    assert head.flags == tcp.SYN | tcp.FIN
    assert packet.payload == b"data"


def test_options_in_words():
    head = segment(flags="S", options=tcp.Options(mss=900)).tcp
    assert head
    assert tcp.parse_options(head.options) == tcp.Options(mss=900)


def test_a_datagram_with_fields_of_ip():
    packet = datagram(b"hello", ttl=9)
    assert (packet.payload, packet.protocol) == (b"hello", 17)
    assert ipv4.parse(packet.octets).ttl == 9
