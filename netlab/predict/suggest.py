"""A ping that is worth a try in a new lab: one that will be answered."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from netlab.plan.operations import WriteFile
from netlab.predict.node import nodes
from netlab.predict.predict import is_answered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.plan.operations import Plan

TRIES = 40
"""Pairs of nodes that are asked about, at most."""


def suggestion(plan: Plan) -> tuple[str, str] | tuple[()]:
    """Two nodes of which the first can ping the second by its name; empty if none is found."""
    places = nodes(plan, is_fresh=True)
    flow = 0
    for source, target in islice(_pairs(plan), TRIES):
        addresses = _known(plan, source, target)
        answered = 0
        for address in addresses:
            flow += 1
            answered += is_answered(places, source, address, flow)
        # Which of several addresses `ping` takes is up to the resolver.
        if addresses and answered == len(addresses):
            return source, target
    return ()


def _pairs(plan: Plan) -> Iterator[tuple[str, str]]:
    """Far ones first: from the first host to the last, then to those before it."""
    hosts = [node.name for node in plan.nodes if node.kind == "host"]
    others = [node.name for node in plan.nodes if node.kind in ("router", "nat", "stack")]
    for source in [*hosts, *others]:
        for target in [*reversed(hosts), *reversed(others)]:
            if source != target:
                yield source, target


def _known(plan: Plan, node: str, name: str) -> list[str]:
    """The addresses of a name by the /etc/hosts of a node."""
    found = []
    for file in plan.operations:
        if isinstance(file, WriteFile) and (file.node, file.path) == (node, "/etc/hosts"):
            for line in file.content.splitlines():
                address, *names = line.partition("#")[0].split() or [""]
                if name in names:
                    found.append(address)
    return found
