"""Which datagrams are whole, by their fragments alone."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.capture.evidence import Evidence
from netlab.trace.build import build_traces
from netlab.trace.disposition import Disposition as End
from netlab.trace.reassembly import Datagram, datagrams
from netlab.trace.track import Sighting, Track
from netlab.wire import ipv4
from netlab.wire.view import View, view
from tests.trace.path import PLACES, Tape, datagram

WHOLE = datagram(bytes(range(200)), ident=7)
HEADER, BODY = ipv4.parse(WHOLE), WHOLE[20:]


def piece(start: int, end: int, body: bytes = BODY, *, last: bool | None = None) -> bytes:
    more = end < len(body) if last is None else not last
    flags = ipv4.MORE_FRAGMENTS if more else 0
    header = HEADER._replace(flags=flags, fragment_offset=start)
    return ipv4.encode(header, body[start:end])


def track(packet: bytes, number: int) -> Track:
    seen = view(packet)
    assert isinstance(seen, View)
    found = Track(seen, "server", number)
    found.sightings.append(Sighting(number, "server", "eth0", "in", seen, number))
    return found


def pieces(cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cuts), len(BODY)]
    return [piece(a, b) for a, b in itertools.pairwise(places)]


def collected(packets: list[bytes]) -> list[Datagram]:
    return list(datagrams(track(packet, number) for number, packet in enumerate(packets)))


cuts = st.sets(st.integers(1, len(BODY) // 8 - 1).map(lambda n: n * 8), min_size=1).map(list)


@given(cuts, st.randoms(use_true_random=False))
def test_in_whatever_order_they_come_all_make_a_whole(places, rng):
    packets = pieces(places)
    rng.shuffle(packets)
    [found] = collected(packets)
    assert found.is_whole
    spans = [(one.view.fragment_offset, one.view.length) for one in found.in_order()]
    assert spans == sorted(spans)


@given(cuts, st.data())
def test_without_one_of_them_it_is_not_whole(places, data):
    packets = pieces(places)
    packets.remove(data.draw(st.sampled_from(packets)))
    assert not any(found.is_whole or found.overlaps for found in collected(packets))


@given(cuts, st.data())
def test_one_that_comes_twice_is_no_harm(places, data):
    packets = pieces(places)
    packets.insert(data.draw(st.integers(0, len(packets) - 1)), packets[0])
    found = collected(packets)
    assert sum(one.is_whole for one in found) == 1
    assert not any(one.overlaps for one in found)


def test_what_follows_a_whole_one_begins_anew():
    first, second = collected([*pieces([80]), *pieces([160])])
    assert first.is_whole
    assert second.is_whole


@pytest.mark.parametrize(
    "packets",
    [
        [piece(0, 80), piece(72, 208)],
        [piece(8, 80, last=True), piece(80, 160)],
        [piece(0, 80), piece(160, 208), piece(80, 96, last=True)],
    ],
)
def test_overlaps_and_contradictions_end_all(packets):
    assert collected(packets)[0].overlaps


def fates(*packets: bytes) -> list[tuple[End, str]]:
    tape = Tape()
    for packet in packets:
        tape.see(("router", "east", "out"), packet)
        tape.see(("server", "eth0", "in"), packet)
    traces = build_traces(Evidence(PLACES, tuple(tape.frames)))
    return [(one.disposition, one.node) for one in traces]


def test_delivered_only_if_all_came():
    first, second, third = pieces([80, 160])
    assert fates(first, second, third) == [(End.DELIVERED, "server")] * 3
    assert fates(first, third) == [(End.STILL_QUEUED, "server")] * 2
    assert fates(first, piece(72, 208)) == [(End.REASSEMBLY_FAILED, "server")] * 2


def test_a_wrong_checksum_is_seen_in_the_whole():
    spoilt = BODY[:-1] + bytes([BODY[-1] ^ 0x55])
    assert fates(piece(0, 80, spoilt), piece(80, 208, spoilt)) == [(End.BAD_CHECKSUM, "server")] * 2
    whole = ipv4.encode(HEADER, spoilt)
    assert fates(whole) == [(End.BAD_CHECKSUM, "server")]


def test_a_checksum_that_is_still_to_be_computed_is_not_wrong():
    tape = Tape()
    spoilt = ipv4.encode(HEADER, BODY[:-1] + bytes([BODY[-1] ^ 0x55]))
    tape.see(("server", "eth0", "in"), spoilt)
    [frame] = tape.frames
    [found] = build_traces(Evidence(PLACES, (frame._replace(is_summed=False),)))
    assert found.disposition is End.DELIVERED
    [cut] = build_traces(Evidence(PLACES, (frame._replace(data=frame.data[:100]),)))
    assert cut.disposition is End.DELIVERED
