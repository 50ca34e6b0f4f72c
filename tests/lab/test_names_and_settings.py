"""Names that nft and ip have words for, and settings of single interfaces, in a running lab."""

from __future__ import annotations

import json
import socket

import pytest

from netlab.lab import reconfigure, state
from netlab.lab.lab import Lab

pytestmark = [pytest.mark.kernel, pytest.mark.usefixtures("netlab_state")]

WORDS = """
    accept add addr ah all1 arp broadcast chain comment counter ct daddr default1 define
    delete dev dnat down drop dscp dst dup dynamic element ether export fib flags flush
    forward fwd goto group hash hook icmp icmpv6 id igmp iif iifname import in include index
    inet input insert ip ip6 ipsec jump length limit list local log mac map mark masquerade
    master meta metric mtu name nat64 netdev netns nexthdr nh no nomaster not nud numgen off
    oif oifname on onlink or osf out output peer permanent policy position priority proto
    proxy queue quota redirect reject return rt rule saddr scope set snat socket src state
    sport synproxy table tcp th timeout to tproxy ttl type udp until up update via vlan vmap
    xor
""".split()  # noqa: SIM905


def test_a_word_of_nft_or_ip_is_a_name(tmp_path):
    file = tmp_path / "to.yaml"
    file.write_text(
        json.dumps(
            {
                "nodes": {
                    **dict.fromkeys(WORDS),
                    "hub": {
                        "kind": "nat",
                        "outside": "in",
                        "firewall": [f"drop from {w} to {w}" for w in WORDS],
                    },
                    "inside": None,
                },
                "links": [*([f"hub:{w}", f"{w}:{w}"] for w in WORDS), ["hub", "inside"]],
            }
        )
    )
    with Lab(file) as lab:
        for word in ("to", "up", "dev", "inet"):
            ran = lab["inside"].run(["ping", "-c1", "-W5", word])
            assert ran.returncode == 0, ran.stdout
        rules = lab["hub"].run(["nft", "list", "ruleset"]).stdout
        assert 'iifname "via" oifname "via" counter' in rules


SETTINGS = """
nodes:
  a:
    sysctls:
      net.ipv6.conf.eth0.disable_ipv6: 0
      net.ipv4.conf.eth0.proxy_arp: 1
      net.ipv4.neigh.eth0.base_reachable_time_ms: 1000
      net.ipv4.conf.lo.arp_filter: 1
      net.ipv4.conf.eth0.rp_filter: 2
  r:
    kind: router
    sysctls: {net.ipv4.conf.lan.forwarding: 0, net.ipv4.ip_forward: 1}
  b:
links: [[a, "r:lan"], [r, b]]
"""


def test_a_setting_of_an_interface_holds(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text(SETTINGS)
    with Lab(file) as lab:
        for node, key, value in (
            ("a", "net.ipv6.conf.eth0.disable_ipv6", "0"),
            ("a", "net.ipv4.conf.eth0.proxy_arp", "1"),
            ("a", "net.ipv4.neigh.eth0.base_reachable_time_ms", "1000"),
            ("a", "net.ipv4.conf.lo.arp_filter", "1"),
            ("r", "net.ipv4.conf.lan.forwarding", "0"),
            ("r", "net.ipv4.conf.eth0.forwarding", "1"),
        ):
            assert lab[node].run(["sysctl", "-n", key]).stdout.strip() == value, key
        assert lab["a"].run(["ping", "-c1", "-W1", "b"]).returncode == 1
        reconfigure.change(lab, {"r.sysctls.net.ipv4.conf.lan.forwarding": "1"})
        assert lab["a"].run(["ping", "-c1", "-W5", "b"]).returncode == 0


WIRES = """
nodes: {a: , b: , c: }
links:
  - {ends: [a, b], addresses: {a: 192.0.2.1/28}, mac: {a: 12:34:56:12:34:56}}
  - {ends: [b, c], addresses: none}
"""


def test_a_node_is_what_the_file_calls_it_and_its_wires(tmp_path):
    file = tmp_path / "wires.yaml"
    file.write_text(WIRES)
    with Lab(file) as lab:
        assert lab["b"].run(["hostname"]).stdout == "b\n"
        assert lab["b"].run(["ping", "-c1", "-W5", "192.0.2.1"]).returncode == 0
        assert json.loads(lab["a"].run(["ip", "-j", "link"]).stdout)[1]["address"] == (
            "12:34:56:12:34:56"
        )
        wire = json.loads(lab["c"].run(["ip", "-j", "addr", "show", "eth0"]).stdout)[0]
        assert (wire["operstate"], wire["addr_info"]) == ("UP", [])
        assert lab["c"].run(["ip", "route"]).stdout == ""


STATUS = """
nodes:
  a:
  n: {kind: nat, nat: {preset: rfc4787, masquerade: wan, static: [{forward: tcp/8080, to: "a:80"}]}}
  s:
links: [[a, n], ["n:wan", s]]
"""


def test_status_shows_links_forwards_and_how_full_a_nat_is(tmp_path):
    file = tmp_path / "status.yaml"
    file.write_text(STATUS)
    with Lab(file) as lab:
        assert state.link_states(lab["n"]) == {"eth0": "up", "wan": "up"}
        assert state.forwards(lab.plan, "n") == ["wan tcp/8080 to 10.0.0.1:80"]
        before = state.translations(lab["n"])
        with (
            lab["a"].socket(socket.AF_INET, socket.SOCK_DGRAM) as a,
            lab["s"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s,
        ):
            s.bind(("10.0.1.2", 9000))
            s.settimeout(5)
            a.sendto(b"x", ("10.0.1.2", 9000))
            s.recv(9)
        after = state.translations(lab["n"])
        assert after["sessions"] == before["sessions"] + 1
        mapping = next(t for t in after["tables"] if t["name"] == "mapping_wan")
        assert (mapping["elements"], mapping["size"]) == (1, 65535)
        reconfigure.switch(lab, "s", "eth0", up=False)
        assert state.link_states(lab["s"]) == {"eth0": "down"}
        assert state.link_states(lab["n"])["wan"] == "no carrier"


LINK_LOCAL = """
nodes: {a: {ipv6-link-local: true}, b: {ipv6-link-local: true}, c: }
links: [[a, b], [b, c]]
"""


def test_link_local_addresses_are_there_where_they_are_asked_for(tmp_path):
    file = tmp_path / "local.yaml"
    file.write_text(LINK_LOCAL)
    with Lab(file) as lab:
        mac = next(i.mac for i in lab["b"].interfaces if i.name == "eth0")
        octets = [int(part, 16) for part in mac.split(":")]
        octets[0] ^= 2  # RFC 4291 appendix A
        eui = [*octets[:3], 0xFF, 0xFE, *octets[3:]]
        address = f"fe80::{':'.join(f'{eui[i] << 8 | eui[i + 1]:x}' for i in range(0, 8, 2))}%eth0"
        ran = lab["a"].run(["ping", "-c1", "-w10", "-i0.2", address])
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "fe80" not in lab["c"].run(["ip", "-6", "addr"]).stdout
