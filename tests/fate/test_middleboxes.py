"""Every kind of middlebox: what it drops and changes is named after it."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from netlab.fate.disposition import Disposition as End
from netlab.fate.explain import decisive
from netlab.lab import Lab
from netlab.middlebox.catalogue import CATALOGUE
from netlab.topology import loads
from tests.middlebox.path import SERVER, UDP_PORT, Path, build, drain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.fate.fates import Fate

pytestmark = pytest.mark.kernel

PARAMETERS: dict[str, dict[str, Any]] = {
    "every-nth": {"n": 3},
    "seeded-loss": {"loss": "3/20", "period": 20, "seed": 7},
    "outbound-only": {"inside": "a"},
    "block": {"ports": [UDP_PORT]},
    "policer": {"packets": 1, "burst": 5},
    "option-drop": {"options": ["sack-permitted"], "on": "syn"},
}
MARKED_PORT = 6000
RULES = sorted(name for name, kind in CATALOGUE.items() if kind.is_rules)


@pytest.fixture(scope="module")
def _module_path(netlab_state) -> Iterator[Path]:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})  # on one CPU packets keep their order
    lab = build()
    yield Path(lab)
    lab.stop()
    os.sched_setaffinity(0, allowed)


@pytest.fixture
def path(_module_path: Path) -> Iterator[Path]:
    yield _module_path
    _module_path.close()


@pytest.mark.parametrize("kind", RULES)
def test_its_work_is_named_after_it(path: Path, kind: str) -> None:
    given = PARAMETERS.get(kind, {})
    path.become(kind, **given)
    with path.lab.observe() as watch:
        arrived = path.datagrams(8)
        mark(path)
        try_to_connect(path)
    fates = watch.fates
    assert fates.complete, fates.gaps
    probes = fates.where(origin="client", proto=17, port=UDP_PORT)
    numbered = {int.from_bytes(fate.packet.transport[8:12], "big"): fate for fate in probes}
    assert sorted(numbered) == list(range(8))
    assert [number for number, fate in numbered.items() if fate.arrived] == arrived
    for fate in probes.dropped_at("router"):
        assert fate.disposition is End.DENIED
        assert fate.reason.source == "nft"
        assert fate.reason.label == f"{kind} at router"
    assert len(probes.dropped_at("router")) == 8 - len(arrived)
    if kind == "ecn-bleach":
        [marked] = fates.where(origin="client", port=MARKED_PORT)
        assert marked.hops[2].changes == ("IP::TTL 64 -> 63", "IP::ECN 2 -> 0")
    else:
        check_syn(kind, fates.where(origin="client", proto=6)[0])


def try_to_connect(path: Path) -> None:
    with path.lab["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as trying:
        trying.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 46 << 2)
        trying.setblocking(False)
        trying.connect_ex((SERVER, 81))
        path.settle()


def mark(path: Path) -> None:
    """A datagram with ECT(0), which the kernel lets no program set on TCP."""
    with path.lab["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as marking:
        marking.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 2)
        marking.sendto(b"marked", (SERVER, MARKED_PORT))


def check_syn(kind: str, syn: Fate) -> None:
    """What became of the SYN is what the catalogue says of the kind."""
    expected = CATALOGUE[kind].expected_changes(PARAMETERS.get(kind, {}))
    changed = [change for hop in syn.hops for change in hop.changes]
    if expected == ("lost",):
        assert syn.disposition in (End.DENIED, End.CONSUMED)
        assert syn.reason.label == f"{kind} at router"
        return
    for field in expected or ():
        if field == "IP::TTL":  # which says that it is *not* a router's one less
            assert not any(change.startswith(field) for change in changed)
        else:
            assert any(change.startswith(field.lstrip("-")) for change in changed), changed
    assert all(change.startswith("IP::TTL") for change in changed) or expected


@pytest.mark.parametrize("kind", ["allow-list", "outbound-only", "trailing-fragments", "syn-proxy"])
def test_fragments_that_are_cut_anew_keep_their_fate(path: Path, kind: str) -> None:
    path.become(kind, **PARAMETERS.get(kind, {}))
    with path.lab.observe() as watch:
        arrived = path.datagrams(4, 3000)
    fates = watch.fates
    assert fates.complete
    everything = {fate.id: fate for fate in fates}
    sent: dict[int, list[Fate]] = {}
    for fate in fates.where(origin="client", proto=17):
        if fate.packet.is_fragment:
            sent.setdefault(fate.packet.identification, []).append(fate)
    assert len(sent) == 4
    outcomes = [decisive(parts, everything) for parts in sent.values()]
    assert [number for number, end in enumerate(outcomes) if end and end.arrived] == arrived
    assert not fates.where(disposition=End.UNKNOWN)


WIRE = """
nodes:
  client:
  server:
links:
  - ends: [client:eth0, server:eth0]
    subnet: 10.0.0.0/24
    middleboxes: [%s]
"""
PROGRAMS = sorted(name for name, kind in CATALOGUE.items() if not kind.is_rules)
WORDS = {
    "impair": "{kind: impair, loss: 40%, seed: 3, delay: 1ms}",
    "payload-rewrite": "{kind: payload-rewrite, find: some, replace: none}",
    "reset-on-payload": "{kind: reset-on-payload, pattern: some}",
}


@pytest.mark.usefixtures("netlab_state")
@pytest.mark.parametrize("kind", PROGRAMS)
def test_what_a_program_on_a_wire_does_is_told(kind: str) -> None:
    described = WORDS.get(kind, f"{{kind: {kind}}}")
    with Lab(loads(WIRE % described, "wire.yaml")) as lab:
        target = (lab["server"].address, UDP_PORT)
        with (
            lab["server"].socket(socket.AF_INET, socket.SOCK_DGRAM) as far,
            lab["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as near,
        ):
            far.bind(target)
            with lab.observe() as watch:
                for number in range(8):
                    near.sendto(number.to_bytes(4, "big") + bytes(40), target)
                watch.settle()
            received = [int.from_bytes(data[:4], "big") for data, _ in drain(far)]
    fates = watch.fates
    assert fates.complete, fates.gaps
    probes = fates.where(proto=17, port=UDP_PORT)
    arrived = [int.from_bytes(f.packet.transport[8:12], "big") for f in probes if f.arrived]
    assert sorted(arrived) == sorted(received)
    for fate in probes:
        if not fate.arrived:
            assert fate.disposition is End.CONSUMED
            assert fate.reason.text == f"went into {kind} on the wire and did not come out"
    copies = [fate for fate in probes if fate.copied]
    assert len(copies) == len(received) - len(set(received))
