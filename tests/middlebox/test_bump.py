"""Boxes in a real wire: between two pairs of a lab."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.io.inline.bridge import CONTROL
from netlab.lab.lab import Lab
from netlab.lab.reconfigure import impair, wire_state
from netlab.plan.build import build
from netlab.topology import loads
from netlab.wire import ipv4, tcp

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

HERE = Path(__file__).parent
CLIENT, SERVER = "10.0.0.1", "10.0.0.2"


def lab(link: str) -> Lab:
    text = f"""
nodes: {{client: {{}}, server: {{}}}}
links:
  - {{ends: [client:eth0, server:eth0], subnet: 10.0.0.0/24, {link}}}
"""
    return Lab(build(loads(text, str(HERE / "bump.yaml"))))


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    opened: list[socket.socket] = []
    yield opened
    for each in opened:
        each.close()


def bound(running: Lab, node: str, address: str, sockets: list[socket.socket]) -> socket.socket:
    made = running[node].socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(5)
    made.bind((address, 5000))
    sockets.append(made)
    return made


def arrive(running: Lab, count: int, sockets: list[socket.socket]) -> list[int]:
    """The numbers of the datagrams that reach the server; the last one must."""
    client = bound(running, "client", CLIENT, sockets)
    server = bound(running, "server", SERVER, sockets)
    for number in range(count):
        client.sendto(b"%d" % number, (SERVER, 5000))
    found: list[int] = []
    while not found or found[-1] != count - 1:
        found.append(int(server.recv(99)))
    return found


def transfer(running: Lab, data: bytes) -> bytes:
    """What a TCP client gets back of what it sends, through an echo server."""
    with running["server"].socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((SERVER, 80))
        listener.listen()

        def echo() -> None:
            accepted, _ = listener.accept()
            with accepted:
                accepted.settimeout(30)
                while piece := accepted.recv(1 << 16):
                    accepted.sendall(piece)

        def send(client: socket.socket) -> None:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=echo)
        thread.start()
        with running["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(30)
            client.connect((SERVER, 80))
            sender = threading.Thread(target=send, args=(client,))
            sender.start()
            back = bytearray()
            while piece := client.recv(1 << 16):
                back += piece
            sender.join()
        thread.join()
    return bytes(back)


DATA = os.urandom(1 << 20)

LINKS = [
    "delay: 1ms",
    "delay: 2ms, jitter: 1ms, rate: 100mbit",
    "delay: 1ms, reorder: 2%, duplicate: 2%, loss: 1%, seed: 5",
    "outbound: {delay: 5ms}, inbound: {rate: 200mbit}",
    "middleboxes: [{kind: sequence-rewrite}]",
    "loss: 1%, middleboxes: [{kind: sequence-rewrite, sack: stale}]",
    "loss: 1%, middleboxes: [hole-blocker]",
    "loss: 1%, middleboxes: [transparent-proxy, {kind: impair, loss: 1%, seed: 6}]",
    "middleboxes: [proxy-ack, {kind: impair, loss: 1%, delay: 1ms, seed: 5}]",
    "middleboxes: [{kind: split, size: 700}]",
    "middleboxes: [{kind: coalesce, size: 1440, wait: 1ms}]",
    "middleboxes: [{kind: option-remove, kinds: [4, 8]}, {kind: mss-add, mss: 700}]",
    "middleboxes: [first-copy, short-quote, duplicator]",
]


@pytest.mark.parametrize("link", LINKS)
def test_tcp_never_hangs_and_its_data_are_whole(netlab_state, link):
    with lab(link) as running:
        assert transfer(running, DATA) == DATA


def test_payload_of_another_length_still_is_a_stream(netlab_state):
    link = "middleboxes: [{kind: payload-rewrite, find: PORT, replace: PASSIVE, port: 80}]"
    data = b"-" * 5000 + b"PORT" + b"=" * 3000
    with lab(link) as running:
        # The echo is rewritten once on its way there; PORT is not in it any more on its way back.
        assert transfer(running, data) == data.replace(b"PORT", b"PASSIVE")


def test_the_same_packets_are_lost_in_each_run(netlab_state, sockets):
    runs = []
    for _ in range(3):
        with lab("loss: 20%, seed: 4") as running:
            runs.append(arrive(running, 200, sockets))
        for each in sockets:
            each.close()
    assert runs[0] == runs[1] == runs[2]
    assert 130 < len(runs[0]) < 190


def test_a_class_of_ones_own(netlab_state, sockets):
    with lab('middleboxes: [{python: "every_second.py:EverySecond"}]') as running:
        assert arrive(running, 5, sockets) == [0, 2, 4]


def test_a_class_that_cannot_be_made_fails_the_build_with_its_reason(netlab_state):
    from netlab.errors import LabError

    with pytest.raises(LabError, match="unexpected keyword argument 'size'"):
        lab('middleboxes: [{python: "every_second.py:EverySecond", size: 3}]').start()


def test_a_box_that_raises_loses_that_packet_and_says_why_in_the_log(netlab_state, sockets):
    with lab('middleboxes: [{python: "every_second.py:Breaks"}]') as running:
        assert arrive(running, 4, sockets) == [0, 1, 3]
        assert wire_state(running, "client~server")["failed"] == 1
        assert "KeyError: 3" in running["client~server"].log("inline")


def test_boxes_change_while_the_lab_runs(netlab_state, sockets):
    with lab("delay: 1ms") as running:
        assert arrive(running, 3, sockets) == [0, 1, 2]
        control = running["client~server"].socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sockets.append(control)
        control.settimeout(5)
        control.bind("\0a test")
        control.sendto(
            json.dumps(
                [{"python": f"{HERE}/every_second.py:EverySecond", "parameters": {}}]
            ).encode(),
            CONTROL,
        )
        counters = json.loads(control.recv(9999))
        assert counters["received"] == counters["sent"] >= 3
        control.sendto(b'[{"kind": "nothing like it"}]', CONTROL)
        assert "KeyError" in json.loads(control.recv(9999))["error"]
        for each in sockets[:2]:
            each.close()
        assert arrive(running, 5, sockets) == [0, 2, 4]


def test_other_boxes_remember_when_one_changes(netlab_state, sockets):
    boxes = 'delay: 1ms, middleboxes: [{python: "every_second.py:EverySecond"}]'
    with lab(boxes) as running:
        assert arrive(running, 3, sockets) == [0, 2]
        for each in sockets:
            each.close()
        impair(running, "client", "eth0", {"delay": "2ms"})
        assert arrive(running, 4, sockets) == [1, 3]


def test_frames_at_the_ends_have_their_checksums(netlab_state, sockets):
    """An end that leaves checksums to hardware would send what no box and no judge can trust."""
    with lab("delay: 1ms") as running:
        sniffer = running["server"].socket(socket.AF_INET, socket.SOCK_RAW, tcp.PROTOCOL)
        sockets.append(sniffer)
        sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        transfer(running, DATA[: 1 << 17])
        sniffer.setblocking(False)
        sizes = []
        while True:
            try:
                packet = sniffer.recv(1 << 17)
            except BlockingIOError:
                break
            header = ipv4.parse(packet)
            assert tcp.verify(ipv4.payload(packet, header), header.source, header.destination)
            sizes.append(len(packet))
        assert max(sizes) == 1500
