"""What the kernel holds is what the model says; built twice, it is the same twice."""

import json
import os
import re
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

import netlab
from netlab.plan.build import build
from netlab.topology import load, loads
from netlab.topology.model import MAIN_TABLE
from tests.topology.strategies import topologies

ROOT = Path(__file__).parents[1]
HAS_TUN = os.access("/dev/net/tun", os.R_OK | os.W_OK)
SHIPPED = [
    file
    for file in sorted((ROOT / "topologies").glob("*.yaml"))
    if HAS_TUN or "kind: stack" not in file.read_text()
]

pytestmark = pytest.mark.kernel


def asked(node: netlab.LabNode, *question: str):
    return json.loads(node.run(["ip", "-j", *question], check=True).stdout or "[]")


def interfaces(node: netlab.LabNode):
    """name -> (index, MAC, MTU, up, addresses), the loopback excepted."""
    return {
        i["ifname"]: (
            i["ifindex"],
            i.get("address"),
            i["mtu"],
            "UP" in i["flags"],
            {
                ip_interface(f"{a['local']}/{a['prefixlen']}")
                for a in i["addr_info"]
                if a["scope"] != "link"
            },
        )
        for i in asked(node, "addr")
        if i["ifname"] != "lo"
    }


def routes(node: netlab.LabNode):
    """(destination, gateway, interface, table), without what the kernel adds by itself."""
    found = set()
    for family, anything in (("-4", "0.0.0.0/0"), ("-6", "::/0")):
        for r in asked(node, "-N", family, "route", "show", "table", "all"):
            if r.get("protocol") == "2" or r.get("table") == "255":  # RTPROT_KERNEL, local
                continue
            destination = anything if r["dst"] == "default" else r["dst"]
            gateway = r.get("gateway")
            found.add(
                (
                    ip_network(destination),
                    ip_address(gateway) if gateway else None,
                    r["dev"],
                    int(r.get("table", MAIN_TABLE)),
                )
            )
    return found


def neighbours(node: netlab.LabNode):
    return {
        (n["dev"], ip_address(n["dst"]), n["lladdr"])
        for n in asked(node, "neigh")
        if "PERMANENT" in n["state"]
    }


def compare(topology) -> None:
    """Build it, ask the kernel, and hold the answers against the model."""
    with netlab.Lab(topology, name="equal") as lab:
        for node in topology.nodes:
            real = lab[node.name]
            assert interfaces(real) == {
                i.name: (
                    i.ifindex,
                    None if i.kind == "tun" else i.mac,
                    i.mtu,
                    True,
                    set(i.addresses),
                )
                for i in node.interfaces
            }
            assert routes(real) == {
                (r.destination, r.gateway, r.interface, r.table) for r in node.routes
            }
            assert neighbours(real) == {(n.interface, n.address, n.mac) for n in node.neighbours}
            forwarding = real.run(["sysctl", "-n", "net.ipv4.ip_forward"], check=True).stdout
            assert forwarding.strip() == str(int(node.forwards))
            for i in node.interfaces:
                if i.master:
                    [port] = asked(real, "link", "show", i.name)
                    assert port["master"] == i.master


@pytest.mark.parametrize("file", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_lab_is_what_its_model_says(file):
    compare(load(file))


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(topologies(stacks=HAS_TUN))
def test_a_random_lab_is_what_its_model_says(drawn):
    compare(loads(drawn.text))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda path: path.stem)
def test_two_builds_are_equal_to_the_letter(file):
    """As far as `ip -d addr`, `ip route` and `nft list ruleset` can tell, counters apart."""
    plan = build(load(file))

    def everything() -> list[str]:
        with netlab.Lab(plan, name="twice") as lab:
            return [
                without_counters(node.run(question, check=True).stdout)
                for node in lab
                for question in (
                    ["ip", "-d", "addr"],
                    ["ip", "-d", "route"],
                    ["ip", "-6", "-d", "route"],
                    ["ip", "-d", "rule"],
                    ["nft", "list", "ruleset"],
                )
            ]

    assert everything() == everything()


def without_counters(text: str) -> str:
    text = re.sub(r"packets \d+ bytes \d+", "", text)
    # Namespaces number each other as they meet; a bridge's timers run.
    text = re.sub(r"link-netnsid \d+|(\w+_timer|gc_timer) +[\d.]+", "", text)
    return re.sub(r"expires \d+sec", "", text)
