"""PURE: from the text of a topology file to a checked, frozen model.

shipped.py      the topologies that ship, by name
source.py       YAML text -> tree of values that know their line and column
expand.py       templates and defaults merged into the nodes
schema.py       the file's form: keys, types, short forms (and the JSON Schema)
fields.py       the values in it: addresses, ports, names and how they are read
names.py        what may be a name
amend.py        single values replaced, for `netlab set`
form.py         tree -> checked form, every problem of form at its place
draft.py        what the following stages hand on
wiring.py       links -> interfaces and broadcast domains
addressing.py   subnets, addresses
realm.py        who sees which subnet; shortest paths over the graph
summary.py      many subnets as few prefixes
routing.py      routes, neighbours
translation.py  NAT
behaviour.py    NAT as RFC 4787 describes it: nat.py holds the terms, presets/ known ones
boxes.py        middleboxes at nodes and on links
firewall.py     rules in the short form -> nft matches
hosts.py        /etc/hosts
resolve.py      all of it together: file -> Topology or every problem at once
problems.py     the problems of a file, gathered
model.py        the result
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from netlab.topology.model import Topology

__all__ = ["json_schema", "load", "loads"]


def load(path: str | Path, settings: Mapping[str, str] | None = None) -> Topology:
    """The topology in a file; InputError with all its problems if there are any.

    ``settings`` are single values in place of the file's, by path: ``{"nat.nat.ports": "random"}``.
    """
    from netlab.topology import resolve

    return resolve.load(path, settings)


def loads(text: str, file: str = "<string>") -> Topology:
    """The topology in a text; ``file`` is what messages call it."""
    from netlab.topology import resolve

    return resolve.loads(text, file)


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of topology files, short forms included."""
    from netlab.topology import resolve

    return resolve.json_schema()
