"""The test of the test: what is declared is switched off or moved behind the lab's back.

Each sabotage is done alone, in the lab that is measured: rules are exchanged or added, settings of
the kernel written, boxes of a wire taken out. Neither the file nor the lab's record says so. Then
the place is measured as always, and a row must say ``otherwise``. Before each of them the same rows
are measured of the lab as it should be: whatever is otherwise then is a false alarm.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from netlab.lab.lab import Lab
from netlab.lab.reconfigure import REPLACE, put_boxes
from netlab.linux import libnftables, namespaces, sysctl
from netlab.plan import firewall
from netlab.verify import alone, box_rows
from netlab.verify.box_rows import compressed, link_name
from netlab.verify.measure import check_node, declares, quiet
from netlab.verify.probe import one_cpu
from netlab.verify.tampering import Tampering, of_box, of_firewall, of_nat, of_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlab.topology.model import Link, Node, Topology
    from netlab.verify.check import Check


class Result(NamedTuple):
    """One sabotage: what was done where, and the row that noticed it."""

    what: str
    where: str
    row: Check | None
    """The row that said otherwise; ``None`` if none did."""

    @property
    def noticed(self) -> bool:
        """Whether a row said so."""
        return self.row is not None


class Report(NamedTuple):
    """All sabotages of a file."""

    results: tuple[Result, ...]
    alarms: tuple[Check, ...]
    """Rows that said otherwise of the lab as it should be."""

    @property
    def ok(self) -> bool:
        """Whether everything was noticed, and nothing else."""
        return all(r.noticed for r in self.results) and not self.alarms


class _Place(NamedTuple):
    """What is sabotaged: its measurement, lazily, and ways to tamper with it."""

    where: str
    rows: Callable[[], Iterator[Check]]
    tamperings: tuple[tuple[str, Callable[[], object]], ...]
    restore: Callable[[], object]


def sabotage(topology: Topology, only: Callable[[str], bool] = lambda _: True) -> Report:
    """Sabotage everything that a file declares; ``only`` chooses by what is done.

    Raises:
        LabError: its lab cannot be built.
    """
    results: list[Result] = []
    alarms: list[Check] = []
    own = quiet(topology)
    if declares(own):
        with one_cpu(), Lab(own, name=f"{topology.name[:40]}-sabotage") as lab:
            for place in (*_nodes(lab, own), *_links(lab, own)):
                _attack(_chosen(place, only), results, alarms)
    for where, made in _apart(topology):
        with one_cpu(), Lab(made) as lab:
            places = (*_nodes(lab, made), *_links(lab, made))
            for place in places:
                _attack(_chosen(place, only)._replace(where=where), results, alarms)
    for node in topology.nodes:
        _prefixes(node, results, alarms)
    return Report(tuple(results), tuple(alarms))


def _chosen(place: _Place, only: Callable[[str], bool]) -> _Place:
    return place._replace(tamperings=tuple(t for t in place.tamperings if only(t[0])))


def _attack(place: _Place, results: list[Result], alarms: list[Check]) -> None:
    for what, tamper in place.tamperings:
        place.restore()
        alarms += [row for row in place.rows() if row.is_otherwise]
        tamper()
        try:
            row = next((row for row in place.rows() if row.is_otherwise), None)
        finally:
            place.restore()
        results.append(Result(what, place.where, row))
    if place.tamperings:
        alarms += [row for row in place.rows() if row.is_otherwise]


# Nodes: rules and settings.


def _nodes(lab: Lab, topology: Topology) -> Iterator[_Place]:
    for node in topology.nodes:
        found = list(_of_node(topology, node))
        if not found:
            continue
        yield _Place(
            node.name,
            partial(check_node, lab, topology, node, own=True),
            tuple((t.what, partial(_tamper, lab, node, t)) for t in found),
            partial(_restore, lab, node),
        )


def _of_node(topology: Topology, node: Node) -> Iterator[Tampering]:
    yield from of_nat(topology, node)
    yield from of_firewall(node)
    if box_rows.is_alone(node):
        (box,) = node.middleboxes
        if compressed(box) != box:
            return
        for what, other in of_box(box):
            boxes = (other,) if other else ()
            changed = replace(node, middleboxes=boxes)
            yield Tampering(f"{box.kind}: {what}", rules=firewall.ruleset(changed))


def _tamper(lab: Lab, node: Node, tampering: Tampering) -> None:
    namespace = lab[node.name].namespace
    if tampering.rules is not None:
        _load(namespace, REPLACE + tampering.rules)
    if tampering.added:
        _load(namespace, tampering.added)
    for key, value in tampering.settings:
        namespaces.inside(namespace, partial(sysctl.write, key, value))


def _restore(lab: Lab, node: Node) -> None:
    """Rules, sets and settings as the plan has them, and no flow remembered."""
    from netlab.linux import conntrack_flush
    from netlab.plan.operations import SetSysctl

    namespace = lab[node.name].namespace
    _load(namespace, f"table inet {Tampering.TABLE}\ndelete table inet {Tampering.TABLE}\n")
    _load(namespace, REPLACE + firewall.ruleset(node))
    for operation in lab.plan.operations:
        if (
            isinstance(operation, SetSysctl)
            and operation.node == node.name
            and "conntrack" in operation.key
        ):
            write = partial(sysctl.write, operation.key, operation.value)
            namespaces.inside(namespace, write)
    for key, value in Tampering.DEFAULTS:
        if not any(
            isinstance(o, SetSysctl) and o.node == node.name and o.key == key
            for o in lab.plan.operations
        ):
            namespaces.inside(namespace, partial(_write_if_there, key, value))
    namespaces.inside(namespace, conntrack_flush.forget)


def _write_if_there(key: str, value: str) -> None:
    try:
        sysctl.write(key, value)
    except FileNotFoundError:
        return


def _load(namespace: str, text: str) -> None:
    complaints = namespaces.inside(namespace, partial(libnftables.load, text))
    if complaints:
        raise RuntimeError(f"sabotage: nft says {complaints[0].text}: {text}")


# Links: boxes of a wire.


def _links(lab: Lab, topology: Topology) -> Iterator[_Place]:
    for link in topology.links:
        kinds = Counter(box.kind for box in link.middleboxes)
        apart = len(link.middleboxes) == 1 or set(kinds) == {"impair"}
        if not link.middleboxes or not apart or "" in kinds:
            continue
        end = ":".join(link.a)
        yield _Place(
            link_name(link),
            partial(box_rows.check_link, lab, topology, link),
            tuple(_of_link(lab, end, link)),
            partial(put_boxes, lab, end, link.middleboxes),
        )


def _of_link(lab: Lab, end: str, link: Link) -> Iterator[tuple[str, Callable[[], object]]]:
    for at, box in enumerate(link.middleboxes):
        for what, other in of_box(box):
            boxes = list(link.middleboxes)
            boxes[at : at + 1] = [other] if other else []
            yield f"{box.kind}: {what}", partial(put_boxes, lab, end, tuple(boxes))


# What is measured in labs of its own.


def _apart(topology: Topology) -> Iterator[tuple[str, Topology]]:
    for node in topology.nodes:
        for box in node.middleboxes:
            if not box_rows.is_alone(node) or compressed(box) != box:
                yield node.name, alone.node_lab(compressed(box))
    for link in topology.links:
        if len(link.middleboxes) > 1 and any(b.kind != "impair" for b in link.middleboxes):
            for box in link.middleboxes:
                if box.kind:
                    yield link_name(link), alone.link_lab(box)


def _prefixes(node: Node, results: list[Result], alarms: list[Check]) -> None:
    """NAT64 and NPTv6, which are measured in labs of their own."""
    for what, rows in of_prefix(node):
        alarms += [row for row in rows(None) if row.is_otherwise]
        for name, tamper in what:
            row = next((row for row in rows(tamper) if row.is_otherwise), None)
            results.append(Result(name, node.name, row))
