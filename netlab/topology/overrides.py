"""Single values of a file replaced before it is read on: what ``netlab set`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.topology import source
from netlab.topology.problems import Problems, nearest
from netlab.topology.source import Mapping, Scalar

if TYPE_CHECKING:
    from collections.abc import Mapping as Settings

FREE = ("sysctls", "files", "environment")
"""Keys of a node whose own keys have dots in them, as `sysctls.net.ipv4.ip_forward`."""


def apply_overrides(tree: Mapping, settings: Settings[str, str], problems: Problems) -> None:
    """Put each value of ``settings``, by its path ``NODE.KEY.KEY``, where the file would have it.

    A value takes the position of its node, so that its problems are reported there.
    """
    entry = tree.entries.get("nodes")
    nodes = entry[1] if entry and isinstance(entry[1], Mapping) else Mapping(1, 1)
    for path, text in settings.items():
        name, *keys = path.split(".")
        if keys and keys[0] in FREE and len(keys) > 2:
            keys = [keys[0], ".".join(keys[1:])]
        if name not in nodes.entries or not keys:
            message = f"`{path}` leads to no key of a node"
            problems.add("E211", message, Scalar("", 1, 1), nearest(name, nodes.entries))
            continue
        value = source.parse(f"value: {text}", Problems("netlab set")).entries["value"][1]
        place = nodes.entries[name][0]
        if not isinstance(value, Scalar):
            problems.add("E211", f"`{path}` can be set to one value only", place, "no list")
            continue
        holder = nodes
        for key in (name, *keys[:-1]):
            below = holder.entries.get(key)
            if below is None or not isinstance(below[1], Mapping):
                below = (_at(place, key), Mapping(place.line, place.column))
                holder.entries[key] = below
            assert isinstance(below[1], Mapping)
            holder = below[1]
        given = _at(place, value.value)
        given.quoted = value.quoted
        holder.entries[keys[-1]] = (_at(place, keys[-1]), given)


def _at(place: Scalar, value: str) -> Scalar:
    return Scalar(value, place.line, place.column)
