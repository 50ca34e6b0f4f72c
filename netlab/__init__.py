"""Network labs of Linux namespaces that can say why a packet died.

import netlab

with netlab.Lab("topologies/nat.yaml") as lab:
    print(lab["client"].run(["ping", "-c1", "server"]).stdout)
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netlab.lab.lab import Lab, LabNode
    from netlab.scenario.meet.meet import meet
    from netlab.topology.python import Topology

__version__ = "0.1.0"
__all__ = ["Lab", "LabNode", "Topology", "__version__", "meet"]


def __getattr__(name: str) -> object:
    """Load the library when it is first asked for: ``netlab up`` starts with this file too."""
    if name in ("Lab", "LabNode"):
        from netlab.lab import lab

        return getattr(lab, name)
    if name == "Topology":
        from netlab.topology.python import Topology

        return Topology
    if name == "meet":
        from netlab.scenario.meet.meet import meet

        return meet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
