"""Packets followed from frames played by hand, without a kernel."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.capture.evidence import (
    Count,
    Evidence,
    Frame,
    Gap,
    KernelDrop,
    PacketReport,
    RuleVerdict,
)
from netlab.trace.build import build_traces
from netlab.trace.disposition import Disposition as End
from netlab.wire import ipv4, tcp
from tests.trace import path
from tests.trace.path import BACK, FORTH, OUTSIDE, PLACES, SERVER, WEST, Tape

DIRECTIONS = st.sampled_from(("in", "out"))
NODES = st.sampled_from((*PLACES, "elsewhere"))
INTERFACES = st.sampled_from(("eth0", "lan", "wan", "west", "east", "lo", "other"))


def test_a_packet_is_one_packet_on_both_sides_of_a_nat():
    tape = Tape()
    tape.pass_through(path.datagram(b"hello"))
    [packet_trace] = build_traces(tape.evidence())
    assert packet_trace.arrived
    assert [(hop.node, hop.interface, hop.direction) for hop in packet_trace.hops] == list(FORTH)
    assert packet_trace.hops[2].changes == ("IP::Src 10.0.0.2 -> 203.0.113.2", "IP::TTL 64 -> 63")
    assert packet_trace.hops[4].changes == ("IP::TTL 63 -> 62",)
    assert packet_trace.label == "UDP 10.0.0.2:4000 > 198.51.100.2:80, 5 octets"


def test_equal_packets_are_counted_not_confused():
    tape = Tape()
    for _ in range(3):
        tape.pass_through(path.unknown(b"the same each time"))
    tape.pass_through(path.unknown(b"the same each time"), until=2)
    traces = build_traces(tape.evidence())
    assert len(traces) == 4
    assert len(traces.arrived) == 3
    assert [packet_trace.id for packet_trace in traces.dropped_at("nat")] == [4]


def test_an_answer_of_the_same_content_is_another_packet():
    tape = Tape()
    tape.pass_through(path.unknown(b"echo"))
    tape.pass_through(path.unknown(b"echo", source=SERVER, destination=OUTSIDE), BACK)
    traces = build_traces(tape.evidence())
    assert [(packet_trace.origin, packet_trace.node) for packet_trace in traces] == [
        ("client", "server"),
        ("server", "client"),
    ]


def test_the_identification_tells_equal_contents_apart():
    tape = Tape()
    packets = [path.unknown(b"burst", ident=n) for n in range(1, 4)]
    for place in FORTH[:2]:
        for packet in packets:
            tape.see(place, packet)
    out = [path.rewritten(packet, source=OUTSIDE) for packet in packets]
    for place in FORTH[2:4]:
        tape.see(place, out[2])
        tape.see(place, out[0])
    traces = build_traces(tape.evidence())
    assert [len(packet_trace.hops) for packet_trace in traces] == [4, 2, 4]


def test_a_copy_is_told_from_its_original():
    tape = Tape()
    packet = path.datagram(b"twice", ident=9)
    tape.pass_through(packet, until=4)
    after = path.rewritten(path.rewritten(packet, source=OUTSIDE))
    for _ in range(2):
        tape.see(FORTH[4], after)
        tape.see(FORTH[5], after)
    first, copy = build_traces(tape.evidence())
    assert first.arrived
    assert copy.arrived
    assert (copy.copied, copy.parents, copy.origin) == (True, (first.id,), "router")


def test_a_super_packet_is_followed_by_its_segments():
    tape = Tape()
    tape.pass_through(path.segment(bytes(3000), seq=1000), until=4)
    for start in (0, 1500):
        piece = path.segment(bytes(1500), seq=1000 + start, source=OUTSIDE)
        piece = path.rewritten(path.rewritten(piece))
        tape.see(FORTH[4], piece)
        if start:
            tape.see(FORTH[5], piece)
    whole, lost, arrived = build_traces(tape.evidence())
    assert whole.disposition is End.SEGMENTED
    assert whole.children == (lost.id, arrived.id)
    assert lost.disposition is End.LOST_ON_LINK
    assert arrived.arrived


def test_merged_segments_say_into_what():
    tape = Tape()
    for start in (0, 1500):
        tape.pass_through(path.segment(bytes(1500), seq=1000 + start), until=4)
    whole = path.rewritten(path.rewritten(path.segment(bytes(3000), seq=1000, source=OUTSIDE)))
    tape.see(FORTH[4], whole)
    tape.see(FORTH[5], whole)
    first, second, merged = build_traces(tape.evidence())
    assert first.disposition is second.disposition is End.MERGED
    assert first.children == second.children == (merged.id,)
    assert merged.arrived


def pieces(header: ipv4.Header, body: bytes, size: int) -> list[bytes]:
    """A datagram in fragments of ``size`` octets."""
    return [
        ipv4.encode(
            header._replace(
                flags=ipv4.MORE_FRAGMENTS if start + size < len(body) else 0, fragment_offset=start
            ),
            body[start : start + size],
        )
        for start in range(0, len(body), size)
    ]


def test_fragments_that_get_another_number_and_another_size_are_followed():
    tape = Tape()
    bodies = [random.Random(n).randbytes(1600) for n in range(2)]
    before = ipv4.Header(path.CLIENT, SERVER, 255, identification=7, flags=0)
    for number, body in enumerate(bodies):
        for piece in pieces(before._replace(identification=7 + number), body, 800):
            tape.pass_through(piece, until=4)
    after = before._replace(source=OUTSIDE, ttl=62)
    for number, body in reversed(list(enumerate(bodies))):
        for piece in pieces(after._replace(identification=90 + number), body, 400):
            tape.see(FORTH[4], piece)
            tape.see(FORTH[5], piece)
    traces = build_traces(tape.evidence())
    assert traces.dispositions() == {End.FRAGMENTED: 4, End.DELIVERED: 8}
    for packet_trace in traces.arrived:
        [parent] = packet_trace.parents
        inside = next(f for f in traces if f.id == parent).packet
        assert packet_trace.packet.identification - 90 == inside.identification - 7
        assert packet_trace.packet.fragment_offset // 800 == inside.fragment_offset // 800


def test_fragments_of_other_content_are_not_taken_for_one_another():
    tape = Tape()
    header = ipv4.Header(path.CLIENT, SERVER, 255, identification=7, flags=0)
    for piece in pieces(header, random.Random(1).randbytes(1600), 800):
        tape.pass_through(piece, until=4)
    for piece in pieces(header._replace(identification=9), random.Random(2).randbytes(1600), 400):
        tape.see(FORTH[4], piece)
    traces = build_traces(tape.evidence())
    assert not any(packet_trace.parents for packet_trace in traces)


def test_a_datagram_is_followed_through_its_fragments():
    tape = Tape()
    tape.pass_through(path.datagram(bytes(1600), ident=5), until=4)
    after = path.rewritten(path.rewritten(path.datagram(bytes(1600), ident=5, source=OUTSIDE)))
    header = ipv4.parse(after)
    body = bytes(ipv4.payload(after, header))
    for start, more in ((0, 1), (800, 0)):
        piece = body[start:] if not more else body[:800]
        fragment = ipv4.encode(header._replace(flags=more, fragment_offset=start), piece)
        tape.see(FORTH[4], fragment)
        tape.see(FORTH[5], fragment)
    whole, one, two = build_traces(tape.evidence())
    assert whole.disposition is End.FRAGMENTED
    assert whole.children == (one.id, two.id)
    assert one.arrived
    assert two.arrived


def test_rewriting_of_options_is_told_as_tracebox_would():
    tape = Tape()
    options = tcp.encode_options(tcp.Options(mss=1460, sack_permitted=True, window_scale=7))
    syn = path.segment(b"", seq=1, flags=tcp.SYN, options=options)
    tape.pass_through(syn, until=2)
    bare = tcp.encode_options(tcp.Options(mss=900, window_scale=7)).ljust(len(options), b"\x01")
    tape.see(FORTH[2], path.rewritten(path.segment(b"", seq=1, flags=tcp.SYN, options=bare)))
    [packet_trace] = build_traces(tape.evidence())
    assert packet_trace.hops[2].changes == (
        "IP::TTL 64 -> 63",
        "TCP::Option_MSS 1460 -> 900",
        "TCP::Option_SACKP removed",
    )


def test_rewritten_sequence_numbers_do_not_end_a_journey():
    tape = Tape()
    tape.pass_through(path.segment(b"some data here", seq=1), until=4)
    other = path.rewritten(path.rewritten(path.segment(b"some data here", seq=9, source=OUTSIDE)))
    tape.see(FORTH[4], other)
    tape.see(FORTH[5], other)
    [packet_trace] = build_traces(tape.evidence())
    assert packet_trace.arrived
    assert "TCP::Seq 1 -> 9" in packet_trace.hops[4].changes


def test_a_routing_loop_is_one_packet():
    tape = Tape()
    packet = path.unknown(b"round and round")
    tape.pass_through(packet, until=4)
    for _ in range(3):
        tape.see(("router", "west", "out"), packet)
        tape.see(("nat", "wan", "in"), packet)
        tape.see(("nat", "wan", "out"), packet)
        tape.see(("router", "west", "in"), packet)
    [packet_trace] = build_traces(tape.evidence())
    assert len(packet_trace.hops) == 16
    assert packet_trace.disposition is End.UNKNOWN


def drop_rule(**fields) -> RuleVerdict:
    first = RuleVerdict(
        "nat", 7, "inet", "t", "f", "forward", "rule", "drop", "counter drop", "c x:1"
    )
    return first._replace(**fields)


def test_rules_decide_by_order_between_equal_packets():
    tape, verdicts = Tape(), []
    packet = path.unknown(b"every second one")
    for number in range(4):
        start = RuleVerdict(
            "nat", number, "inet", "netlab_observe", "prerouting", "prerouting", "rule",
            "accept", headers=packet[:40],
        )  # fmt: skip
        verdicts.append(start)
        if number % 2:
            tape.pass_through(packet, until=2)
            verdicts.append(drop_rule(trace_id=number))
        else:
            tape.pass_through(packet)
    traces = build_traces(tape.evidence(verdicts=tuple(verdicts)))
    assert [packet_trace.disposition for packet_trace in traces] == [End.DELIVERED, End.DENIED] * 2
    assert traces[1].reason.topology == "x:1"
    assert traces[1].reason.text == 'forward chain, rule "c"'


def test_a_clash_needs_its_counter():
    tape = Tape()
    packet = path.unknown(b"the second client")
    tape.pass_through(packet, until=2)
    drop = KernelDrop(10_000, "nat", "NETFILTER_DROP", "nf_hook_slow", packet)
    [packet_trace] = build_traces(tape.evidence(drops=(drop,)))
    assert (packet_trace.disposition, packet_trace.reason.source) == (End.DENIED, "kernel")
    count = Count("nat", "conntrack.insert_failed", 1)
    [packet_trace] = build_traces(tape.evidence(drops=(drop,), counts=(count,)))
    assert (packet_trace.disposition, packet_trace.reason.source) == (End.NAT_CLASH, "conntrack")


def test_a_program_that_speaks_for_an_address_takes_what_the_kernel_does_not():
    tape = Tape()
    foreign = bytes([192, 0, 2, 80])
    asked = path.datagram(b"question", source=OUTSIDE, destination=foreign)
    for place in FORTH[4:]:
        tape.see(place, asked)
    drop = KernelDrop(10**9, "server", "IP_INADDRERRORS", "ip_rcv_finish_core", asked)
    [alone] = build_traces(tape.evidence(drops=(drop,)))
    assert alone.disposition is End.NOT_FORWARDING
    answer = path.datagram(b"answer", source=foreign, destination=OUTSIDE, ports=(80, 4000))
    tape.see(BACK[0], answer)
    heard = build_traces(tape.evidence(drops=(drop,)))[0]
    assert (heard.disposition, heard.reason.source) == (End.DELIVERED, "inferred")
    assert heard.reason.text == "a program at server speaks for 192.0.2.80"


def test_a_reset_without_acknowledgement_answers_the_last_segment_before_it():
    tape = Tape()
    kept, late = (path.segment(b"data", seq=seq, source=OUTSIDE) for seq in (1, 5))
    for packet in (kept, late):
        for place in FORTH[4:]:
            tape.see(place, packet)
    header = tcp.Header(80, 4000, 77, 0, tcp.RST, 0)
    back = ipv4.encode(ipv4.Header(SERVER, OUTSIDE, 6), tcp.encode(header, b"", SERVER, OUTSIDE))
    tape.see(BACK[0], back)
    first, second, _ = build_traces(tape.evidence())
    assert first.arrived
    assert second.disposition is End.NO_LISTENER
    assert "RST" in second.reason.text


def test_an_abortive_close_refuses_nothing():
    tape = Tape()
    answer = tcp.Header(80, 4000, 300, 2, tcp.SYN | tcp.ACK, 1000)
    packet = ipv4.encode(ipv4.Header(SERVER, OUTSIDE, 6), tcp.encode(answer, b"", SERVER, OUTSIDE))
    for place in BACK[2:4]:
        tape.see(place, packet)
    abort = tcp.Header(4000, 80, 2, 301, tcp.RST | tcp.ACK, 0)
    tape.see(
        ("nat", "wan", "out"),
        ipv4.encode(ipv4.Header(OUTSIDE, SERVER, 6), tcp.encode(abort, b"", OUTSIDE, SERVER)),
    )
    taken, _ = build_traces(tape.evidence())
    assert taken.arrived


def test_an_icmp_error_speaks_for_a_packet_that_nobody_saw_die():
    tape = Tape()
    packet = path.unknown(b"too many hops", ident=3)
    tape.pass_through(packet, until=4)
    after = path.rewritten(packet, source=OUTSIDE)
    tape.see(("router", "west", "out"), path.error(after, 11, 0, source=WEST))
    gap = Gap("drops", "not possible here")
    traces = build_traces(tape.evidence(gaps=(gap,)))
    assert not traces.complete
    dead = traces.where(proto=255)[0]
    assert (dead.disposition, dead.node) == (End.TTL_EXPIRED, "router")
    assert dead.reason.source == "inferred"
    assert "ICMP" in dead.reason.text


@pytest.mark.parametrize(("rose", "ends"), [(2, {End.NO_ROUTE: 2}), (1, {End.UNKNOWN: 2})])
def test_a_counter_is_believed_only_if_it_covers_all(rose, ends):
    tape = Tape()
    for number in range(2):
        tape.pass_through(path.unknown(b"nowhere %d" % number), until=4)
    count = Count("router", "IpExt.InNoRoutes", rose)
    traces = build_traces(tape.evidence(counts=(count,), gaps=(Gap("drops", "not here"),)))
    assert traces.dispositions() == ends


def test_a_wire_that_loses_is_told_from_a_capture_that_loses():
    tape = Tape()
    tape.pass_through(path.unknown(b"gone"), until=3)
    [packet_trace] = build_traces(tape.evidence())
    assert packet_trace.disposition is End.LOST_ON_LINK
    [packet_trace] = build_traces(tape.evidence(gaps=(Gap("capture", "5 frames lost", "router"),)))
    assert packet_trace.disposition is End.UNKNOWN


def test_what_only_nft_met_is_a_packet_too():
    packet = path.unknown(b"denied at birth")
    verdicts = (
        RuleVerdict(
            "client", 1, "inet", "netlab_observe", "output", "output", "rule", "accept",
            headers=packet[:40],
        ),
        drop_rule(node="client", trace_id=1, hook="output"),
    )  # fmt: skip
    [packet_trace] = build_traces(Evidence(PLACES, verdicts=verdicts))
    assert (packet_trace.disposition, packet_trace.node, packet_trace.hops) == (
        End.DENIED,
        "client",
        (),
    )
    drop = KernelDrop(5, "client", "NETFILTER_DROP", "nft_do_chain", packet)
    assert len(build_traces(Evidence(PLACES, verdicts=verdicts, drops=(drop,)))) == 1


def test_many_packets_in_any_interleaving_that_keeps_each_ones_order():
    generator = random.Random(7)
    tapes = []
    for number in range(300):
        tape = Tape()
        tape.pass_through(
            path.datagram(b"packet %05d" % number, ident=number % 7),
            until=generator.choice((2, 4, 6)),
        )
        tapes.append(list(tape.frames))
    mixed: list[Frame] = []
    while tapes:
        chosen = generator.choice(tapes)
        mixed.append(chosen.pop(0)._replace(time_ns=1000 * len(mixed)))
        tapes = [tape for tape in tapes if tape]
    traces = build_traces(Evidence(PLACES, tuple(mixed)))
    assert len(traces) == 300
    assert Counter(len(packet_trace.hops) for packet_trace in traces).keys() == {2, 4, 6}
    assert sorted(frame for packet_trace in traces for frame in packet_trace.frames) == list(
        range(len(mixed))
    )


frames = st.builds(
    Frame, st.integers(0, 10**6), NODES, INTERFACES, DIRECTIONS,
    st.one_of(
        st.binary(max_size=120),
        st.builds(lambda tail: path.ETHERNET + tail, st.binary(max_size=120)),
        st.builds(
            lambda head, tail: path.ETHERNET + bytes([0x40 | head]) + tail,
            st.integers(0, 15), st.binary(max_size=120),
        ),
        st.builds(
            lambda tail: bytes(12) + b"\x86\xdd" + b"\x60" + tail, st.binary(max_size=120)
        ),
    ),
    st.integers(0, 70000), st.booleans(),
)  # fmt: skip
verdicts = st.builds(
    RuleVerdict, NODES, st.integers(0, 3), st.just("inet"),
    st.sampled_from(("netlab_observe", "t")), st.just("c"),
    st.sampled_from(("prerouting", "output", "forward", "")),
    st.sampled_from(("rule", "return", "policy")), st.sampled_from(("accept", "drop", "")),
    headers=st.binary(max_size=60),
)  # fmt: skip
drops = st.builds(
    KernelDrop, st.integers(0, 10**6), NODES, st.sampled_from(("NO_SOCKET", "X", "IP_INHDR")),
    st.sampled_from(("", "ip_forward", "nft_do_chain")), st.binary(max_size=192),
)  # fmt: skip


octets = st.tuples(INTERFACES, st.binary(max_size=128))
reports = st.builds(
    PacketReport, NODES, st.just("1/x"), st.none() | octets,
    st.sampled_from(("", "delivered", "denied", "nonsense")), st.just(""),
    st.lists(octets, max_size=3).map(tuple),
)  # fmt: skip


@given(
    st.lists(frames, max_size=12),
    st.lists(verdicts, max_size=8),
    st.lists(drops, max_size=6),
    st.lists(reports, max_size=4),
)
def test_garbage_never_raises_and_every_packet_gets_an_end(seen, steps, deaths, said):
    # Reports about frames that there are, too.
    said += [
        report._replace(node=frame.node, came=(frame.interface, frame.data[:128]))
        for report, frame in zip(said, seen, strict=False)
    ]
    evidence = Evidence(PLACES, tuple(seen), tuple(steps), tuple(deaths), reports=tuple(said))
    traces = build_traces(evidence)
    claimed = [frame for packet_trace in traces for frame in packet_trace.frames]
    assert len(claimed) == len(set(claimed)), "a frame belongs to one packet"
    assert all(isinstance(packet_trace.disposition, End) for packet_trace in traces)
    assert {gap.collector for gap in traces.gaps} <= {"programs", "capture"}
    assert traces.to_json()["complete"] is not bool(traces.gaps)


@given(st.data())
def test_lost_evidence_is_never_made_up_for(data):
    tape = Tape()
    for number in range(4):
        tape.pass_through(path.datagram(b"number %02d and more" % number), until=6)
    kept = data.draw(st.lists(st.sampled_from(tape.frames), unique=True))
    gaps = tuple(Gap("capture", "frames were lost", node) for node in PLACES)
    traces = build_traces(Evidence(PLACES, tuple(sorted(kept)), gaps=gaps))
    assert not traces.complete
    arrivals = sum(frame.node == "server" for frame in kept)
    assert len(traces.arrived) == arrivals
    assert {packet_trace.disposition for packet_trace in traces} <= {End.DELIVERED, End.UNKNOWN}


@given(st.permutations(range(24)))
def test_the_order_in_which_evidence_is_told_does_not_matter(order):
    tape = Tape()
    for number in range(4):
        tape.pass_through(path.datagram(b"number %02d and more" % number), until=6)
    shuffled = tuple(tape.frames[index] for index in order)
    told = build_traces(Evidence(PLACES, shuffled)).canonical()
    assert told == build_traces(tape.evidence()).canonical()


def test_arrivals_alone_tell_the_same_story():
    tape = Tape()
    for number in range(5):
        tape.pass_through(path.datagram(b"number %d" % number, ident=number), until=2 + number % 5)
    whole = tape.evidence()
    arrivals = tuple(frame for frame in whole.frames if frame.direction == "in")
    told = build_traces(whole._replace(frames=arrivals, arrivals_only=True))
    # What went out and never came in is what nobody could see.
    for packet_trace, full in zip(told, build_traces(whole), strict=True):
        seen = full.hops if full.hops[-1].direction == "in" else full.hops[:-1]
        assert [h[:3] for h in packet_trace.hops] == [h[:3] for h in seen]
        assert [h.changes for h in packet_trace.hops] == [h.changes for h in seen]


def test_what_nodes_say_of_themselves_can_be_left_out():
    tape = Tape()
    tape.see(FORTH[0], ipv4.encode(ipv4.Header(path.CLIENT, bytes([224, 0, 0, 22]), 2), bytes(8)))
    tape.pass_through(path.datagram(b"hello"))
    traces = build_traces(tape.evidence())
    assert [packet_trace.proto for packet_trace in traces] == [2, 17]
    assert [packet_trace.proto for packet_trace in traces.of_interest] == [17]
