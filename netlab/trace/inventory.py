"""Where evidence is collected, from a lab's plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.capture.evidence import Interface, NodeInfo
from netlab.plan.inline import MODULE as INLINE
from netlab.plan.operations import CreateBridge, CreateTun, CreateVeth, StartProgram
from netlab.wire.address import packed

if TYPE_CHECKING:
    from netlab.plan.operations import Plan


def inventory(plan: Plan) -> dict[str, NodeInfo]:
    """Every node with its interfaces and what they are wired to."""
    kinds = {
        (operation.node, operation.name): kind
        for operation in plan.operations
        for type_, kind in ((CreateBridge, "bridge"), (CreateTun, "tun"))
        if isinstance(operation, type_)
    }
    wires = peers(plan)
    boxes = {
        operation.node: tuple(str(box.get("kind") or box["python"]) for box in operation.arguments)
        for operation in plan.operations
        if isinstance(operation, StartProgram) and operation.module == INLINE
    }
    return {
        node.name: NodeInfo(
            node.kind,
            tuple(
                Interface(
                    i.name,
                    kinds.get((node.name, i.name), "veth"),
                    tuple(packed(a.partition("/")[0]) for a in i.addresses),
                    wires.get((node.name, i.name)),
                    bytes.fromhex(i.mac.replace(":", "")),
                )
                for i in node.interfaces
            ),
            boxes.get(node.name, ()),
        )
        for node in plan.nodes
    }


def peers(plan: Plan) -> dict[tuple[str, str], tuple[str, str]]:
    """What is at the other end of each veth, be it a node or a wire with boxes."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for operation in plan.operations:
        if isinstance(operation, CreateVeth):
            a, b = ((end.node, end.name) for end in (operation.a, operation.b))
            found |= {a: b, b: a}
    return found
