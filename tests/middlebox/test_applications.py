"""Boxes that read or rewrite what is in packets, without a kernel; and two real programs."""

from __future__ import annotations

import pytest

from netlab.lab.lab import Lab
from netlab.middlebox import Packet, SimulatedLink, datagram, segment
from netlab.middlebox.boxes.answering import server_name
from netlab.middlebox.catalogue import CATALOGUE
from netlab.topology import loads
from netlab.verify.script import _hello, _initial, _query
from netlab.wire import icmp, ipv4, tcp
from netlab.wire.address import packed


def link(kind: str, **parameters: object) -> SimulatedLink:
    return SimulatedLink(CATALOGUE[kind].make_box(parameters))


def passed(wire: SimulatedLink, packet) -> dict[str, list[Packet]]:
    wire.send("outbound", [packet])
    found: dict[str, list[Packet]] = {"outbound": [], "inbound": []}
    for arrival in wire.run():
        found[arrival.direction].append(arrival.packet)
    return found


@pytest.mark.parametrize("size", [0, 1, 5, 6, 43, 44, 60, 80])
def test_a_client_hello_that_is_cut_names_nobody(size):
    whole = _hello("blocked.example")
    assert server_name(whole) == "blocked.example"
    assert server_name(whole[:size]) == ("blocked.example" if size >= len(whole) else "")


def test_a_name_below_one_that_is_listed_is_reset_and_others_are_not():
    wire = link("sni-reset", names=["blocked.example"])
    found = passed(wire, segment(_hello("www.blocked.example"), flags="PA", seq=7, ack=9))
    assert [p.tcp.flags for p in found["outbound"] if p.tcp] == [tcp.RST]
    (back,) = found["inbound"]
    assert back.tcp
    assert back.tcp.flags == tcp.RST | tcp.ACK
    assert back.tcp.seq == 9
    other = segment(_hello("notblocked.example"), flags="PA")
    assert passed(wire, other)["outbound"] == [other]


def test_a_query_is_answered_over_both_versions():
    wire = link("dns-rewrite", names=["a.example"], address="192.0.2.9")
    for source, target in (("10.0.0.1:4000", "10.0.0.2:53"), ("[fd00::1]:4000", "[fd00::2]:53")):
        query = datagram(_query("a.example"), source=source, destination=target)
        found = passed(wire, query)
        assert found["outbound"] == []
        (answer,) = found["inbound"]
        assert answer.payload.endswith(packed("192.0.2.9"))
        assert answer.source == query.destination
        assert answer.payload[:2] == query.payload[:2]


@pytest.mark.parametrize("data", [b"", b"\0" * 12, _query("a.example")[:20], b"\xff" * 40])
def test_what_is_no_query_passes(data):
    packet = datagram(data, destination="10.0.0.2:53")
    assert passed(link("dns-rewrite", names=["a.example"]), packet)["outbound"] == [packet]


def test_udp_ends_after_some_packets_and_another_flow_begins_anew():
    wire = link("udp-block", after=2)
    one = datagram(b"x", source="10.0.0.1:1", destination="10.0.0.2:2")
    back = datagram(b"x", source="10.0.0.2:2", destination="10.0.0.1:1")
    wire.send("outbound", [one])
    wire.send("inbound", [back])
    wire.send("outbound", [one])
    assert len(wire.run()) == 2
    other = datagram(b"x", source="10.0.0.1:3", destination="10.0.0.2:2")
    assert passed(wire, other)["outbound"] == [other]


def test_of_too_many_udp_flows_the_longest_silent_is_forgotten():
    box = CATALOGUE["udp-block"].make_box({"after": 1, "flows": 10})
    for port in range(1, 31):
        packet = datagram(b"x", source=f"10.0.0.1:{port}", destination="10.0.0.2:2")
        assert list(box.packet(packet, "outbound", float(port))) == [packet]
    assert box.forgotten["flows"] == 20


def test_a_quic_version_that_is_new_is_dropped():
    wire = link("quic-version-block")
    for version, passes in ((1, True), (0, True), (0x6B3343CF, False)):
        packet = datagram(_initial(version), destination="10.0.0.2:443")
        assert bool(passed(wire, packet)["outbound"]) is passes
    short = datagram(b"\x43" + bytes(30), destination="10.0.0.2:443")
    assert passed(wire, short)["outbound"] == [short]


def test_an_ack_of_what_was_never_sent_is_answered():
    wire = link("unsent-ack-answer")
    wire.send(
        "inbound",
        [segment(b"", source="10.0.0.2:80", destination="10.0.0.1:1", flags="SA", seq=99)],
    )
    wire.run()
    wrong = segment(b"", source="10.0.0.1:1", destination="10.0.0.2:80", seq=5, ack=500)
    found = passed(wire, wrong)
    assert found["outbound"] == []
    (answer,) = found["inbound"]
    assert answer.tcp
    assert (answer.tcp.seq, answer.tcp.ack) == (100, 5)


def test_a_quote_is_mended():
    quoted = bytearray(datagram(b"x" * 40).octets)
    quoted[10] ^= 0xFF
    a, b = packed("10.0.0.9"), packed("10.0.0.1")
    body = icmp.encode(icmp.Message(3, 3, 0, bytes(quoted)), a, b)
    error = ipv4.encode(ipv4.Header(a, b, icmp.PROTOCOL), body)
    (mended,) = passed(link("quote-mend"), error)["outbound"]
    quote = bytes(icmp.parse(mended.upper).body)
    assert ipv4.verify(quote, ipv4.parse(quote))
    assert icmp.verify(bytes(mended.upper), a, b)


LAB = """
nodes: {client: {}, server: {}}
links:
  - ends: [client:eth0, server:eth0]
    middleboxes: [captive-portal, {kind: dns-rewrite, names: [blocked.example]}]
"""


@pytest.mark.kernel
@pytest.mark.needs("curl", "dig")
def test_curl_is_redirected_and_dig_is_answered_although_no_server_is_there(netlab_state):
    with Lab(loads(LAB)) as lab:
        client, server = lab["client"], lab["server"].address
        get = ["curl", "-s", "-m5", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"]
        assert client.run([*get, f"http://{server}/"]).stdout == "302 http://portal.example/"
        asked = client.run(["dig", "+short", "+time=3", f"@{server}", "www.blocked.example"])
        assert asked.stdout.strip() == "192.0.2.80"
