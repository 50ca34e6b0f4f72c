"""What a link does to packets, as its boxes report it: described, and changed while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from netlab.middlebox.factory import name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from netlab.middlebox.box import Direction

Described: TypeAlias = "dict[str, Any]"
"""A box as ``middlebox.make`` reads it."""

DIRECTIONS: tuple[Direction, ...] = ("outbound", "inbound")


def impaired(
    boxes: Sequence[Described], changes: Mapping[Direction, Mapping[str, object]]
) -> list[Described]:
    """The boxes of a wire with other impairments, each direction for itself.

    The link's own impairments are the first boxes; they are put there if there are none, and said
    once where both directions are equal. All other boxes stay as they are.
    """
    own, rest = _own(boxes)
    ways: dict[str, dict[str, Any]] = {way: {} for way in DIRECTIONS}
    kept: Described = {}
    for box in own:
        parameters = dict(box["parameters"])
        which = parameters.pop("direction", "both")
        kept = {key: value for key, value in box.items() if key != "parameters"}
        for way in DIRECTIONS if which == "both" else (which,):
            ways[way] |= parameters
    seed = next((way["seed"] for way in ways.values() if "seed" in way), 0)
    for way, values in changes.items():
        if values:
            ways[way] = {"seed": seed} | ways[way] | dict(values)
    kept = {"kind": "impair", "seed": 0} | kept
    if ways["outbound"] == ways["inbound"]:
        said = {"both": ways["outbound"]}
    else:
        said = {way: values for way, values in ways.items() if values}
    return [
        kept | {"parameters": values | {"direction": way}} for way, values in said.items()
    ] + rest


def _own(boxes: Sequence[Described]) -> tuple[list[Described], list[Described]]:
    at = next((n for n, box in enumerate(boxes) if box.get("kind") != "impair"), len(boxes))
    return list(boxes[:at]), list(boxes[at:])


def phrases(boxes: Sequence[Described]) -> Iterator[str]:
    """Each box in a few words: ``outbound delay 20ms, loss 3%``."""
    for box in boxes:
        parameters = dict(box.get("parameters", {}))
        which = parameters.pop("direction", "both")
        if box.get("kind") == "impair":
            words = [f"{key} {value}" for key, value in parameters.items() if key != "seed"]
            if "seed" in parameters:
                words.append(f"seed {parameters['seed']}")
            way = "" if which == "both" else f"{which} "
            yield f"{way}{', '.join(words)}" if words else "nothing"
        else:
            words = [f"{key} {value}" for key, value in parameters.items()]
            yield " ".join((name(box).name, f"({', '.join(words)})")) if words else name(box).name
