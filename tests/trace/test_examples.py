"""Every way to end that docs/fate.md lists has an example that is played.

Those of ``causes.py`` are played with and without the kernel's drop reasons; here are the others.
"""

from __future__ import annotations

import ctypes
import fcntl
import re
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from netlab.capture.evidence import Evidence, KernelDrop
from netlab.trace.build import build_traces
from netlab.trace.disposition import Disposition as End
from netlab.wire import ipv4, tcp
from netlab.wire.address import packed
from tests.trace import causes
from tests.trace.causes import CAUSES, ROUTER_EAST, SERVER, Cause, play, raw, whole
from tests.trace.path import PLACES, Tape, datagram

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.lab.lab import Lab

PAGE = Path(__file__).parents[2] / "docs" / "fate.md"
FROM, TO = packed(ROUTER_EAST), packed(SERVER)
SIOCETHTOOL, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO = 0x8946, 0x1F, 0x24, 0x2C
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0


class Example(NamedTuple):
    """``send`` makes at least one packet end so at ``node``."""

    send: Callable[[Lab], object]
    node: str
    end: End
    link: str = ""


def fragment(start: int, end: int, *, last: bool = False) -> bytes:
    flags = 0 if last else ipv4.MORE_FRAGMENTS
    header = ipv4.Header(FROM, TO, 253, identification=7, flags=flags, fragment_offset=start)
    return ipv4.encode(header, bytes(range(200))[start:end])


def send(*packets: bytes) -> Callable[[Lab], object]:
    def act(lab: Lab) -> None:
        for packet in packets:
            whole(lab, "router", packet)

    return act


def fin_to_a_listener(lab: Lab) -> None:
    with lab["server"].socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((SERVER, 80))
        listener.listen()
        segment = tcp.encode(tcp.Header(4000, 80, seq=7, flags=tcp.FIN), b"", FROM, TO)
        whole(lab, "router", ipv4.encode(ipv4.Header(FROM, TO, 6), segment))


def larger_than_a_link(lab: Lab) -> None:
    with lab["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        s.sendto(bytes(1200), (SERVER, 4000))


def in_bulk(lab: Lab) -> None:
    with (
        lab["server"].socket(socket.AF_INET, socket.SOCK_STREAM) as listener,
        lab["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as client,
    ):
        listener.bind((SERVER, 4000))
        listener.listen()
        client.settimeout(10)
        client.connect((SERVER, 4000))
        peer, _ = listener.accept()
        with peer:
            client.sendall(bytes(20_000))
            client.shutdown(socket.SHUT_WR)
            peer.settimeout(10)
            while peer.recv(1 << 16):
                pass


def in_bulk_to_one_that_merges(lab: Lab) -> None:
    """The router sends segments one by one, the server's device puts them together (GRO)."""
    lab["router"].inside(lambda: switch("east", ETHTOOL_STSO, 0))
    lab["router"].inside(lambda: switch("east", ETHTOOL_SGSO, 0))
    lab["server"].inside(lambda: switch("eth0", ETHTOOL_SGRO, 1))
    in_bulk(lab)


def switch(interface: str, command: int, value: int) -> None:
    """An offload of a device (linux/ethtool.h)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = ctypes.create_string_buffer(struct.pack("@II", command, value))
        request = struct.pack("@16sP", interface.encode(), ctypes.addressof(asked))
        fcntl.ioctl(control, SIOCETHTOOL, request.ljust(40, b"\0"))


def wrong_header(lab: Lab) -> None:
    packet = bytearray(ipv4.encode(ipv4.Header(FROM, TO, 253), b"a header of four octets?"))
    packet[0] = 0x41
    frame = causes.mac(lab, "server", "eth0") + causes.mac(lab, "router", "east")
    with lab["router"].socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
        s.bind(("east", 0))
        s.send(frame + b"\x08\x00" + packet)


EXAMPLES = {
    "a box loses it": Example(
        lambda lab: raw(lab, "client", 253, SERVER, b"lost"),
        "router~server",
        End.ABSORBED,
        link="loss: 100%",
    ),
    "larger than a link": Example(larger_than_a_link, "router", End.FRAGMENTED, link="mtu: 1000"),
    "a super-packet": Example(in_bulk, "router", End.SEGMENTED, link="delay: 1ms"),
    "segments that a device merges": Example(in_bulk_to_one_that_merges, "server", End.MERGED),
    "a FIN to a listener": Example(fin_to_a_listener, "server", End.UNACCEPTABLE),
    "a fragment twice": Example(
        send(fragment(0, 80), fragment(0, 80), fragment(80, 160, last=True)),
        "server",
        End.DUPLICATE,
    ),
    "fragments overlap": Example(
        send(fragment(0, 80), fragment(40, 160, last=True)), "server", End.REASSEMBLY_FAILED
    ),
    "a lone fragment": Example(send(fragment(0, 80)), "server", End.STILL_QUEUED),
    "a wrong header": Example(wrong_header, "server", End.MALFORMED),
}


@pytest.mark.kernel
@pytest.mark.root
@pytest.mark.usefixtures("netlab_state")
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_ends_so(name: str) -> None:
    example = EXAMPLES[name]
    cause = Cause(example.send, 0, example.node, example.end, "", example.end, link=example.link)
    traces = build_traces(play(cause, "examples"))
    ends = [(one.disposition, one.node) for one in traces]
    assert (example.end, example.node) in ends, ends


def test_a_reason_that_is_not_in_the_vocabulary_is_named() -> None:
    packet = datagram(b"hello")
    drop = KernelDrop(5, "router", "SOMETHING_NEW", "some_function", packet)
    [trace] = build_traces(Evidence(PLACES, drops=(drop,)))
    assert trace.disposition is End.KERNEL_DROP
    assert "SOMETHING_NEW" in trace.reason.text


def test_what_leaves_and_never_comes_in_is_lost() -> None:
    tape = Tape()
    tape.see(("router", "east", "out"), datagram(b"hello"))
    [trace] = build_traces(tape.evidence())
    assert trace.disposition is End.LOST_ON_LINK


def test_what_nobody_saw_is_not_known() -> None:
    tape = Tape()
    tape.see(("router", "west", "in"), datagram(b"hello"))
    [trace] = build_traces(tape.evidence())
    assert trace.disposition is End.UNKNOWN


BY_HAND = {End.KERNEL_DROP, End.LOST_ON_LINK, End.UNKNOWN}
"""Those that no kernel brings about when asked: their examples are the three tests above."""


def test_every_way_to_end_has_an_example_and_a_place_on_the_page() -> None:
    played = {cause.end for cause in CAUSES.values()} | {e.end for e in EXAMPLES.values()}
    assert played | BY_HAND == set(End)
    assert not played & BY_HAND
    section = PAGE.read_text().partition("## How a packet can end\n")[2].partition("\n## ")[0]
    listed = re.findall(r"`([\w-]+)`", "".join(re.findall(r"^\| (.*?) \|", section, re.MULTILINE)))
    assert sorted(listed) == sorted(map(str, End))
