"""Scenario files: what is right is read, what is wrong is told with its place."""

import pytest

from netlab.errors import InputError
from netlab.scenario import bundled, model
from netlab.scenario.read import read

TOPOLOGY = "nodes: {a: , b: }\nlinks: [[a:eth0, b:eth0]]\n"
HEAD = "title: t\ntopology: lab.yaml\nstory: s\nsteps:\n"


@pytest.fixture
def scenario(tmp_path):
    (tmp_path / "lab.yaml").write_text(TOPOLOGY)
    (tmp_path / "code.py").write_text("def rows(lab, rng):\n    return []\n")

    def write(text, head=HEAD):
        path = tmp_path / "it.yaml"
        path.write_text(head + text)
        return read(path)

    return write


@pytest.mark.parametrize("name", bundled.names())
def test_every_shipped_scenario_can_be_read(name):
    found = read(bundled.find(name))
    assert found.name == name
    assert found.sources
    assert "## " in found.story
    assert any(step.expected.packets or step.expected.table for step in found.steps) or any(
        step.expected.output for step in found.steps
    )


def test_a_send_and_what_must_come_of_it(scenario):
    found = scenario(
        "  - send: {from: a, to: b, protocol: udp, port: 53, count: 3}\n"
        "    expect: {packets: {1: delivered, 2-3: {end: denied, at: b, by: rule}}}\n"
    )
    assert found.steps[0].action == model.Send("a", "b", 17, 3, 53)
    assert found.steps[0].expected.packets == (
        (1, model.End("delivered")),
        (2, model.End("denied", "b", "rule")),
        (3, model.End("denied", "b", "rule")),
    )


def test_a_command_must_end_with_0_unless_it_is_said_otherwise(scenario):
    found = scenario("  - {run: 'true', in: a}\n  - {run: [sh, -c, exit 3], expect: {exit: 3}}\n")
    assert [step.expected.exit for step in found.steps] == [0, 3]


SEND = "send: {from: a, to: b, protocol: 1}"


@pytest.mark.parametrize(
    ("step", "code", "place"),
    [
        ("{send: {from: c, to: b, protocol: udp}}", "E904", "c, to"),
        ("{run: ls, in: c}", "E904", "c}"),
        ("{set: {c.nat: x}}", "E904", "x}"),
        ("{send: {from: a, to: b, protocol: upd}}", "E905", "upd"),
        ("{send: {from: a, to: b, protocol: 300}}", "E905", "300"),
        ("{run: ls, set: {a.x: 1}}", "E902", "{run"),
        ("{name: nothing}", "E902", "{name"),
        ("{run: ls, ready: x}", "E902", "x}"),
        ("{start: sleep 1, in: a}", "E203", "{start"),
        ("{run: ls, in: a, expcet: {}}", "E201", "expcet"),
        ("{run: ls, in: a, expect: {outptu: x}}", "E201", "outptu"),
        ("{run: ls, expect: {packets: {1: delivered}}}", "E906", "{1: delivered"),
        (f"{{{SEND}, expect: {{packets: {{1: lost}}}}}}", "E908", "lost"),
        (f"{{{SEND}, expect: {{packets: {{x: delivered}}}}}}", "E907", "{x"),
        ("{send: {from: a, to: b, protocol: 1, count: many}}", "E202", "many"),
        ("{send: {from: a, to: b, protocol: 1, count: 0}}", "E205", "0}"),
        ("{send: {to: b, protocol: 1}}", "E203", "{to"),
        ("{call: 'code.py:'}", "E903", "'code"),
        ("{link: {c:eth0: down}}", "E904", "down"),
        ("{link: {a: down}}", "E417", "down"),
        ("{link: {a:eth0: away}}", "E205", "away"),
        ("{advance: {at: c, seconds: 30}}", "E904", "c,"),
        ("{advance: {at: a, seconds: 0}}", "E205", "0}"),
        ("{advance: {at: a}}", "E203", "{at"),
        ("{advance: {at: a, seconds: 9, protocol: upd}}", "E905", "upd"),
        ("{run: ls, expect: {output: '('}}", "E206", "'('"),
        ("{call: code.py:rows, expect: {table: {columns: [a], rows: [[1, 2]]}}}", "E909", "[1, 2"),
        ("{call: code.py:rows, expect: {table: {columns: [a], file: no.csv}}}", "E909", "no.csv"),
        ("{run: ls, timeout: 9999}", "E205", "9999"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(scenario, step, code, place):
    line = f"  - {step}"
    with pytest.raises(InputError) as raised:
        scenario(line + "\n")
    [found] = [d for d in raised.value.diagnostics if d.code == code]
    assert found.position
    assert found.position.line == HEAD.count("\n") + 1
    assert line[found.position.column - 1 :].startswith(place), str(found)


def test_a_topology_that_is_not_there(scenario):
    with pytest.raises(InputError) as raised:
        scenario("  - {run: ls}\n", HEAD.replace("lab.yaml", "lba.yaml"))
    [diagnostic] = raised.value.diagnostics
    assert (diagnostic.code, diagnostic.hint) == ("E901", "did you mean `lab.yaml`?")


def test_an_unknown_name_says_what_is_near():
    with pytest.raises(InputError) as raised:
        bundled.find("one-packet-ofload")
    assert "one-packet-offload" in raised.value.diagnostics[0].hint


def test_the_table_of_the_loopback_is_the_published_one():
    root = bundled.directory().parent
    ours = (root / "scenarios/data/hdp-linux-loopback.csv").read_text().splitlines()[1:]
    published = (root / "tests/data/hdp/linux_no_server_client_loopback.csv").read_text()
    rows = [line.split(",") for line in published.splitlines()[1:]]
    assert ours == [f"{proto},{sent},{error}" for proto, sent, _, error in rows]
