"""``up``, ``down``, ``status``, ``gc``: labs come and go."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from netlab.cli import console
from netlab.errors import Diagnostic, LabError
from netlab.lab import lab as labs
from netlab.plan.operations import AddRoute, StartProgram
from netlab.topology import shipped

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from netlab.lab import processes, record
    from netlab.plan.operations import InterfaceSummary, NodeSummary, Plan


def up(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab up``."""
    parser.epilog = (
        "Running it again on the same file changes nothing; on a changed file it says what "
        "differs.\n\n"
        "examples:\n"
        "  netlab up topologies/nat.yaml\n"
        "  netlab up topologies/nat.yaml --name second"
    )
    parser.add_argument(
        "file", metavar="FILE", help="a topology file, or the name of one that ships"
    )
    parser.add_argument("--name", metavar="N", help="the lab's name (default: the file's)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, do nothing")
    parser.add_argument(
        "--replace", action="store_true", help="remove a running lab of this name first"
    )
    parser.add_argument("--json", action="store_true", help="print the lab as `status --json` does")
    parser.set_defaults(run=_up)


def _up(arguments: argparse.Namespace) -> int:
    lab = labs.Lab(shipped.find(arguments.file), name=arguments.name)
    if arguments.dry_run:
        from netlab.plan.text import text

        print(text(lab.plan), end="")
        return 0
    running = _running(lab.name)
    if running and arguments.replace:
        labs.Lab.attach(lab.name).stop()
        running = None
    if running:
        _unchanged(running, lab.plan)
        done = "is up already; nothing to change"
    else:
        lab.start(keep=True, progress=console.Progress("building"))
        done = "is up"
    if arguments.json:
        return _print_status([lab.name])
    print(f"lab {lab.name} {done}")
    print(_table(lab.plan))
    print(_how_to_enter(lab.plan))
    return 0


def _running(name: str) -> record.Lab | None:
    from netlab.lab import record

    return next((lab for lab in record.labs() if lab.name == name and lab.ready), None)


def _unchanged(running: record.Lab, plan: Plan) -> None:
    """Raise ``LabError`` with the difference if the running lab is not that of the plan."""
    old = labs.plan_of(running)
    if old.operations == plan.operations and old.nodes == plan.nodes:
        return
    from netlab.plan.text import difference

    changes = difference(old, plan) or ["only the order has changed"]
    listed = "\n".join(f"    {line}" for line in changes)
    raise LabError(
        Diagnostic(
            "E401",
            f"lab {running.name} is up, but not as {plan.topology} describes it now\n{listed}",
            hint=f"netlab up {plan.topology} --replace",
        )
    )


def _stack_addresses(plan: Plan, node: NodeSummary, interface: str) -> list[str]:
    """The addresses of a userspace stack: those that its node routes to the stack's device."""
    if node.kind != "stack":
        return []
    return [
        route.destination.partition("/")[0]
        for route in plan.operations
        if isinstance(route, AddRoute)
        and (route.node, route.name, route.gateway) == (node.name, interface, "")
    ]


def _interface(plan: Plan, node: NodeSummary, interface: InterfaceSummary) -> dict[str, Any]:
    stack = _stack_addresses(plan, node, interface.name)
    shown: dict[str, Any] = {"name": interface.name, "addresses": list(interface.addresses)}
    return shown | {"stack": stack} if stack else shown


def _table(plan: Plan) -> str:
    rows = [("NODE", "KIND", "INTERFACE", "ADDRESSES", "CONNECTED TO")]
    for node in plan.nodes:
        name, kind = node.name, node.kind
        for interface in node.interfaces or (None,):
            if interface is None:
                rows.append((name, kind, "", "", ""))
                continue
            addresses = " ".join(interface.addresses)
            if stack := _stack_addresses(plan, node, interface.name):
                addresses = f"stack {' '.join(stack)}"
            rows.append((name, kind, interface.name, addresses, interface.peer))
            name = kind = ""
    return console.columns(rows)


