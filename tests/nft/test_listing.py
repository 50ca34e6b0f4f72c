"""Handles of nft's trace lead to rules; the listing is nft's own."""

from netlab.nft.listing import parse

LISTING = """\
table inet netlab { # handle 3
\tset seen { # handle 9
\t\ttype ipv4_addr
\t\telements = { 10.0.0.1 }
\t}
\tchain forward { # handle 1
\t\ttype filter hook forward priority filter; policy drop;
\t\tmeta l4proto 255 counter drop comment "drop protocol 255 lab.yaml:5" # handle 4
\t\tnumgen inc mod 20 vmap { 3 : drop, 4 : drop, 5 : drop,
\t\t\t\t\t 11 : drop } # handle 6
\t\tjump more # handle 7
\t}

\tchain more { # handle 2
\t\tcomment "of the chain lab.yaml:9"
\t\tcounter accept # handle 8
\t}
}
table ip own { # handle 4
\tchain forward { # handle 1
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\tmasquerade # handle 4
\t}
}
"""


def test_every_rule_is_found_by_its_place_and_handle():
    found = parse(LISTING)
    assert found.rules["inet", "netlab", "forward", 4] == (
        "meta l4proto 255 counter drop",
        "drop protocol 255 lab.yaml:5",
    )
    assert found.rules["inet", "netlab", "forward", 6].text.endswith("5 : drop, 11 : drop }")
    assert found.rules["inet", "netlab", "more", 8] == ("counter accept", "")
    assert found.rules["ip", "own", "forward", 4] == ("masquerade", "")
    assert len(found.rules) == 5


def test_base_chains_have_hooks():
    assert parse(LISTING).bases == {
        ("inet", "netlab", "forward"): ("filter", "forward"),
        ("ip", "own", "forward"): ("nat", "postrouting"),
    }


def test_what_a_chain_says_of_itself_is_no_rule():
    assert parse(LISTING).comments == {("inet", "netlab", "more"): "of the chain lab.yaml:9"}


def test_nothing_of_nothing():
    assert parse("").rules == {}
