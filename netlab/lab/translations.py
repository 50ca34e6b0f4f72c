"""What a NAT of a running lab forgets: all of it at a reboot, or the ports of its mappings."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

from netlab.errors import Diagnostic, InputError, LabError
from netlab.lab import reconfigure, record
from netlab.linux import conntrack_flush, libnftables, namespaces
from netlab.plan.operations import LoadRules
from netlab.topology.model import Masquerade
from netlab.topology.nat import Translator, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlab.lab.lab import Lab
    from netlab.linux.conntrack_flush import Endpoint
    from netlab.linux.libnftables import Kept

TABLE = "inet netlab"
PLAIN = range(1024, 65536)
"""The ports that a masquerade takes anew."""


def reboot(lab: Lab, node: str) -> str:
    """Let a NAT forget every mapping and begin its counters anew, as a router that was restarted.

    Returns a line that says what was done.

    Raises:
        LabError: the node is not a NAT (E423).
    """
    _translations(lab, node)
    with record.changing(lab.running):
        from netlab.lab.lab import plan_of

        for operation in plan_of(lab.running).operations:
            if isinstance(operation, LoadRules) and operation.node == node and not operation.origin:
                reconfigure.load(lab, operation)
        flows = namespaces.inside(lab[node].namespace, _forget)
    return f"{node}: rebooted, {flows} flows forgotten"


def rebind(lab: Lab, node: str, seed: int = 0) -> str:
    """Give every mapping of a NAT another outside port, while the connections behind it go on.

    The next packet from inside takes the new port; what comes to the old one finds no mapping.
    The ports follow from ``seed``. Returns a line that says how many mappings were changed.

    Raises:
        LabError: the node is not a NAT (E423).
    """
    nats = _translations(lab, node)
    rng = random.Random(f"{seed} {node}")  # noqa: S311 - it is to be repeated
    with record.changing(lab.running):
        return namespaces.inside(lab[node].namespace, partial(_rebind, node, nats, rng))


def _translations(lab: Lab, node: str) -> list[Masquerade | Translator]:
    lab[node]  # which says so if there is none
    topology = reconfigure.topology_now(lab)
    found = [nat for nat in topology.node(node).nat if isinstance(nat, Masquerade | Translator)]
    if not found:
        names = [n.name for n in topology.nodes if n.nat]
        hint = f"NATs of {lab.name}: {' '.join(names)}" if names else f"{lab.name} has no NAT"
        raise LabError(Diagnostic("E423", f"{node} is not a NAT that could forget", hint=hint))
    return found


def _forget() -> int:
    known = len(conntrack_flush.endpoints())
    conntrack_flush.forget()
    return known


def _rebind(node: str, nats: Sequence[Masquerade | Translator], rng: random.Random) -> str:
    inside = sorted({each.inside for each in conntrack_flush.endpoints() if each.is_translated})
    kept = [each for each in libnftables.kept() if f"{each.family} {each.table}" == TABLE]
    commands = [f"flush {each.kind} {TABLE} {each.name}" for each in kept if each.is_timed]
    for nat in nats:
        commands += _anew(nat, kept, inside, rng)
    # Flows that go on between the two would write their old ports back.
    for _ in range(2):
        complaints = libnftables.load("\n".join(commands) + "\n")
        if complaints:
            raise LabError(Diagnostic("E418", f"nft: {complaints[0].text}"))
        conntrack_flush.forget()
        commands = [each for each in commands if not each.startswith("insert")]
    return f"{node}: {len(inside)} inside endpoints get other ports"


def _anew(
    nat: Masquerade | Translator,
    kept: Sequence[Kept],
    inside: Sequence[Endpoint],
    rng: random.Random,
) -> Iterator[str]:
    """The nft commands that put the next port of each inside endpoint where the rules look."""
    suffix = "".join(c if c.isalnum() else f"_{ord(c):x}_" for c in nat.outside)
    if isinstance(nat, Masquerade):
        yield from _masquerade(nat, f"rebound_{suffix}", kept, inside, rng)
        return
    for each in kept:
        if each.name == f"mapping_{suffix}":
            used = {int(value[1]) for _, value in each.elements}
            for key, (address, port) in each.elements:
                new = _other(nat, int(port), used, rng)
                used.add(new)
                yield _element(each, key, nat.timeouts.udp, f" : {address} . {new}")
        elif each.name == f"taken_{suffix}" and nat.mapping == "address-and-port-dependent":
            # No port of before is free, so none is preserved.
            for key, _ in each.elements:
                yield _element(each, key, nat.timeouts.udp, "")


def _element(of: Kept, key: Sequence[str], seconds: int, value: str) -> str:
    return f"add element {TABLE} {of.name} {{ {' . '.join(key)} timeout {seconds}s{value} }}"


def _other(nat: Translator, port: int, used: set[int], rng: random.Random) -> int:
    """A free port that the NAT may use for the same host, of the same parity if that is kept."""
    low, high = nat.port_range
    if nat.port_block:
        low, high = next(((a, b) for a, b in blocks(nat) if a <= port <= b), (low, high))
    step = 2 if nat.ports == "preserve-parity" else 1
    first = low + (port - low) % step
    free = [p for p in range(first, high + 1, step) if p not in used]
    if not free:
        message = f"the NAT has no port left between {low} and {high}"
        raise InputError(Diagnostic("E423", message, hint="a larger `port-range`"))
    return rng.choice(free)


def _masquerade(
    nat: Masquerade,
    name: str,
    kept: Sequence[Kept],
    inside: Sequence[Endpoint],
    rng: random.Random,
) -> Iterator[str]:
    """A map beside Linux's own NAT: what conntrack forgets, it would map to the same port again."""
    if not inside:
        return
    ports = rng.sample(PLAIN, len(inside))
    listed = ", ".join(
        f"{host} . {protocol} . {port} : {new}"
        for (host, protocol, port), new in zip(inside, ports, strict=True)
    )
    key = "ipv4_addr . inet_proto . inet_service"
    yield f"add map {TABLE} {name} {{ type {key} : inet_service; }}"
    yield f"flush map {TABLE} {name}"
    yield f"add element {TABLE} {name} {{ {listed} }}"
    if name not in [each.name for each in kept]:
        endpoint = "ip saddr . meta l4proto . th sport"
        yield (
            f'insert rule {TABLE} postrouting oifname "{nat.outside}" meta l4proto {{ 6, 17 }}'
            f' counter masquerade to :{endpoint} map @{name} comment "NAT rebound"'
        )
