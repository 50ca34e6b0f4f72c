"""How outside ports are chosen: each way that can be declared is what is measured."""

from ipaddress import IPv4Address
from typing import Any

import pytest

from netlab.lab.lab import Lab
from netlab.predict.predict import Question, predictions
from netlab.topology.nat import DEPENDENCES, Translator, blocks, problems
from netlab.verify import allocation
from netlab.verify.nat import alone, declaration, measure
from netlab.verify.probe import Probe, one_cpu

OUTSIDE = (IPv4Address("192.0.2.1"),)
KINDS: dict[str, dict[str, Any]] = {
    "preserve": {"ports": "preserve"},
    "preserve-parity": {"ports": "preserve-parity"},
    "random": {"ports": "random"},
    "overload": {"ports": "overload"},
    "sequential": {"ports": "sequential"},
    "sequential by 3": {"ports": "sequential", "port_step": 3},
    "per destination": {"ports": "sequential", "port_counter": "destination"},
    "per destination by 2": {"ports": "sequential", "port_step": 2, "port_counter": "destination"},
    "random in blocks": {"ports": "random", "port_block": 512},
    "preserve in blocks": {"ports": "preserve", "port_block": 2048, "port_range": (2000, 60000)},
    "sequential in blocks": {"ports": "sequential", "port_block": 256},
}


def translator(mapping, kind):
    if kind == "overload":
        mapping = DEPENDENCES[0]  # another would contradict it
    made = Translator("wan", OUTSIDE, mapping, **KINDS[kind])
    assert not list(problems(made))
    return made


@pytest.mark.kernel
@pytest.mark.parametrize("mapping", DEPENDENCES[::2])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_declared_is_what_is_seen(kind, mapping):
    nat = translator(mapping, kind)
    with one_cpu(), Lab(alone(nat)) as lab:
        lab["server"].run(["ip", "address", "add", "192.0.2.101/24", "dev", "eth0"], check=True)
        with Probe(lab) as probe:
            assert allocation.measure(probe, nat) == allocation.declared(nat)
            if nat.port_block:
                assert allocation.measure_block(probe, nat) == nat.port_block


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("kind", "mapping"),
    [
        ("preserve", DEPENDENCES[2]),
        ("overload", DEPENDENCES[0]),
        ("per destination", DEPENDENCES[0]),
        ("sequential in blocks", DEPENDENCES[2]),
    ],
)
def test_all_else_is_as_declared(kind, mapping):
    nat = translator(mapping, kind)
    measured = measure(nat)
    declared = declaration(nat)
    assert "port allocation" in declared
    assert {name: measured[name] for name in declared} == declared


@pytest.mark.parametrize("mapping", DEPENDENCES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_is_predicted_to_let_packets_out(kind, mapping):
    plan = Lab(alone(translator(mapping, kind))).plan
    asked = Question("a", "192.0.2.100", 17, 5000, 40, packets=2, is_fresh=True, listens=True)
    assert [each.arrived for each in predictions(plan, asked)] == [True, True]


@pytest.mark.parametrize(
    ("port_range", "size", "count"),
    [((1024, 65535), 512, 16), ((1024, 65535), 2048, 16), ((1000, 1099), 50, 2), ((1, 9), 2, 4)],
)
def test_blocks_are_of_one_size_within_the_range(port_range, size, count):
    made = blocks(Translator("wan", OUTSIDE, port_range=port_range, port_block=size))
    assert len(made) == count
    ports = [port for first, last in made for port in range(first, last + 1)]
    assert len(ports) == len({*ports}) == count * size
    assert port_range[0] <= min(ports)
    assert max(ports) <= port_range[1]
