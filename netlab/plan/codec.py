"""Plans as JSON and back: what a lab's record keeps, and what ``plan --format json`` prints.

An operation is an object with its name in kebab case under ``op`` and its fields beside it. A
file of the same content as an earlier one names that one's node instead (``content_of``): the
/etc/hosts of a thousand nodes would otherwise be a thousand times a thousand lines.
Decoding rebuilds equal tuples, so a stored plan can be compared with a new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlab.plan import operations
from netlab.plan.operations import InterfaceSummary, NodeSummary, Operation, Plan, VethEnd

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS: dict[str, type[Any]] = {
    "create-namespace": operations.CreateNamespace,
    "set-sysctl": operations.SetSysctl,
    "create-veth": operations.CreateVeth,
    "create-bridge": operations.CreateBridge,
    "create-tun": operations.CreateTun,
    "enslave": operations.Enslave,
    "add-address": operations.AddAddress,
    "set-up": operations.SetUp,
    "disable-offloads": operations.DisableOffloads,
    "add-route": operations.AddRoute,
    "add-routing-rule": operations.AddRoutingRule,
    "add-neighbour": operations.AddNeighbour,
    "load-rules": operations.LoadRules,
    "write-file": operations.WriteFile,
    "make-directory": operations.MakeDirectory,
    "start-program": operations.StartProgram,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def name(operation: Operation) -> str:
    """The kebab-case name of an operation's kind."""
    return _NAMES[type(operation)]


def to_json(plan: Plan) -> dict[str, Any]:
    """A JSON-ready object; ``from_json`` gives an equal plan back."""
    return {
        "name": plan.name,
        "topology": plan.topology,
        "nodes": [
            _without_isolate({**n._asdict(), "interfaces": [i._asdict() for i in n.interfaces]})
            for n in plan.nodes
        ],
        "operations": _operations(plan.operations),
    } | ({"suggestion": list(plan.suggestion)} if plan.suggestion else {})


def from_json(data: dict[str, Any]) -> Plan:
    """The plan that ``to_json`` wrote; ``KeyError`` or ``TypeError`` for anything else."""
    return Plan(
        data["name"],
        data["topology"],
        tuple(
            NodeSummary(
                n["name"],
                n["kind"],
                tuple(
                    InterfaceSummary(i["name"], tuple(i["addresses"]), i["mac"], i["peer"])
                    for i in n["interfaces"]
                ),
                _pairs(n["environment"]),
                n.get("isolate", False),
            )
            for n in data["nodes"]
        ),
        tuple(_decoded(data["operations"])),
        tuple(data.get("suggestion", ())),
    )


def _operations(plan: tuple[Operation, ...]) -> list[dict[str, Any]]:
    listed = []
    seen: dict[tuple[str, str], str] = {}
    for operation in plan:
        fields = _fields(operation)
        if isinstance(operation, operations.WriteFile):
            first = seen.setdefault((operation.path, operation.content), operation.node)
            if first != operation.node:
                del fields["content"]
                fields["content_of"] = first
        listed.append({"op": name(operation), **fields})
    return listed


def _decoded(listed: list[dict[str, Any]]) -> Iterator[Operation]:
    contents: dict[tuple[str, str], str] = {}
    for item in listed:
        fields = dict(item)
        if "content_of" in fields:
            fields["content"] = contents[fields.pop("content_of"), fields["path"]]
        operation = _operation(fields)
        if isinstance(operation, operations.WriteFile):
            contents[operation.node, operation.path] = operation.content
        yield operation


def _fields(operation: Operation) -> dict[str, Any]:
    fields = operation._asdict()
    if isinstance(operation, operations.CreateVeth):
        fields["a"] = operation.a._asdict()
        fields["b"] = operation.b._asdict()
    elif isinstance(operation, operations.StartProgram):
        return _without_isolate(fields)
    elif isinstance(operation, operations.AddRoute):
        # Most routes of a large lab are plain.
        default = operation._field_defaults
        fields = {k: v for k, v in fields.items() if k == "reason" or v != default.get(k)}
    return fields


def _without_isolate(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what most nodes are not."""
    if not fields["isolate"]:
        del fields["isolate"]
    return fields


def _operation(fields: dict[str, Any]) -> Operation:
    kind = _KINDS[fields.pop("op")]
    if kind is operations.CreateVeth:
        fields["a"] = VethEnd(**fields["a"])
        fields["b"] = VethEnd(**fields["b"])
    elif kind is operations.StartProgram:
        fields["argv"] = tuple(fields["argv"])
        fields["environment"] = _pairs(fields["environment"])
    elif kind is operations.AddRoute and "next_hops" in fields:
        fields["next_hops"] = tuple(tuple(hop) for hop in fields["next_hops"])
    operation: Operation = kind(**fields)
    return operation


def _pairs(items: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in items)
