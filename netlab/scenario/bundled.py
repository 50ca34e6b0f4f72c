"""The scenarios that ship, by name."""

from __future__ import annotations

from pathlib import Path

from netlab.errors import Diagnostic, InputError
from netlab.topology import shipped
from netlab.topology.problems import nearest

EXERCISES = "exercises"
"""The directory of exercises beside the lessons."""


def directory() -> Path:
    """Where they are: in the package when it is installed, else beside it in the source tree."""
    return Path(shipped.root()) / "scenarios"


def names() -> list[str]:
    """The names of all lessons, sorted."""
    return sorted(path.stem for path in directory().glob("*.yaml"))


def exercises() -> list[str]:
    """The names of all exercises, sorted."""
    return sorted(path.stem for path in (directory() / EXERCISES).glob("*.yaml"))


def find(text: str) -> Path:
    """The file of a shipped scenario's or exercise's name, or the file that ``text`` names.

    Raises:
        InputError: there is no such scenario or file.
    """
    if text.endswith((".yaml", ".yml")) or "/" in text:
        return Path(text)
    if text in exercises():
        return directory() / EXERCISES / f"{text}.yaml"
    known = names()
    if text not in known:
        message = f"unknown scenario {text!r}"
        raise InputError(Diagnostic("E910", message, hint=nearest(text, [*known, *exercises()])))
    return directory() / f"{text}.yaml"
