"""Middleboxes in their place, at a node or on a link, against ``expected/boxes.yaml``."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netlab.middlebox.catalogue import CATALOGUE
from netlab.verify import impairments, script
from netlab.verify.check import Check
from netlab.verify.crafted import datagram
from netlab.verify.expected import table
from netlab.verify.scene import LinkScene, NodeScene
from netlab.verify.tap import NotMeasured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.lab.lab import Lab
    from netlab.topology.model import Box, Link, Node, Topology
    from netlab.verify.bench import Bench

SHARED = "others share its place; alone it is measured by `netlab verify FILE`"
OWN = "a class of your own declares nothing"
DIRECTED = ("impair",)


def link_name(link: Link) -> str:
    """``client:eth0 -- server:eth0``."""
    return f"{':'.join(link.a)} -- {':'.join(link.b)}"


def compressed(box: Box) -> Box:
    """The box with what takes long made short, as the table says."""
    short = table("boxes").get(box.kind, {}).get("compressed", {})
    given = dict(box.parameters)
    for name, value in short.items():
        kind = CATALOGUE[box.kind]
        now, short_one = (kind.values(g)[name] for g in (given, given | {name: value}))
        if isinstance(now, float) and isinstance(short_one, float) and now > short_one:
            given[name] = value
    return replace(box, parameters=tuple(given.items()))


def names(box: Box) -> dict[str, Any]:
    """Its parameters, as scripts name them."""
    return dict(CATALOGUE[box.kind].values(dict(box.parameters)))


def is_alone(node: Node) -> bool:
    """Whether nothing else at a node decides about packets."""
    return len(node.middleboxes) == 1 and not node.firewall and not node.nftables and not node.nat


def check_node(bench: Bench) -> Iterator[Check]:
    """The boxes of a node, if they can be seen apart."""
    node = bench.node
    for box in node.middleboxes:
        if not is_alone(node):
            yield Check(node.name, box.kind, "as its kind", None, why=SHARED)
            continue
        values = names(box)
        try:
            scene = NodeScene(bench, str(values.get("inside", "")))
        except NotMeasured as why:
            yield Check(node.name, box.kind, "as its kind", None, why=str(why))
            continue
        yield from _rows(scene, node.name, box)


def check_link(lab: Lab, topology: Topology, link: Link) -> Iterator[Check]:
    """The boxes of a link, if they can be seen apart."""
    where = link_name(link)
    scene = LinkScene(lab, topology, link)
    try:
        for box in link.middleboxes:
            if not box.kind:
                yield Check(where, box.python.rpartition(":")[2], "", None, why=OWN)
                continue
            alone = len(link.middleboxes) == 1
            apart = alone or all(b.kind in DIRECTED for b in link.middleboxes)
            if not apart:
                yield Check(where, box.kind, "as its kind", None, why=SHARED)
                continue
            yield from _rows(scene, where, box)
    finally:
        scene.close()


def _rows(scene: LinkScene | NodeScene, where: str, box: Box) -> Iterator[Check]:
    expected = table("boxes")[box.kind]
    values = names(box)
    for row in expected["rows"]:
        if row.get("special") == "impair":
            assert isinstance(scene, LinkScene)
            yield from impairments.check(where, scene, values)
        elif row.get("special") == "policer":
            assert isinstance(scene, NodeScene)
            yield _policer(scene, where, values, expected["source"])
        else:
            found = script.play(scene, where, row, {**values, "kind": box.kind}, expected["source"])
            if found:
                yield found


def _policer(scene: NodeScene, where: str, values: dict[str, Any], source: str) -> Check:
    """A burst passes at once; of what follows no more than the rate lets through meanwhile."""
    rate, burst = int(values["packets"]), int(values["burst"])
    name = f"policer: {burst} packets at once, then {rate}/s"
    declared = "the burst, and no more than the rate"
    sent = burst + max(20, burst // 2)
    if "udp" not in values["protocols"]:
        return Check(where, name, declared, None, why="it is not for UDP", source=source)
    if sent > 5000:
        return Check(where, name, declared, None, why=f"a burst of {burst}", source=source)
    if burst / rate > 3:
        why = f"{burst / rate:.0f} s until it would let a burst through"
        return Check(where, name, declared, None, why=why, source=source)
    scene.wait("b", 0, burst / rate + 0.01)
    source_end, target = (scene.a, scene.port()), (scene.b, 5000)
    began = time.monotonic()
    scene.send("a", *(datagram(source_end, target) for _ in range(sent)))
    took = time.monotonic() - began
    came = sum(1 for p in scene.take("b") if p.protocol == 17)
    how = f"{sent} packets sent in {took * 1000:.1f} ms, {came} came"
    most = burst + took * rate + 1
    if most >= sent:
        why = f"{rate} packets a second are too many for this machine"
        return Check(where, name, declared, None, how, why, source)
    good = burst <= came <= most
    return Check(where, name, declared, declared if good else f"{came} of {sent}", how,
                 source=source)  # fmt: skip
