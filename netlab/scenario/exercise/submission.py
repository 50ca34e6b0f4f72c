"""What a student's topology file may change of the one that was given. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netlab.topology import source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.scenario.model import Exercise
    from netlab.topology.model import Box, Node, Topology


class Violation(NamedTuple):
    """Something that the exercise does not allow: ``line`` is the one of the student's file."""

    text: str
    line: int


def at(tree: source.Mapping, path: str) -> source.Tree | None:
    """What ``path`` (``nodes.server``) leads to in a file; ``None`` if it leads to nothing.

    An empty node is there, too: its value is an empty scalar.
    """
    found: source.Tree = tree
    for key in path.split("."):
        entry = found.entries.get(key) if isinstance(found, source.Mapping) else None
        if entry is None:
            return None
        found = entry[1]
    return found


def locked(
    exercise: Exercise, given: source.Mapping, submitted: source.Mapping
) -> Iterator[Violation]:
    """The locked parts of the given file that the student's file has otherwise."""
    for path in exercise.locked:
        before, after = at(given, path), at(submitted, path)
        if after is None:
            yield Violation(f"`{path}` was removed: it must stay as it was given", 1)
        elif before is None or source.to_data(before) != source.to_data(after):
            yield Violation(f"`{path}` was changed: it must stay as it was given", after.line)


def foreign(exercise: Exercise, given: Topology, submitted: Topology) -> Iterator[Violation]:
    """What the student's file would run, or put before programs, that the given one does not."""
    if exercise.own_programs:
        return
    known = {node.name: node for node in given.nodes}
    for node in submitted.nodes:
        for what in _runs(node, known.get(node.name)):
            line = node.origin.line if node.origin else 1
            text = f"node {node.name}: {what} must stay as they were given"
            yield Violation(text, line)
    allowed = {box.python for box in _boxes(given)}
    for box in _boxes(submitted):
        if box.python not in allowed:
            line = box.origin.line if box.origin else 1
            yield Violation("a middlebox of Python code: it may not be added", line)


def _runs(node: Node, given: Node | None) -> Iterator[str]:
    """What of a node decides which code runs in it."""
    ours = (node.programs, node.files, node.environment)
    theirs = (given.programs, given.files, given.environment) if given else ((), (), ())
    words = ("programs", "files", "variables of the environment")
    for what, one, other in zip(words, map(_plain, ours), map(_plain, theirs), strict=True):
        if one != other:
            yield what


def _plain(parts: tuple[object, ...]) -> list[object]:
    """Without positions in a file, and without what names lead to: that follows from addresses."""
    from dataclasses import replace

    from netlab.topology.model import File, Program

    found: list[object] = []
    for part in parts:
        if isinstance(part, Program):
            # A program of netlab's own (`module`) follows from the node's kind.
            found += [] if part.module else [replace(part, origin=None)]
        elif not (isinstance(part, File) and part.path == "/etc/hosts"):
            found.append(part)
    return found


def _boxes(topology: Topology) -> Iterator[Box]:
    for node in topology.nodes:
        yield from (box for box in node.middleboxes if box.python)
    for link in topology.links:
        yield from (box for box in link.middleboxes if box.python)
