"""``meet:`` as a step of a scenario."""

import re
from pathlib import Path

import pytest

from netlab.errors import InputError
from netlab.scenario.model import Meet
from netlab.scenario.read import read
from netlab.scenario.run import play

DOCS = Path(__file__).parents[3] / "docs" / "meet.md"
HEAD = "title: Who meets whom\ntopology: lab.yaml\nstory: They look for each other.\nsteps:\n"


@pytest.fixture
def scenario(tmp_path):
    (tmp_path / "lab.yaml").write_text("nodes: {a: , b: }\nlinks: [[a:eth0, b:eth0]]\n")

    def make(steps):
        file = tmp_path / "scenario.yaml"
        file.write_text(HEAD + steps)
        return read(file)

    return make


@pytest.mark.kernel
def test_the_page_s_step_holds(scenario):
    [step] = re.findall(r"## In a scenario\n\n```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    made = scenario(step)
    run = play(made)
    assert [(v.passed, v.observed) for v in run.verdicts] == [(True, "2 equal rows")]
    [command] = run.done[0].commands
    assert command.startswith("netlab meet --pairs home-router,home-router:symmetric")


def test_a_step_says_what_the_command_says(scenario):
    made = scenario(
        "  - meet: {a: './peer {here}', b: [./peer, b], until: 'output:^met', pairs: none,"
        " repeat: 3, limit: 5, turn: true, rendezvous: ./server}\n"
    )
    assert made.steps[0].action == Meet(
        ("./peer", "{here}"), ("./peer", "b"), ("./server",), True, "output:^met", "none", 3, 5.0
    )


@pytest.mark.parametrize(
    ("step", "code", "place"),
    [
        ("{pairs: nowhere}", "E931", "scenario.yaml:5:19"),
        ("{until: nothing}", "E932", "scenario.yaml:5:19"),
        ("{a: ./peer}", "E934", "scenario.yaml:5:11"),
        ("{repeat: 0}", "E205", "scenario.yaml:5:20"),
        ("{pears: none}", "E201", "scenario.yaml:5:12"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(scenario, step, code, place):
    with pytest.raises(InputError) as caught:
        scenario(f"  - meet: {step}\n")
    assert place in str(caught.value)
    assert f"error[{code}]" in str(caught.value)


@pytest.mark.kernel
def test_a_nat_changes_its_ports_between_two_steps(tmp_path):
    (tmp_path / "lab.yaml").write_text(
        "nodes: {a: , nat: {kind: nat, outside: wan, nat: {ports: preserve}}, b: }\n"
        "links: [[a:eth0, nat:lan], [nat:wan, b:eth0]]\n"
    )
    send = "  - send: {from: a, to: b, protocol: udp}\n    expect: {packets: {1: delivered}}\n"
    file = tmp_path / "scenario.yaml"
    file.write_text(f"{HEAD}{send}  - rebind: nat\n{send}  - reboot: nat\n{send}")
    run = play(read(file))
    assert run.passed
    assert [done.seen.output for done in run.done[1::2]] == [
        "nat: 1 inside endpoints get other ports", "nat: rebooted, 1 flows forgotten",
    ]  # fmt: skip
    assert run.done[1].commands == ("netlab nat rebind scenario/nat",)
    file.write_text(f"{HEAD}  - reboot: nut\n")
    with pytest.raises(InputError) as caught:
        read(file)
    assert "did you mean `nat`?" in str(caught.value)
