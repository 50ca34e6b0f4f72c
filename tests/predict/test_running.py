"""Predictions of a lab that runs, and of what the kernel does beside routes and rules."""

from __future__ import annotations

import pytest

from netlab.capture.evidence import Flow, NodeState, RunningRoute
from netlab.plan.build import build
from netlab.predict.predict import Question, predict, predictions
from netlab.topology import loads
from netlab.trace.disposition import Disposition as End
from netlab.wire.address import packed

LINE = """
nodes:
  a: {a}
  r: {{kind: router, {r}}}
  b: {b}
links:
  - {{ends: [a:eth0, r:x], subnet: 10.0.0.0/24, addresses: {{a: 10.0.0.2, r: 10.0.0.1}}}}
  - {{ends: [r:y, b:eth0], subnet: 10.0.1.0/24, mtu: {mtu},
     addresses: {{b: 10.0.1.2, r: 10.0.1.1}}}}
"""
B = "10.0.1.2"


def line(a: str = "{}", r: str = "", b: str = "{}", mtu: int = 1500):
    return build(loads(LINE.format(a=a, r=r, b=b, mtu=mtu), "line.yaml"))


def table(text: str) -> str:
    """A ruleset as a value in YAML's flow style."""
    return f"nftables: '{text}'"


def rules(*lines: str, hook: str = "forward", family: str = "inet", before: str = "") -> str:
    chain = f"type filter hook {hook} priority 0; policy accept; {'; '.join(lines)};"
    return table(f"table {family} t {{ {before} chain c {{ {chain} }} }}")


UDP_9 = Question("a", B, 17, 9)
SYN_80 = Question("a", B, 6, 80)


@pytest.mark.parametrize(
    ("parts", "question", "end", "node", "text"),
    [
        ({"a": "{sysctls: {net.ipv4.ip_default_ttl: 1}}"}, UDP_9, End.TTL_EXPIRED, "r", "TTL"),
        ({"a": "{sysctls: {net.ipv4.ip_no_pmtu_disc: 1}}", "mtu": 1000},
         UDP_9._replace(size=1200), End.DELIVERED, "b", ""),
        ({"mtu": 1000}, UDP_9._replace(size=1200), End.TOO_BIG, "r", "MTU of y"),
        ({"r": rules("tcp flags syn / syn,ack drop")}, SYN_80, End.DENIED, "r", "tcp flags"),
        ({"r": rules("tcp flags ! syn / syn,ack drop")}, SYN_80, End.DELIVERED, "b", ""),
        ({"r": rules("tcp flags == (fin | syn) / (fin | syn) drop")}, SYN_80,
         End.DELIVERED, "b", ""),
        ({"r": rules("tcp flags syn / syn,ack drop")}, UDP_9, End.DELIVERED, "b", ""),
        ({"r": rules("udp dport vmap { 7 : accept, 9 : drop }")}, UDP_9, End.DENIED, "r", "vmap"),
        ({"r": rules("udp dport vmap { 7 : drop }")}, UDP_9, End.DELIVERED, "b", ""),
        ({"r": rules("ct state vmap { established : accept, new : drop }")}, UDP_9,
         End.DENIED, "r", "vmap"),
        ({"r": rules("meta mark vmap { 7 : drop }")}, UDP_9, End.UNKNOWN, "r", "mark"),
        ({"r": rules("meta mark 7 drop")}, UDP_9, End.UNKNOWN, "r", "mark"),
        ({"r": rules("ip checksum set 0")}, UDP_9, End.UNKNOWN, "r", "checksum"),
        ({"r": rules("ip saddr @s drop",
                     before="set s { type ipv4_addr; elements = { 10.0.0.2, 10.9.9.9 }; }")},
         UDP_9, End.DENIED, "r", "@s"),
        ({"r": rules("ip saddr != @s drop",
                     before="set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 } }")},
         UDP_9, End.DELIVERED, "b", ""),
        ({"r": rules("ip saddr @s drop", "add @s { ip saddr }",
                     before="set s { type ipv4_addr; elements = { 10.9.9.9 }; }")},
         UDP_9, End.UNKNOWN, "r", "@s"),
        ({"r": rules("udp dport 9 drop", family="netdev", hook="ingress device x")}, UDP_9,
         End.DENIED, "r", "ingress chain"),
        ({"r": rules("udp dport 9 drop", family="netdev", hook="ingress device y")}, UDP_9,
         End.DELIVERED, "b", ""),
    ],
)  # fmt: skip
def test_the_kernel_as_the_plan_sets_it(parts, question, end, node, text):
    said = predict(line(**parts), question)
    assert (said.disposition, said.node) == (end, node), said.reason
    assert text in said.reason.text


def test_output_dnat_is_routed_again():
    dnat = (
        "table ip t { chain c { type nat hook output priority -100; ip daddr 192.0.2.7 dnat to"
        f" {B}; }} }}"
    )
    said = predict(line(a=f"{{{table(dnat)}}}"), Question("a", "192.0.2.7", 17, 9))
    assert (said.disposition, said.node) == (End.DELIVERED, "b"), said.reason
    own = dnat.replace(B, "10.0.0.2")
    said = predict(line(a=f"{{{table(own)}}}"), Question("a", "192.0.2.7", 17, 9))
    assert (said.disposition, said.node) == (End.DELIVERED, "a"), said.reason


