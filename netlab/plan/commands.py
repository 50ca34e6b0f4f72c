"""What one would type to do an operation by hand with iproute2 and nft.

Each command is an argument list, never a line for a shell; ``script.py`` quotes them. Namespaces
are named by the caller, ``namespace("client")`` being ``nat.client`` for the lab ``nat``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

from netlab.plan import operations as op

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAIN_TABLE = 254
OFFLOADS = ("tx", "tso", "gso", "gro")

Argv: TypeAlias = list[str]


def inside(namespace: str, *argv: str) -> Argv:
    """``argv`` run in a namespace."""
    return ["ip", "netns", "exec", namespace, *argv]


def command_line(start: op.StartProgram, python: Sequence[str]) -> Argv:
    """The command line of a program; ``python`` is how Python finds netlab's own modules."""
    if start.module:
        return [*python, "-m", start.module, json.dumps(start.arguments)]
    return list(start.argv)


def commands(operation: op.Operation, namespace: Callable[[str], str]) -> list[Argv]:
    """The commands of one operation; none for rules, files and programs: they need a script."""
    match operation:
        case op.CreateNamespace(node):
            return [["ip", "netns", "add", namespace(node)]]
        case op.SetSysctl(node, key, value, optional):
            quiet = ["-e"] if optional else []
            return [inside(namespace(node), "sysctl", "-q", *quiet, "-w", f"{key}={value}")]
        case op.CreateVeth(a, b):
            return [
                [
                    *("ip", "link", "add", *_end(a, namespace)),
                    *("type", "veth", "peer", *_end(b, namespace)),
                ]
            ]
        case op.CreateBridge(node, name, ifindex, mac, mtu):
            identity = ["index", str(ifindex), "address", mac, "mtu", str(mtu)]
            return [[*_link(namespace(node), "add", name), *identity, "type", "bridge"]]
        case op.CreateTun(node, name, mtu):
            return [
                ["ip", "-n", namespace(node), "tuntap", "add", "dev", name, "mode", "tun"],
                [*_link(namespace(node), "set", name), "mtu", str(mtu)],
            ]
        case op.Enslave(node, name, master):
            return [[*_link(namespace(node), "set", name), "master", master]]
        case op.AddAddress(node, name, address):
            return [["ip", "-n", namespace(node), "addr", "add", address, "dev", name]]
        case op.SetUp(node, name):
            return [[*_link(namespace(node), "set", name), "up"]]
        case op.DisableOffloads(node, name):
            off = [word for feature in OFFLOADS for word in (feature, "off")]
            return [inside(namespace(node), "ethtool", "-K", name, *off)]
        case op.AddRoute():
            return [["ip", "-n", namespace(operation.node), *route(operation, "add")]]
        case op.AddRoutingRule():
            return [["ip", "-n", namespace(operation.node), *_rule(operation)]]
        case op.AddNeighbour(node, name, address, mac):
            entry = [address, "lladdr", mac, "dev", name, "nud", "permanent"]
            return [["ip", "-n", namespace(node), "neigh", "add", *entry]]
        case op.LoadRules() | op.WriteFile() | op.MakeDirectory() | op.StartProgram():
            return []


def route(o: op.AddRoute, verb: str) -> Argv:
    """The words behind `ip` that add or replace a route."""
    version = ["-6"] if ":" in o.destination else []
    words = [*version, "route", verb, *([] if o.type == "unicast" else [o.type]), o.destination]
    words += _hop(o.destination, o.gateway, o.name)
    words += ["src", o.source] if o.source else []
    words += ["metric", str(o.metric)] if o.metric else []
    words += ["table", str(o.table)] if o.table != MAIN_TABLE else []
    for gateway, name, weight in o.next_hops:
        words += ["nexthop", *_hop(o.destination, gateway, name), "weight", str(weight)]
    return words


def _hop(destination: str, gateway: str, name: str) -> Argv:
    other = ["inet6"] if ":" in gateway and ":" not in destination else []
    return [*(["via", *other, gateway] if gateway else []), *(["dev", name] if name else [])]


def _rule(o: op.AddRoutingRule) -> Argv:
    words = ["-6"] if o.version == 6 else []
    words += ["rule", "add", "priority", str(o.priority), "from", o.source or "all"]
    for key, value in (("to", o.destination), ("iif", o.iif), ("oif", o.oif), ("fwmark", o.mark)):
        words += [key, value] if value else []
    return [*words, *([o.action] if o.action else ["lookup", str(o.table)])]


def _link(namespace: str, verb: str, name: str) -> Argv:
    return ["ip", "-n", namespace, "link", verb, "dev", name]


def _end(end: op.VethEnd, namespace: Callable[[str], str]) -> Argv:
    return [
        *("name", end.name, "netns", namespace(end.node), "index", str(end.ifindex)),
        *("address", end.mac, "mtu", str(end.mtu)),
    ]
