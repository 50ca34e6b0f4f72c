"""Whether NATs, boxes, links and firewalls do what the topology says, as seen from their ends.

tap, bench, scene     userspace hosts at the interfaces of a node, or at the ends of a link
crafted, seen         packets as probes, and what of them can be seen
expected/             what each declared thing shows to its ends: data, from RFCs and studies
nat_*, box_rows, ...  what is asked of each kind of thing, in its place in the lab
together              chains of translations, from the lab's own hosts
sabotage              the test of the test: each behaviour switched off behind the lab's back
requirements          the table of docs/nat.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.verify.check import Check

if TYPE_CHECKING:
    from netlab.lab.lab import Lab
    from netlab.topology.model import Topology

__all__ = ["Check", "verify", "verify_running", "verify_together"]


def verify(topology: Topology) -> list[Check]:
    """Build the file's lab and measure everything declared in it, in the topology's order.

    What shares its place with other boxes is measured once more alone. ``LabError`` if the lab
    cannot be built.
    """
    from netlab.lab.lab import Lab
    from netlab.verify.alone import check_alone
    from netlab.verify.measure import declares, measured, quiet
    from netlab.verify.probe import one_cpu

    if not declares(topology):
        return []
    own = quiet(topology)
    with one_cpu(), Lab(own, name=f"{topology.name[:40]}-verify") as lab:
        checks = list(measured(lab, own, own=True))
    return list(check_alone(topology, checks))


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
    """The same of a lab that runs, with the settings that it has now; nothing in it is changed.

    Its NATs get new flows, from hosts that are not the lab's.
    """
    import time

    from netlab.lab.reconfigure import topology_now
    from netlab.verify.bench import begin_ports_at
    from netlab.verify.measure import measured
    from netlab.verify.probe import one_cpu
    from netlab.verify.together import check_together

    topology = topology_now(lab)
    begin_ports_at(time.monotonic_ns() // 20_000_000)
    with one_cpu():
        checks = list(measured(lab, topology, own=False))
        checks += check_together(lab, topology, is_fresh=False)
    return checks
