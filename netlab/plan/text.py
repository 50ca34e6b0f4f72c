"""A plan as text for people, and what differs between two plans."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from netlab.plan import codec
from netlab.plan import operations as op
from netlab.plan.commands import MAIN_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator


def text(plan: op.Plan) -> str:
    """One line an operation, grouped by node, each with its reason."""
    lines = [f"{plan.name} ({plan.topology}): {len(plan.operations)} operations"]
    node = None
    for operation in plan.operations:
        heading = "wires" if isinstance(operation, op.CreateVeth) else operation.node
        if heading != node:
            lines += ["", heading]
            node = heading
        first, *rest = describe(operation).split("\n")
        lines.append(f"  {codec.name(operation):<17} {first}  # {operation.reason}")
        lines += [f"  {'':<17} {line}" for line in rest]
    return "\n".join(lines) + "\n"


def describe(operation: op.Operation) -> str:
    """What an operation does, without its node; several lines for a ruleset or a file."""
    match operation:
        case op.CreateNamespace(node):
            return node
        case op.SetSysctl(_, key, value):
            return f"{key} = {value}"
        case op.CreateVeth(a, b):
            return f"{a.node}:{a.name} {a.mac} -- {b.node}:{b.name} {b.mac} mtu {a.mtu}"
        case op.CreateBridge(_, name, _, mac, mtu):
            return f"{name} {mac} mtu {mtu}"
        case op.CreateTun(_, name, mtu):
            return f"{name} mtu {mtu}"
        case op.Enslave(_, name, master):
            return f"{name} to {master}"
        case op.AddAddress(_, name, address):
            return f"{address} on {name}"
        case op.SetUp(_, name) | op.DisableOffloads(_, name):
            return name
        case op.AddRoute():
            return route(operation)
        case op.AddRoutingRule():
            return rule(operation)
        case op.AddNeighbour(_, name, address, mac):
            return f"{address} is {mac} on {name}"
        case op.LoadRules(_, ruleset):
            return ruleset.rstrip("\n").expandtabs(2)
        case op.MakeDirectory(_, path, is_copy):
            return f"{path}, a copy" if is_copy else path
        case op.WriteFile(_, path, content):
            return f"{path} ({len(content.encode())} bytes)"
        case op.StartProgram(_, program, argv, _, ready):
            command = operation.module and f"{operation.module} {json.dumps(operation.arguments)}"
            return f"{program}: {command or ' '.join(argv)}" + (f" until {ready}" if ready else "")


def route(o: op.AddRoute) -> str:
    """A route as `ip` shows it, without what is the default."""
    words = [] if o.type == "unicast" else [o.type]
    words.append(o.destination)
    if o.gateway:
        words += ["via", *(["inet6"] if ":" in o.gateway and ":" not in o.destination else [])]
        words += [o.gateway, "dev", o.name]
    elif o.name:
        words.append(o.name)
    words += ["src", o.source] if o.source else []
    words += ["metric", str(o.metric)] if o.metric else []
    words += ["table", str(o.table)] if o.table != MAIN_TABLE else []
    for gateway, name, weight in o.next_hops:
        words += ["nexthop", *(["via", gateway] if gateway else []), "dev", name]
        words += ["weight", str(weight)]
    return " ".join(words)


def rule(o: op.AddRoutingRule) -> str:
    """A rule as `ip` shows it."""
    parts = [f"{o.priority}: from {o.source or 'all'}"]
    given = (("to", o.destination), ("iif", o.iif), ("oif", o.oif), ("fwmark", o.mark))
    parts += [f"{key} {value}" for key, value in given if value]
    parts.append(o.action or f"lookup {o.table}")
    return " ".join(parts) + (" (IPv6)" if o.version == 6 else "")


def difference(old: op.Plan, new: op.Plan) -> list[str]:
    """What ``new`` no longer does (``-``) and does besides (``+``), in plan order."""
    return [*_only_in(old, new, "-"), *_only_in(new, old, "+")]


def _only_in(plan: op.Plan, other: op.Plan, sign: str) -> Iterator[str]:
    # Tuples of different kinds may be equal: the kind belongs to the comparison.
    known = {(type(o), o) for o in other.operations}
    for operation in plan.operations:
        if (type(operation), operation) not in known:
            where = "" if isinstance(operation, op.CreateVeth) else f"{operation.node}: "
            yield f"{sign} {where}{codec.name(operation)} {describe(operation)}"
