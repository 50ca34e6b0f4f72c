"""The ``nat64:`` of a NAT: its prefix as a subnet that IPv6 hosts can send to.

Nobody has an address on that subnet; it lies behind a TUN device of the NAT, where a translator
reads. So the prefix is routed, and checked for overlaps, like any other.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

from netlab.siit.embedding import LENGTHS, WELL_KNOWN, Embedding
from netlab.topology.builder import NAT64, End, Lan
from netlab.topology.model import Nat64, Route

if TYPE_CHECKING:
    from ipaddress import IPv4Address

    from netlab.topology.builder import TopologyBuilder, Wiring
    from netlab.topology.model import Network

LENT = IPv4Network("240.64.0.0/16")
"""IPv4 addresses of IPv6 hosts between the translator and the NAT; never seen on a link.

No wire can have it, since it is reserved (RFC 1112 section 4), so nothing of a lab is hidden.
"""

LARGEST = 65535
"""The device's MTU: the translator knows better what fits."""


def attach(builder: TopologyBuilder, wiring: Wiring) -> None:
    """Give each NAT with a ``nat64:`` its device, and the prefix as the subnet behind it."""
    for name, node in builder.form.nodes.items():
        if node.kind != "nat" or node.nat is None or node.nat.nat64 is None:
            continue
        prefix = node.nat.nat64
        if not _is_prefix(builder, name) or not _has_ipv6(builder, wiring, name):
            continue
        end = End(name, NAT64, link=-1, side=0, mtu=LARGEST)
        end.lan = Lan(len(wiring.lans), [end], networks={6: prefix}, behind=(name, "nat64"))
        wiring.lans.append(end.lan)
        wiring.by_node[name].append(end)


def _is_prefix(builder: TopologyBuilder, name: str) -> bool:
    nat = builder.form.nodes[name].nat
    assert nat is not None
    prefix = nat.nat64
    if isinstance(prefix, IPv6Network) and prefix.prefixlen in LENGTHS:
        return True
    if isinstance(prefix, IPv6Network):
        message = (
            f"{prefix} holds no IPv4 address: RFC 6052 has no prefix of {prefix.prefixlen} bits"
        )
        hint = f"{', '.join(map(str, LENGTHS[:-1]))} or {LENGTHS[-1]} bits"
    else:
        message = f"{prefix} is not an IPv6 prefix"
        hint = f"such as {WELL_KNOWN}"
    builder.problems.add("E265", message, builder.at("nodes", name, "nat", "nat64"), hint)
    return False


def _has_ipv6(builder: TopologyBuilder, wiring: Wiring, name: str) -> bool:
    if name in builder.incomplete or any(e.address(6) for e in wiring.by_node[name]):
        return True
    builder.problems.add(
        "E265",
        f"`{name}` has no IPv6 link, so no host can reach {_prefix(builder, name)}",
        builder.at_key("nodes", name, "nat", "nat64"),
        "say `families: [ipv6]` at an inside link",
    )
    return False


def _prefix(builder: TopologyBuilder, name: str) -> IPv6Network:
    nat = builder.form.nodes[name].nat
    assert nat is not None
    assert isinstance(nat.nat64, IPv6Network)
    return nat.nat64


def device(wiring: Wiring, name: str) -> End | None:
    """The end that is a node's device, if it has one."""
    end = wiring.end(name, NAT64)
    return end if end and end.peer is None else None


def routes(wiring: Wiring, name: str) -> list[Route]:
    """What the NAT routes to the device: the prefix, and the pool of IPv4 addresses."""
    end = device(wiring, name)
    if end is None or end.lan is None:
        return []
    return [Route(n, None, NAT64) for n in (*end.lan.networks.values(), LENT)]


def nat64(builder: TopologyBuilder, wiring: Wiring, name: str, outsides: list[str]) -> Nat64 | None:
    """The translator of a node, whose NATs have these outside interfaces."""
    if device(wiring, name) is None:
        return None
    ends = [e for e in wiring.by_node[name] if e.peer]
    own = next((a for e in ends if e.interface in outsides and (a := e.address(4))), None)
    if own is None:
        return None
    return Nat64(
        _prefix(builder, name),
        LENT,
        own,  # type: ignore[arg-type]  # asked for by its version
        min((e.mtu for e in ends if e.address(6)), default=LARGEST),
        tuple(outsides),
        builder.origin_key("nodes", name, "nat", "nat64"),
    )


def synthesized(prefix: Network, address: IPv4Address) -> IPv6Address:
    """The IPv6 address of an IPv4 host, as DNS64 (RFC 6147) would answer."""
    assert isinstance(prefix, IPv6Network)
    return IPv6Address(Embedding(prefix).embed(address.packed))
