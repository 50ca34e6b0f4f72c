"""The ``outside:`` and ``nat:`` of the file -> Masquerade, Translator and StaticNat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.topology.fields import ip
from netlab.topology.model import Masquerade, StaticNat
from netlab.topology.nat import Translator
from netlab.topology.nat64 import nat64
from netlab.topology.nat_behaviour import translator
from netlab.topology.nptv6 import nptv6
from netlab.topology.problems import nearest

if TYPE_CHECKING:
    from netlab.topology.builder import TopologyBuilder
    from netlab.topology.model import Address, Nat
    from netlab.topology.routing import Routing


def translation(builder: TopologyBuilder, routing: Routing, name: str) -> tuple[Nat, ...]:
    """All translations of a node, masquerading first."""
    node = builder.form.nodes[name]
    if node.kind != "nat":
        return ()
    found: list[Nat] = []
    written: list[tuple[str, tuple[str | int, ...]]] = [
        (n, ("outside", i)) for i, n in enumerate(node.outside)
    ]
    if node.nat:
        written += [(n, ("nat", "masquerade", i)) for i, n in enumerate(node.nat.masquerade)]
    interfaces = [e.interface for e in routing.wiring.by_node[name] if e.peer]
    for interface, path in written:
        if interface in interfaces:
            if node.nat and node.nat.is_described:
                described = translator(builder, routing.wiring, name, interface)
                found += [described] if described else []
            else:
                found.append(Masquerade(interface, builder.origin("nodes", name, *path)))
        elif name not in builder.incomplete:
            builder.problems.add(
                "E261",
                f"`{name}` has no interface `{interface}`",
                builder.at("nodes", name, *path),
                nearest(interface, interfaces),
            )
    if not written:
        builder.problems.add(
            "E262",
            f"`{name}` is a NAT, but nothing says which of its interfaces is outside",
            builder.at_key("nodes", name),
            f"add `outside: {interfaces[-1] if interfaces else 'wan'}`",
        )
        return ()
    outsides = [n.outside for n in found if isinstance(n, (Masquerade, Translator))]
    for index in range(len(node.nat.static) if node.nat else 0):
        static = _static(builder, routing, name, index, outsides)
        if static:
            found.append(static)
    between = nat64(builder, routing.wiring, name, outsides)
    if between:
        found.append(between)
    prefixes = nptv6(builder, routing.wiring, name, outsides)
    if prefixes:
        found.append(prefixes)
    return tuple(found)


def _static(
    builder: TopologyBuilder, routing: Routing, name: str, index: int, outsides: list[str]
) -> StaticNat | None:
    nat = builder.form.nodes[name].nat
    assert nat is not None
    form = nat.static[index]
    path = ("nodes", name, "nat", "static", index)
    outside, address = "", form.outside
    for end in routing.wiring.by_node[name]:
        if end.interface in outsides and (
            address is None or address in {a.ip for a in end.addresses}
        ):
            outside = end.interface
            address = address or end.address(4)
            break
    if address is None or not outside:
        if outsides and name not in builder.incomplete:
            builder.problems.add(
                "E264",
                f"no outside interface of `{name}` has the subnet of {form.outside}",
                builder.at(*path, "outside"),
                "the NAT answers for it on the link, so it must be of the link's subnet",
            )
        return None
    if form.inside is not None:
        inside = _inside(builder, routing, form.inside, address.version, (*path, "inside"))
        if inside is None:
            return None
        return StaticNat(outside, address, inside, origin=builder.origin(*path))
    assert form.to is not None
    assert form.forward is not None
    target, port = _split(form.to)
    if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        builder.problems.add(
            "E264", f"`{form.to}` has no port", builder.at(*path, "to"), "as in `web:80`"
        )
        return None
    inside = _inside(builder, routing, target, address.version, (*path, "to"))
    if inside is None:
        return None
    protocol, outside_port = form.forward
    return StaticNat(
        outside,
        address,
        inside,
        "tcp" if protocol == "tcp" else "udp",
        outside_port,
        int(port),
        builder.origin(*path),
    )


def _split(text: str) -> tuple[str, str]:
    """``web:80``, ``10.0.0.2:80``, ``[fd00::2]:80``."""
    target, _, port = text.rpartition(":")
    if target.startswith("[") and target.endswith("]"):
        target = target[1:-1]
    return target, port


def _inside(
    builder: TopologyBuilder, routing: Routing, text: str, version: int, path: tuple[str | int, ...]
) -> Address | None:
    """The inside address that ``text`` is or names."""
    wiring = routing.wiring
    address = ip(text)
    if address is None:
        if text in builder.form.nodes:
            known = routing.addresses(str(path[1]), text)
            address = next((a for a in known if a.version == version), None)
            if address or text in builder.incomplete:
                return address
        elif text in builder.broken:
            return None
        else:
            hint = nearest(text, builder.form.nodes)
            message = f"`{text}` is neither an address nor a node"
            builder.problems.add("E264", message, builder.at(*path), hint)
            return None
    elif address.version == version:
        if builder.partial or any(address in wiring.addresses(n) for n in wiring.by_node):
            return address
        builder.problems.add(
            "E264",
            f"no node has the address {address}",
            builder.at(*path),
            "use a node's name or one of its addresses",
        )
        return None
    builder.problems.add(
        "E264",
        f"`{text}` has no IPv{version} address, as the outside has",
        builder.at(*path),
        "translation is from IPv4 to IPv4, or from IPv6 to IPv6",
    )
    return None
