"""Errors of a build in words: which operation, in which node, and why."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from netlab.errors import Diagnostic, LabError, Position, Unavailable
from netlab.plan.operations import (
    AddAddress,
    AddNeighbour,
    AddRoute,
    AddRoutingRule,
    CreateBridge,
    CreateNamespace,
    CreateTun,
    CreateVeth,
    DisableOffloads,
    Enslave,
    LoadRules,
    MakeDirectory,
    SetSysctl,
    SetUp,
    StartProgram,
    WriteFile,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netlab.linux.libnftables import Complaint
    from netlab.plan.operations import Operation


def place(operation: Operation) -> str:
    """The node in whose namespace an operation is done."""
    return operation.a.node if isinstance(operation, CreateVeth) else operation.node


def of_machine(error: OSError) -> Unavailable:
    """This process may not even begin."""
    from netlab.lab import permissions

    why, hint = permissions.of_namespaces(error)
    message = f"this process may not build labs: {why or error.strerror}"
    return Unavailable(Diagnostic("E413", message, hint=hint or "`netlab doctor` tries each step"))


def not_settled(node: str, seconds: float) -> LabError:
    """A wire stays dead."""
    return LabError(
        Diagnostic("E406", f"node {node}: a wire does not carry packets after {seconds:g} s")
    )


_SENTENCES: dict[type, str] = {
    CreateNamespace: "create the namespace",
    SetSysctl: "set {o.key} to {o.value}",
    CreateVeth: "wire {o.a.node}:{o.a.name} to {o.b.node}:{o.b.name}",
    CreateBridge: "create the bridge {o.name}",
    CreateTun: "create the TUN device {o.name}",
    Enslave: "make {o.name} a port of {o.master}",
    AddAddress: "add the address {o.address} to {o.name}",
    SetUp: "bring {o.name} up",
    DisableOffloads: "switch off the offloads of {o.name}",
    AddRoute: "route {o.destination} by way of {o.name} {o.gateway}",
    AddRoutingRule: "add the routing rule {o.priority}",
    AddNeighbour: "add the neighbour {o.address} to {o.name}",
    LoadRules: "load the nftables rules",
    MakeDirectory: "make the directory {o.path}",
    WriteFile: "keep the file {o.path}",
    StartProgram: "start the program {o.program}",
}

_LACKS: dict[tuple[type, int], str] = {
    (CreateNamespace, errno.ENOSPC): "raise user.max_net_namespaces (sysctl)",
    (CreateTun, errno.ENOENT): "this machine has no /dev/net/tun: modprobe tun",
    (CreateTun, errno.EACCES): "chmod 666 /dev/net/tun, or build the lab as root",
}
"""What this machine or this user has to be given first."""

_HINTS: dict[tuple[type, int], str] = {
    (AddRoute, errno.ENETUNREACH): "the gateway is on no network of this node",
}


def of_operation(operation: Operation, number: int, text: str = "") -> LabError:
    """The kernel refused an operation: an errno, and the kernel's own words if it had any."""
    what = _SENTENCES[type(operation)].format(o=operation)
    why = os.strerror(number) + (f" ({text})" if text else "")
    message = f"node {place(operation)}: cannot {what}: {why}"
    lacking = _LACKS.get((type(operation), number)) or _permission(operation, number)
    if lacking:
        return Unavailable(Diagnostic("E406", message, hint=lacking))
    hint = _HINTS.get((type(operation), number), "")
    return LabError(Diagnostic("E406", message, hint=hint))


def _permission(operation: Operation, number: int) -> str:
    """What this process has to be given first, where the kernel refuses it what others may do."""
    from netlab.lab import permissions

    if isinstance(operation, SetSysctl) and number == errno.EROFS:
        return permissions.remedy(permissions.PROC)
    if number in (errno.EPERM, errno.EACCES):
        return permissions.of_namespaces(OSError(number, ""))[1]
    return ""


_UNRESOLVED = {
    "protocol name": "nft finds `{word}` in /etc/protocols: write a number or apt install netbase",
    "service": "nft finds `{word}` in /etc/services: write a number or apt install netbase",
}
"""What nft looks up in files that a slim image lacks."""


def _hint(complaint: Complaint, source: str) -> str:
    import re

    found = re.match("Could not resolve (protocol name|service)", complaint.text)
    word = re.match(r"[\w.-]+", source[max(complaint.column - 1, 0) :])
    return _UNRESOLVED[found[1]].format(word=word[0]) if found and word else ""


def of_rules(operation: LoadRules, complaints: Iterable[Complaint]) -> LabError:
    """What nft says of rules, led back to the topology's line where the author wrote them."""
    lines = operation.text.splitlines()
    file, _, first = operation.origin.rpartition(":")
    found = []
    for complaint in complaints:
        line, column, text = complaint
        below = max(line - 1, 0) if operation.is_block else 0
        position = Position(file, int(first) + below, max(column, 1)) if file else None
        source = lines[line - 1] if 0 < line <= len(lines) else ""
        message = f"node {operation.node}: nft refuses the rules: {text}"
        if source and position is None:
            message += f"\n  {source.strip()}"
        found.append(Diagnostic("E409", message, position, source, _hint(complaint, source)))
    return LabError(*found)
