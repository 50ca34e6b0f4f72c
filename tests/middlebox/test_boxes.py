from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.middlebox import Packet, SimulatedLink
from netlab.middlebox.boxes.link import Impairment, Link
from netlab.middlebox.boxes.options import kinds_in
from netlab.middlebox.boxes.sequence import MODULUS, ahead
from netlab.middlebox.catalogue import CATALOGUE
from netlab.wire import icmp, tcp
from tests.middlebox.packets import (
    answer,
    datagram,
    error,
    is_right,
    number,
    segment,
    segment6,
)


def wire(kind, wire_seed=0, **parameters):
    given_ = {name.replace("_", "-"): value for name, value in parameters.items()}
    assert not list(CATALOGUE[kind].problems(given_))
    return SimulatedLink(CATALOGUE[kind].make_box(given_), seed=wire_seed)


def through(made, *packets, direction="outbound"):
    """What comes out at the far end, checked."""
    made.send(direction, packets)
    arrived = [a.packet for a in made.run() if a.direction == direction]
    assert all(is_right(p) for p in arrived if p.tcp)
    return arrived


def stream(segments, start):
    """The octets that a receiver puts together; fails if two segments disagree."""
    octets: dict[int, int] = {}
    for s in segments:
        for i, octet in enumerate(s.payload):
            at = ahead(s.tcp.seq, start) + i
            assert octets.setdefault(at, octet) == octet
    assert sorted(octets) == list(range(len(octets)))
    return bytes(octets[i] for i in range(len(octets)))


# Links.


def traces(made, count=200):
    made.send("outbound", map(datagram, range(count)))
    return [(a.time, number(a.packet)) for a in made.run()]


def test_delay_moves_every_packet_by_the_same_time():
    assert traces(wire("impair", delay="50ms"), 3) == [(0.05, 0), (0.05, 1), (0.05, 2)]


def test_jitter_keeps_the_order():
    arrived = traces(wire("impair", delay="10ms", jitter="40ms", seed=3))
    assert [n for _, n in arrived] == list(range(200))
    assert len({t for t, _ in arrived}) > 1
    assert all(0.01 <= t <= 0.05 for t, _ in arrived)


def test_a_rate_spaces_packets_by_their_size_and_bounds_the_queue():
    size = len(datagram(0)) * 8
    arrived = traces(wire("impair", rate=f"{size * 10}bit", queue="450ms"), 20)
    # One is being sent, four wait less than 0.45 s.
    assert arrived == [(pytest.approx((i + 1) / 10), i) for i in range(5)]


def test_loss_is_near_its_probability_and_the_same_for_one_seed():
    first = traces(wire("impair", loss="30%", seed=1), 1000)
    assert 620 < len(first) < 780
    assert first == traces(wire("impair", loss="30%", seed=1), 1000)
    assert first != traces(wire("impair", loss="30%", seed=2), 1000)


def test_what_is_lost_does_not_depend_on_the_rest():
    lossy = {n for _, n in traces(wire("impair", loss="30%", seed=1))}
    busy = traces(wire("impair", loss="30%", seed=1, jitter="9ms", duplicate="1/2", reorder="1/9"))
    assert {n for _, n in busy} == lossy


def test_the_directions_do_not_disturb_each_other():
    alone = traces(wire("impair", loss="30%", seed=1))
    both = wire("impair", loss="30%", seed=1)
    for i in range(200):
        both.send("inbound", [datagram(i)])
        both.send("outbound", [datagram(i)])
    outbound = [number(a.packet) for a in both.run() if a.direction == "outbound"]
    assert outbound == [n for _, n in alone]


def test_duplicates_come_right_behind():
    arrived = traces(wire("impair", duplicate="100%"), 3)
    assert [n for _, n in arrived] == [0, 0, 1, 1, 2, 2]


def test_a_duplicator_repeats_every_nth_packet():
    assert [n for _, n in traces(wire("duplicator"), 2)] == [0, 0, 1, 1]
    assert [n for _, n in traces(wire("duplicator", every=3), 4)] == [0, 1, 2, 2, 3]


def test_a_reordered_packet_overtakes():
    arrived = traces(wire("impair", delay="1s", reorder="1/4", seed=5), 100)
    early = [n for t, n in arrived if t == 0]
    assert 10 < len(early) < 45
    assert arrived == sorted(arrived)


