"""Real packets through a real lab: many, often, flooded, malformed, and while it goes away."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
import warnings
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from netlab.lab.lab import Lab
from netlab.topology import loads
from netlab.trace.disposition import Disposition as End

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.trace.model import PacketTrace, Traces

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.root,  # expects the kernel's own drop reasons, which only BPF sees
    pytest.mark.usefixtures("netlab_state"),
]

TOPOLOGY = """
nodes:
  client:
  nat:
    kind: nat
    outside: wan
    firewall:
      rules: [drop udp/9]
  router: {kind: router}
  server:
links:
  - {ends: [nat:lan, client:eth0], subnet: 10.0.0.0/24}
  - {ends: [router:west, nat:wan], subnet: 203.0.113.0/24}
  - {ends: [router:east, server:eth0], subnet: 198.51.100.0/24}
"""
SERVER = "198.51.100.2"

RECEIVER = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)
s.bind(("", 4000))
print("ready", flush=True)
for _ in range(int(sys.argv[1])):
    s.recv(2048)
"""
SENDER = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
target, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for i in range(count):
    s.sendto(b"%08d" % i + bytes(size), (target, 4000))
"""


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(loads(TOPOLOGY, "lab.yaml")) as running:
        yield running


def flood(lab: Lab, count: int, size: int = 20) -> None:
    lab["client"].run([sys.executable, "-c", SENDER, SERVER, str(count), str(size)], check=True)


def test_twenty_thousand_packets_have_twenty_thousand_fates(lab: Lab) -> None:
    count = 20_000
    server = lab["server"].popen(
        [sys.executable, "-c", RECEIVER, str(count)], stdout=subprocess.PIPE, text=True
    )
    with server:
        assert server.stdout
        assert server.stdout.readline() == "ready\n"
        with lab.observe() as watch:
            flood(lab, count)
            assert server.wait(timeout=60) == 0  # it received each of them
    traces = watch.traces
    assert traces.complete, traces.gaps
    assert len(traces.where(proto=17)) == count
    assert len(traces.where(proto=17).arrived) == count
    for number, packet_trace in enumerate(traces.where(proto=17)):
        assert packet_trace.packet.transport[8:16] == b"%08d" % number
        assert [hop.node for hop in packet_trace.hops] == [
            "client", "nat", "nat", "router", "router", "server"
        ]  # fmt: skip
        frames = [watch.evidence.frames[index] for index in packet_trace.frames]
        assert {frame.data[42:50] for frame in frames} == {b"%08d" % number}


def scenario(lab: Lab) -> Traces:
    """A ping, a closed port, a rule, an unknown protocol, no route: each once."""
    lab["nat"].run(["conntrack", "-F"])
    with lab.observe() as watch:
        with lab["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("10.0.0.2", 5000))
            s.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_PMTUDISC_DONT: an identification each
            for port, target in ((4000, SERVER), (9, SERVER), (4000, "192.0.2.1")):
                s.sendto(b"the same each time", (target, port))
        with lab["client"].socket(socket.AF_INET, socket.SOCK_RAW, 253) as s:
            s.sendto(b"unknown", (SERVER, 0))
        watch.settle(0.02)
    return watch.traces


@pytest.mark.parametrize("repeats", [20, pytest.param(100, marks=pytest.mark.soak)])
def test_each_time_the_same(lab: Lab, repeats: int) -> None:
    told = []
    for _ in range(repeats):
        traces = scenario(lab)
        assert traces.complete
        # A router answers "no route" five times and then once a second (ip_rt_error_cost), so its
        # own packets are not the same each time.
        told.append(
            traces.where(origin="client").canonical() + traces.where(origin="server").canonical()
        )
    first = told[0]
    assert len(first) == 6  # four packets, and two ICMP errors of the server
    for number, again in enumerate(told):
        assert again == first, f"run {number}"


def test_a_flood_beyond_all_buffers_is_not_hidden(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netlab.capture.packets.KEPT", 1 << 18)
    with lab.observe() as watch:
        flood(lab, 5000, 1000)
        watch.settle()
    traces = watch.traces
    assert not traces.complete
    assert {gap.collector for gap in traces.gaps} == {"capture"}
    assert End.LOST_ON_LINK not in traces.dispositions()


def test_what_comes_for_a_closed_connection_is_taken_by_time_wait_or_refused(lab: Lab) -> None:
    with (
        lab["server"].socket(socket.AF_INET, socket.SOCK_STREAM) as listening,
        lab.observe() as watch,
    ):
        listening.bind(("", 81))
        listening.listen()
        for late in (b"", b"too late"):
            with lab["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as asking:
                asking.connect((SERVER, 81))
                answering, _ = listening.accept()
            with answering:
                assert answering.recv(1) == b""
                # Its acknowledgement of the FIN has arrived, or comes along with what follows.
                watch.settle()
                answering.sendall(late)
        watch.settle()
    traces = watch.traces
    refused = [packet_trace for packet_trace in traces.where(proto=6) if not packet_trace.arrived]
    assert [packet_trace.packet.payload_length for packet_trace in refused] == [len(b"too late")]
    assert refused[0].reason.text == "answered by client with a RST"
    fins = [
        packet_trace
        for packet_trace in traces
        if packet_trace.origin == "server" and packet_trace.packet.flags & 1
    ]
    assert "TIME-WAIT" in fins[0].reason.text


def test_each_packet_of_a_burst_gets_its_icmp_error(lab: Lab) -> None:
    count = 200  # net.ipv4.icmp_msgs_burst is 50
    with lab.observe() as watch:
        flood(lab, count)
        watch.settle()
    answers = watch.traces.where(proto=1, origin="server")
    assert len(answers) == count
    assert watch.traces.where(proto=17).dispositions() == {End.NO_LISTENER: count}


def test_two_observers_see_the_same_and_do_not_disturb_each_other(lab: Lab) -> None:
    with lab.observe() as one:
        with lab.observe() as other, lab["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"denied", (SERVER, 9))
            other.settle()
        with lab["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"also denied", (SERVER, 9))
        one.settle()
    assert one.traces.dispositions() == {End.DENIED: 2}
    assert other.traces.dispositions() == {End.DENIED: 1}
    assert one.traces.complete
    assert other.traces.complete


def test_nothing_is_left_in_the_nodes(lab: Lab) -> None:
    before = [lab[node].run(["nft", "list", "ruleset"]).stdout for node in ("nat", "router")]
    sockets = lab["nat"].run(["cat", "/proc/net/packet", "/proc/net/netlink"]).stdout.count("\n")
    with lab.observe():
        during = lab["nat"].run(["nft", "list", "ruleset"]).stdout
        assert "netlab_observe" in during
    after = [lab[node].run(["nft", "list", "ruleset"]).stdout for node in ("nat", "router")]
    assert after == before
    again = lab["nat"].run(["cat", "/proc/net/packet", "/proc/net/netlink"]).stdout.count("\n")
    assert again == sockets


def test_a_killed_observer_leaves_nothing_either(lab: Lab) -> None:
    before = lab["nat"].run(["nft", "list", "ruleset"]).stdout
    text = (
        "import sys, time\n"
        "from netlab.capture.nft_trace import NftTrace\n"
        "trace = NftTrace(('nat',), lambda node, action: action())\n"
        "trace.start()\n"
        "print('watching', flush=True)\n"
        "time.sleep(60)\n"
    )
    observer = lab["nat"].popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    with observer:
        assert observer.stdout
        assert observer.stdout.readline() == "watching\n"
        assert "netlab_observe" in lab["nat"].run(["nft", "list", "ruleset"]).stdout
        observer.kill()
    assert lab["nat"].run(["nft", "list", "ruleset"]).stdout == before


def test_a_lab_that_goes_down_under_observation_is_told_so_far(lab: Lab) -> None:
    with lab.observe() as watch:
        with lab["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"denied", (SERVER, 9))
        watch.settle()
        lab.stop()
    assert watch.traces.dispositions() == {End.DENIED: 1}
    assert {gap.collector for gap in watch.traces.gaps} == {"counters"}


def test_an_exception_in_the_block_ends_the_observation(lab: Lab) -> None:
    watch = lab.observe()
    with pytest.raises(RuntimeError, match="of the user"), watch:
        raise RuntimeError("of the user")
    assert len(watch.traces) == 0


def test_random_and_fuzzed_packets_get_an_honest_answer(lab: Lab) -> None:
    generator = random.Random(11)
    packets = [generator.randbytes(generator.randrange(1, 200)) for _ in range(200)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from scapy.layers.inet import IP, TCP, UDP
        from scapy.packet import fuzz

        for layer in (TCP, UDP):
            for _ in range(100):
                crafted = IP(src="10.0.0.2", dst=SERVER) / fuzz(layer())
                packets.append(bytes(crafted))
    header = bytes.fromhex(mac(lab, "nat", "lan") + mac(lab, "client", "eth0") + "0800")
    with lab.observe() as watch:
        with lab["client"].socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
            s.bind(("eth0", 0))
            for packet in packets:
                s.send(header + packet)
        watch.settle()
    traces = watch.traces
    assert traces.complete
    sent = [index for index, frame in enumerate(watch.evidence.frames) if sent_here(frame)]
    assert len(sent) == len(packets)
    told = {frame for packet_trace in traces for frame in packet_trace.frames}
    assert set(sent) <= told
    dead_in_nat = [
        packet_trace
        for packet_trace in traces
        if packet_trace.origin == "client" and packet_trace.node == "nat"
    ]
    # Whatever died there, the kernel's own word or a rule says why.
    assert {packet_trace.reason.source for packet_trace in dead_in_nat} <= {
        "kernel",
        "nft",
        "conntrack",
    }


def sent_here(frame) -> bool:
    return (frame.node, frame.direction) == ("client", "out")


def mac(lab: Lab, node: str, interface: str) -> str:
    return next(i.mac for i in lab[node].interfaces if i.name == interface).replace(":", "")


MANY_FATES = f"""
ping -c3 -i0.1 {SERVER}
ping -c1 -t1 {SERVER}
ping -c1 -W1 192.0.2.1
echo denied | nc -u -w1 {SERVER} 9
echo closed | nc -u -w1 {SERVER} 10
nc -w1 {SERVER} 81
ping -c1 -W1 203.0.113.77 # no neighbour has it
"""


def test_live_fates_are_those_of_an_observation_that_is_over():
    """Two observers of the same packets: one waits for the end, the other one does not."""
    with (
        Lab(loads(TOPOLOGY), name="live") as lab,
        lab.observe() as after,
        lab.observe() as live,
    ):
        traffic = lab["client"].popen(["busybox", "sh", "-c", MANY_FATES])
        found: list[PacketTrace] = []
        while traffic.poll() is None:
            found += live.step().traces
            time.sleep(live.tick)
        assert len(found) > 10  # not only in the end
        after.settle()
        found += live.live(seconds=0.5)
    assert not any(live.let_go)
    assert ends(found) == ends(after.traces)
    assert len({one.disposition for one in found}) >= 5


def ends(traces) -> Counter[tuple[object, ...]]:
    """What became of packets, but of what nodes say of themselves."""
    return Counter(
        (one.label, one.disposition, one.node, one.reason, len(one.hops))
        for one in traces
        if not one.is_housekeeping
    )
