"""Changes to a lab that runs: settings of its nodes, links, what wires do, the age of mappings.

Nothing here is written into the topology file: it stays the truth for the next ``up``.
"""

from __future__ import annotations

import contextlib
import json
import socket
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from netlab.errors import Diagnostic, InputError, LabError
from netlab.lab import errors, record
from netlab.linux import namespaces, sysctl
from netlab.plan import codec, commands
from netlab.plan.operations import (
    AddAddress,
    AddNeighbour,
    AddRoute,
    LoadRules,
    SetSysctl,
    StartProgram,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from netlab.lab.lab import Lab, LabNode
    from netlab.middlebox import Direction
    from netlab.plan.operations import NodeSummary, Operation, Plan
    from netlab.topology.model import Box, Topology

PLAN = "plan.json"
SETTINGS = "settings"
"""The key in it of the values that were changed since ``up``, by their path in the file."""

REPLACE = "table inet netlab\ndelete table inet netlab\n"
"""Before a new table: naming it first lets the deletion pass where there is none."""

WIRE_SECONDS = 5.0


def change(lab: Lab, settings: Mapping[str, str]) -> list[str]:
    """Set values by their path in the file, ``{"nat.nat.filtering": "address-dependent"}``.

    Rules are exchanged as a whole and at once; mappings of a NAT are forgotten with them.
    Returns what was done, a line each. ``LabError`` if a value needs the lab to be built anew.
    """
    from netlab.topology import load

    with record.changing(lab.running):
        known = _settings(lab.running) | dict(settings)
        return _become(lab, load(lab.running.record.topology, known), known)


def put_boxes(lab: Lab, place: str, boxes: Sequence[Box]) -> None:
    """Exchange the middleboxes of a node that forwards, or of the link at ``node:interface``.

    A node keeps them until the next ``change``. ``LabError`` for a link without a program.
    """
    from netlab.plan.inline import describe

    node, _, interface = place.partition(":")
    if interface:
        _ask(lab, _wire(lab, node, interface), describe(boxes))
        return
    with record.changing(lab.running):
        topology = topology_now(lab)
        nodes = [
            n if n.name != node else replace(n, middleboxes=tuple(boxes)) for n in topology.nodes
        ]
        _become(lab, replace(topology, nodes=tuple(nodes)), _settings(lab.running))


def _become(lab: Lab, topology: Topology, settings: Mapping[str, str]) -> list[str]:
    """Make the running lab that of ``topology``, or leave it as it is."""
    from netlab.lab.lab import plan_of
    from netlab.plan.build import build

    plan = build(topology)._replace(name=lab.plan.name, topology=lab.plan.topology)
    # Not the handle's plan: since it was made, another may have changed the lab.
    now = plan_of(lab.running)
    _finish(lab, now)
    old, new = _only_in(now, plan), _only_in(plan, now)
    for operation in (*old, *new):
        if not _can_change(operation):
            raise LabError(
                Diagnostic(
                    "E415",
                    f"this changes more than rules and settings: {codec.name(operation)}",
                    hint="write it into the file, then `netlab down` and `netlab up`",
                )
            )
    text = json.dumps({**codec.to_json(plan), SETTINGS: dict(settings)})
    record.prepare(lab.running, PLAN, text)
    undo: list[Callable[[], object]] = []
    try:
        done = _apply(lab, old, new, undo)
        record.commit(lab.running, PLAN)
    except BaseException:
        for action in reversed(undo):
            with contextlib.suppress(OSError):
                action()
        record.discard(lab.running, PLAN)
        raise
    return done


def _finish(lab: Lab, now: Plan) -> None:
    """Undo a change whose process was killed between its record and its end."""
    try:
        begun = codec.from_json(json.loads(lab.running.document(f"{PLAN}.new")))
    except LabError:
        return
    except (ValueError, KeyError, TypeError):
        pass  # it was killed while it wrote, before it changed anything
    else:
        _apply(lab, _only_in(begun, now), _only_in(now, begun), [])
    record.discard(lab.running, PLAN)


def settings_now(lab: Lab) -> dict[str, str]:
    """The values that were changed since ``up``, by their path in the file."""
    return _settings(lab.running)


def restore(lab: Lab, settings: Mapping[str, str]) -> list[str]:
    """Make the changed values those of ``settings_now`` at an earlier time, and no others.

    Returns what was done, a line each. ``LabError`` as of ``change``.
    """
    from netlab.topology import load

    with record.changing(lab.running):
        topology = load(lab.running.record.topology, dict(settings))
        return _become(lab, topology, settings)


def topology_now(lab: Lab) -> Topology:
    """The file of a running lab, with the settings that were changed since."""
    from netlab.topology import load

    return load(lab.running.record.topology, _settings(lab.running))


def _settings(lab: record.Lab) -> dict[str, str]:
    found: dict[str, str] = json.loads(lab.document(PLAN)).get(SETTINGS, {})
    return found


def _only_in(plan: Plan, other: Plan) -> list[Operation]:
    there = {(type(o), o) for o in other.operations}
    return [o for o in plan.operations if (type(o), o) not in there]


def _can_change(operation: Operation) -> bool:
    # An author's own rules have an origin; they may be in any table.
    return isinstance(operation, SetSysctl) or (
        isinstance(operation, LoadRules) and not operation.origin
    )


def _apply(
    lab: Lab,
    old: Sequence[Operation],
    new: Sequence[Operation],
    undo: list[Callable[[], object]],
) -> list[str]:
    """Exchange rules and settings; to ``undo`` goes how each is taken back, as it is done."""
    done = []
    before = {o.node: o for o in old if isinstance(o, LoadRules)}
    after = {o.node: o for o in new if isinstance(o, LoadRules)}
    for node in before | after:
        was, rules = (side.get(node, LoadRules(node, "")) for side in (before, after))
        load(lab, rules)
        undo.append(partial(load, lab, was))
        done.append(f"{node}: new rules")
    for operation in new:
        if isinstance(operation, SetSysctl):
            node, key, value = operation.node, operation.key, operation.value
            namespace = lab[node].namespace
            try:
                was_value = namespaces.inside(namespace, partial(sysctl.read, key))
                namespaces.inside(namespace, partial(sysctl.write, key, value))
            except OSError as error:
                raise errors.of_operation(operation, error.errno or 0) from None
            write = partial(sysctl.write, key, was_value)
            undo.append(partial(namespaces.inside, namespace, write))
            done.append(f"{node}: {key} = {value}")
    return done


def load(lab: Lab, rules: LoadRules) -> None:
    """Exchange the rules of a node; what they had counted and kept is forgotten.

    Raises:
        LabError: nft refused the rules.
    """
    from netlab.linux import libnftables

    load_it = partial(libnftables.load, REPLACE + rules.text)
    complaints = namespaces.inside(lab[rules.node].namespace, load_it)
    if complaints:
        raise errors.of_rules(rules, complaints)


def switch(lab: Lab, node: str, interface: str, *, up: bool) -> None:
    """Bring one end of a link down, or up again with the addresses and routes that it lost."""
    there = lab[node]
    _interface(there.summary, interface)
    with record.changing(lab.running):
        _ip(there, "link", "set", "dev", interface, "up" if up else "down")
        for operation in lab.plan.operations if up else ():
            match operation:
                case AddAddress(n, i, address) if (n, i) == (node, interface) and ":" in address:
                    # The kernel keeps those of IPv4 only (addrconf_ifdown in net/ipv6/addrconf.c).
                    _ip(there, "address", "replace", address, "dev", interface, "nodad")
                case AddNeighbour(n, i, address, mac) if (n, i) == (node, interface):
                    entry = [address, "lladdr", mac, "dev", interface, "nud", "permanent"]
                    _ip(there, "neigh", "replace", *entry)
                case AddRoute() if operation.node == node and interface in operation.interfaces:
                    _ip(there, *commands.route(operation, "replace"))


def _ip(node: LabNode, *words: str) -> None:
    ran = node.run(["ip", *words])
    if ran.returncode:
        message = f"node {node.name}: ip {' '.join(words)}: {ran.stderr.strip()}"
        raise LabError(Diagnostic("E406", message))


def impair(lab: Lab, node: str, interface: str, values: Mapping[str, str]) -> dict[str, Any]:
    """Change what a link does to packets: ``{"delay": "50ms", "outbound.loss": "3%"}``.

    A key without a direction holds both ways; outbound is from the link's first end. Packets that
    are under way keep the fate that they had, and other boxes of the wire what they remember.
    Returns what the wire says of itself, ``boxes`` and counters. ``LabError`` for a link without a
    wire, ``InputError`` for bad values.

    Raises:
        InputError: there is no such parameter, or its value does not fit.
    """
    from netlab.middlebox.catalogue import CATALOGUE
    from netlab.middlebox.impairing import DIRECTIONS, impaired

    wire = _wire(lab, node, interface)
    changes: dict[Direction, dict[str, str]] = {way: {} for way in DIRECTIONS}
    for key, value in values.items():
        which, _, name = key.rpartition(".")
        ways = [way for way in DIRECTIONS if which in (way, "")]
        if not ways:
            message = f"{key!r}: a direction is outbound or inbound, not {which!r}"
            raise InputError(Diagnostic("E272", message, hint=f"as in outbound.{name}={value}"))
        for way in ways:
            changes[way][name] = value
    problems = dict.fromkeys(
        (message, hint)
        for given in changes.values()
        for _, message, hint in CATALOGUE["impair"].problems(given)
    )
    if problems:
        raise InputError(*(Diagnostic("E272", message, hint=hint) for message, hint in problems))
    if not values:
        return wire_state(lab, wire)
    with record.changing(lab.running):
        state = _ask(lab, wire, None)
        return _ask(lab, wire, impaired(state["boxes"], changes))


def wire_of(lab: Lab, place: str) -> str:
    """The node that is the program in the link at ``node:interface``; ``LabError`` if none is."""
    node, _, interface = place.partition(":")
    return _wire(lab, node, interface)


def set_wire(lab: Lab, wire: str, boxes: list[dict[str, Any]]) -> dict[str, Any]:
    """Exchange the boxes of a wire for those that ``wire_state`` gave before."""
    with record.changing(lab.running):
        return _ask(lab, wire, boxes)


def wire_state(lab: Lab, wire: str) -> dict[str, Any]:
    """What a wire says of itself: its boxes, and how many packets came, left and were lost."""
    return _ask(lab, wire, None)


def age(lab: Lab, node: str, seconds: int, protocol: int | None = None) -> str:
    """Make time pass for what a node keeps of flows, at once: conntrack's entries and NAT mappings.

    All of them, or those of an IP protocol, have then been idle for ``seconds`` longer, and the
    kernel forgets those whose timeout that exceeds. Returns a line that says how many.
    """
    from netlab.linux import conntrack_flush, libnftables, namespaces

    def both() -> tuple[int, int]:
        flows, elements = conntrack_flush.age(seconds, protocol), libnftables.age(seconds, protocol)
        return flows[0] + elements[0], flows[1] + elements[1]

    older, gone = namespaces.inside(lab[node].namespace, both)
    return f"{node}: {older} older by {seconds} s, {gone} of them forgotten"


def _interface(node: NodeSummary, name: str) -> None:
    known = [i.name for i in node.interfaces]
    if name not in known:
        message = f"{node.name} has no interface {name!r}"
        raise LabError(Diagnostic("E404", message, hint=f"it has: {' '.join(known)}"))


def _wire(lab: Lab, node: str, interface: str) -> str:
    _interface(lab[node].summary, interface)
    for summary in lab.plan.nodes:
        peers = [i.peer for i in summary.interfaces]
        if summary.kind == "inline" and f"{node}:{interface}" in peers:
            return summary.name
    raise LabError(
        Diagnostic(
            "E416",
            f"the link of {node}:{interface} has no program in it that could do that",
            hint="give it `delay: 0s` in the file: then `up` puts one there",
        )
    )


def _ask(lab: Lab, wire: str, boxes: list[dict[str, Any]] | None) -> dict[str, Any]:
    from netlab.io.inline.bridge import CONTROL

    assert any(isinstance(o, StartProgram) and o.node == wire for o in lab.plan.operations)
    with lab[wire].socket(socket.AF_UNIX, socket.SOCK_DGRAM) as control:
        control.settimeout(WIRE_SECONDS)
        control.bind("")  # the kernel chooses a name, which the answer goes to
        try:
            control.sendto(json.dumps(boxes).encode(), CONTROL)
            answer: dict[str, Any] = json.loads(control.recv(1 << 16))
        except OSError as error:
            message = f"the wire {wire} does not answer: {error.strerror or error}"
            raise LabError(Diagnostic("E416", message, hint=f"netlab logs {lab.name}")) from None
    if "error" in answer:
        raise LabError(Diagnostic("E416", f"the wire {wire} refuses: {answer['error']}"))
    return answer
