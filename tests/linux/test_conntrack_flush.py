"""What connection tracking knows of a node, and making it forget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from netlab.linux import conntrack_flush, namespaces
from netlab.probe import sweep as probing

if TYPE_CHECKING:
    from netlab.lab.lab import Lab

pytestmark = [pytest.mark.kernel, pytest.mark.netlab(topology="topologies/nat.yaml")]


def test_a_node_forgets_its_flows(netlab: Lab) -> None:
    probing.sweep(netlab, "client", "server", arguments=[200], packets=1)
    nat = netlab["nat"].namespace
    assert "unknown" in netlab["nat"].run(["cat", "/proc/net/nf_conntrack"]).stdout
    namespaces.inside(nat, conntrack_flush.forget)
    assert netlab["nat"].run(["cat", "/proc/net/nf_conntrack"]).stdout == ""
    assert namespaces.inside(nat, conntrack_flush.clashes) == 0
