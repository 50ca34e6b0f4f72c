"""Whether NATs and middleboxes do what the topology says: measured from their ends.

Each NAT and each box is built once more, alone, between hosts of our own, so that nothing else in
the lab gets in the way and nothing of a running lab is touched. What they do together is asked of
the whole lab.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from netlab.lab.lab import Lab
    from netlab.topology.model import Topology


class Check(NamedTuple):
    """One property of a node or link: what the topology says and what was measured."""

    node: str
    name: str
    declared: Any
    measured: Any

    @property
    def ok(self) -> bool:
        """Whether the two agree."""
        return bool(self.declared == self.measured)


def verify(topology: Topology) -> list[Check]:
    """Measure every NAT and every box, in the topology's order; ``LabError`` if one cannot be."""
    from netlab.verify.nat import check_nat
    from netlab.verify.nat64 import check_nat64
    from netlab.verify.nptv6 import check_nptv6
    from netlab.verify.path import check_link, check_node
    from netlab.verify.timeouts import check_timeouts

    checks: list[Check] = []
    for node in topology.nodes:
        checks += check_nat(node)
        checks += check_timeouts(node)
        checks += check_nat64(node)
        checks += check_nptv6(node)
        checks += check_node(node)
    for link in topology.links:
        checks += check_link(link)
    return checks


def verify_together(topology: Topology) -> list[Check]:
    """Build the whole lab, and measure what its translations do one behind the other."""
    from netlab.lab.lab import Lab
    from netlab.verify.probe import one_cpu
    from netlab.verify.together import chains, check_together

    if not chains(topology):
        return []
    with one_cpu(), Lab(topology, name=f"{topology.name[:40]}-verify") as lab:
        return list(check_together(lab, topology, is_fresh=True))


def verify_running(lab: Lab) -> list[Check]:
    """The same of a lab that runs, with the settings that it has now."""
    from netlab.lab.reconfigure import topology_now
    from netlab.verify.together import check_together

    return list(check_together(lab, topology_now(lab), is_fresh=False))
