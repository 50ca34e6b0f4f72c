from __future__ import annotations

import json
from pathlib import Path

import pytest

from netlab.cli import main
from netlab.lab import reconfigure
from netlab.lab.lab import Lab
from netlab.topology import load, loads
from netlab.verify import verify_running, verify_together
from netlab.verify.probe import one_cpu
from netlab.verify.together import chains, check_together, declare

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
CARRIER = TOPOLOGIES / "carrier-grade.yaml"

FILE = """
nodes:
  host: {}
  home: {kind: nat, outside: wan, nat: {preset: %(home)s}}
  middle: {kind: router%(middle)s}
  carrier: {kind: nat, outside: wan, nat: {preset: %(carrier)s}}
  internet: {kind: router}
  one: {}
  two: {}
links:
  - [host:eth0, home:lan]
  - [home:wan, middle:a]
  - [middle:b, carrier:lan]
  - [carrier:wan, internet:c]
  - [internet:s1, one:eth0]
  - [internet:s2, two:eth0]
"""


def file(home: str = "full-cone", carrier: str = "full-cone", middle: str = "") -> str:
    return FILE % {"home": home, "carrier": carrier, "middle": middle}


def test_each_sequence_of_nats_is_one_chain():
    assert [c.name for c in chains(load(CARRIER))] == [
        "anna > home-a > carrier > server",
        "boris > home-b > carrier > server",
    ]
    (chain,) = chains(loads(file()))
    assert chain.name == "host > home > carrier > one"
    assert [node for node, _ in chain.servers] == ["one", "two"]


@pytest.mark.parametrize(
    "wall", ["firewall: {forward: drop}", 'nftables: "table ip t { chain c { } }"']
)
def test_a_way_through_a_wall_is_left_out(wall):
    assert chains(loads(file(middle=f", {wall}"))) == []


def test_a_way_through_a_program_is_left_out():
    text = file().replace("[home:wan, middle:a]", "{ends: [home:wan, middle:a], loss: 1/2}")
    assert chains(loads(text)) == []


def test_a_way_that_leads_nowhere_is_left_out():
    assert chains(loads(file(middle=", automatic_routes: false"))) == []


@pytest.mark.parametrize(
    ("home", "carrier", "mapping", "filtering"),
    [
        ("full-cone", "full-cone", "endpoint-independent", "endpoint-independent"),
        ("restricted-cone", "full-cone", "endpoint-independent", "address-dependent"),
        ("full-cone", "symmetric", "address-and-port-dependent", "address-and-port-dependent"),
        ("home-router", "full-cone", "endpoint-independent", "address-and-port-dependent"),
    ],
)
def test_the_strictest_counts(home, carrier, mapping, filtering):
    (chain,) = chains(loads(file(home, carrier)))
    assert declare(chain) == {"mapping udp": mapping, "filtering udp": filtering}


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("home", "carrier"),
    [("full-cone", "restricted-cone"), ("symmetric", "full-cone"), ("full-cone", "full-cone")],
)
def test_nats_in_a_row_do_what_the_strictest_does(netlab_state, home, carrier):
    checks = verify_together(loads(file(home, carrier)))
    assert [c for c in checks if not c.ok] == []
    assert len(checks) == 2


@pytest.mark.kernel
def test_a_box_behind_a_nat_counts_what_comes_through_it(netlab_state):
    middle = ", middleboxes: [{kind: every-nth, n: 3}]"
    (check,) = verify_together(loads(file(middle=middle)))
    assert check.name == "every-nth: datagrams that arrive"
    assert check.ok
    assert 0 < len(check.measured) < 20


@pytest.mark.kernel
def test_what_stands_in_a_running_lab_is_asked_as_it_is_now(netlab_state, tmp_path):
    path = tmp_path / "lab.yaml"
    path.write_text(file())
    with one_cpu(), Lab(path) as lab:
        reconfigure.change(lab, {"carrier.nat.filtering": "address-dependent"})
        every = verify_running(lab)
        assert [c for c in every if c.is_otherwise] == []
        checks = [c for c in every if ">" in c.node]
        assert [(c.declared, c.ok) for c in checks] == [
            ("endpoint-independent", True),
            ("address-dependent", True),
        ]
        # A file that says otherwise is not what runs.
        wrong = list(check_together(lab, loads(file("symmetric")), is_fresh=False))
        assert [c.ok for c in wrong] == [False, False]


@pytest.mark.kernel
def test_verify_takes_a_file_or_the_name_of_a_lab(netlab_state, capsys):
    assert main(["verify", "--together", "--json", str(TOPOLOGIES / "nat.yaml")]) == 0
    told = json.loads(capsys.readouterr().out)
    nodes = [c["node"] for c in told["checks"]]
    assert {"nat", "client > nat > server"} <= set(nodes)
    with Lab(CARRIER, name="for-verify"):
        assert main(["verify", "for-verify"]) == 3
        assert "none otherwise than declared, 12 not measured" in capsys.readouterr().out
        assert main(["verify", "--allow-unmeasured", "for-verify"]) == 0


def test_a_lab_that_does_not_run_is_told_of(netlab_state, capsys):
    assert main(["verify", "nowhere"]) == 1
    assert "there is no lab nowhere" in capsys.readouterr().err