def test_one_direction_only():
    made = wire("impair", delay="1s", direction="outbound")
    made.send("inbound", [datagram(0)])
    assert [a.time for a in made.run()] == [0]


@given(st.integers(0, 2**64), st.sampled_from([0.0, 0.3]), st.sampled_from([0.0, 0.02]))
def test_a_link_repeats_itself(seed, share, jitter):
    def run():
        way = Impairment(0.01, jitter, 1e6, 1.0, 100, share, share, share)
        return traces(SimulatedLink(Link(way, way, seed)), 30)

    assert run() == run()


# Sequence numbers.


def test_shifted_numbers_fit_together_at_both_ends():
    made = wire("sequence-rewrite")
    (syn,) = through(made, segment(seq=100, flags=tcp.SYN, ack=0))
    assert syn.tcp.seq != 100
    (synack,) = through(
        made,
        answer(seq=900, ack=(syn.tcp.seq + 1) % MODULUS, flags=tcp.SYN | tcp.ACK),
        direction="inbound",
    )
    assert synack.tcp.ack == 101
    (data,) = through(made, segment(b"hi", seq=101, ack=(synack.tcp.seq + 1) % MODULUS))
    assert (data.tcp.seq, data.tcp.ack) == ((syn.tcp.seq + 1) % MODULUS, 901)


@pytest.mark.parametrize(("sack", "moved"), [("rewritten", True), ("stale", False)])
def test_sack_blocks_are_moved_or_left_behind(sack, moved):
    made = wire("sequence-rewrite", sack=sack)
    (syn,) = through(made, segment(seq=100, flags=tcp.SYN, ack=0))
    shift = syn.tcp.seq - 100
    edges = ((200 + shift) % MODULUS, (300 + shift) % MODULUS)
    options = tcp.encode_options(tcp.Options(timestamps=(1, 2), sack=(edges,)))
    (back,) = through(made, answer(seq=901, options=options), direction="inbound")
    seen = tcp.parse_options(back.tcp.options)
    assert seen.sack == (((200, 300),) if moved else (edges,))
    assert seen.timestamps == (1, 2)


def test_the_shift_differs_by_seed_and_repeats():
    def shifted(seed):
        (syn,) = through(wire("sequence-rewrite", seed), segment(seq=0, flags=tcp.SYN))
        return syn.tcp.seq

    assert shifted(1) == shifted(1) != shifted(2)


def test_nothing_passes_behind_a_hole_until_it_is_filled():
    made = wire("hole-blocker")
    one, two, three = (segment(b"abc", seq=(MODULUS - 4 + 3 * i) % MODULUS) for i in range(3))
    assert through(made, one, three, two, three) == [one, two, three]


def test_an_ack_passes_a_hole_blocker_with_any_number():
    made = wire("hole-blocker")
    assert len(through(made, segment(b"abc", seq=1), segment(seq=100))) == 2


# Segments.

TIMESTAMPS = tcp.encode_options(tcp.Options(timestamps=(1, 2)))


def test_pieces_carry_the_options_and_the_last_one_the_end():
    out = through(
        wire("split", size=3),
        segment(b"abcdefg", seq=5, flags=tcp.ACK | tcp.PSH | tcp.FIN, options=TIMESTAMPS),
    )
    assert [p.payload for p in out] == [b"abc", b"def", b"g"]
    assert [p.tcp.seq for p in out] == [5, 8, 11]
    assert {p.tcp.options for p in out} == {TIMESTAMPS}
    assert [bool(p.tcp.flags & tcp.FIN) for p in out] == [False, False, True]


def test_neighbours_are_joined_and_the_rest_waits_its_time():
    made = wire("coalesce", size=7, wait="10ms")
    made.send("outbound", [segment(b"abc", seq=5, options=TIMESTAMPS), segment(b"def", seq=8)])
    (joined,) = made.run()
    assert (joined.time, joined.packet.payload) == (0.01, b"abcdef")
    assert joined.packet.tcp.options == TIMESTAMPS


def test_what_does_not_follow_is_not_joined():
    out = through(wire("coalesce"), segment(b"abc", seq=5), segment(b"x", seq=50), segment(seq=51))
    assert [p.payload for p in out] == [b"abc", b"x", b""]


@given(
    st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=12),
    st.integers(0, MODULUS - 1),
    st.sampled_from([("split", {"size": 4}), ("coalesce", {"size": 30}), ("hole-blocker", {})]),
)
def test_the_stream_stays_what_it_is(chunks, start, kind):
    packets, at = [], start
    for chunk in chunks:
        packets.append(segment(chunk, seq=at))
        at = (at + len(chunk)) % MODULUS
    out = through(wire(kind[0], **kind[1]), *packets)
    assert stream(out, start) == b"".join(chunks)


