from collections import Counter

from netlab.capture.evidence import Count, Evidence
from netlab.trace.counters import suspicions


def test_names_of_snmp6_have_no_dot():
    evidence = Evidence({}, (), counts=(Count("home", "Icmp6InMsgs", 1),))
    assert suspicions(evidence, [], Counter(), lambda _: True) == {}
