"""The topologies that ship, by name, and the suffix that editors match.

A plain ``netlab up`` comes through here, so it does without pathlib.
"""

from __future__ import annotations

import os

from netlab.errors import Diagnostic, InputError, Position

SUFFIXES = (".netlab.yaml", ".netlab.yml", ".yaml", ".yml")
"""Endings of topology files, the longest first; a lab's name leaves them out."""


def root() -> str:
    """The directory that holds ``topologies`` and ``scenarios``.

    In an installed package that is ``netlab/shipped``, in a source tree its top. Scenarios name
    their topologies by relative paths, so the two are always side by side.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    installed = os.path.join(package, "shipped")
    return installed if os.path.isdir(installed) else os.path.dirname(package)


def names() -> list[str]:
    """The names of all, sorted: ``nat``, ``hdp/tokyo``."""
    top = os.path.join(root(), "topologies")
    found = []
    for directory, _, files in os.walk(top):
        inside = os.path.relpath(directory, top)
        prefix = "" if inside == "." else f"{inside}/"
        found += [prefix + stem(file) for file in files if file.endswith(SUFFIXES)]
    return sorted(found)


def find(text: str) -> str:
    """The path that ``text`` names: a file, or else a topology that ships.

    Raises:
        InputError: E101 with the nearest names if it is neither.
    """
    if os.path.lexists(text) and not os.path.isdir(text):
        return text
    shipped = path(text)
    if shipped:
        return shipped
    if os.path.isdir(text):
        return text  # whoever reads it reports that it is a directory
    raise InputError(_missing(text))


def path(name: str) -> str | None:
    """The file of the shipped topology ``name``; None if there is none of this name."""
    return os.path.join(root(), "topologies", f"{name}.yaml") if name in names() else None


def stem(file: str) -> str:
    """A file's name without directory and suffix: ``office`` of ``labs/office.netlab.yaml``."""
    name = os.path.basename(file)
    for suffix in SUFFIXES:
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix)
    return os.path.splitext(name)[0]


def _missing(text: str) -> Diagnostic:
    from netlab.topology.problems import nearest

    if not text.endswith(SUFFIXES):
        message = f"no file {text!r}, and no shipped topology has this name"
        return Diagnostic("E101", message, hint=nearest(text, names()))
    shipped = os.path.splitext(text.removeprefix("topologies/"))[0]
    if shipped in names():
        hint = f"the topology that ships with netlab is called `{shipped}`, without a suffix"
    else:
        beside = _topologies_in(os.path.dirname(text) or ".")
        hint = nearest(os.path.basename(text), beside) if beside else "is the path right?"
    return Diagnostic("E101", "this file does not exist", Position(text, 1, 1), hint=hint)


def _topologies_in(directory: str) -> list[str]:
    try:
        return [name for name in os.listdir(directory) if name.endswith(SUFFIXES)]
    except OSError:
        return []
