"""The ``middleboxes:`` of nodes and links, and what a link does to packets -> Box."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.middlebox.catalogue import CATALOGUE
from netlab.topology import link_presets
from netlab.topology.fields import plain_value
from netlab.topology.model import Box
from netlab.topology.problems import nearest
from netlab.topology.routing_domain import forwards

if TYPE_CHECKING:
    from netlab.topology.builder import TopologyBuilder, Wiring
    from netlab.topology.schema import ImpairmentForm, MiddleboxForm

    Steps = tuple[str | int, ...]

IMPAIRMENTS = (
    "delay", "jitter", "rate", "queue", "loss", "duplicate", "reorder", "corrupt", "burst-begin",
    "burst-end", "burst-loss",
)  # fmt: skip


def node_boxes(builder: TopologyBuilder, wiring: Wiring, name: str) -> tuple[Box, ...]:
    """The boxes that a node is, all of them made of rules."""
    node = builder.form.nodes[name]
    if node.middleboxes and not forwards(node):
        builder.problems.add(
            "E273",
            f"nothing passes through `{name}`, which is a {node.kind}",
            builder.at_key("nodes", name, "middleboxes"),
            "put the middlebox at a `router` or `nat`, or on a link",
        )
        return ()
    found = []
    for i, form in enumerate(node.middleboxes):
        path = ("nodes", name, "middleboxes", i)
        box = _box(builder, form, path)
        if box is None:
            continue
        if box.python or not CATALOGUE[box.kind].is_rules:
            builder.problems.add(
                "E273",
                f"`{box.kind or box.python.rpartition(':')[2]}` is a program, not a set of rules;"
                " it works on links only",
                builder.at(*path),
                "put it on a link: `middleboxes:` there",
            )
            continue
        _check_interfaces(builder, wiring, name, box, path)
        found.append(box)
    return tuple(found)


def link_boxes(builder: TopologyBuilder, index: int) -> tuple[Box, ...]:
    """What is in a wire: its impairment in each direction, then its boxes."""
    link = builder.form.links[index]
    found = _impairments(builder, index)
    for i, form in enumerate(link.middleboxes):
        path = ("links", index, "middleboxes", i)
        box = _box(builder, form, path)
        if box is None:
            continue
        if not box.python and CATALOGUE[box.kind].is_rules:
            builder.problems.add(
                "E273",
                f"`{box.kind}` is a set of rules; it works at nodes only",
                builder.at(*path),
                "put it at a `router` or `nat`: `middleboxes:` there",
            )
            continue
        found.append(box)
    return tuple(found)


def _impairments(builder: TopologyBuilder, index: int) -> list[Box]:
    link = builder.form.links[index]
    kind = CATALOGUE["impair"]
    preset = _link_preset(builder, link.preset, ("links", index, "preset"))
    common = _given(link)
    ways: list[tuple[str, dict[str, object]]] = [("both", common)]
    if link.outbound or link.inbound or preset:
        ways = [
            (way, preset.get(way, {}) | common | (_given(form) if form else {}))
            for way, form in (("outbound", link.outbound), ("inbound", link.inbound))
        ]
    found = []
    for direction, given in ways:
        if not given:
            continue
        bad = False
        for name, message, hint in kind.problems(given):
            own = ("links", index, name)
            nested = ("links", index, direction, name)
            special = link.outbound if direction == "outbound" else link.inbound
            is_nested = direction != "both" and special and name in special.model_fields_set
            builder.problems.add("E272", message, builder.at(*(nested if is_nested else own)), hint)
            bad = True
        if not bad:
            parameters = given | {"direction": direction, "seed": link.seed}
            found.append(
                Box("impair", tuple(parameters.items()), origin=builder.origin("links", index))
            )
    return found


def _link_preset(
    builder: TopologyBuilder, name: str | None, path: Steps
) -> dict[str, dict[str, object]]:
    """The impairments of a kind of link, each direction for itself."""
    if name is None:
        return {}
    known = link_presets.names()
    if name not in known:
        message = f"unknown preset `{name}` of a link"
        builder.problems.add("E275", message, builder.at(*path), nearest(name, known))
        return {}
    return link_presets.load(name).ways


def _given(form: ImpairmentForm) -> dict[str, object]:
    values = {name: getattr(form, name.replace("-", "_")) for name in IMPAIRMENTS}
    return {name: value for name, value in values.items() if value is not None}


def _box(builder: TopologyBuilder, form: MiddleboxForm, path: Steps) -> Box | None:
    given = {name: plain_value(v) for name, v in (form.model_extra or {}).items()}
    if form.python is not None:
        return _python(builder, form.python, given, path)
    assert form.kind is not None
    kind = CATALOGUE.get(form.kind)
    if kind is None:
        builder.problems.add(
            "E271",
            f"unknown middlebox `{form.kind}`",
            builder.at(*path, "kind"),
            nearest(form.kind, CATALOGUE),
        )
        return None
    seed = 0
    if "seed" in given and all(p.name != "seed" for p in kind.parameters):
        seed = _seed(builder, given.pop("seed"), path)
    before = len(builder.problems)
    for name, message, hint in kind.problems(given):
        place = builder.at(*path, name) if name in given else builder.at(*path)
        builder.problems.add("E272", message, place, hint)
    if len(builder.problems) > before:
        return None
    parameters = tuple((name, _hashable(value)) for name, value in given.items())
    return Box(form.kind, parameters, seed=seed, origin=builder.origin(*path))


def _hashable(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _seed(builder: TopologyBuilder, value: object, path: Steps) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    builder.problems.add("E272", "a seed is a whole number", builder.at(*path, "seed"), "as in 7")
    return 0


def _python(
    builder: TopologyBuilder, reference: str, given: dict[str, object], path: Steps
) -> Box | None:
    """The class must be there; the file is read but not run, since a check runs nothing."""
    name, _, class_name = reference.rpartition(":")
    place = builder.at(*path, "python")
    if not name:
        builder.problems.add(
            "E274", f"`{reference}` names no class", place, "as in `boxes.py:EverySecond`"
        )
        return None
    file = (Path(builder.problems.file).resolve().parent / name).resolve()
    try:
        tree = ast.parse(file.read_bytes())
    except OSError as error:
        builder.problems.add(
            "E274",
            f"{name} cannot be read: {error.strerror}",
            place,
            "the path is taken from where the topology file is",
        )
        return None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        hint = f"see its line {line}"
        builder.problems.add("E274", f"{name} is not Python", place, hint)
        return None
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    if class_name not in classes:
        builder.problems.add(
            "E274", f"{name} has no class `{class_name}`", place, nearest(class_name, classes)
        )
        return None
    seed = _seed(builder, given.pop("seed", 0), path)
    parameters = tuple((key, _hashable(value)) for key, value in given.items())
    return Box("", parameters, f"{file}:{class_name}", seed, builder.origin(*path))


def _check_interfaces(
    builder: TopologyBuilder, wiring: Wiring, name: str, box: Box, path: Steps
) -> None:
    known = [end.interface for end in wiring.by_node[name] if end.peer]
    for key, value in box.parameters:
        if key == "inside" and value not in known and name not in builder.incomplete:
            builder.problems.add(
                "E272",
                f"`{name}` has no interface `{value}`",
                builder.at(*path, key),
                nearest(str(value), known),
            )
