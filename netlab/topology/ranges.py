"""Many nodes from one entry: `pc: {count: 20}` and `pc[1-20]` are pc1, pc2, pc3 and so on.

This works on the tree of the file, before anything else looks at it. A link whose end means many
nodes becomes as many links; two such ends are paired in order.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, NamedTuple

from netlab.topology.source import MAX_VALUES, Listing, Mapping, Scalar

if TYPE_CHECKING:
    from netlab.topology.problems import Problems
    from netlab.topology.source import Tree

MOST = 4096
"""Nodes that one entry may mean."""

_RANGE = re.compile(r"(?P<stem>.*)\[(?P<first>[0-9]{1,6})-(?P<last>[0-9]{1,6})\]")
HINT = "as in `pc[1-20]`, the smaller number first"


class _Group(NamedTuple):
    names: list[str]
    place: Scalar


def expand_ranges(tree: Mapping, problems: Problems) -> None:
    """Replace each entry of many nodes, and each link to one, by what it means."""
    nodes = tree.entries.get("nodes")
    if nodes is None or not isinstance(nodes[1], Mapping):
        return
    groups = _expand_nodes(nodes[1], problems)
    links = tree.entries.get("links")
    if groups and links and isinstance(links[1], Listing):
        links[1].items[:] = [
            each for link in links[1].items for each in _expand_link(link, groups, problems)
        ]


def _expand_nodes(nodes: Mapping, problems: Problems) -> dict[str, _Group]:
    groups: dict[str, _Group] = {}
    values = 0
    for name, (key, node) in list(nodes.entries.items()):
        names = _names(name, key, node, problems)
        if names is None:
            continue
        groups[name] = _Group(names, key)
        values += len(names) * node.size
        if values > MAX_VALUES:
            message = f"`{name}` expands to more than {MAX_VALUES} values"
            problems.add("E109", message, key, "put what many nodes share into a template")
            problems.raise_if_any()
    if groups:
        _replace(nodes, groups, problems)
    return groups


def _replace(nodes: Mapping, groups: dict[str, _Group], problems: Problems) -> None:
    """Put the members of a group where the group was, in the order of the file."""
    entries = list(nodes.entries.items())
    nodes.entries.clear()
    for name, (key, node) in entries:
        for each in groups[name].names if name in groups else [name]:
            if each in nodes.entries:
                problems.add("E107", f"node `{each}` is there twice", key, "keep one")
                continue
            own = copy.deepcopy(node) if name in groups else node
            nodes.entries[each] = (_renamed(key, each), own)


def _names(name: str, key: Scalar, node: Tree, problems: Problems) -> list[str] | None:
    """The nodes that an entry means; ``None`` for a plain one."""
    count = node.entries.pop("count", None) if isinstance(node, Mapping) else None
    found = _RANGE.fullmatch(name)
    if found:
        if count:
            problems.add(
                "E231", f"`{name}` has a range and a `count`", count[0], "keep one of them"
            )
        return _numbered(found, key, problems)
    if count is None:
        return None
    text = count[1].value if isinstance(count[1], Scalar) else ""
    if not (text.isascii() and text.isdigit() and len(text) < 7 and 0 < int(text) <= MOST):
        message = f"`count` is a number from 1 to {MOST}"
        problems.add("E231", message, count[1], "as in `count: 20`")
        return [f"{name}1"]
    return [f"{name}{n}" for n in range(1, int(text) + 1)]


def _numbered(found: re.Match[str], place: Scalar, problems: Problems) -> list[str]:
    first, last = int(found["first"]), int(found["last"])
    if not first <= last < first + MOST:
        message = f"`{found[0]}` is not a range of 1 to {MOST} nodes"
        problems.add("E231", message, place, HINT)
        return [f"{found['stem']}{found['first']}"]
    width = len(found["first"])
    return [f"{found['stem']}{n:0{width}}" for n in range(first, last + 1)]


def _expand_link(link: Tree, groups: dict[str, _Group], problems: Problems) -> list[Tree]:
    ends = link
    if isinstance(link, Mapping):
        ends = link.entries["ends"][1] if "ends" in link.entries else link
    if not isinstance(ends, Listing):
        return [link]
    many = []
    for end in ends.items:
        node = _node_of(end)
        names = groups[node].names if node in groups else None
        if names is None and (found := _RANGE.fullmatch(node)) and isinstance(end, Scalar):
            names = _numbered(found, end, problems)  # a part of what there is
        many.append(names)
    sizes = {len(names) for names in many if names is not None}
    if not sizes:
        return [link]
    if len(sizes) > 1:
        pairs = zip(ends.items, many, strict=True)
        said = " and ".join(f"{len(names)} of `{_node_of(end)}`" for end, names in pairs if names)
        problems.add(
            "E231",
            f"the ends of this link mean {said}",
            ends,
            "as many on both sides, or one: a LAN of many is a `kind: bridge`",
        )
        return []
    return [
        _copy(link, [names[i] if names else None for names in many]) for i in range(sizes.pop())
    ]


def _copy(link: Tree, names: list[str | None]) -> Tree:
    """A link with other nodes at its ends, in its addresses and MAC addresses, too."""
    made = copy.deepcopy(link)
    holder = made.entries["ends"][1] if isinstance(made, Mapping) else made
    assert isinstance(holder, Listing)
    renamed: dict[str, str] = {}
    for i, name in enumerate(names):
        end = holder.items[i]
        if name is not None and isinstance(end, Scalar):
            node, colon, interface = end.value.partition(":")
            renamed[node] = name
            holder.items[i] = _renamed(end, f"{name}{colon}{interface}")
    for key in ("addresses", "mac") if isinstance(made, Mapping) else ():
        below = made.entries.get(key) if isinstance(made, Mapping) else None
        if below and isinstance(below[1], Mapping):
            entries = below[1].entries
            for node, name in renamed.items():
                if node in entries:
                    place, value = entries.pop(node)
                    entries[name] = (_renamed(place, name), value)
    return made


def _node_of(end: Tree) -> str:
    """The node of an end, which may be a range: `pc[1-20]:eth0`."""
    return end.value.partition(":")[0] if isinstance(end, Scalar) else ""


def _renamed(place: Scalar, value: str) -> Scalar:
    return Scalar(value, place.line, place.column, place.quoted)
