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
        case op.AddRoute(node, destination, gateway, name):
            via = ["via", gateway] if gateway else []
            return [["ip", "-n", namespace(node), "route", "add", destination, *via, "dev", name]]
        case op.AddNeighbour(node, name, address, mac):
            entry = [address, "lladdr", mac, "dev", name, "nud", "permanent"]
            return [["ip", "-n", namespace(node), "neigh", "add", *entry]]
        case op.LoadRules() | op.WriteFile() | op.StartProgram():
            return []


def _link(namespace: str, verb: str, name: str) -> Argv:
    return ["ip", "-n", namespace, "link", verb, "dev", name]


def _end(end: op.VethEnd, namespace: Callable[[str], str]) -> Argv:
    return [
        *("name", end.name, "netns", namespace(end.node), "index", str(end.ifindex)),
        *("address", end.mac, "mtu", str(end.mtu)),
    ]
