"""NAT and firewall text: what each rule says, and what it says of itself."""

from ipaddress import ip_address

import pytest

from netlab.errors import Position
from netlab.nft import builder
from netlab.plan import firewall as nft
from netlab.topology.model import Firewall, Masquerade, Node, Rule, StaticNat

HERE = Position("labs/home.yaml", 12, 5)


def lines(node: Node) -> list[str]:
    return [line.strip() for line in nft.ruleset(node).splitlines()]


def test_a_node_without_nat_and_firewall_has_no_ruleset():
    assert nft.ruleset(Node("r", "router")) == ""


def test_masquerade_keeps_unsolicited_packets_from_taking_a_tuple():
    text = lines(Node("n", "nat", nat=(Masquerade("wan", HERE),)))
    assert (
        'oifname "wan" meta nfproto ipv4 counter masquerade comment "masquerade home.yaml:12"'
        in text
    )
    assert any(
        line.startswith('iifname "wan" meta nfproto ipv4 ct state new,invalid') for line in text
    )


def test_static_mappings_come_before_masquerade():
    node = Node(
        "n",
        "nat",
        nat=(
            Masquerade("wan", HERE),
            StaticNat("wan", ip_address("203.0.113.5"), ip_address("10.0.0.5"), origin=HERE),
        ),
    )
    text = lines(node)
    static = next(i for i, line in enumerate(text) if "snat ip to 203.0.113.5" in line)
    masquerade = next(i for i, line in enumerate(text) if "counter masquerade" in line)
    assert static < masquerade


@pytest.mark.parametrize(
    ("outside", "inside", "expected"),
    [
        (
            "203.0.113.5",
            "10.0.0.5",
            "ip daddr 203.0.113.5 tcp dport 8080 counter dnat ip to 10.0.0.5:80",
        ),
        (
            "2001:db8::5",
            "fd00::5",
            "ip6 daddr 2001:db8::5 tcp dport 8080 counter dnat ip6 to [fd00::5]:80",
        ),
    ],
)
def test_a_port_forward_names_family_and_port(outside, inside, expected):
    forward = StaticNat("wan", ip_address(outside), ip_address(inside), "tcp", 8080, 80, HERE)
    assert any(expected in line for line in lines(Node("n", "nat", nat=(forward,))))


def test_a_drop_policy_is_also_a_rule_that_a_trace_can_name():
    firewall = Firewall(
        policies=(("forward", "drop"),),
        rules=(Rule("forward", ("tcp dport 80",), "accept", "accept tcp/80", HERE),),
        origin=HERE,
    )
    text = lines(Node("f", "router", firewall=firewall))
    assert "type filter hook forward priority filter; policy drop;" in text
    accept = text.index('tcp dport 80 counter accept comment "accept tcp/80 home.yaml:12"')
    last = text.index('counter drop comment "forward policy drop home.yaml:12"')
    assert accept < last


@pytest.mark.parametrize("label", ["x" * 200, "ü" * 100, 'say "no"\nand go', ""])
def test_comments_keep_the_place_within_nft_s_limit(label):
    text = builder.comment(label, HERE)
    assert len(text.encode()) < builder.COMMENT_BYTES
    assert '"' not in text
    assert "\n" not in text
    assert text.endswith("home.yaml:12")
