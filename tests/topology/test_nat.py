from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.plan import firewall
from netlab.topology import loads, presets
from netlab.topology.model import Node
from netlab.topology.nat import DEPENDENCES, Timeouts, Translator, problems

ONE = (IPv4Address("192.0.2.1"),)
TWO = (*ONE, IPv4Address("192.0.2.7"))
GOOD = Translator("wan", ONE)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"mapping": DEPENDENCES[2], "ports": "overload"}, "ports"),
        ({"port_step": 2}, "port-step"),
        ({"port_counter": "destination"}, "port-counter"),
        ({"ports": "sequential", "port_step": 0}, "port-step"),
        ({"ports": "sequential", "port_step": 1025}, "port-step"),
        (
            {"ports": "sequential", "port_counter": "destination", "port_range": (1, 63)},
            "port-counter",
        ),
        ({"port_block": -1}, "port-block"),
        ({"port_block": 33000}, "port-block"),
        ({"port_block": 512, "ports": "preserve-parity"}, "port-block"),
        ({"port_block": 512, "addresses": TWO}, "port-block"),
        ({"addresses": TWO, "ports": "preserve-parity"}, "ports"),
        ({"port_range": (2, 1)}, "port-range"),
        ({"port_range": (0, 9)}, "port-range"),
        ({"port_range": (1, 65536)}, "port-range"),
        ({"port_range": (7, 7), "ports": "preserve-parity"}, "port-range"),
        ({"addresses": ()}, "addresses"),
        ({"addresses": ONE * 2}, "addresses"),
        ({"addresses": tuple(ONE[0] + i for i in range(17))}, "addresses"),
        ({"unknown_protocols": "pool"}, "unknown-protocols"),
        ({"pooling": "arbitrary", "mapping": DEPENDENCES[1]}, "pooling"),
        ({"pooling": "arbitrary", "addresses": TWO}, "pooling"),
        ({"timeouts": Timeouts(icmp=0)}, "timeouts"),
        ({"sessions_per_subscriber": -1}, "sessions-per-subscriber"),
        ({"sessions_per_subscriber": 2**31}, "sessions-per-subscriber"),
    ],
)
def test_a_contradiction_is_told_at_its_key(change, key):
    found = list(problems(replace(GOOD, **change)))
    assert [p.key for p in found] == [key]
    assert found[0].hint


def test_the_defaults_are_what_the_rfcs_ask_for():
    assert list(problems(GOOD)) == []
    assert GOOD.mapping == "endpoint-independent"
    assert (GOOD.timeouts.udp, GOOD.timeouts.tcp_established) == (300, 2 * 3600 + 4 * 60)


TRANSLATORS = st.builds(
    Translator,
    outside=st.sampled_from(["wan", "eth0.7", "a-b"]),
    addresses=st.sampled_from([ONE, TWO]),
    mapping=st.sampled_from(DEPENDENCES),
    filtering=st.sampled_from(DEPENDENCES),
    ports=st.sampled_from(["preserve", "preserve-parity", "random", "sequential", "overload"]),
    port_step=st.sampled_from([1, 2]),
    port_counter=st.sampled_from(["nat", "destination"]),
    port_block=st.sampled_from([0, 0, 500]),
    port_range=st.tuples(st.integers(1, 65535), st.integers(1, 65535)),
    hairpinning=st.booleans(),
    pooling=st.sampled_from(["paired", "arbitrary"]),
    inbound_refresh=st.booleans(),
    icmp_errors=st.booleans(),
    unknown_protocols=st.sampled_from(["translate", "drop", "leak", "pool"]),
    unsolicited=st.sampled_from(["drop", "reset"]),
    sessions_per_subscriber=st.sampled_from([0, 1, 2000]),
)


@given(TRANSLATORS)
def test_every_nat_without_contradiction_has_rules_that_name_it(nat):
    if list(problems(nat)):
        return
    lines = firewall.ruleset(Node("n", "nat", nat=(nat,))).splitlines()
    rules = [line for line in lines if "comment" in line]
    assert all("counter" in rule and 'comment "NAT ' in rule for rule in rules)
    declared = {line.split()[1] for line in lines if line.startswith(("\tmap ", "\tset "))}
    used = {word.strip("@") for line in rules for word in line.split() if word.startswith("@")}
    assert used == declared


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_says_what_it_is_where_it_was_seen_and_what_follows(name):
    preset = presets.load(name)
    assert preset.summary
    assert preset.observed
    assert preset.consequences
    assert preset.nat.mapping
    assert preset.nat.filtering


@pytest.mark.parametrize("name", presets.names())
def test_what_the_file_says_wins_over_the_preset(name):
    text = """
nodes:
  a: {}
  n: {kind: nat, outside: wan, nat: {preset: %s, filtering: address-dependent, timeouts: {udp: 9}}}
  b: {}
links: [[a:eth0, n:lan], [n:wan, b:eth0]]
"""
    (nat,) = loads(text % name).node("n").nat
    assert isinstance(nat, Translator)
    assert (nat.preset, nat.filtering, nat.timeouts.udp) == (name, "address-dependent", 9)
    given_ = presets.load(name).nat
    assert nat.mapping == given_.mapping
    if given_.timeouts and given_.timeouts.icmp:
        assert nat.timeouts.icmp == given_.timeouts.icmp


def test_a_mapping_by_port_needs_no_word_about_ports():
    text = """
nodes:
  inner: {}
  nat: {kind: nat, outside: wan, nat: {%smapping: address-and-port-dependent}}
  outer: {}
links: [[inner:eth0, nat:lan], [nat:wan, outer:eth0]]
"""
    for preset in ("", "preset: home-router, "):
        (nat,) = loads(text % preset).node("nat").nat
        assert isinstance(nat, Translator)
        assert nat.ports == "random"
