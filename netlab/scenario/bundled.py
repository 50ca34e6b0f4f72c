"""The scenarios that ship, by name."""

from __future__ import annotations

from pathlib import Path

from netlab.errors import Diagnostic, InputError
from netlab.topology import shipped
from netlab.topology.problems import nearest


def directory() -> Path:
    """Where they are: in the package when it is installed, else beside it in the source tree."""
    return Path(shipped.root()) / "scenarios"


def names() -> list[str]:
    """The names of all, sorted."""
    return sorted(path.stem for path in directory().glob("*.yaml"))


def find(text: str) -> Path:
    """The file of a shipped scenario's name, or the file that ``text`` names."""
    if text.endswith((".yaml", ".yml")) or "/" in text:
        return Path(text)
    known = names()
    if text not in known:
        message = f"unknown scenario {text!r}"
        raise InputError(Diagnostic("E910", message, hint=nearest(text, known)))
    return directory() / f"{text}.yaml"
