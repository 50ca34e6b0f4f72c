"""Packets in pieces, in any order, honest and not."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.tcp import fragments
from netlab.tcp.fragments import Fragments, cut
from netlab.tcp.ip import Envelope, complete
from netlab.tcp.segment import Segment
from netlab.wire import Malformed, icmp, ipv4, ipv6
from netlab.wire.tcp import SYN
from tests.tcp.network import A6, B6, A, B, Network

if TYPE_CHECKING:
    from collections.abc import Iterable

NOISE = random.Random(1).randbytes(65_000)


def packet(version: int, size: int) -> bytes:
    if version == 4:
        return ipv4.encode(ipv4.Header(A, B, 17, flags=0), NOISE[:size])
    return ipv6.encode(ipv6.Header(A6, B6, 17), NOISE[:size])


def body(octets: bytes) -> bytes:
    """All but what reassembly may change: the identification."""
    return octets[12:] if octets[0] >> 4 == 4 else octets


def taken(pieces: Iterable[bytes], now: float = 0.0) -> list[bytes]:
    held = Fragments()
    wholes = [whole for one in pieces if (whole := held.take(one, now)) is not None]
    assert not held.held or len(held)
    return wholes


@given(st.sampled_from([4, 6]), st.integers(1, 20_000), st.integers(1280, 9000), st.randoms())
def test_what_was_cut_becomes_whole(version: int, size: int, mtu: int, rnd: random.Random) -> None:
    whole = packet(version, size)
    pieces = cut(whole, mtu, 77)
    assert all(len(one) <= mtu for one in pieces)
    if len(pieces) == 1:
        assert pieces == [whole]
        return
    again = [rnd.choice(pieces) for _ in range(3)]
    last = pieces.pop(rnd.randrange(len(pieces)))
    rnd.shuffle(pieces)
    again = [one for one in again if one != last]
    (found,) = taken([*pieces, *again, last])
    assert body(found) == body(whole)


@pytest.mark.parametrize("version", [4, 6])
def test_two_packets_do_not_mix(version: int) -> None:
    one, other = packet(version, 3000), packet(version, 4000)
    mixed = [*cut(one, 1500, 1), *cut(other, 1500, 2)]
    random.Random(2).shuffle(mixed)
    assert sorted(map(body, taken(mixed))) == sorted(map(body, [one, other]))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    "lie",
    [
        (1472, 1480, True),  # begins within the first piece
        (0, 8, True),  # within it, and not the same
        (2960, 2968, True),  # beyond the end
        (1600, 1608, False),  # another end
    ],
)
def test_pieces_that_contradict_each_other_spoil_the_packet(
    version: int, lie: tuple[int, int, bool]
) -> None:
    start, end, more = lie
    forged = bytes(end - start)
    if version == 4:
        header = ipv4.Header(A, B, 17, identification=9, flags=int(more), fragment_offset=start)
        fake = ipv4.encode(header, forged)
    else:
        extension = ipv6.fragment_extension(ipv6.Fragment(9, start, more))
        fake = ipv6.encode(ipv6.Header(A6, B6, 17), forged, (extension,))
    mtu = 1500 if version == 4 else 1528
    pieces = cut(packet(version, 2500), mtu, 9)
    assert len(pieces) == 2
    for at in range(2):
        assert taken([*pieces[:at], fake, *pieces[at:]]) == []
    assert len(taken(pieces)) == 1


def test_a_piece_that_is_no_piece_is_refused() -> None:
    header = ipv4.Header(A, B, 17, flags=ipv4.MORE_FRAGMENTS)
    for bad in (
        ipv4.encode(header, bytes(12)),  # what follows could not begin there
        ipv4.encode(header),
        ipv4.encode(header._replace(flags=0, fragment_offset=65_528), bytes(100)),
    ):
        with pytest.raises(Malformed):
            Fragments().take(bad, 0.0)


def test_an_atomic_fragment_is_whole_and_disturbs_none() -> None:
    extension = ipv6.fragment_extension(ipv6.Fragment(5))
    atomic = ipv6.encode(ipv6.Header(A6, B6, 17), NOISE[:100], (extension,))
    pieces = cut(packet(6, 3000), 1500, 5)
    found = taken([pieces[0], atomic, *pieces[1:]])
    assert found == [packet(6, 100), packet(6, 3000)]


def test_memory_is_bounded_and_what_is_late_is_forgotten() -> None:
    held = Fragments()
    for number in range(3000):
        held.take(cut(packet(4, 3000), 1500, number)[number % 2], 0.0)
        assert held.held <= fragments.MAXIMUM_HELD
    first, second, third = cut(packet(4, 3000), 1500, 40_000)
    assert held.take(first, 1.0) is None
    assert held.take(second, 1.0) is None
    assert held.take(third, 1.0 + fragments.LIFETIME) is None
    assert len(held) == 1


@pytest.mark.parametrize("family", [4, 6])
def test_a_ping_larger_than_the_mtu_is_answered(family: int) -> None:
    network = Network()
    request, ours, theirs = icmp.Message(icmp.ECHO_REQUEST, 0, 1, NOISE[:5000]), A, B
    if family == 6:
        request, ours, theirs = request._replace(type=icmp.V6_ECHO_REQUEST), A6, B6
    octets = icmp.encode(request, ours, theirs)
    if family == 4:
        asked = ipv4.encode(ipv4.Header(ours, theirs, icmp.PROTOCOL, flags=0), octets)
    else:
        asked = ipv6.encode(ipv6.Header(ours, theirs, icmp.PROTOCOL_V6), octets)
    for piece in reversed(cut(asked, 1280, 3)):
        network.b.receive(piece, network.now)
    answer = [complete(one) for one in network.b.to_send(network.now)]
    assert len(answer) == 4
    (whole,) = taken(answer)
    assert whole.endswith(NOISE[:5000])


def test_a_segment_in_pieces_is_a_segment() -> None:
    network = Network()
    network.b.listen(80)
    octets = complete(_envelope().packet(Segment(1, flags=SYN)))
    assert octets[6] & 0x40
    loose = ipv4.encode(ipv4.parse(octets)._replace(flags=0), octets[20:])
    for piece in cut(loose, 36, 4):
        network.b.receive(piece, network.now)
    assert len(network.b.to_send(network.now)) == 1
    assert len(network.b.places()) == 1


def test_fragments_within_fragments_end_there() -> None:
    network = Network()
    inner = ipv6.fragment_extension(ipv6.Fragment(1))
    outer = ipv6.fragment_extension(ipv6.Fragment(2))
    nested = ipv6.encode(ipv6.Header(A6, B6, 17), NOISE[:8], (outer, *[inner] * 5000))
    network.b.receive(nested, network.now)
    assert network.b.counters["a fragment inside of a fragment"] == 1


def test_other_hosts_pieces_are_not_kept() -> None:
    network = Network()
    for piece in cut(packet(4, 3000), 1500, 1):
        network.a.receive(piece, network.now)
    assert network.a.counters["not for us"] == 3


def _envelope() -> Envelope:
    """From A to B."""
    return Envelope(B + A + bytes([0, 80, 200, 0]))