def _how_to_enter(plan: Plan) -> str:
    # Wires come last and have no address to be reached at.
    nodes = [node.name for node in plan.nodes if node.kind != "inline"]
    first = nodes[0]
    lines = [f"enter:  netlab shell {plan.name}/{first}"]
    if plan.suggestion:
        source, target = plan.suggestion
        lines.append(f"try:    netlab exec {plan.name}/{source} -- ping -c1 {target}")
    return "\n".join([*lines, f"remove: netlab down {plan.name}"])


def down(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab down``."""
    parser.epilog = "examples:\n  netlab down nat\n  netlab down --all"
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "lab", metavar="LAB", nargs="?", help="may be left out if only one is running"
    )
    which.add_argument("--all", action="store_true", help="every lab of yours")
    parser.set_defaults(run=_down)


def _down(arguments: argparse.Namespace) -> int:
    from netlab.lab import record, remove

    found = list(record.labs()) if arguments.all else [labs.find(arguments.lab)]
    for lab in found:
        removed = remove.down(lab.name)
        print(f"lab {lab.name} is down")
        for process in removed.survivors:
            print(f"  still running, could not be ended: {process.pid} {process.command}")
    if not found:
        print("no lab is running")
    return 0


def status(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab status``."""
    parser.epilog = "examples:\n  netlab status\n  netlab status nat --json"
    parser.add_argument("lab", metavar="LAB", nargs="?", help="only this one")
    parser.add_argument("--json", action="store_true", help="print a list of labs as JSON")
    parser.set_defaults(run=_status)


def _status(arguments: argparse.Namespace) -> int:
    from netlab.lab import record

    if arguments.lab is not None:
        names = [labs.find(arguments.lab).name]
    else:
        names = [lab.name for lab in record.labs()]
    if arguments.json:
        return _print_status(names)
    if not names:
        print("no lab is running")
    for described in _all_described(names):
        _show(described)
    return 0


def _print_status(names: list[str]) -> int:
    console.print_json(list(_all_described(names)))
    return 0


def _all_described(names: list[str]) -> Iterator[dict[str, Any]]:
    """Each lab; without those that have gone meanwhile, if there are others."""
    from netlab.lab import record

    for name in names:
        try:
            yield _described(record.find(name))
        except LabError:
            if len(names) == 1:
                raise


def _described(lab: record.Lab) -> dict[str, Any]:
    """What is known of a lab: its record, its state, the programs that run in it."""
    from netlab.lab import processes, remove

    plan = labs.plan_of(lab)
    running = processes.processes(lab)
    dead = remove.is_dead(lab)
    problems = [dead] if dead else _stopped(plan, running)
    state = "building" if not lab.ready else "unhealthy" if problems else "up"
    return {
        "lab": lab.name,
        "state": state,
        "problems": problems,
        "topology": lab.record.topology,
        "nodes": [
            _wire_of(lab, node)
            | _translations(lab, plan, node)
            | {
                "name": node.name,
                "kind": node.kind,
                "namespace": lab.namespace(node.name),
                "interfaces": _interfaces(lab, plan, node),
                "processes": [
                    {"pid": p.pid, "program": p.program, "command": p.command}
                    for p in running
                    if p.node == node.name
                ],
            }
            for node in plan.nodes
        ],
    }


def _wire_of(lab: record.Lab, node: NodeSummary) -> dict[str, Any]:
    """For a wire: by what means it does what to packets, as its program says now."""
    if node.kind != "inline":
        return {}
    from netlab.lab import reconfigure
    from netlab.lab.lab import Lab

    try:
        boxes = reconfigure.wire_state(Lab.attach(lab.name), node.name)["boxes"]
    except LabError:
        return {}
    return {"inline": {"by": "userspace", "boxes": boxes}}


def _translations(lab: record.Lab, plan: Plan, node: NodeSummary) -> dict[str, Any]:
    """For a NAT: how full it is, and what it forwards."""
    if node.kind != "nat":
        return {}
    from netlab.lab import state
    from netlab.lab.lab import Lab

    said = {"forwards": state.forwards(plan, node.name)}
    try:
        return {"nat": said | state.translations(Lab.attach(lab.name)[node.name])}
    except (LabError, OSError):
        return {"nat": said}


def _interfaces(lab: record.Lab, plan: Plan, node: NodeSummary) -> list[dict[str, Any]]:
    """All interfaces of a node, with their state if the node can be asked."""
    from netlab.lab import state
    from netlab.lab.lab import Lab

    try:
        states = state.link_states(Lab.attach(lab.name)[node.name])
    except (LabError, OSError):
        states = {}
    found = []
    for i in node.interfaces:
        shown = _interface(plan, node, i)
        found.append(shown | ({"state": states[i.name]} if i.name in states else {}))
    return found


def _stopped(plan: Plan, running: list[processes.Process]) -> list[str]:
    """The programs that should run and do not."""
    alive = {(p.node, p.program) for p in running}
    return [
        f"program {start.program} of {start.node} has ended"
        for start in plan.operations
        if isinstance(start, StartProgram)
        and not start.ready.startswith("exit")
        and (start.node, start.program) not in alive
    ]


def _show(described: dict[str, Any]) -> None:
    state = described["state"]
    colour = {"up": "green", "building": "yellow"}.get(state, "red")
    print(f"{console.style(described['lab'], 'bold')}  {console.style(state, colour)}", end="  ")
    print(console.style(described["topology"], "dim"))
    for problem in described["problems"]:
        print(f"  {problem}")
    rows = [("NODE", "KIND", "ADDRESSES", "PROCESSES")]
    for node in described["nodes"]:
        addresses = [_address_cell(i) for i in node["interfaces"]]
        addresses += _translation_cells(node.get("nat", {}))
        processes = [f"{p['pid']} {_told(p, node)}" for p in node["processes"]]
        heads = itertools.chain([(node["name"], node["kind"])], itertools.repeat(("", "")))
        cells = itertools.zip_longest(addresses or [""], processes, fillvalue="")
        rows += [(*head, *cell) for head, cell in zip(heads, cells, strict=False)]
    print(console.columns(rows, indent="  "))


def _address_cell(interface: dict[str, Any]) -> str:
    own = " ".join(interface["addresses"])
    stack = f"stack {' '.join(interface['stack'])}" if "stack" in interface else ""
    state = interface.get("state", "up")
    # A TUN device has a carrier while a program holds its other side.
    bad = state != "up" and not (stack and state == "no carrier")
    words = (interface["name"], own, stack, f"({state})" if bad else "")
    return " ".join(word for word in words if word)


def _translation_cells(nat: dict[str, Any]) -> list[str]:
    cells = [f"forwards {one}" for one in nat.get("forwards", ())]
    full = [t for t in nat.get("tables", ()) if t["elements"]]
    words = [f"{nat['sessions']} sessions"] if nat.get("sessions") else []
    words += [f"{t['elements']} of {t['size'] or 'any'} in {t['name']}" for t in full]
    return [*cells, *([", ".join(words)] if words else [])]


def _told(process: dict[str, Any], node: dict[str, Any]) -> str:
    """A command; of a wire's program what it does, which its command says at greater length."""
    wire = node.get("inline")
    if not wire or process["program"] != "inline":
        return str(process["command"])
    from netlab.middlebox.impairing import phrases

    return f"{wire['by']} wire: {'; '.join(phrases(wire['boxes']))}"


def gc(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab gc``."""
    parser.epilog = "example:\n  netlab gc --dry-run"
    parser.add_argument("--dry-run", action="store_true", help="list it, remove nothing")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.set_defaults(run=_gc)


def _gc(arguments: argparse.Namespace) -> int:
    from netlab.lab import remove

    found = remove.gc(dry_run=arguments.dry_run)
    if arguments.json:
        console.print_json([leftover._asdict() for leftover in found])
        return 0
    verb = "would remove" if arguments.dry_run else "removed"
    for leftover in found:
        print(f"{verb} {leftover.kind} {leftover.what}: {leftover.why}")
    if not found:
        print("nothing is left behind")
    return 0
