"""What the NATs and firewalls of a lab remember: conntrack's entries, and the maps of NAT rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.lab.lab import Lab
    from netlab.plan.operations import Plan

CONNTRACK = Path("/proc/thread-self/net/nf_conntrack")
MOST_ENTRIES = 200
"""Entries of a node that a page shows."""

KEEPERS = ("nat", "router")
"""Kinds of nodes that may keep flows for others."""


def keepers(plan: Plan) -> list[str]:
    """The nodes that remember flows: those with rules that pass other nodes' packets on."""
    from netlab.plan.operations import LoadRules

    ruled = {made.node for made in plan.operations if isinstance(made, LoadRules)}
    return [node.name for node in plan.nodes if node.kind in KEEPERS and node.name in ruled]


def read(lab: Lab, node: str) -> dict[str, Any]:
    """``entries`` of conntrack and ``mappings`` of NAT rules; each empty where none can be read."""
    try:
        text: str = lab[node].inside(CONNTRACK.read_text)
    except OSError:
        text = ""  # a kernel without this file, or a node that is gone
    entries = list(entries_of(text))
    try:
        listed: str = lab[node].inside(_maps)
    except OSError:
        listed = ""
    return {
        "entries": entries[:MOST_ENTRIES],
        "more": max(0, len(entries) - MOST_ENTRIES),
        "mappings": list(mappings_of(listed))[:MOST_ENTRIES],
    }


def _maps() -> str:
    from netlab.linux import libnftables

    return libnftables.listed("maps")


def entries_of(text: str) -> Iterator[dict[str, str]]:
    """The lines of ``/proc/net/nf_conntrack``: what a flow was, what its answers are, how long yet.

    ``ipv4 2 udp 17 29 src=10.0.0.2 dst=… sport=… dport=… [UNREPLIED] src=… … mark=0 use=2``
    """
    for line in text.splitlines():
        words = line.split()
        if len(words) < 6:
            continue
        pairs = [word.split("=", 1) for word in words if "=" in word]
        tuples: list[dict[str, str]] = []
        for key, value in pairs:
            if key == "src":
                tuples.append({})
            if tuples:
                tuples[-1].setdefault(key, value)
        if len(tuples) < 2:
            continue
        state = words[5] if words[5].isupper() and "=" not in words[5] else ""
        flags = " ".join(word.strip("[]") for word in words if word.startswith("["))
        yield {
            "proto": words[2],
            "state": " ".join(filter(None, (state, flags))),
            "flow": _direction(tuples[0]),
            "answers": _direction(tuples[1]),
            "left": f"{words[4]} s" if words[4].isdecimal() else "",
        }


def _direction(found: dict[str, str]) -> str:
    ends = []
    for host, port in (("src", "sport"), ("dst", "dport")):
        name = found.get(host, "?")
        number = found.get(port, "")
        if number:
            name = f"[{name}]:{number}" if ":" in name else f"{name}:{number}"
        ends.append(name)
    which = f" id {found['id']}" if "id" in found and "sport" not in found else ""
    return f"{ends[0]} > {ends[1]}{which}"


def mappings_of(listed: str) -> Iterator[dict[str, str]]:
    """The elements of nft's maps, from its JSON: inside endpoint, outside endpoint, time left."""
    try:
        objects = json.loads(listed)["nftables"] if listed else []
    except (ValueError, KeyError, TypeError):
        return
    for each in objects:
        for element in each.get("map", {}).get("elem", ()):
            if not isinstance(element, list) or len(element) != 2:
                continue
            key, value = element
            timed = key.get("elem", {}) if isinstance(key, dict) else {}
            left = timed.get("expires")
            yield {
                "map": str(each["map"].get("name", "")),
                "inside": _plain(timed.get("val", key)),
                "outside": _plain(value),
                "left": f"{left} s" if left is not None else "",
            }


def _plain(value: object) -> str:
    if isinstance(value, dict) and "concat" in value:
        return " ".join(_plain(part) for part in value["concat"])
    return str(value)


def connections(lab: Lab) -> list[dict[str, Any]]:
    """The connections of netlab's own TCP at the addresses of this lab's stacks."""
    from netlab.io.tcp import states

    ours = {address for node in lab.nodes if node.kind == "stack" for address in node.addresses}
    found = [
        connection
        for _, many in states.ask()
        for connection in many
        if str(connection["local"]).rpartition(":")[0].strip("[]") in ours
    ]
    return sorted(found, key=lambda one: (str(one["local"]), str(one["remote"])))