TWO_LINKS = """
nodes:
  a: {{routes: [{{to: 10.0.1.0/24, via: 10.0.0.1}}]}}
  r: {{kind: router, sysctls: {{net.ipv4.conf.{which}.rp_filter: {mode}}},
      routes: [{{to: 10.0.0.2/32, via: 10.7.0.1}}]}}
  b:
links:
  - {{ends: [a:eth0, r:x], subnet: 10.0.0.0/24, addresses: {{a: 10.0.0.2, r: 10.0.0.1}}}}
  - {{ends: [a:second, r:second], subnet: 10.7.0.0/24, addresses: {{a: 10.7.0.1, r: 10.7.0.2}}}}
  - {{ends: [r:y, b:eth0], subnet: 10.0.1.0/24, addresses: {{b: 10.0.1.2, r: 10.0.1.1}}}}
"""


@pytest.mark.parametrize(
    ("which", "mode", "end"),
    [
        ("all", 0, End.DELIVERED),
        ("all", 1, End.RPF_FAILED),
        ("all", 2, End.DELIVERED),
        ("x", 1, End.RPF_FAILED),
        ("y", 1, End.DELIVERED),
    ],
)
def test_the_reverse_path_filter(which, mode, end):
    plan = build(loads(TWO_LINKS.format(which=which, mode=mode), "two.yaml"))
    assert predict(plan, UDP_9).disposition is end


SWITCHED = """
nodes:
  a:
  sw: {{kind: bridge, {form}}}
  b:
links: [[a:eth0, sw:p1], [b:eth0, sw:p2]]
"""


@pytest.mark.parametrize(
    ("form", "end"),
    [
        (rules("udp dport 9 drop", family="bridge"), End.DENIED),
        (rules("udp dport 9 drop", family="bridge", hook="prerouting"), End.DENIED),
        (rules('iifname "p2" udp dport 9 drop', family="bridge"), End.DELIVERED),
        (rules('oifname "p2" udp dport 9 drop', family="bridge"), End.DENIED),
        (rules("udp dport 9 drop"), End.DELIVERED),
        ("sysctls: {net.bridge.bridge-nf-call-iptables: 1}, " + rules("udp dport 9 drop"),
         End.DENIED),
    ],
)  # fmt: skip
def test_the_rules_of_a_switch(form, end):
    plan = build(loads(SWITCHED.format(form=form), "switched.yaml"))
    [b] = [node for node in plan.nodes if node.name == "b"]
    address = b.interfaces[0].addresses[0].partition("/")[0]
    said = predict(plan, Question("a", address, 17, 9))
    assert said.disposition is end, said.reason


def running(plan, question: Question, **states: NodeState):
    return next(predictions(plan, question._replace(is_fresh=False), states))


def route(destination: str, length: int, interface: str, kind: str = "unicast"):
    hops = ((b"", interface),) if interface else ()
    return RunningRoute(packed(destination), length, kind, hops)


OF_R = (route("10.0.0.0", 24, "x"), route("10.0.1.0", 24, "y"))


@pytest.mark.parametrize(
    ("state", "end"),
    [
        (NodeState(frozenset(), OF_R), End.DELIVERED),
        (NodeState(frozenset({"y"}), OF_R), End.LINK_DOWN),
        (NodeState(frozenset({"y"}), OF_R[:1]), End.NO_ROUTE),
        (NodeState(frozenset(), (*OF_R, route(B, 32, "", kind="prohibit"))), End.PROHIBIT_ROUTE),
        (NodeState(frozenset(), (*OF_R, route(B, 32, "", kind="blackhole"))), End.BLACKHOLE_ROUTE),
    ],
)
def test_a_lab_that_runs_is_taken_as_it_is(state, end):
    said = running(line(), UDP_9, r=state)
    assert (said.disposition, said.node) == (end, "b" if end.arrived else "r")


NAT = """
nodes:
  a:
  n: {kind: nat, outside: wan}
  b:
links:
  - {ends: [a:eth0, n:lan], subnet: 10.0.0.0/24, addresses: {a: 10.0.0.2, n: 10.0.0.1}}
  - {ends: [n:wan, b:eth0], subnet: 10.0.1.0/24, addresses: {b: 10.0.1.2, n: 10.0.1.1}}
"""


@pytest.mark.parametrize(
    ("proto", "source", "end"),
    [
        (253, "10.0.0.9", End.NAT_CLASH),
        (253, "10.0.0.2", End.DELIVERED),  # its own entry
        (254, "10.0.0.9", End.DELIVERED),
        (17, "10.0.0.9", End.DELIVERED),  # the NAT takes another port
    ],
)
def test_a_mapping_that_is_taken_clashes(proto, source, end):
    taken = Flow(packed(source), packed(B), 253)
    back = Flow(packed(B), packed("10.0.1.1"), 253)
    routes = (route("10.0.0.0", 24, "lan"), route("10.0.1.0", 24, "wan"))
    state = NodeState(frozenset(), routes, ((taken, back, 0),))
    said = running(build(loads(NAT, "nat.yaml")), Question("a", B, proto, 9), n=state)
    assert said.disposition is end, said.reason
