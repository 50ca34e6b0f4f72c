"""A NAT measured from inside alone, and built again from the file that was written."""

import json
import os
import sys

import pytest

from netlab.lab.lab import Lab
from netlab.topology import load, presets
from tests.programs import needs

LAB = """
name: probed
nodes:
  inside:
  lan: {kind: bridge, subnet: 10.0.0.0/24}
  nat: {kind: nat, outside: wan, nat: %s}
  outside:
    programs:
      stun:
        run: [%s, -m, netlab, nat, server, 192.0.2.10, 192.0.2.11]
        environment: {PYTHONPATH: "%s"}
        ready: {port: udp/3479}
links:
  - {ends: [inside:eth0, lan], addresses: {inside: [10.0.0.7, 10.0.0.8]}}
  - [nat:lan, lan]
  - {ends: [nat:wan, outside:eth0], subnet: 192.0.2.0/24,
     addresses: {outside: [192.0.2.10, 192.0.2.11]}}
"""

KINDS = {
    **{name: f"{{preset: {name}}}" for name in presets.names()},
    "Linux": "{masquerade: wan}",
    "by address": "{mapping: address-dependent, filtering: address-dependent}",
    "sequential": "{ports: sequential, port-step: 2, mapping: address-and-port-dependent}",
    "per destination": "{ports: sequential, port-counter: destination}",
    "overload": "{ports: overload}",
}
LINUX = {
    "mapping": "endpoint-independent", "filtering": "address-and-port-dependent",
    "ports": "overload", "hairpinning": False, "icmp_errors": True,
    "unknown_protocols": "translate",
}  # fmt: skip
"""What a masquerade looks like from its ends."""

MEASURED = (
    "mapping", "filtering", "ports", "port_step", "port_counter", "hairpinning", "icmp_errors",
    "unknown_protocols",
)  # fmt: skip


def topology(nat):
    return LAB % (nat, sys.executable, os.environ.get("PYTHONPATH", ""))


def probe(lab, *options):
    argv = [sys.executable, "-m", "netlab", "nat", "probe", "192.0.2.10", *options]
    return lab["inside"].run(argv, timeout=60)


@pytest.mark.kernel
@pytest.mark.parametrize("name", KINDS)
def test_the_file_describes_the_nat_that_was_there(name, tmp_path):
    file, written = tmp_path / "lab.yaml", tmp_path / "my-router.yaml"
    file.write_text(topology(KINDS[name]))
    with Lab(file) as lab:
        ran = probe(lab, "--output", str(written))
    assert (ran.returncode, ran.stderr) == (0, "")
    file.write_text(topology("{preset: ./my-router.yaml}"))
    (again,) = load(file).node("nat").nat
    if name == "Linux":
        assert {key: getattr(again, key) for key in LINUX} == LINUX
        return
    file.write_text(topology(KINDS[name]))
    (was,) = load(file).node("nat").nat
    assert {key: getattr(again, key) for key in MEASURED} == {
        key: getattr(was, key) for key in MEASURED
    }


@pytest.mark.kernel
def test_what_is_printed(tmp_path):
    file = tmp_path / "lab.yaml"
    file.write_text(topology("{preset: full-cone}"))
    with Lab(file) as lab:
        said = probe(lab).stdout.splitlines()
        found = json.loads(probe(lab, "--json").stdout)
        alone = lab["nat"].run([sys.executable, "-m", "netlab", "nat", "probe", "192.0.2.10"])
        other = lab["inside"].run([sys.executable, "-m", "netlab", "nat", "probe", "192.0.2.10:9"])
    assert said[0].split() == ["PROPERTY", "MEASURED"]
    assert "mapping            endpoint-independent" in said
    assert "hairpinning        true" in said
    assert "fragments          pass" in said
    assert found["nat"]["filtering"] == "endpoint-independent"
    assert alone.stdout.startswith("no NAT: 192.0.2.")
    assert other.returncode == 1
    assert "E425" in other.stderr


JUDGED = {
    "full-cone": ("Endpoint Independent Mapping", "Endpoint Independent Filtering"),
    "restricted-cone": ("Endpoint Independent Mapping", "Address Dependent Filtering"),
    "home-router": ("Endpoint Independent Mapping", "Address and Port Dependent Filtering"),
    "symmetric": ("Address and Port Dependent Mapping", "Address and Port Dependent Filtering"),
}


@pytest.mark.kernel
@needs("turnutils_natdiscovery")
@pytest.mark.parametrize("name", JUDGED)
def test_coturn_names_them_when_it_asks_our_server(name, tmp_path):
    file = tmp_path / "lab.yaml"
    file.write_text(topology(f"{{preset: {name}}}"))
    with Lab(file) as lab:
        ran = lab["inside"].run(["turnutils_natdiscovery", "-m", "-f", "192.0.2.10"], timeout=60)
    assert all(f"NAT with {kind}!" in ran.stdout + ran.stderr for kind in JUDGED[name]), ran


@pytest.mark.kernel
@needs("stun")
def test_debian_s_stun_understands_our_server(tmp_path):
    file = tmp_path / "lab.yaml"
    file.write_text(topology("{preset: restricted-cone}"))
    with Lab(file) as lab:
        said = lab["inside"].run(["stun", "192.0.2.10"], timeout=60).stdout
    assert "Primary: Independent Mapping, Address Dependent Filter" in said
    assert "preserves ports, will hairpin" in said


@pytest.mark.kernel
@pytest.mark.soak
def test_how_long_a_mapping_lives(tmp_path):
    file = tmp_path / "lab.yaml"
    file.write_text(topology("{timeouts: {udp: 3}}"))
    with Lab(file) as lab:
        found = json.loads(probe(lab, "--timeouts", "10", "--json").stdout)
    assert found["udp_timeout"] == [2, 5]
    assert found["nat"]["timeouts"] == {"udp": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nat: {mapping: never}", "`nat.mapping`"),
        ("nat: [mapping]", "it has no mapping `nat`"),
        ("nat: {preset: cloud}", "it names a preset itself"),
        ("{", "it is not YAML"),
        (None, "this file does not exist"),
    ],
)
def test_a_file_that_is_no_preset_is_refused_at_its_name(text, said, tmp_path, capsys):
    from netlab.cli import main

    if text is not None:
        (tmp_path / "my-router.yaml").write_text(text)
    file = tmp_path / "lab.yaml"
    file.write_text(topology("{preset: ./my-router.yaml}"))
    assert main(["check", str(file)]) == 2
    error = capsys.readouterr().err
    assert "lab.yaml:6:48: error[E266]: preset file ./my-router.yaml: " in error
    assert said in error


def test_a_changed_preset_changes_the_plan(tmp_path):
    from netlab.lab.plan_cache import plan_of

    file, preset = tmp_path / "lab.yaml", tmp_path / "my-router.yaml"
    file.write_text(topology("{preset: ./my-router.yaml}"))
    preset.write_text("nat: {filtering: address-dependent}")
    before = plan_of(str(file))
    preset.write_text("nat: {filtering: endpoint-independent}")
    assert plan_of(str(file)) != before
