"""What `check` accepts, `up` builds: drawn files with settings, files, routes and rules."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from netlab.errors import InputError
from netlab.lab.lab import Lab
from netlab.topology import loads
from netlab.topology.sysctl_names import known
from tests.topology.strategies import topologies

pytestmark = [pytest.mark.kernel, pytest.mark.soak]

PATHS = (
    "/etc/motd",
    "/etc/new/deep/file",
    "/srv/x",
    "/usr/share/netlab-x/y",
    "/var/lib/a/b",
    "/opt/o",
)
WORDS = ("in", "dev", "via", "inet", "up", "10a", "A-b_c")
ABSENT = (
    *("calipso", "xfrm", "seg6", "l3mdev", "optimistic", "_rtr_pref", "rt_info", "nf_flowtable"),
    *("nf_conntrack_helper", "nf_conntrack_dccp", "router_probe"),
)
"""Parts of names that only some kernels have."""

RESTRICTED = (
    *("tcp_congestion_control", "stable_secret", "fastopen_key", "reserved_ports", "mask"),
    *("_thresh", ".mtu", "disable_ipv6"),
)
"""Parts of names whose values depend on the rest of the file."""


@st.composite
def settings_of(draw: st.DrawFn, interface: str) -> dict[str, str]:
    """Some sysctls with values that `check` accepts."""
    names = sorted(
        name
        for name, what in known().items()
        if what.kind == "integer" and not any(part in name for part in (*ABSENT, *RESTRICTED))
    )
    found = {}
    for name in draw(st.lists(st.sampled_from(names), max_size=4, unique=True)):
        what = known()[name]
        value = draw(st.sampled_from([what.low, what.high, max(what.low, min(what.high, 1))]))
        found[name.replace("*", interface)] = str(value)
    return found


@st.composite
def files(draw: st.DrawFn) -> str:
    """A valid topology with much more in it than wires."""
    file: dict[str, Any] = draw(topologies(3, stacks=False)).file
    ends = [end.split(":") for link in file["links"] for end in _ends(link)]
    for name, node in file["nodes"].items():
        interfaces = [interface for end, interface in ends if end == name]
        if node.get("kind") == "bridge" or not interfaces:
            continue
        node["sysctls"] = draw(settings_of(interfaces[0]))
        node["files"] = dict.fromkeys(draw(st.lists(st.sampled_from(PATHS), max_size=2)), "x\n")
        node["routes"] = draw(
            st.lists(
                st.sampled_from(
                    [
                        *("blackhole 172.16.0.0/24", "unreachable 172.16.1.0/24"),
                        *("throw 172.16.2.0/24 table t", f"172.16.3.0/24 dev {interfaces[0]}"),
                        f"172.16.4.0/24 dev {interfaces[-1]} metric 7 table 12345",
                        *("prohibit fd66::/64", "172.16.5.0/24 metric 5 dev " + interfaces[0]),
                    ]
                ),
                max_size=3,
                unique=True,
            )
        )
        node["rules"] = draw(
            st.lists(
                st.sampled_from(
                    [
                        *("table 12345", f"iif {interfaces[0]} prohibit", "fwmark 1/3 lookup main"),
                        *("from 172.16.0.0/12 table 300 priority 9", f"to {name} blackhole"),
                    ]
                ),
                max_size=2,
                unique=True,
            )
        )
    return json.dumps(file)


def problems(text: str) -> set[str]:
    """The codes of what `check` refuses."""
    try:
        loads(text)
    except InputError as error:
        return {d.code for d in error.diagnostics}
    return set()


def _ends(link: Any) -> list[str]:
    return list(link["ends"] if isinstance(link, dict) else link)


@pytest.mark.timeout(600)
@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # making it smaller would take longer than finding it
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(text=files())
def test_what_check_accepts_up_builds(text, netlab_state, tmp_path):
    refused = problems(text)
    if refused:
        # Drawn without looking at families: a node without IPv6 can have no IPv6 route.
        assert refused <= {"E254", "E256"}
        return
    file = tmp_path / "drawn.yaml"
    file.write_text(text)
    with Lab(file):
        pass
