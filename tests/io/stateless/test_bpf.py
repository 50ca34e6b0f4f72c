"""The filter, run by the kernel: on a pair of Unix sockets, which needs no right at all."""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.io.stateless.bpf import segments_for
from netlab.io.stateless.ports import SO_ATTACH_FILTER
from netlab.stateless.segment import ACK, FIN, PSH, RST, SYN, Segment, encode
from netlab.tcp import fragments
from netlab.wire import ipv4, tcp
from tests.stateless.peers import CLIENT, CLIENT_6, SERVER, SERVER_6, options

if TYPE_CHECKING:
    from collections.abc import Iterator

ETHERTYPE = {4: b"\x08\x00", 16: b"\x86\xdd"}


class Filter:
    """A filter at the end of a wire of Unix datagrams."""

    def __init__(self, program: bytes) -> None:
        self._here, self._there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._there.setblocking(False)
        code = ctypes.create_string_buffer(program, len(program))
        header = struct.pack("HL", len(program) // 8, ctypes.addressof(code))
        self._there.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, header)

    def passes(self, frame: bytes) -> bool:
        self._here.send(frame)
        try:
            return self._there.recv(70_000) == frame
        except BlockingIOError:
            return False

    def close(self) -> None:
        self._here.close()
        self._there.close()


@pytest.fixture(scope="module")
def filters() -> Iterator[dict[tuple[int, bool], Filter]]:
    made = {
        (len(address), acks): Filter(segments_for(address, 80, pure_acks=acks))
        for address in (SERVER, SERVER_6)
        for acks in (False, True)
    }
    yield made
    for one in made.values():
        one.close()


def frame(segment: Segment) -> bytes:
    return bytes(12) + ETHERTYPE[len(segment.source)] + encode(segment)


def to(version: int, flags: int, payload: bytes = b"", written: bytes = b"") -> Segment:
    ends = (CLIENT, SERVER) if version == 4 else (CLIENT_6, SERVER_6)
    return Segment(*ends, 40000, 80, 1, 2, flags, 3, payload, written)


@given(
    version=st.sampled_from([4, 6]),
    flags=st.integers(0, 0xFF),
    payload=st.binary(max_size=5),
    given_options=options,
    acks=st.booleans(),
)
def test_what_the_server_can_answer_passes(
    filters, *, version: int, flags: int, payload: bytes, given_options: bytes, acks: bool
) -> None:
    wanted = not flags & RST and (acks or flags & (SYN | FIN) or payload)
    size = 4 if version == 4 else 16
    assert filters[size, acks].passes(frame(to(version, flags, payload, given_options))) == bool(
        wanted
    )


@pytest.mark.parametrize(
    ("version", "change"),
    [
        (4, {"destination": bytes([198, 51, 100, 3])}),
        (6, {"destination": bytes(15) + b"\x09"}),
        (6, {"destination": b"\x09" + SERVER_6[1:]}),
        *((version, {"destination_port": 81}) for version in (4, 6)),
        *((version, {"source_port": 80, "destination_port": 40000}) for version in (4, 6)),
    ],
)
def test_other_addresses_and_ports_do_not(filters, version: int, change) -> None:
    segment = to(version, SYN)
    one = filters[len(segment.source), True]
    assert one.passes(frame(segment))
    assert not one.passes(frame(segment._replace(**change)))


@pytest.mark.parametrize(("version", "size"), [(4, 4), (6, 16)])
def test_fragments_pass_for_this_address_only(filters, version: int, size: int) -> None:
    one = filters[size, False]
    request = to(version, ACK | PSH, bytes(1500))
    other = request._replace(destination=bytes([9] * size))
    for segment, wanted in ((request, True), (other, False)):
        pieces = fragments.cut(encode(segment), 1280, 7)
        assert len(pieces) == 2
        for piece in pieces:
            assert one.passes(bytes(12) + ETHERTYPE[size] + piece) is wanted


def test_udp_and_rubbish_do_not(filters) -> None:
    one = filters[4, True]
    whole = frame(to(4, SYN))
    assert one.passes(whole)
    assert one.passes(whole[:20] + b"\x40\x00" + whole[22:])  # only Don't Fragment
    assert not one.passes(whole[:23] + b"\x11" + whole[24:])
    assert not one.passes(whole[:12] + b"\x08\x06" + whole[14:])
    for size in range(1, len(whole) - 8):
        one.passes(whole[:size])
    assert not one.passes(whole[:40])


def test_ipv4_options_are_stepped_over(filters) -> None:
    part = tcp.encode(tcp.Header(1, 80, flags=ACK | PSH), b"x", CLIENT, SERVER)
    packet = ipv4.encode(ipv4.Header(CLIENT, SERVER, 6, options=b"\x01" * 8), part)
    assert filters[4, False].passes(bytes(12) + b"\x08\x00" + packet)
    part = tcp.encode(tcp.Header(1, 80, flags=ACK), b"", CLIENT, SERVER)
    packet = ipv4.encode(ipv4.Header(CLIENT, SERVER, 6, options=b"\x01" * 8), part)
    assert not filters[4, False].passes(bytes(12) + b"\x08\x00" + packet)
