"""Packets that go to a program, from evidence made by hand: what the program reports decides.

client ──── gate ═ tun0 ═ program        gate ──── server
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from netlab.capture import recording
from netlab.capture.evidence import (
    Evidence,
    Frame,
    Interface,
    KernelDrop,
    NodeInfo,
    PacketReport,
    TunProgram,
)
from netlab.trace.build import build_traces
from netlab.trace.disposition import Disposition as End
from netlab.trace.explain import ProbeResult, because, sentence
from netlab.wire.address import packed
from tests.trace.path import CLIENT, ETHERNET, SERVER, datagram, rewritten

if TYPE_CHECKING:
    from netlab.trace.model import Traces

GATE = packed("10.0.0.1")
PLACES = {
    "client": NodeInfo("host", (Interface("eth0", "veth", (CLIENT,), ("gate", "lan")),)),
    "gate": NodeInfo(
        "router",
        (
            Interface("lan", "veth", (GATE,), ("client", "eth0")),
            Interface("wan", "veth", (), ("server", "eth0")),
            Interface("tun0", "tun"),
        ),
    ),
    "server": NodeInfo("host", (Interface("eth0", "veth", (SERVER,), ("gate", "wan")),)),
}
INTO = (("client", "eth0", "out"), ("gate", "lan", "in"))
OUT = (("gate", "wan", "out"), ("server", "eth0", "in"))
PROGRAM = "7/python3"


class Lab:
    """Frames, and what the program says."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        self._reports: list[PacketReport] = []

    def see(self, packet: bytes, *places: tuple[str, str, str]) -> None:
        for node, interface, direction in places:
            is_tun = interface == "tun0"
            data = packet if is_tun else ETHERNET + packet
            at = 1000 * (len(self._frames) + 1)
            frame = Frame(at, node, interface, direction, data, len(data), not is_tun)  # type: ignore[arg-type]
            self._frames.append(frame)

    def read(self, packet: bytes) -> bytes:
        """The packet comes from the client and goes to the program; as the program reads it."""
        self.see(packet, *INTO)
        packet = rewritten(packet)
        self.see(packet, ("gate", "tun0", "out"))
        return packet

    def write(self, packet: bytes) -> None:
        """The program sends a packet, which goes on to the server."""
        self.see(packet, ("gate", "tun0", "in"))
        self.see(rewritten(packet), *OUT)

    def report(self, came: bytes | None, *left: bytes, end: str = "", text: str = "") -> None:
        place = None if came is None else ("tun0", came[:128])
        sent = tuple(("tun0", one[:128]) for one in left)
        self._reports.append(PacketReport("gate", PROGRAM, place, end, text, sent))

    def traces(self, **more) -> Traces:
        evidence = Evidence(PLACES, tuple(self._frames), reports=tuple(self._reports), **more)
        assert recording.read(recording.write(evidence)) == evidence
        return build_traces(evidence)


def test_a_packet_that_goes_on_is_one_packet_whatever_it_became():
    lab = Lab()
    read = lab.read(datagram(b"hello, whoever you are"))
    written = datagram(b"something else entirely", source=packed("192.0.2.9"), ports=(7, 80))
    lab.report(read, written)
    lab.write(written)
    [packet_trace] = lab.traces()
    assert packet_trace.disposition is End.DELIVERED
    assert [hop.node for hop in packet_trace.hops] == ["client", *["gate"] * 4, "server"]
    assert lab.traces().complete


def test_a_packet_that_goes_on_in_pieces_is_cut():
    lab = Lab()
    read = lab.read(datagram(b"hello, whoever you are"))
    pieces = [datagram(bytes([n]) * 20, ident=n) for n in (1, 2)]
    lab.report(read, *pieces)
    for piece in pieces:
        lab.write(piece)
    whole, *parts = lab.traces()
    assert whole.disposition.lives_on
    assert [part.parents for part in parts] == [(whole.id,)] * 2
    assert all(part.arrived for part in parts)


@pytest.mark.parametrize(
    ("end", "text", "disposition", "said"),
    [
        ("no-listener", "port 80 is closed", End.NO_LISTENER,
         "refused by the program 7/python3 behind tun0: port 80 is closed"),
        ("delivered", "", End.DELIVERED, "taken by the program 7/python3 behind tun0"),
        ("", "", End.ABSORBED, "dropped by the program 7/python3 behind tun0"),
        ("droped", "", End.ABSORBED, "refused by the program 7/python3 behind tun0"),
    ],
)  # fmt: skip
def test_the_program_says_how_it_ended(end, text, disposition, said):
    lab = Lab()
    lab.report(lab.read(datagram(b"hello")), end=end, text=text)
    [packet_trace] = lab.traces()
    assert (packet_trace.disposition, packet_trace.node) == (disposition, "gate")
    assert packet_trace.reason.source == "program"
    assert because(packet_trace.reason) == said


def test_an_end_that_is_no_word_is_a_gap():
    lab = Lab()
    lab.report(lab.read(datagram(b"hello")), end="droped")
    assert [gap.text for gap in lab.traces().gaps] == [
        "a program reports the end `droped`, which is none"
    ]


def test_an_answer_is_a_packet_of_its_own():
    lab = Lab()
    read = lab.read(datagram(b"hello"))
    answer = datagram(b"hello", source=SERVER, destination=CLIENT, ports=(80, 4000))
    lab.report(read, answer, end="delivered")
    lab.see(answer, ("gate", "tun0", "in"))
    asked, answered = lab.traces()
    assert asked.disposition is End.DELIVERED
    assert not answered.parents


def test_of_a_program_that_does_not_report_nothing_is_claimed():
    lab = Lab()
    lab.read(datagram(b"hello"))
    traces = lab.traces(tun_programs=(TunProgram("gate", "tun0", PROGRAM),))
    [packet_trace] = traces
    assert packet_trace.disposition is End.UNKNOWN
    assert sentence([ProbeResult(1, packet_trace)]) == (
        "1 sent, none seen to arrive. It reached gate and was handed to the program 7/python3"
        " behind tun0, which does not report."
    )
    assert not traces.complete


def test_a_report_that_got_lost_is_not_guessed():
    lab = Lab()
    lab.report(lab.read(datagram(b"hello")), end="delivered")
    lab.read(datagram(b"hello again"))
    first, second = lab.traces()
    assert first.arrived
    assert second.disposition is End.UNKNOWN
    assert "did not report this one" in second.reason.text


def test_a_program_at_a_packet_socket_is_heard_before_the_kernel():
    lab = Lab()
    packet = datagram(b"hello")
    lab.see(packet, *INTO)
    drop = KernelDrop(2500, "gate", "IP_INADDRERRORS", "ip_forward", packet)
    report = PacketReport("gate", PROGRAM, ("lan", packet), "delivered")
    evidence = Evidence(PLACES, tuple(lab._frames), drops=(drop,), reports=(report,))
    [packet_trace] = build_traces(evidence)
    assert packet_trace.arrived
    assert because(packet_trace.reason) == "taken by the program 7/python3 at lan"


def test_who_it_was_differs_from_run_to_run():
    lab = Lab()
    lab.report(lab.read(datagram(b"hello")), end="delivered")
    [plain] = lab.traces().canonical()
    assert "7/python3" not in repr(plain)
    assert lab.traces().to_json()["packets"][0]["reason"]["program"] == PROGRAM
