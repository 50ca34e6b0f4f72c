from __future__ import annotations

import pytest

from netlab.topology import loads
from netlab.verify.nptv6 import LAB, check_nptv6

pytestmark = pytest.mark.kernel


def node(subnet: str, inside: str, outside: str):
    text = LAB.format(subnet=subnet, inside=inside, outside=outside, wan="3fff:ff::/64")
    return loads(text).node("nat")


@pytest.mark.parametrize(
    ("subnet", "inside", "outside"),
    [
        ("fd00:1:0:5::/64", "fd00:1::/48", "2001:db8:a::/48"),
        ("fd00:1:0:7::/64", "fd00:1::/60", "2001:db8:a:10::/60"),
    ],
)
def test_one_prefix_stands_for_another(netlab_state, subnet, inside, outside):
    checks = list(check_nptv6(node(subnet, inside, outside)))
    assert [c for c in checks if not c.ok] == []
    assert len(checks) == 7


@pytest.mark.netlab(topology="topologies/nptv6.yaml")
def test_what_the_shipped_topology_promises(netlab):
    assert netlab["laptop"].run(["ping", "-c1", "-W5", "server"]).returncode == 0
    said = "%{http_code} %{remote_ip}"
    get = ["curl", "-s", "-o", "/dev/null", "-w", said, "http://web/"]
    assert netlab["server"].run(get).stdout == "200 2001:db8:a:cf43::2"
    assert netlab["laptop"].run(get).stdout == "200 fd00:1:0:5::2"
    assert "2001:db8:5::2 - - " in netlab["web"].log("http")
