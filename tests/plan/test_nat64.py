from __future__ import annotations

import json
import sys
from pathlib import Path

from netlab.plan import codec
from netlab.plan.build import build
from netlab.plan.operations import AddRoute, CreateTun, LoadRules, StartProgram
from netlab.plan.script import script
from netlab.topology import load

FILE = Path(__file__).parents[2] / "topologies" / "nat64.yaml"


def test_the_translator_is_given_its_data_and_started_first():
    plan = build(load(FILE))
    first, *_ = [o for o in plan.operations if isinstance(o, StartProgram)]
    assert (first.node, first.program, first.ready) == ("gate", "nat64", "log ^ready$")
    assert first.arguments == {
        "device": "nat64",
        "prefix": "64:ff9b::/96",
        "lent": "240.64.0.0/16",
        "own": "203.0.113.2",
        "mtu": 1500,
    }


def test_prefix_and_lent_addresses_lie_behind_the_device():
    plan = build(load(FILE))
    assert [o.name for o in plan.operations if isinstance(o, CreateTun)] == ["nat64"]
    routes = {o.destination for o in plan.operations if isinstance(o, AddRoute) and not o.gateway}
    assert routes == {"64:ff9b::/96", "240.64.0.0/16"}


def test_a_drop_can_be_named():
    plan = build(load(FILE))
    line = next(i for i, text in enumerate(FILE.read_text().splitlines(), 1) if "nat64:" in text)
    (rules,) = [o for o in plan.operations if isinstance(o, LoadRules) and o.node == "gate"
                and "netlab_quiet" not in o.text]  # fmt: skip
    assert f'"NAT64: not a mapping nat64.yaml:{line}"' in rules.text
    assert f'"NAT64: leads outside only nat64.yaml:{line}"' in rules.text


def test_the_script_names_the_python_that_it_is_given():
    made = script(build(load(FILE)), ["env", "PYTHONPATH=/somewhere", "/usr/bin/python3"])
    assert "env PYTHONPATH=/somewhere /usr/bin/python3 -m netlab.io.nat64 '{" in made


def test_a_plan_names_no_interpreter_and_survives_json():
    plan = build(load(FILE))
    assert sys.executable not in json.dumps(codec.to_json(plan))
    assert codec.from_json(json.loads(json.dumps(codec.to_json(plan)))) == plan
