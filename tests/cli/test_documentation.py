"""Every command documents itself, and the pages say what the program says."""

import argparse
import runpy
from pathlib import Path

import pytest

from netlab.cli import COMMANDS, command_parser, main

ROOT = Path(__file__).parents[2]


def leaves(name: str, parser: argparse.ArgumentParser):
    """The commands that do something: those without commands below them."""
    below = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not below:
        yield name, parser
    for action in below:
        for word, child in action.choices.items():
            yield from leaves(f"{name} {word}", child)


ALL = [leaf for name in COMMANDS for leaf in leaves(name, command_parser(name))]


@pytest.mark.parametrize(("name", "parser"), ALL, ids=[name for name, _ in ALL])
def test_help_holds_a_description_and_an_example_to_paste(name, parser):
    assert parser.description
    assert parser.epilog, f"{name} shows no example"
    assert f"netlab {name}" in parser.epilog


@pytest.mark.parametrize(("name", "parser"), ALL, ids=[name for name, _ in ALL])
def test_every_argument_has_help(name, parser):
    assert [f"{name} {a.dest}" for a in parser._actions if not a.help] == []


def test_the_reference_is_up_to_date():
    page = runpy.run_path(str(ROOT / "scripts" / "reference.py"))["reference"]()
    assert (ROOT / "docs" / "commands.md").read_text() == page, "run `make docs`"


def test_the_readme_names_every_command():
    readme = (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"`{name}" not in readme] == []


def test_an_unknown_command_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["upp"])
    assert stopped.value.code == 2
    assert "upp" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_completion_scripts_know_the_commands(shell, capsys):
    assert main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in printed] == []