@given(
    st.lists(st.sampled_from([b"PORT x", b"ab", b"PORT", b"---"]), min_size=1, max_size=12),
    st.sampled_from(["longer-than-it", "", "1234"]),
    st.integers(0, MODULUS - 1),
)
def test_a_rewritten_stream_has_no_holes_and_acks_come_back_right(chunks, replacement, start):
    made = wire("payload-rewrite", find="PORT", replace=replacement)
    out, at = [], start
    for chunk in chunks:
        again = through(made, segment(chunk, seq=at), segment(chunk, seq=at))
        assert again[0] == again[1], "a retransmission looks like the first"
        out.append(again[0])
        at = (at + len(chunk)) % MODULUS
    assert stream(out, start) == b"".join(chunks).replace(b"PORT", replacement.encode())
    last = out[-1]
    end = (last.tcp.seq + len(last.payload)) % MODULUS
    (ack,) = through(made, answer(ack=end), direction="inbound")
    assert ack.tcp.ack == at


def test_a_segment_that_grows_too_long_leaves_as_two():
    made = wire("payload-rewrite", find="PORT", replace="longer")
    data = b"-" * 1400 + b"PORT" + b"-" * 44
    out = through(made, segment(data, seq=5, flags=tcp.ACK | tcp.PSH))
    assert [len(p.payload) for p in out] == [1448, 2]
    assert stream(out, 5) == data.replace(b"PORT", b"longer")


def test_within_an_insertion_nothing_new_is_acknowledged():
    made = wire("payload-rewrite", find="a", replace="aaaaaa")
    through(made, segment(b"a", seq=10), segment(b"b", seq=11))
    (ack,) = through(made, answer(ack=13), direction="inbound")
    assert ack.tcp.ack in (10, 11)


def test_the_first_copy_wins():
    made = wire("first-copy")
    (first,) = through(made, segment(b"good", seq=5))
    (second,) = through(made, segment(b"evil", seq=5))
    assert first.payload == second.payload == b"good"
    (overlap,) = through(made, segment(b"EVIL!", seq=7))
    assert overlap.payload == b"odIL!"


@given(
    st.lists(st.tuples(st.integers(0, 60), st.binary(min_size=1, max_size=20)), max_size=20),
    st.integers(0, MODULUS - 1),
)
def test_each_octet_is_what_it_was_first(pieces, start):
    made = wire("first-copy")
    first: dict[int, int] = {}
    through(made, segment(b"!", seq=start))
    for at, data in pieces:
        (out,) = through(made, segment(data, seq=(start + 1 + at) % MODULUS))
        expected = bytes(first.setdefault(at + i, octet) for i, octet in enumerate(data))
        assert out.payload == expected


# Options.

SYN_OPTIONS = tcp.encode_options(
    tcp.Options(mss=1460, sack_permitted=True, timestamps=(1, 0), unknown=((254, b"hi"),))
)


def test_a_removed_option_makes_the_header_shorter():
    (out,) = through(
        wire("option-remove", kinds=[4, 254]), segment(flags=tcp.SYN, options=SYN_OPTIONS)
    )
    seen = tcp.parse_options(out.tcp.options)
    assert (seen.mss, seen.timestamps) == (1460, (1, 0))
    assert not seen.sack_permitted
    assert not seen.unknown
    assert len(out.tcp.options) < len(SYN_OPTIONS)


def test_an_option_whose_room_is_padded_is_removed_all_the_same():
    options = tcp.encode_options(tcp.Options(mss=1400, sack_permitted=True, timestamps=(1, 0)))
    (out,) = through(wire("option-remove", kinds=[4]), segment(flags=tcp.SYN, options=options))
    assert tcp.parse_options(out.tcp.options) == tcp.Options(mss=1400, timestamps=(1, 0))


@pytest.mark.parametrize(
    ("on", "passes"), [("any", (False, False)), ("syn", (False, True)), ("data", (True, False))]
)
def test_what_is_unknown_is_dropped_where_asked(on, passes):
    made = wire("unknown-option-drop", on=on)
    new = bytes([253, 4, 1, 2])
    known = tcp.encode_options(tcp.Options(mss=9, sack_permitted=True, timestamps=(1, 2)))
    for flags, expected in zip((tcp.SYN, tcp.ACK), passes, strict=True):
        assert bool(through(made, segment(flags=flags, options=known + new))) is expected
        assert through(made, segment(flags=flags, options=known))


