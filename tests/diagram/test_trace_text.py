"""Fates as text and as a ladder."""

from netlab.capture.evidence import Gap
from netlab.diagram import trace_text
from netlab.plan.operations import CreateVeth, InterfaceSummary, NodeSummary, Plan, VethEnd
from netlab.trace.build import build_traces
from netlab.wire.address import text
from tests.trace.path import PLACES, Tape, datagram

PLAN = Plan(
    "path",
    "path.yaml",
    tuple(
        NodeSummary(
            name,
            place.kind,
            tuple(
                InterfaceSummary(
                    i.name,
                    tuple(f"{text(a)}/24" for a in i.addresses),
                    "",
                    ":".join(i.peer or ()),
                )
                for i in place.interfaces
            ),
        )
        for name, place in PLACES.items()
    ),
    tuple(
        CreateVeth(VethEnd(*a, 2, "", 1500), VethEnd(*b, 2, "", 1500))
        for a, b in (
            (("client", "eth0"), ("nat", "lan")),
            (("nat", "wan"), ("router", "west")),
            (("router", "east"), ("server", "eth0")),
        )
    ),
)


def test_every_hop_and_every_change_is_told():
    tape = Tape()
    tape.pass_through(datagram(b"first"))
    assert (
        trace_text.text(build_traces(tape.evidence()))
        == """\
#1  UDP 10.0.0.2:4000 > 198.51.100.2:80, 5 octets
        0.0 µs  client  eth0  out
        1.0 µs  nat     lan   in
        2.0 µs          wan   out  IP::Src 10.0.0.2 -> 203.0.113.2, IP::TTL 64 -> 63
        3.0 µs  router  west  in
        4.0 µs          east  out  IP::TTL 63 -> 62
        5.0 µs  server  eth0  in
  ✓ delivered in server: reached its destination
"""
    )


def test_what_could_not_be_seen_is_told():
    tape = Tape()
    traces = build_traces(tape.evidence(gaps=(Gap("drops", "no BPF here"),)))
    assert trace_text.text(traces) == "incomplete capture (all nodes, drops): no BPF here\n"
    assert trace_text.text(build_traces(tape.evidence())) == "no packets\n"


def test_a_ladder_has_an_arrow_for_each_wire():
    tape = Tape()
    tape.pass_through(datagram(b"first"))
    tape.pass_through(datagram(b"second"), until=4)
    drawn = trace_text.ladder(build_traces(tape.evidence()), PLAN, "a title")
    assert [column.name for column in drawn.columns] == ["client", "nat", "router", "server"]
    assert [(a.source, a.target, a.state) for a in drawn.arrows] == [
        ("client", "nat", "delivered"),
        ("nat", "router", "rewritten"),
        ("router", "server", "delivered"),
        ("client", "nat", "delivered"),
        ("nat", "router", "dropped"),
    ]
    assert drawn.arrows[1].note == "IP::Src 10.0.0.2 -> 203.0.113.2"
    assert drawn.arrows[4].at == "router"
    assert "nobody saw why" in drawn.arrows[4].note


def test_packets_of_one_way_are_one_way():
    tape = Tape()
    for payload in (b"first", b"second"):
        tape.pass_through(datagram(payload))
    tape.pass_through(datagram(b"third"), until=4)
    traces = build_traces(tape.evidence())
    arrived, died = trace_text.ways(
        traces, PLAN, {packet_trace.id: packet_trace.id for packet_trace in traces}
    )
    assert arrived.numbers == (1, 2)
    assert [leg.node for leg in arrived.legs] == ["client", "nat", "router"]
    assert [leg.rewritten for leg in arrived.legs] == [False, True, True]
    assert arrived.rewrites == (("nat", "IP::Src 10.0.0.2 -> 203.0.113.2"),)
    assert (arrived.node, arrived.ending) == ("server", "arrived")
    assert (died.numbers, died.node, died.ending) == ((3,), "router", "dropped")
    assert "nobody saw why" in died.reason


def test_a_numbered_packet_has_its_number_on_every_arrow():
    tape = Tape()
    tape.pass_through(datagram(b"first"))
    [packet_trace] = traces = build_traces(tape.evidence())
    drawn = trace_text.ladder(traces, PLAN, numbers={packet_trace.id: 7})
    assert {arrow.label.partition(" ")[0] for arrow in drawn.arrows} == {"#7"}
    assert {arrow.packet for arrow in drawn.arrows} == {7}
