"""Counters as /proc/net prints them."""

from netlab.capture.counters import table

SNMP = """\
Ip: Forwarding DefaultTTL InReceives
Ip: 1 64 12
Udp: InDatagrams NoPorts
Udp: 3 1
"""


def test_names_and_values_stand_in_two_lines():
    assert table(SNMP) == {
        "Ip.Forwarding": 1,
        "Ip.DefaultTTL": 64,
        "Ip.InReceives": 12,
        "Udp.InDatagrams": 3,
        "Udp.NoPorts": 1,
    }


def test_or_in_one():
    assert table("Ip6InReceives   \t7\nIp6InNoRoutes  0\n") == {
        "Ip6InReceives": 7,
        "Ip6InNoRoutes": 0,
    }
