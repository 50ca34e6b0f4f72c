"""Each kind, a hundred times in a lab: the same fate to the same packets."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from netlab.lab.lab import Lab
from netlab.lab.reconfigure import wire_state
from netlab.linux import namespaces
from netlab.linux.packet_socket import Frames
from netlab.middlebox import Packet
from netlab.middlebox.catalogue import CATALOGUE
from netlab.topology import loads
from netlab.wire import tcp
from tests.helpers.waiting import wait_for
from tests.middlebox.packets import datagram, error, segment, segment6
from tests.middlebox.path import UDP_PORT, Path, build, fill

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.kernel, pytest.mark.soak]

REPEATS = 100
RULES = sorted(name for name, kind in CATALOGUE.items() if kind.is_rules)
PROGRAMS = sorted(name for name, kind in CATALOGUE.items() if not kind.is_rules)
PARAMETERS: dict[str, dict[str, Any]] = {
    "seeded-loss": {"loss": "3/20", "period": 20, "seed": 7},
    "outbound-only": {"inside": "a"},
    "block": {"ports": [UDP_PORT]},
    "policer": {"packets": 1, "burst": 5},
    "impair": {"loss": "1/3", "duplicate": "1/4", "seed": 3},
    "payload-rewrite": {"find": "some", "replace": "any"},
    "reset-on-payload": {"pattern": "forbidden"},
    "coalesce": {"size": 40, "wait": 10},
}
OPTIONS = tcp.encode_options(tcp.Options(mss=1460, sack_permitted=True, window_scale=7))


@pytest.fixture(scope="module")
def path(netlab_state: object) -> Iterator[Path]:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})  # on one CPU packets keep their order
    lab = build()
    yield Path(lab)
    lab.stop()
    os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize("kind", RULES)
def test_rules(path: Path, kind: str) -> None:
    def packet_trace(number: int) -> tuple[object, ...]:
        path.become(kind, **PARAMETERS.get(kind, {}))
        small, large = path.datagrams(12), path.datagrams(3, 3000)
        syn = tcp.Header(20_000 + number, 80, 1000, flags=tcp.SYN, options=OPTIONS)
        seen = path.segments(lambda: path.inject(syn))
        path.close()
        return *small, "large", *large, "syn", *((h.seq, h.flags, h.options) for h in seen)

    assert len({packet_trace(number) for number in range(REPEATS)}) == 1


WIRED = """
nodes: {client: {}, server: {}}
links: [{ends: [client:eth0, server:eth0], subnet: 192.168.7.0/24, delay: 0s}]
"""


def packets() -> list[Packet]:
    """Nobody in the lab has their addresses: the kernels at the ends do not join in."""
    return [
        segment(seq=0, flags=tcp.SYN, options=OPTIONS),
        *(segment(b"some data " * (1 + i % 4), seq=1 + 40 * i) for i in range(20)),
        *(segment(b"abc", seq=900), segment(b"abd", seq=900), segment(b"forbidden", seq=903)),
        *(datagram(i) for i in range(20)),
        segment6(b"some data"),
        error(datagram(0)),
        # Whatever a box still keeps of the connection ends here, and disturbs no later repeat.
        segment(seq=1, flags=tcp.RST),
    ]


@pytest.mark.usefixtures("netlab_state")
@pytest.mark.parametrize("kind", PROGRAMS)
def test_programs(kind: str) -> None:
    described = [{"kind": kind, "parameters": PARAMETERS.get(kind, {}), "seed": 7}]
    sent = packets()
    with Lab(loads(WIRED)) as lab:
        near, far = (lab[n].interfaces[0].mac.replace(":", "") for n in ("client", "server"))
        link = {4: bytes.fromhex(far + near) + b"\x08\x00"}
        link[6] = link[4][:12] + b"\x86\xdd"
        frames = [link[p.octets[0] >> 4] + p.octets for p in sent]
        traces = set()
        for _ in range(REPEATS):
            fill(lab, [])
            fill(lab, described)
            with (
                namespaces.inside(lab["client"].namespace, lambda: Frames("eth0")) as client,
                namespaces.inside(lab["server"].namespace, lambda: Frames("eth0")) as server,
            ):
                before = wire_state(lab, "client~server")["received"]
                client.send(frames)
                # What a wire has taken in it has sent on before it answers.
                wait_for(partial(_has_received, lab, before + len(frames)))
                traces.add((everything(client, kind), everything(server, kind)))
    assert len(traces) == 1


def _has_received(lab: Lab, packets: int) -> bool:
    received: int = wire_state(lab, "client~server")["received"]
    return received >= packets


def everything(end: Frames, kind: str) -> tuple[object, ...]:
    """What came in at one end, but for what is the clock's, as a proxy's late ACKs are."""
    found: list[object] = []
    while batch := end.receive():
        for packet in (Packet(frame[14:]) for frame in batch):
            head = packet.tcp
            bare = head and head.flags == tcp.ACK and not packet.payload
            if bare and kind == "transparent-proxy":
                continue
            found.append((packet.protocol, head and (head.seq, head.flags), packet.payload))
    return tuple(found)
