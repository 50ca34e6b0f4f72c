"""Templates and defaults are merged into the nodes that they are for.

This works on the tree of the file, before the form is checked, so that every merged value still
knows the line on which it was written.
"""

from __future__ import annotations

from netlab.topology.problems import Problems, nearest
from netlab.topology.source import MAX_VALUES, Listing, Mapping, Scalar, Tree

KINDS = ("host", "router", "nat", "bridge", "stack")


def expand(tree: Mapping, problems: Problems) -> None:
    """Replace each node in ``tree`` by the node merged from all its sources.

    From weak to strong: ``defaults: node:``, the defaults of its kind, its templates in order,
    its own keys. Mappings are merged key by key, anything else is replaced as a whole. Raises
    InputError if that grows out of bounds.
    """
    templates = _mapping(tree, "templates")
    defaults = _mapping(tree, "defaults")
    nodes = _mapping(tree, "nodes")
    values = 0
    for name, (key, own) in list(nodes.entries.items()):
        if isinstance(own, Scalar) and own.value == "" and not own.quoted:
            node: Tree = Mapping(key.line, key.column)
        else:
            node = own
        if not isinstance(node, Mapping):
            continue
        common = _mapping(defaults, "node")
        layers = [*_templates(node, templates, problems), node]
        kind = "host"
        for layer in [common, *layers]:
            written = layer.entries.get("kind")
            if written and isinstance(written[1], Scalar) and written[1].value in KINDS:
                kind = written[1].value
        layers = [common, _mapping(defaults, kind), *layers]
        values += sum(layer.size for layer in layers)
        if values > MAX_VALUES:
            problems.add(
                "E109",
                f"templates and defaults expand to more than {MAX_VALUES} values",
                key,
                "put what many nodes share into a template",
            )
            problems.raise_if_any()
        merged = Mapping(node.line, node.column)
        for layer in layers:
            _merge(merged, layer)
        nodes.entries[name] = (key, merged)


def _mapping(tree: Mapping, name: str) -> Mapping:
    entry = tree.entries.get(name)
    return entry[1] if entry and isinstance(entry[1], Mapping) else Mapping(0, 0)


def _templates(node: Mapping, templates: Mapping, problems: Problems) -> list[Mapping]:
    entry = node.entries.get("template")
    if entry is None:
        return []
    wanted = entry[1].items if isinstance(entry[1], Listing) else [entry[1]]
    found = []
    for each in wanted:
        if not isinstance(each, Scalar):
            continue
        template = templates.entries.get(each.value)
        if template is None:
            problems.add(
                "E208",
                f"unknown template `{each.value}`",
                each,
                nearest(each.value, templates.entries),
            )
        elif isinstance(template[1], Mapping):
            if "template" in template[1].entries:
                problems.add(
                    "E208",
                    "a template cannot build on a template",
                    template[1].entries["template"][0],
                    "a node may name several: `template: [base, web]`",
                )
            found.append(template[1])
    return found


def _merge(into: Mapping, layer: Mapping) -> None:
    for name, (key, value) in layer.entries.items():
        below = into.entries.get(name)
        if below and isinstance(below[1], Mapping) and isinstance(value, Mapping):
            _merge(below[1], value)
        elif isinstance(value, Mapping):
            # A copy: the template is merged into other nodes too.
            copy = Mapping(value.line, value.column)
            _merge(copy, value)
            into.entries[name] = (key, copy)
        else:
            into.entries[name] = (key, value)