@given(st.binary(max_size=40))
def test_the_kinds_of_options_are_those_that_were_parsed(octets):
    parsed = tcp.parse_options(octets)
    if not parsed.illegal:
        assert {kind for kind, _ in parsed.unknown} <= kinds_in(octets)


def test_options_are_removed_where_asked():
    made = wire("option-remove", kinds=[8], on="data")
    syn = segment(flags=tcp.SYN, options=SYN_OPTIONS)
    data = segment(b"x", options=TIMESTAMPS)
    out = through(made, syn, data)
    assert out[0] == syn
    assert out[1].tcp.options == b""


@pytest.mark.parametrize(
    ("options", "mss"),
    [(b"", 900), (bytes([2, 4, 5, 180]), 900), (bytes([2, 4, 2, 24]), 536), (SYN_OPTIONS, 900)],
    ids=["none", "larger", "smaller", "among others"],
)
def test_a_syn_gets_an_mss(options, mss):
    (out,) = through(wire("mss-add", mss=900), segment(flags=tcp.SYN, options=options))
    assert tcp.parse_options(out.tcp.options).mss == mss


# Errors.


def test_an_icmp_error_quotes_eight_octets():
    made = wire("short-quote")
    before = error(segment(b"x" * 100, seq=7))
    (out,) = through(made, before, direction="inbound")
    message = icmp.parse(out.upper)
    assert len(message.body) == 28
    assert icmp.quoted(message).source_port == 40000
    assert icmp.verify(out.upper, out.source, out.destination)


@pytest.mark.parametrize("pass_it", [True, False])
def test_both_ends_are_reset_on_a_text(pass_it):
    made = wire("reset-on-payload", pattern="forbidden", pass_it=pass_it)
    bad = segment(b"GET /forbidden", seq=7, ack=50)
    made.send("outbound", [segment(b"GET /", seq=2), bad])
    arrived = [(a.direction, a.packet) for a in made.run()]
    onward = [p for d, p in arrived if d == "outbound"]
    back = [p for d, p in arrived if d == "inbound"]
    assert (bad in onward) is pass_it
    assert onward[-1].tcp.flags & tcp.RST
    assert onward[-1].tcp.seq == (7 + 14 if pass_it else 7)
    assert back[0].tcp.flags & tcp.RST
    assert (back[0].tcp.seq, back[0].tcp.ack) == (50, 21)


# All of them.

BOXES = [k for k in CATALOGUE.values() if not k.is_rules]
REQUIRED = {"find": "a", "replace": "bb", "pattern": "forbidden"}


def parameters(kind):
    return {p.name: REQUIRED[p.name] for p in kind.parameters if p.required}


@pytest.mark.parametrize("kind", BOXES, ids=lambda k: k.name)
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_no_box_falls_over_what_it_cannot_read(kind, octets):
    made = SimulatedLink(kind.make_box(parameters(kind)))
    made.send("outbound", octets)
    made.send("inbound", octets)
    copies = 2 if kind.name == "duplicator" else 1
    assert len(made.run()) == 2 * len(octets) * copies


@pytest.mark.parametrize("kind", BOXES, ids=lambda k: k.name)
def test_every_box_gives_one_fate_in_a_hundred_repeats(kind):
    packets = [
        segment(seq=0, flags=tcp.SYN, options=SYN_OPTIONS),
        *(segment(b"abc forbidden" * (1 + i % 4), seq=1 + 13 * i) for i in range(20)),
        *(segment(b"abc", seq=900), segment(b"abd", seq=900)),
        *(datagram(i) for i in range(20)),
        segment6(b"abc"),
        error(datagram(0)),
    ]

    def run():
        given_ = parameters(kind)
        if kind.name == "impair":
            given_ |= dict.fromkeys(("loss", "duplicate", "reorder"), Fraction(1, 3))
            given_ |= {"jitter": "5ms", "rate": "1mbit"}
        made = SimulatedLink(kind.make_box(given_), seed=7)
        made.send("outbound", packets)
        made.send("inbound", [answer(b"x", seq=1), Packet(b"\x45")])
        return made.run()

    first = run()
    assert all(run() == first for _ in range(99))
