"""A tree from the file -> checked forms, and every problem of form at its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import ValidationError

from netlab.topology import schema
from netlab.topology.expand import KINDS
from netlab.topology.problems import nearest
from netlab.topology.source import Listing, Mapping, Scalar, describe, find, to_data

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from netlab.topology.problems import Problems
    from netlab.topology.source import Tree

    Path: TypeAlias = tuple[str | int, ...]

WANTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "`true` or `false`",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a port",
}
CHILDREN: dict[tuple[type[schema.Form], str], tuple[type[schema.Form], bool]] = {
    (schema.TopologyForm, "defaults"): (schema.DefaultsForm, False),
    (schema.TopologyForm, "templates"): (schema.NodeForm, True),
    (schema.TopologyForm, "nodes"): (schema.NodeForm, True),
    (schema.TopologyForm, "links"): (schema.LinkForm, True),
    **{(schema.DefaultsForm, kind): (schema.NodeForm, False) for kind in ("node", *KINDS)},
    (schema.NodeForm, "nat"): (schema.NatForm, False),
    (schema.NodeForm, "stack"): (schema.StackForm, False),
    (schema.NodeForm, "routes"): (schema.RouteForm, True),
    (schema.NodeForm, "rules"): (schema.RuleForm, True),
    (schema.NodeForm, "directories"): (schema.DirectoryForm, True),
    (schema.RouteForm, "nexthops"): (schema.NextHopForm, True),
    (schema.NodeForm, "firewall"): (schema.FirewallForm, False),
    (schema.NodeForm, "programs"): (schema.ProgramForm, True),
    (schema.NodeForm, "middleboxes"): (schema.MiddleboxForm, True),
    (schema.NatForm, "static"): (schema.StaticNatForm, True),
    (schema.NatForm, "timeouts"): (schema.TimeoutsForm, False),
    (schema.NatForm, "nptv6"): (schema.Nptv6Form, False),
    (schema.LinkForm, "middleboxes"): (schema.MiddleboxForm, True),
    (schema.LinkForm, "outbound"): (schema.ImpairmentForm, False),
    (schema.LinkForm, "inbound"): (schema.ImpairmentForm, False),
    (schema.ProgramForm, "ready"): (schema.ReadyForm, False),
}
"""The form under each key of a form, and whether the key holds many, by name or number."""


def read_form(tree: Mapping, problems: Problems) -> schema.TopologyForm | None:
    """The form of what is right in ``tree``.

    What is wrong is reported and then cut out of ``tree``, as little as possible, so that the
    rest of the file is still checked in the same run. ``None`` if nothing is left.
    """
    first = True
    while True:
        try:
            return schema.TopologyForm.model_validate(to_data(tree))
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
        if first:
            for each in found:
                _report(each, tree, problems)
        first = False
        # All are looked up before the first is made: a cut moves what follows it in a list.
        for holder, step, child in [_deepest(tree, _cut_path(each)) for each in found]:
            if holder is None:
                return None
            if isinstance(holder, Mapping):
                holder.entries.pop(str(step), None)
            else:
                holder.items[:] = [item for item in holder.items if item is not child]


def _path(error: ErrorDetails) -> Path:
    return tuple(step for step in error["loc"] if step != "[key]" and not _is_tag(step))


def _cut_path(error: ErrorDetails) -> Path:
    path = _path(error)
    # Without its kind nothing else of a node can be judged.
    return path[:2] if path[0] == "nodes" and path[2:] == ("kind",) else path


def _is_tag(step: str | int) -> bool:
    """Whether pydantic put it there: the member of a union that it tried."""
    return isinstance(step, str) and ("[" in step or "-" in step) and step.endswith((")", "]"))


def _report(error: ErrorDetails, tree: Mapping, problems: Problems) -> None:
    path = _path(error)
    kind, context = error["type"], error.get("ctx", {})
    on_key = error["loc"][-1] == "[key]"
    place = find(tree, path, key=on_key or kind == "extra_forbidden")
    found = describe(find(tree, path))
    form, name = _form(path)
    about = form.described().get(name, "")
    if kind[0] == "E":
        offset = int(context["offset"])
        if offset and isinstance(place, Scalar) and place.quoted:
            offset += 1
        problems.add(kind, context["message"], place, context["hint"] or about, offset)
    elif kind == "extra_forbidden":
        problems.add("E201", f"unknown key `{name}`", place, nearest(name, form.described()))
    elif kind == "missing":
        problems.add("E203", f"`{name}` is missing", place, about)
    elif kind == "literal_error":
        known = [w.strip("'") for w in context["expected"].replace(" or ", ", ").split(", ")]
        value = place.value if isinstance(place, Scalar) else ""
        message = f"{found} is not one of {', '.join(known)}"
        problems.add("E204", message, place, nearest(value, known))
    elif kind in WANTED:
        problems.add("E202", f"expected {WANTED[kind]}, got {found}", place, about)
    elif kind == "too_short":
        least = context["min_length"]
        what = "must not be empty" if least == 1 else f"needs at least {least} items"
        problems.add("E205", f"{found} {what}", place, about)
    else:
        problems.add("E205", f"{found} is out of range: {_bound(kind, context)}", place, about)


def _bound(kind: str, context: dict[str, Any]) -> str:
    words = {
        "greater_than_equal": "must be at least {ge}",
        "less_than_equal": "must be at most {le}",
        "greater_than": "must be more than {gt}",
        "less_than": "must be less than {lt}",
        "finite_number": "must be finite",
    }
    return words.get(kind, kind.replace("_", " ")).format(**context)


def _form(path: Path) -> tuple[type[schema.Form], str]:
    """The form that holds what ``path`` leads to, and the key in it."""
    form: type[schema.Form] = schema.TopologyForm
    key, rest = "", list(path)
    while rest:
        key = str(rest.pop(0))
        if (form, key) not in CHILDREN:
            break
        child, many = CHILDREN[form, key]
        if many and rest:
            rest.pop(0)
        if rest:
            form = child
    return form, key


def _deepest(tree: Mapping, path: Path) -> tuple[Mapping | Listing | None, str | int, Tree]:
    """The deepest value that ``path`` leads to, with its container and its key in it."""
    node: Tree = tree
    holder: Mapping | Listing | None = None
    key: str | int = ""
    for step in path:
        if isinstance(node, Mapping) and str(step) in node.entries:
            holder, node, key = node, node.entries[str(step)][1], step
        elif isinstance(node, Listing) and isinstance(step, int) and step < len(node.items):
            holder, node, key = node, node.items[step], step
    return holder, key, node
