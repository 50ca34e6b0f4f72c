"""The client and the server over real sockets, garbage included."""

from __future__ import annotations

import contextlib
import random
import socket
from typing import TYPE_CHECKING

import pytest

from netlab.errors import InputError, LabError
from netlab.hdp import endpoint, table
from netlab.hdp.endpoint import Garbage, Received
from netlab.io.hdp import endpoints as drive
from netlab.linux import namespaces, raw_socket
from netlab.wire import ipv4
from netlab.wire.address import packed
from tests.io.taps import everything

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.hdp.endpoint import Framing
    from netlab.lab.lab import Lab, LabNode

pytestmark = [pytest.mark.kernel, pytest.mark.netlab(topology="topologies/hdp/site.yaml")]


@contextlib.contextmanager
def serving(
    node: LabNode, end: endpoint.Server, listen: drive.Listen
) -> Iterator[Iterator[Received | Garbage | None]]:
    """A server in a node, its sockets open."""
    events = drive.server(end, listen._replace(seconds=20))
    with contextlib.closing(events):
        assert namespaces.inside(node.namespace, lambda: next(events)) is None
        yield events


def send(
    node: LabNode, target: drive.Target, end: endpoint.Client, numbers: list[int], count: int = 1
) -> list[table.ClientRow]:
    return namespaces.inside(
        node.namespace, lambda: list(drive.client(end, target, numbers, count, 0))
    )


def target_of(netlab: Lab, family: int) -> drive.Target:
    client, server = (
        next(a for a in netlab[node].addresses if (":" in a) == (family == 6))
        for node in ("client", "server")
    )
    return drive.Target(family, server, client)


@pytest.mark.parametrize("protocol", [None, 143])
@pytest.mark.parametrize("framing", ["hdp", "udp"])
@pytest.mark.parametrize("family", [4, 6])
def test_what_is_sent_arrives_and_merges(
    netlab: Lab, family: int, framing: Framing, protocol: int | None
) -> None:
    target = target_of(netlab, family)
    end = endpoint.Server(framing)
    with serving(netlab["server"], end, drive.Listen(family, protocol)) as events:
        sent = send(netlab["client"], target, endpoint.Client(framing), [143], count=3)
        received = [next(events) for _ in range(3)]
    rows = []
    for index, event in enumerate(received):
        assert isinstance(event, Received)
        assert event.data == b"#" * (index + 1)
        assert event.source == packed(target.source)
        rows.append(table.ServerRow(143, event.time, target.source, event.length, event.sent))
    merged = table.merge(sent, rows)
    assert all(row.received and 0 < (row.latency or 0) < 10**9 for row in merged)


def test_a_server_of_all_numbers_hears_all_and_keeps_the_kernel_quiet(netlab: Lab) -> None:
    target = target_of(netlab, 4)
    end = endpoint.Server()
    with (
        namespaces.inside(netlab["client"].namespace, raw_socket.Tap) as tap,
        serving(netlab["server"], end, drive.Listen(4)) as events,
    ):
        numbers = [2, 3, 6, 17, 58, 103, 143, 253, 255, 256]
        send(netlab["client"], target, endpoint.Client(), numbers)
        heard = [next(events) for _ in numbers]
        assert [event.protocol for event in heard if event] == [*numbers[:-1], 0]
        replies = [frame for frame in everything(tap) if not frame.outgoing]
    assert len(replies) == 1  # for 0 alone, that no raw socket can be held for


def test_a_server_of_all_numbers_ignores_the_machine_s_other_traffic(netlab: Lab) -> None:
    end = endpoint.Server()
    with serving(netlab["server"], end, drive.Listen(4)) as events:
        netlab["client"].run(["ping", "-c2", "-i0.01", "server"], check=True)
        send(netlab["client"], target_of(netlab, 4), endpoint.Client(data=b"me"), [253])
        event = next(events)
    assert isinstance(event, Received)
    assert event.data == b"me"
    assert end.garbage == {}


