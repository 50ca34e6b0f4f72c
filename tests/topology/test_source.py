"""Files that cannot be read, and texts that are hostile to whoever reads them."""

from __future__ import annotations

import os
import re

import pytest

from netlab.errors import InputError, Position
from netlab.topology import load, loads, source
from netlab.topology.problems import Problems
from netlab.topology.source import Mapping, Plain, find, parse, resolve

GOOD = "nodes: {a: , b: }\nlinks: [[a:eth0, b:eth0]]\n"


def only_problem(path):
    with pytest.raises(InputError) as caught:
        load(path)
    (problem,) = caught.value.diagnostics
    assert problem.position is not None
    assert problem.position.file == str(path)
    assert problem.hint
    return problem


def test_a_missing_file_names_the_nearest_one_beside_it(tmp_path):
    (tmp_path / "nat.yaml").write_text(GOOD)
    problem = only_problem(tmp_path / "nta.yaml")
    assert problem.code == "E101"
    assert problem.hint == "did you mean `nat.yaml`?"


def test_a_file_in_a_folder_that_is_missing(tmp_path):
    assert only_problem(tmp_path / "no" / "nat.yaml").code == "E101"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "nat.yaml"
    path.write_text(GOOD)
    path.chmod(0)
    assert only_problem(path).code == "E101"


def test_a_name_that_no_file_can_have():
    assert only_problem("a\0b").code == "E101"


def test_a_directory_names_a_file_in_it(tmp_path):
    (tmp_path / "nat.yaml").write_text(GOOD)
    problem = only_problem(tmp_path)
    assert problem.code == "E102"
    assert "nat.yaml" in problem.hint


def test_a_device_is_never_read():
    assert only_problem("/dev/zero").code == "E102"


def test_a_pipe_without_a_writer_does_not_block(tmp_path):
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    assert only_problem(pipe).code == "E102"


def test_ten_megabytes_are_refused(tmp_path):
    path = tmp_path / "big.yaml"
    path.write_bytes(b"# " + b"x" * (10 << 20))
    assert only_problem(path).code == "E103"


def test_the_largest_allowed_file_is_read(tmp_path):
    path = tmp_path / "big.yaml"
    comment = b"#" * (source.MAX_BYTES - len(GOOD) - 1) + b"\n"
    path.write_bytes(comment + GOOD.encode())
    assert len(load(path).nodes) == 2


def test_bytes_that_are_not_utf8_are_told_with_their_place(tmp_path):
    path = tmp_path / "latin1.yaml"
    path.write_bytes(GOOD.encode() + "# knödel".encode("latin-1"))
    problem = only_problem(path)
    assert problem.code == "E104"
    assert problem.position == Position(str(path), 3, 5)
    assert "0xf6" in problem.message


def test_utf16_is_not_utf8(tmp_path):
    path = tmp_path / "utf16.yaml"
    path.write_bytes(GOOD.encode("utf-16"))
    assert only_problem(path).code == "E104"


def test_a_byte_order_mark_is_passed_over(tmp_path):
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert len(load(path).nodes) == 2


def test_windows_line_ends_are_fine():
    assert loads(GOOD.replace("\n", "\r\n")).nodes == loads(GOOD).nodes


def test_a_lone_surrogate_in_a_text_is_not_utf8():
    with pytest.raises(InputError, match="E104"):
        loads(GOOD + "# \udc80")
    with pytest.raises(InputError, match="E104"):
        loads(GOOD + "# \ud800")


@pytest.mark.parametrize("brackets", ["[", "{a: ", "- ", "a:\n "])
def test_depth_is_bounded_without_recursion(brackets):
    with pytest.raises(InputError, match=r"E1\d\d"):
        loads(brackets * 100_000)


def test_an_anchor_bomb_costs_no_more_than_its_text():
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 60)]
    bomb = "\n".join(["a0: &a0 [x]", *levels])
    with pytest.raises(InputError, match="E109"):
        loads(bomb)


def test_anchors_cannot_be_stacked_to_a_depth_that_recursion_cannot_bear():
    levels = [f"a{n}: &a{n} {'[' * 30}*a{n - 1}{']' * 30}" for n in range(1, 300)]
    with pytest.raises(InputError, match="E110"):
        loads("\n".join(["a0: &a0 [x]", *levels]))


def test_a_large_template_in_many_nodes_is_bounded():
    variables = "".join(f"      V{n}: x\n" for n in range(3000))
    nodes = "".join(f"  n{n}: {{template: big}}\n" for n in range(3000))
    with pytest.raises(InputError, match="E109"):
        loads(f"templates:\n  big:\n    environment:\n{variables}nodes:\n{nodes}")


def test_a_merge_bomb_is_bounded():
    levels = [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 60)]
    with pytest.raises(InputError, match=r"E1\d\d|E201"):
        loads("\n".join(["a0: &a0 {x: 1}", *levels]))


def test_a_hostile_line_sends_nothing_to_the_terminal():
    with pytest.raises(InputError) as caught:
        loads("nodes: {a: {kind: \x9b31m}}")
    assert all(c.isprintable() or c == "\n" for c in str(caught.value))


def test_a_very_long_line_is_not_shown_whole():
    with pytest.raises(InputError) as caught:
        loads("description: " + "x" * 5000 + "\nnodez: {a: }  # " + "y" * 5000)
    assert max(map(len, str(caught.value).splitlines())) < 500


@pytest.mark.parametrize(
    ("text", "value", "trap"),
    [
        ("1", 1, ""),
        ("-7", -7, ""),
        ("1.5", 1.5, ""),
        ("1e3", 1000.0, ""),
        ("true", True, ""),
        ("~", None, ""),
        ("no", None, "false"),
        ("On", None, "true"),
        ("12:30", None, "the number 750"),
        ("1:2:3", None, "the number 3723"),
        ("010", None, "an octal number"),
        ("0x1f", None, "a number"),
        ("1_000", None, "a number"),
        ("9" * 30, None, "a number"),
        ("2024-01-01", None, "a date"),
    ],
)
def test_plain_scalars_that_are_not_text(text, value, trap):
    plain = resolve(text)
    assert isinstance(plain, Plain)
    assert (plain.value, plain.trap) == (value, trap)


@pytest.mark.parametrize(
    "text", ["a", "10.0.0.1", "10.0.0.0/24", "2001:db8::1", "client:eth0", "y", "N", "1a", "-", "."]
)
def test_plain_scalars_that_are_text(text):
    assert not isinstance(resolve(text), Plain)


def test_positions_count_characters_from_one():
    tree = parse("é: {ü: [ä, ö]}\n", Problems("x"))
    assert isinstance(tree, Mapping)
    place = find(tree, ("é", "ü", 1))
    assert (place.line, place.column) == (1, 12)
    key = find(tree, ("é", "ü"), key=True)
    assert (key.line, key.column) == (1, 5)


def test_the_message_of_a_problem_is_the_line_and_a_caret_under_the_column():
    with pytest.raises(InputError) as caught:
        loads("nodes:\n  a: {mtu: big}\n", "x.yaml")
    assert re.search(
        r"x.yaml:2:12: error\[E202\].*\n +2 \|   a: \{mtu: big\}\n +\| {12}\^", str(caught.value)
    )
