"""Boxes from data: what an inline program gets as JSON.

A list with one mapping for each box: ``kind`` and ``parameters`` for one of the catalogue, or
``python`` (``FILE:CLASS``) and ``parameters`` for one's own, and for both a ``seed`` and the place
in the ``topology`` that says so.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from netlab.middlebox.catalogue import CATALOGUE
from netlab.middlebox.chain import Chain, Name
from netlab.middlebox.simulated_link import seeded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netlab.middlebox.box import Middlebox


def line(described: Sequence[Mapping[str, Any]]) -> Chain:
    """The boxes as a line that knows their names."""
    return Chain(boxes(described), [name(each) for each in described])


def changed(
    now: Chain, described: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]
) -> Chain:
    """The line that is ``wanted`` in place of the one ``described``; equal boxes stay the same.

    So a box that does not change knows its connections still.
    """
    left = list(zip(described, now.boxes, strict=True))
    made = boxes(wanted)
    for number, each in enumerate(wanted):
        same = next((pair for pair in left if pair[0] == each), None)
        if same:
            left.remove(same)
            made[number] = same[1]
    return Chain(made, [name(each) for each in wanted])


def name(described: Mapping[str, Any]) -> Name:
    """What a box is called: its kind or its class."""
    called = described.get("kind") or described["python"].rpartition(":")[2]
    return Name(str(called), str(described.get("topology", "")))


def boxes(described: Sequence[Mapping[str, Any]]) -> list[Middlebox]:
    """The boxes of a chain in order, each with its own random source."""
    made = []
    for number, each in enumerate(described):
        if "python" in each:
            box = _load(each["python"])(**each["parameters"])
        else:
            box = CATALOGUE[each["kind"]].make_box(each["parameters"])
        box.rng = seeded(each.get("seed", 0), number)
        made.append(box)
    return made


def _load(reference: str) -> type[Middlebox]:
    """The class that ``FILE:CLASS`` names; the file is run."""
    path, _, name = reference.rpartition(":")
    spec = importlib.util.spec_from_file_location("netlab_user_box", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    box: type[Middlebox] = getattr(module, name)
    return box
