"""Cells: every box and NAT there is, each in a lab that differs from the others by it alone."""

import pickle

import pytest

from netlab.errors import InputError
from netlab.middlebox.catalogue import CATALOGUE
from netlab.scenario.matrix.cells import cells
from netlab.scenario.read import read
from netlab.topology import load, presets

TOPOLOGY = """
nodes: {a: , box: {kind: router}, b: }
links: [[a:eth0, box:a], [box:b, b:eth0]]
"""


def made(scenario):
    return list(cells(scenario.steps[0].action, scenario.file, scenario.topology))


def test_the_shipped_matrix_has_every_kind_of_box_and_every_preset(scenario):
    used = set()
    for obstacle in scenario.steps[0].action.obstacles:
        text = repr((obstacle.node, obstacle.link))
        used |= {name for name in (*CATALOGUE, *presets.names()) if f"'{name}'" in text}
    assert used == {*CATALOGUE, *presets.names()}


def test_each_row_of_the_table_is_an_obstacle_and_each_column_a_kind(scenario, every_cell):
    step = scenario.steps[0]
    table = step.expected.table
    assert [row[0] for row in table.rows] == [each.name for each in step.action.obstacles]
    assert table.columns == ("obstacle", *step.action.traffic)
    assert len(every_cell) == len(table.rows) * (len(table.columns) - 1)


def test_only_stacks_that_are_used_are_built(every_cell):
    for cell in every_cell:
        kinds = {node.name: node.kind for node in cell.plan.nodes}
        with_stack = cell.traffic in ("our-tcp", "stateless-tcp")
        assert (kinds["server"] == "stack") is with_stack, cell.traffic


def test_the_box_is_the_only_difference(every_cell):
    of = {cell.obstacle: cell.plan for cell in every_cell if cell.traffic == "udp"}
    assert set(of["allow-list"].operations) != set(of["nothing"].operations)
    assert {node.name: node.kind for node in of["linux"].nodes}["box"] == "nat"
    assert len(of["duplicator"].nodes) == len(of["nothing"].nodes) + 1  # the wire


def test_a_cell_is_all_that_a_worker_needs(every_cell):
    for cell in every_cell[::40]:
        assert pickle.loads(pickle.dumps(cell)) == cell


def test_the_template_is_a_lab_by_itself(scenario):
    assert {node.name for node in load(scenario.topology).nodes} >= {"client", "box", "server"}


@pytest.fixture
def write(tmp_path):
    (tmp_path / "lab.yaml").write_text(TOPOLOGY)

    def write(matrix):
        path = tmp_path / "it.yaml"
        path.write_text(f"title: t\ntopology: lab.yaml\nstory: s\nsteps:\n  - matrix: {matrix}\n")
        return path

    return write


def test_links_in_the_short_form_can_be_a_wire(write):
    path = write(
        "{from: a, to: b, box: box, wire: box:b, traffic: [udp],"
        " obstacles: {x: {link: {middleboxes: [split]}}, y: }}"
    )
    x, y = made(read(path))
    assert len(x.plan.nodes) == len(y.plan.nodes) + 1


REST = "box: box, wire: box:b, traffic: [udp]"


@pytest.mark.parametrize(
    ("matrix", "code", "place"),
    [
        (f"{{from: c, to: b, {REST}, obstacles: {{x: {{}}}}}}", "E904", "c,"),
        (f"{{from: a, to: b, {REST.replace(':b', ':c')}, obstacles: {{x: }}}}", "E904", "box:c"),
        (f"{{from: a, to: b, {REST.replace('udp', 'upd')}, obstacles: {{x: }}}}", "E918", "upd"),
        (f"{{from: a, to: b, {REST}, obstacles: {{x: [allow-list]}}}}", "E202", "[allow"),
        (f"{{from: a, to: b, {REST}, obstacles: {{x: {{link: split}}}}}}", "E202", "split"),
        (f"{{from: a, to: b, {REST}, obstacles: {{}}}}", "E205", "{}"),
        (f"{{from: a, to: b, {REST}, obstacles: {{x: {{middleboxes: [x]}}}}}}", "E27", "x"),
        (f"{{from: a, to: b, {REST}, obstacles: {{x: {{kindd: nat}}}}}}", "E201", "kindd"),
        (f"{{from: a, to: b, {REST}, obstacles: {{x: {{link: {{mtu: 12}}}}}}}}", "E2", "12"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(write, matrix, code, place):
    path = write(matrix)
    with pytest.raises(InputError) as raised:
        made(read(path))
    [found] = raised.value.diagnostics
    line = path.read_text().splitlines()[4]
    assert found.code.startswith(code), str(found)
    assert found.position
    assert found.position.line == 5
    assert line[found.position.column - 1 :].startswith(place), str(found)
