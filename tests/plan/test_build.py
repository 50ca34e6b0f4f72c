"""From a model to operations, and operations as JSON, text and commands."""

import json
import shlex
import subprocess
from ipaddress import ip_interface, ip_network

from netlab.plan import codec, text
from netlab.plan import operations as op
from netlab.plan.build import build
from netlab.plan.commands import commands
from netlab.plan.script import script
from netlab.topology import loads
from netlab.topology.model import (
    File,
    Interface,
    Link,
    Masquerade,
    Neighbour,
    Node,
    Program,
    Ready,
    Route,
    Topology,
)

HOSTS = File("/etc/hosts", "127.0.0.1 localhost\n")


def veth(name, ifindex, mac, address, peer):
    return Interface(name, "veth", ifindex, mac, 1500, (ip_interface(address),), peer)


def small() -> Topology:
    """client -- nat -- server."""
    client = Node(
        "client",
        "host",
        (veth("eth0", 2, "02:00:00:00:00:01", "10.0.0.2/24", ("nat", "lan")),),
        routes=(Route(ip_network("0.0.0.0/0"), ip_interface("10.0.0.1/24").ip, "eth0"),),
        neighbours=(Neighbour("eth0", ip_interface("10.0.0.1/24").ip, "02:00:00:00:00:02"),),
        files=(HOSTS,),
    )
    nat = Node(
        "nat",
        "nat",
        (
            veth("lan", 2, "02:00:00:00:00:02", "10.0.0.1/24", ("client", "eth0")),
            veth("wan", 3, "02:00:00:00:00:03", "203.0.113.2/24", ("server", "eth0")),
        ),
        nat=(Masquerade("wan"),),
        files=(HOSTS, File("/etc/motd", "127.0.0.1 localhost\n")),
    )
    server = Node(
        "server",
        "host",
        (veth("eth0", 2, "02:00:00:00:00:04", "203.0.113.3/24", ("nat", "wan")),),
        programs=(
            Program("http", ("python3", "-m", "http.server", "80"), ready=Ready(port=("tcp", 80))),
            Program("once", ("sh", "-c", "exit 3"), ready=Ready(exit=3)),
        ),
    )
    links = (
        Link(("client", "eth0"), ("nat", "lan"), (ip_network("10.0.0.0/24"),)),
        Link(("nat", "wan"), ("server", "eth0"), (ip_network("203.0.113.0/24"),)),
    )
    return Topology("small", "small.yaml", "", (client, nat, server), links)


def test_equal_topologies_give_equal_plans():
    assert build(small()) == build(small())


def test_the_order_works_by_hand():
    """Namespaces, then wires, then what lies on the wires, and the programs at last."""
    rank = {
        op.CreateNamespace: 0,
        op.SetSysctl: 0,
        op.CreateVeth: 1,
        op.StartProgram: 3,
    }
    ranks = [rank.get(type(o), 2) for o in build(small()).operations]
    assert ranks == sorted(ranks)


def test_only_forwarding_nodes_forward():
    forwarding = [
        o.node
        for o in build(small()).operations
        if isinstance(o, op.SetSysctl) and o.key == "net.ipv4.ip_forward"
    ]
    assert forwarding == ["nat"]


def test_readiness_is_one_line():
    starts = [o for o in build(small()).operations if isinstance(o, op.StartProgram)]
    assert [s.ready for s in starts] == ["port tcp 80", "exit 3"]


def test_every_operation_has_a_reason():
    assert all(o.reason for o in build(small()).operations)


def test_json_round_trip():
    plan = build(small())
    again = codec.from_json(json.loads(json.dumps(codec.to_json(plan))))
    assert again == plan
    assert [type(o) for o in again.operations] == [type(o) for o in plan.operations]


def test_text_names_each_operation_and_its_reason():
    plan = build(small())
    printed = text.text(plan)
    for operation in plan.operations:
        assert operation.reason in printed
        assert codec.name(operation) in printed


def test_difference_shows_both_sides_and_is_empty_for_equal_plans():
    plan = build(small())
    assert text.difference(plan, plan) == []
    fewer = plan._replace(operations=plan.operations[:-1])
    assert text.difference(plan, fewer) == [
        "- server: start-program once: sh -c exit 3 until exit 3"
    ]
    assert text.difference(fewer, plan) == [
        "+ server: start-program once: sh -c exit 3 until exit 3"
    ]


def test_commands_are_argument_lists():
    plan = build(small())
    [veth_pair] = commands(
        next(o for o in plan.operations if isinstance(o, op.CreateVeth)), lambda n: f"small.{n}"
    )
    assert veth_pair[:6] == ["ip", "link", "add", "name", "eth0", "netns"]
    assert "small.client" in veth_pair


def test_the_script_is_sound_shell_and_every_value_is_one_word():
    plan = build(small())
    evil = "$(touch /tmp/owned)`id`'\"; reboot\nEND\n"
    plan = plan._replace(
        topology=f"x\n{evil}",
        operations=(
            *plan.operations,
            op.WriteFile("client", "/etc/motd", evil, "a trap"),
            op.WriteFile("client", f"/srv/{evil}", evil, "a trap"),
            op.StartProgram(
                "client", "trap", ("echo", evil), (("K", evil),), "exit 0", 0.0, "trap"
            ),
        ),
    )
    made = script(plan)
    subprocess.run(["sh", "-n"], input=made, text=True, check=True)
    program = made[made.rindex("ip netns exec") :]
    assert shlex.split(program)[8:12] == ["env", f"K={evil}", "echo", evil]
    # Where it stands outside quotes it is in a here-document whose end marker it does not contain.
    assert "<<'END_'" in made


def test_settings_of_an_interface_come_between_its_making_and_its_start():
    file = """
        nodes:
          a:
            sysctls:
              net.ipv4.conf.eth0.rp_filter: 1
              net.ipv4.conf.all.arp_ignore: 2
              net.ipv4.ip_forward: 1
          b:
        links: [[a, b]]
    """
    made = [o for o in build(loads(file)).operations if not isinstance(o, op.WriteFile)]
    written = [o.key for o in made if isinstance(o, op.SetSysctl) and "file" in o.reason]
    assert written == [
        "net.ipv4.ip_forward",
        "net.ipv4.conf.all.arp_ignore",
        "net.ipv4.conf.eth0.rp_filter",
    ]
    kinds = [type(o).__name__ for o in made if getattr(o, "node", "a") == "a"]
    late = max(i for i, kind in enumerate(kinds) if kind == "SetSysctl")
    assert kinds.index("CreateVeth") < late < kinds.index("AddAddress")
