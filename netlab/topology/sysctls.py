"""The ``sysctls:`` of a node: whether a network namespace has them and takes these values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from netlab.topology.names import show
from netlab.topology.problems import nearest
from netlab.topology.sysctl_names import OPEN, generic, interface, known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.topology.builder import TopologyBuilder
    from netlab.topology.model import Interface


def check_sysctls(builder: TopologyBuilder, name: str, interfaces: Sequence[Interface]) -> None:
    """Note what of a node's sysctls the kernel would refuse; ``interfaces`` are the node's."""
    devices = ["lo", *(i.name for i in interfaces)]
    with_ipv6 = [i.name for i in interfaces if any(a.version == 6 for a in i.addresses)]
    written: dict[str, str] = {}
    for key, value in builder.form.nodes[name].sysctls.items():
        path = ("nodes", name, "sysctls", key)
        message, hint = _name_problem(key)
        device = interface(key)
        if not message and device and device not in devices:
            if name in builder.incomplete:
                continue
            message, hint = f"{name} has no interface `{device}`", nearest(device, devices)
        if message:
            builder.problems.add("E206", message, builder.at_key(*path), hint)
            continue
        if problem := (
            _value_problem(key, value)
            or _threshold_problem(key, value, written)
            or _contradiction(key, value, with_ipv6)
        ):
            builder.problems.add(
                "E206",
                f"{key} {problem}",
                builder.at(*path),
                "the kernel's Documentation/networking/ip-sysctl.rst explains it",
            )


def _name_problem(key: str) -> tuple[str, str]:
    """Why there is no such sysctl, and what may be meant; empty if there is."""
    if key.startswith(OPEN):
        return "", ""
    asked = generic(key)
    if asked in known() and not (".neigh.*." in asked and ".neigh.all." in key):
        return "", ""
    hint = nearest(asked, known()) if ".*." not in asked else nearest(asked, _of_interfaces())
    meant = re.search(r"`(.*)`", hint)
    if meant and (device := re.search(r"\.(?:conf|neigh)\.([^.]+)\.", key)):
        hint = hint.replace("*", device[1])
    if not meant:
        hint = "a node has those of `sysctl -a` inside of it; others belong to the whole machine"
    return f"no node has a sysctl `{show(key)}`", hint


def _of_interfaces() -> list[str]:
    return [key for key in known() if ".*." in key]


def _value_problem(key: str, value: str) -> str:
    what = known().get(generic(key))
    words = value.split()
    if what is None:
        return ""
    if not words:
        return "cannot be empty"
    if "\n" in value.strip():
        return "is one line"
    if what.kind == "text":
        return ""
    if not all(re.fullmatch(r"-?[0-9]{1,10}", word) for word in words):
        return f"takes {'numbers' if what.kind == 'numbers' else 'a number'}, not `{show(value)}`"
    if what.kind == "numbers":
        return ""
    if len(words) > 1:
        return f"takes one number, not {len(words)}"
    if not what.low <= int(words[0]) <= what.high:
        return f"takes {what.low} to {what.high}, not {words[0]}"
    return ""


def _threshold_problem(key: str, value: str, before: dict[str, str]) -> str:
    """Of reassembly the kernel keeps the low threshold below the high one at every moment."""
    before[key] = value
    for side, other, default in (("low", "high", 4_194_304), ("high", "low", 3_145_728)):
        if not key.endswith(f"_{side}_thresh"):
            continue
        limit = int(before.get(key.replace(f"_{side}_", f"_{other}_"), default))
        if (int(value) > limit) if side == "low" else (int(value) < limit):
            most = "at most" if side == "low" else "at least"
            return f"must be {most} {limit}, the {other} threshold (write that one before it)"
    return ""


def _contradiction(key: str, value: str, with_ipv6: Sequence[str]) -> str:
    """Interfaces cannot have IPv6 addresses where IPv6 is disabled."""
    found = re.fullmatch(r"net\.ipv6\.conf\.([^.]+)\.disable_ipv6", key)
    if not found or int(value) == 0:
        return ""
    hit = [i for i in with_ipv6 if found[1] in ("all", "default", i)]
    return f"cannot be {value}: `{hit[0]}` has an IPv6 address" if hit else ""
