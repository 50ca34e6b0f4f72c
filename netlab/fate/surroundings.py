"""Where evidence is collected, from a lab's plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.observe.evidence import Interface, Place
from netlab.plan.operations import CreateBridge, CreateTun
from netlab.wire.address import packed

if TYPE_CHECKING:
    from netlab.plan.operations import InterfaceSummary, Plan


def surroundings(plan: Plan) -> dict[str, Place]:
    """Every node with its interfaces and what they are wired to."""
    kinds = {
        (operation.node, operation.name): kind
        for operation in plan.operations
        for type_, kind in ((CreateBridge, "bridge"), (CreateTun, "tun"))
        if isinstance(operation, type_)
    }
    return {
        node.name: Place(
            node.kind,
            tuple(_interface(i, kinds.get((node.name, i.name), "veth")) for i in node.interfaces),
        )
        for node in plan.nodes
    }


def _interface(summary: InterfaceSummary, kind: str) -> Interface:
    node, colon, name = summary.peer.partition(":")
    return Interface(
        summary.name,
        kind,
        tuple(packed(a.partition("/")[0]) for a in summary.addresses),
        (node, name) if colon else None,
    )
