"""A name that is not a file is looked up among the topologies that ship."""

from pathlib import Path

import pytest

from netlab.cli import main
from netlab.errors import InputError
from netlab.topology import load, loads, shipped


def test_every_shipped_topology_has_a_name_that_finds_it():
    assert {"nat", "firewall", "hdp/tokyo"} <= set(shipped.names())
    for name in shipped.names():
        assert load(shipped.find(name)).nodes


def test_a_file_of_that_name_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nat").write_text("nodes: {a: , b: }\nlinks: [[a:eth0, b:eth0]]\n")
    assert shipped.find("nat") == "nat"


def test_a_directory_of_that_name_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nat").mkdir()
    (tmp_path / "mine").mkdir()
    assert shipped.find("nat") == str(Path(shipped.root()) / "topologies" / "nat.yaml")
    assert shipped.find("mine") == "mine"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("hole-puncing", "did you mean `hole-punching`?"),
        ("topologies/nat.yaml", "is called `nat`"),
        ("firewall.yaml", "is called `firewall`"),
        ("hdp/tokyo.yaml", "is called `hdp/tokyo`"),
        ("offise.netlab.yaml", "did you mean `office.netlab.yaml`?"),
        ("no/such/lab.yaml", "is the path right?"),
    ],
)
def test_a_name_that_is_neither_gets_the_nearest_ones(text, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "office.netlab.yaml").write_text("")
    with pytest.raises(InputError) as caught:
        shipped.find(text)
    [diagnostic] = caught.value.diagnostics
    assert diagnostic.code == "E101"
    assert hint in diagnostic.hint


def test_the_suffix_that_editors_match_is_not_part_of_a_lab_s_name(tmp_path):
    text = "nodes: {a: , b: }\nlinks: [[a:eth0, b:eth0]]\n"
    for file in ("office.netlab.yaml", "office.netlab.yml", "office.yaml", "office.yml"):
        assert loads(text, f"labs/{file}").name == "office"
    path = tmp_path / "branch.netlab.yaml"
    path.write_text(text)
    assert load(path).name == "branch"


@pytest.mark.parametrize("file", [".yaml", ".netlab.yaml", "v1.2"])
def test_a_file_that_is_all_suffix_still_has_a_name(file):
    assert loads("nodes: {a: , b: }\nlinks: [[a:eth0, b:eth0]]\n", file).name


def test_check_names_the_problems_of_all_its_files(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.yaml").write_text("nodes: {a: }\nlinkz: []\n")
    (tmp_path / "two.yaml").write_text("node: {a: }\n")
    assert main(["check", "one.yaml", "nat", "two.yaml"]) == 2
    printed = capsys.readouterr()
    assert printed.out == "nat: fine (4 nodes, 3 links)\n"
    assert "one.yaml:2:1: error[E201]" in printed.err
    assert "two.yaml:1:1: error[E201]" in printed.err
