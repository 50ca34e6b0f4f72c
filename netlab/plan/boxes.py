"""Middleboxes that are made of rules: from the catalogue into a node's table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.middlebox.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.middlebox.kind import Rules
    from netlab.nft.builder import Chains
    from netlab.topology.model import Box, Node


def add(chains: Chains, node: Node) -> None:
    """The rules of all boxes of a node, each with the box's name and place as its comment."""
    for box in node.middleboxes:
        rules = _rules(box)
        for declaration in rules.declarations:
            chains.declare(declaration)
        for row in rules.rows:
            chain = chains.hook_in(row.hook, row.priority)
            chains.add(chain, row.statement, f"{box.kind} at {node.name}", box.origin)


def sysctls(node: Node) -> Iterator[tuple[str, str]]:
    """The settings that the boxes of a node need."""
    for box in node.middleboxes:
        yield from _rules(box).sysctls


def _rules(box: Box) -> Rules:
    return CATALOGUE[box.kind].make_rules(dict(box.parameters))