def fragments(source: bytes, destination: bytes, data: bytes) -> Iterator[bytes]:
    for offset in range(0, len(data), 1000):
        more = ipv4.MORE_FRAGMENTS if offset + 1000 < len(data) else 0
        header = ipv4.Header(
            source, destination, 253, identification=7, flags=more, fragment_offset=offset
        )
        yield ipv4.encode(header, data[offset : offset + 1000])


@pytest.mark.parametrize("protocol", [None, 253])
def test_garbage_never_ends_the_server(netlab: Lab, protocol: int | None) -> None:
    target = target_of(netlab, 4)
    source, destination = packed(target.source), packed(target.address)
    chance = random.Random(420)
    junk = [chance.randbytes(length) for length in (0, 1, 11, 12, 60, 500, 1400)]
    packets = [ipv4.encode(ipv4.Header(source, destination, 253), data) for data in junk]
    packets += [
        ipv4.encode(ipv4.Header(source, destination, 253, options=b"\x01" * 40), b"short"),
        *fragments(source, destination, bytes(9000)),
        *list(fragments(source, destination, bytes(5000)))[1:],  # a first fragment is missing
    ]
    end = endpoint.Server()
    with serving(netlab["server"], end, drive.Listen(4, protocol)) as events:
        with namespaces.open_socket(
            netlab["client"].namespace, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW
        ) as mouth:
            for packet in packets:
                mouth.sendto(packet, (target.address, 0))
        send(netlab["client"], target, endpoint.Client(data=b"the end"), [253])
        seen = []
        while not (isinstance(event := next(events), Received) and event.data == b"the end"):
            seen.append(event)
    shown = sum(isinstance(event, Garbage) for event in seen)
    assert shown == sum(end.garbage.values()) >= 4
    assert end.received + shown == len(seen) + 1
    if protocol:  # the raw socket gets the fragments as one datagram, whole or not at all
        assert max(event.length for event in seen if event) == 9020
        assert "a fragment after the first" not in end.garbage
    else:
        assert end.garbage["a fragment after the first"] == 12


def test_a_large_datagram_is_sent_in_fragments_and_heard_whole(netlab: Lab) -> None:
    end = endpoint.Server()
    with serving(netlab["server"], end, drive.Listen(4, 253)) as events:
        send(netlab["client"], target_of(netlab, 4), endpoint.Client(data=b"x" * 60_000), [253])
        event = next(events)
    assert isinstance(event, Received)
    assert len(event.data) == 60_000


def test_too_large_is_an_error_of_that_datagram_only(netlab: Lab) -> None:
    rows = send(netlab["client"], target_of(netlab, 4), endpoint.Client(data=b"x" * 65_530), [253])
    assert [row.error for row in rows] == ["Message too long (os error 90)"]


def test_time_bounds_the_server(netlab: Lab) -> None:
    events = drive.server(endpoint.Server(), drive.Listen(4, 253, seconds=0.01))
    assert namespaces.inside(netlab["server"].namespace, lambda: list(events)) == [None]


@pytest.mark.parametrize("number", [0, 263])
def test_a_number_that_no_raw_socket_can_have(netlab: Lab, number: int) -> None:
    events = drive.server(endpoint.Server(), drive.Listen(4, number))
    with pytest.raises(InputError, match="E604"):
        namespaces.inside(netlab["server"].namespace, lambda: next(events))


@pytest.mark.netlab(topology="topologies/nat.yaml")
def test_names_and_routes_that_do_not_exist(netlab: Lab) -> None:
    with pytest.raises(InputError, match="E602"):
        drive.resolve("no such name", None)
    ipv4_only = netlab["client"].namespace
    with pytest.raises(LabError, match=r"E603.*no way to 2001:db8::1"):
        namespaces.inside(ipv4_only, lambda: drive.resolve("2001:db8::1", None))


def test_the_source_is_the_one_that_the_kernel_would_take(netlab: Lab) -> None:
    target = target_of(netlab, 4)
    found = namespaces.inside(
        netlab["client"].namespace, lambda: drive.resolve(target.address, None)
    )
    assert found == target
