"""``set`` and ``link``: changes to a lab that runs; the file is the truth for the next ``up``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlab.errors import Diagnostic, InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from netlab.lab.lab import Lab
    from netlab.plan.operations import NodeSummary, Plan


def set_(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab set``."""
    parser.epilog = (
        "The file is not changed: it is the truth for the next `up`.\n\n"
        "examples:\n"
        "  netlab set nat.nat filtering=address-dependent hairpinning=true\n"
        "  netlab set mylab/nat.nat.timeouts udp=5"
    )
    parser.add_argument(
        "target", metavar="[LAB/]NODE.KEY", help="where the values would be in the file"
    )
    parser.add_argument("values", metavar="KEY=VALUE", nargs="+", help="what to set there")
    parser.set_defaults(run=_set)


def _set(arguments: argparse.Namespace) -> int:
    from netlab.lab import reconfigure

    lab, path = _attach(arguments.target)
    values = _pairs(arguments.values)
    done = reconfigure.change(lab, {f"{path}.{key}": value for key, value in values.items()})
    print("\n".join(done) or "nothing changed")
    return 0


def link(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab link``."""
    parser.epilog = (
        "Values are those of a link in the file and hold both ways, or one way as in\n"
        "outbound.loss=3%, which is from the link's first end; they need a link that had some at\n"
        "`up`. Without any the link says what it does, and how many frames passed.\n\n"
        "examples:\n"
        "  netlab link client:eth0 down\n"
        "  netlab link client:eth0 up\n"
        "  netlab link mylab/client:eth0 delay=50ms outbound.loss=3%"
    )
    parser.add_argument("end", metavar="[LAB/]NODE:INTERFACE", help="one end of the link")
    parser.add_argument(
        "values", metavar="up|down|KEY=VALUE", nargs="*", help="what becomes of the link"
    )
    parser.add_argument("--json", action="store_true", help="print the link's boxes as JSON")
    parser.set_defaults(run=_link)


def _link(arguments: argparse.Namespace) -> int:
    from netlab.cli import console
    from netlab.lab import reconfigure

    lab, end = _attach(arguments.end)
    node, colon, interface = end.partition(":")
    if not colon:
        raise InputError(
            Diagnostic("E417", f"{end!r} names no interface", hint="as in client:eth0")
        )
    if arguments.values in (["up"], ["down"]):
        reconfigure.switch(lab, node, interface, up=arguments.values == ["up"])
        return 0
    state = reconfigure.impair(lab, node, interface, _pairs(arguments.values))
    if arguments.json:
        console.print_json(state)
    else:
        print("\n".join(_told(lab.plan, end, state)))
    return 0


def _told(plan: Plan, end: str, state: dict[str, Any]) -> Iterator[str]:
    """What a link does to packets, and what became of those that came; see ``wire_state``."""
    from netlab.middlebox.impairing import phrases

    wires = [node for node in plan.nodes if node.kind == "inline"]
    peers = next([i.peer for i in w.interfaces] for w in wires if _ends_at(w, end))
    yield f"{peers[0]} to {peers[1]} is outbound, back is inbound"
    yield from (f"  {phrase}" for phrase in phrases(state["boxes"]))
    lost = state["missed"] + state["failed"] + state["unsent"]
    yield f"  {state['received']} frames came, {state['sent']} went on" + (
        f", {lost} were lost in the program itself" if lost else ""
    )


def _ends_at(wire: NodeSummary, end: str) -> bool:
    return any(interface.peer == end for interface in wire.interfaces)


def _attach(target: str) -> tuple[Lab, str]:
    from netlab.lab.lab import Lab

    name, slash, rest = target.rpartition("/")
    return Lab.attach(name if slash else None), rest


def _pairs(words: list[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise InputError(
                Diagnostic("E417", f"{word!r} is not KEY=VALUE", hint="as in delay=50ms")
            )
        pairs[key] = value
    return pairs
