"""Small plans by hand, so that these tests depend on no other room."""

from netlab.plan.operations import (
    AddAddress,
    AddNeighbour,
    AddRoute,
    CreateNamespace,
    CreateVeth,
    NodeSummary,
    Operation,
    Plan,
    SetSysctl,
    SetUp,
    VethEnd,
)


def mac(number: int) -> str:
    return "02:00:00:" + ":".join(f"{b:02x}" for b in number.to_bytes(3, "big"))


def plan(name: str, *operations: Operation) -> Plan:
    nodes = [o.node for o in operations if isinstance(o, CreateNamespace)]
    summaries = tuple(NodeSummary(node, "host", ()) for node in nodes)
    return Plan(name, "by-hand.yaml", summaries, operations)


def star(name: str, hosts: int) -> Plan:
    """A router ``hub`` with ``hosts`` hosts ``h0``..., one /30 each, all permanent neighbours."""
    nodes = ["hub", *(f"h{i}" for i in range(hosts))]
    operations: list[Operation] = [CreateNamespace(node, "host") for node in nodes]
    operations.append(SetSysctl("hub", "net.ipv4.ip_forward", "1"))
    for i in range(hosts):
        near = VethEnd("hub", f"e{i}", i + 2, mac(2 * i), 1500)
        far = VethEnd(f"h{i}", "eth0", 2, mac(2 * i + 1), 1500)
        operations.append(CreateVeth(near, far))
    operations.append(SetUp("hub", "lo"))
    for i in range(hosts):
        network = f"10.{i >> 8}.{i & 255}"
        operations += [
            AddAddress("hub", f"e{i}", f"{network}.1/30"),
            SetUp("hub", f"e{i}"),
            AddNeighbour("hub", f"e{i}", f"{network}.2", mac(2 * i + 1)),
        ]
    for i in range(hosts):
        host, network = f"h{i}", f"10.{i >> 8}.{i & 255}"
        operations += [
            SetUp(host, "lo"),
            AddAddress(host, "eth0", f"{network}.2/30"),
            SetUp(host, "eth0"),
            AddNeighbour(host, "eth0", f"{network}.1", mac(2 * i)),
            AddRoute(host, "0.0.0.0/0", f"{network}.1", "eth0"),
        ]
    return plan(name, *operations)
